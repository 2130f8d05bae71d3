"""The cache of jars, filled by a script that stands in for Maven."""

import xml.etree.ElementTree as ET
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kafka_broker import jars
from kafka_broker.errors import BrokerError
from kafka_broker.jars import POM, is_whole, kafka_jars

MakeProgram = Callable[[str, str], Path]
WRITE_TWO_JARS = """
for word in "$@"; do
    case "$word" in -DoutputDirectory=*) target="${word#-DoutputDirectory=}" ;; esac
done
echo fetched >> "$(dirname "$0")/fetches"
echo one > "$target/kafka.jar"
sleep 0.2
echo three > "$target/slf4j.jar"
"""


class Maven:
    """A stand-in for Maven and a cache for what it fetches."""

    def __init__(self, program: Path, cache: Path) -> None:
        self.program = program
        self.environment = {"XDG_CACHE_HOME": str(cache)}

    def which(self, command: str) -> str | None:
        """Find Maven and nothing else."""
        return {"mvn": str(self.program)}.get(command)

    def jars(self, pom: Path = POM) -> Path:
        """Ask for the jars."""
        return kafka_jars(self.environment, self.which, pom)

    @property
    def num_fetches(self) -> int:
        """How often it ran."""
        return len(self.program.with_name("fetches").read_text().splitlines())


@pytest.fixture
def maven(make_program: MakeProgram, tmp_path: Path) -> Maven:
    """A Maven that fetches two jars, and an empty cache."""
    return Maven(make_program("mvn", WRITE_TWO_JARS), tmp_path / "cache")


def test_the_jars_are_fetched_once(maven: Maven) -> None:
    folder = maven.jars()
    assert folder == maven.jars()
    assert sorted(path.name for path in folder.glob("*.jar")) == ["kafka.jar", "slf4j.jar"]
    assert maven.num_fetches == 1


def test_without_another_name_the_cache_is_in_the_home_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert jars.cache_folder({}) == tmp_path / ".cache" / "pigeon-recsys" / "kafka"


def test_other_versions_get_a_folder_of_their_own(maven: Maven, tmp_path: Path) -> None:
    pom = tmp_path / "pom.xml"
    pom.write_text(POM.read_text().replace("4.1.0", "4.2.0"))
    assert maven.jars(pom) != maven.jars()
    assert maven.num_fetches == 2


def test_two_at_once_fetch_once_and_both_get_the_whole(maven: Maven) -> None:
    """The lock belongs to the opened file, so threads stand for processes here."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        first, second = pool.map(lambda _: maven.jars(), range(2))
    assert first == second
    assert is_whole(first)
    assert maven.num_fetches == 1


def test_what_a_killed_fetch_left_is_not_used_and_removed(maven: Maven) -> None:
    folder = maven.jars()
    half = folder.with_name(f".{folder.name}.half")
    folder.rename(half)
    (half / "slf4j.jar").unlink()
    assert is_whole(maven.jars())
    assert maven.num_fetches == 2
    assert not half.exists()


@pytest.mark.parametrize("damage", [Path.unlink, lambda jar: jar.write_text("")])
def test_a_jar_that_was_cleared_away_is_fetched_again(
    maven: Maven, damage: Callable[[Path], object]
) -> None:
    folder = maven.jars()
    damage(folder / "slf4j.jar")
    assert is_whole(maven.jars())
    assert maven.num_fetches == 2


def test_a_failed_fetch_shows_mavens_words_and_leaves_nothing(
    make_program: MakeProgram, tmp_path: Path
) -> None:
    script = 'for i in $(seq 40); do echo "[ERROR] line $i"; done; exit 3'
    maven = Maven(make_program("mvn", script), tmp_path)
    with pytest.raises(BrokerError) as caught:
        maven.jars()
    message = str(caught.value)
    assert message.startswith("Maven could not fetch Kafka's jars (exit code 3). Check the network")
    assert f"{maven.program} --quiet --batch-mode" in message
    assert "[ERROR] line 20\n" not in message
    assert message.endswith(
        "[ERROR] line 21\n" + "\n".join(f"[ERROR] line {i}" for i in range(22, 41))
    )
    assert not list((tmp_path / "pigeon-recsys" / "kafka").glob("*/*"))
    assert not list((tmp_path / "pigeon-recsys" / "kafka").glob(".*"))


def test_a_fetch_of_nothing_is_a_failure(make_program: MakeProgram, tmp_path: Path) -> None:
    maven = Maven(make_program("mvn", "exit 0"), tmp_path)
    with pytest.raises(BrokerError, match="mvn ended well but fetched nothing. Run it by hand on"):
        maven.jars()


def test_a_fetch_that_hangs_is_given_up(
    make_program: MakeProgram, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jars, "FETCH_TIMEOUT_S", 0.1)
    maven = Maven(make_program("mvn", "exec sleep 30"), tmp_path)
    with pytest.raises(BrokerError, match="did not fetch Kafka's jars within 0.1 s. Check the net"):
        maven.jars()


def test_a_cache_that_cannot_be_written_is_named(make_program: MakeProgram, tmp_path: Path) -> None:
    not_a_folder = tmp_path / "file"
    not_a_folder.touch()
    maven = Maven(make_program("mvn", WRITE_TWO_JARS), not_a_folder)
    with pytest.raises(BrokerError, match=f"cannot keep Kafka's jars in {not_a_folder}/pig.*: Not"):
        maven.jars()


def test_jars_that_are_there_need_no_maven(maven: Maven) -> None:
    folder = maven.jars()
    assert kafka_jars(maven.environment, lambda _: None) == folder


def test_without_maven_an_empty_cache_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BrokerError, match="there is no mvn on PATH"):
        kafka_jars({"XDG_CACHE_HOME": str(tmp_path)}, lambda _: None)


def test_every_version_in_the_pom_is_pinned() -> None:
    versions = [element.text for element in ET.parse(POM).iter("version")]
    assert len(versions) == 4  # ours, Kafka's, the log binding's and the Maven plugin's
    assert not any("[" in version or "LATEST" in version for version in versions if version)
