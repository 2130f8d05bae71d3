"""Finding Java and Maven, on machines where they are missing, old or odd."""

from collections.abc import Callable
from pathlib import Path

import pytest

from kafka_broker.errors import BrokerError
from kafka_broker.programs import find_java, find_maven, java_version

MakeProgram = Callable[[str, str], Path]
INSTALL_JAVA = "apt-get install --no-install-recommends default-jre-headless"


def nothing(_command: str) -> None:
    """A `which` that finds nothing."""


def prints_version(version: str) -> str:
    """Return a script that prints what `java -version` does."""
    return f"""echo 'openjdk version "{version}" 2025-04-15' >&2"""


def test_java_on_the_path_is_found(make_program: MakeProgram) -> None:
    java = make_program("java", prints_version("17.0.15"))
    assert find_java({}, {"java": str(java)}.get) == java


def test_java_home_goes_before_the_path(make_program: MakeProgram) -> None:
    java = make_program("java", prints_version("21"))
    home = java.parent.parent
    assert find_java({"JAVA_HOME": str(home)}) == java


def test_missing_java_is_named_with_the_package_to_install() -> None:
    with pytest.raises(BrokerError) as caught:
        find_java({}, nothing)
    assert str(caught.value) == (
        "the Kafka broker needs Java 17 or newer, and there is no java on PATH. "
        f"On Debian: {INSTALL_JAVA}"
    )


def test_an_empty_java_home_is_named() -> None:
    with pytest.raises(BrokerError, match="JAVA_HOME=/nowhere holds none. On Debian: apt-get"):
        find_java({"JAVA_HOME": "/nowhere"})


@pytest.mark.parametrize(("printed", "version"), [("1.8.0_452", 1), ("11.0.27", 11)])
def test_an_old_java_is_refused_with_its_version(
    make_program: MakeProgram, printed: str, version: int
) -> None:
    java = make_program("java", prints_version(printed))
    with pytest.raises(BrokerError) as caught:
        find_java({}, lambda _: str(java))
    assert str(caught.value) == (
        f"the Kafka broker needs Java 17 or newer, and {java} is Java {version}. "
        f"On Debian: {INSTALL_JAVA}, then put it first on PATH or name it by JAVA_HOME."
    )


def test_the_version_is_found_behind_what_java_picks_up(make_program: MakeProgram) -> None:
    """With JAVA_TOOL_OPTIONS set, Java tells of them in a first line."""
    noise = "echo 'Picked up JAVA_TOOL_OPTIONS: -Dsome.version=3' >&2; "
    assert java_version(make_program("java", noise + prints_version("21.0.7"))) == 21


def test_a_java_that_names_no_version_is_quoted(make_program: MakeProgram) -> None:
    java = make_program("java", "echo 'out of order'; exit 1")
    with pytest.raises(BrokerError, match="names no version but prints: 'out of order'. Install"):
        java_version(java)


def test_missing_maven_is_named_with_the_package_to_install() -> None:
    with pytest.raises(BrokerError) as caught:
        find_maven(nothing)
    assert str(caught.value) == (
        "the Kafka broker is fetched by Maven, and there is no mvn on PATH. "
        "On Debian: apt-get install --no-install-recommends maven"
    )
