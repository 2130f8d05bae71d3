"""The integrations of docs/integrate.md, and the README's, run as written on a small demo."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kafka_broker.broker import Broker
from pigeon_recsys.cli import main
from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.datasets.world import generate_world
from pigeon_recsys.decision_tables import read_decisions, read_exposures, read_outcomes
from pigeon_recsys.wiring import SHIPPED_WEIGHTS

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "integrate.md").read_text()
README = (ROOT / "README.md").read_text()
USER, FIRST, SECOND = "w7-u00000", "w7-000895", "w7-000998"  # as the page names them
READY_WITHIN_S = 120.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with `out/demo` in it, as `make demo` leaves it, of a smaller world."""
    folder = tmp_path_factory.mktemp("integrate")
    world = folder / "out" / "demo" / "data"
    generate_world(world, num_items=150, num_users=60, seed=7, size=72)
    arguments = ["--data", str(world), "--weights", str(SHIPPED_WEIGHTS), "--users", "2"]
    assert main(["demo", "--out", str(folder / "out" / "demo"), *arguments]) == 0
    return folder


@pytest.fixture(scope="module")
def names(folder: Path) -> dict[str, str]:
    """Return a user of the small world and two items, for those that the page names."""
    dataset = DatasetFolder.open(folder / "out" / "demo" / "data")
    return {USER: dataset.user_ids[0], FIRST: dataset.item_ids[0], SECOND: dataset.item_ids[1]}


def blocks(section: str, language: str, names: dict[str, str], page: str = PAGE) -> list[str]:
    """Return the pieces of code of a section, with names of this world."""
    text = re.split(r"^## ", page.split(f"## {section}")[1], flags=re.MULTILINE)[0]
    found: list[str] = re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
    for written, ours in names.items():
        found = [code.replace(written, ours) for code in found]
    return found


def block(section: str, language: str, names: dict[str, str], page: str = PAGE) -> str:
    """Return the one piece of code of a section."""
    (code,) = blocks(section, language, names, page)
    return code


def shell(code: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    bins = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": bins, "PYTHONPATH": os.pathsep.join(sys.path), **variables}
    return subprocess.run(
        ["bash", "-ec", code],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


PrintedBy = Callable[..., str]


@pytest.fixture
def printed_by(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> PrintedBy:
    """Return what runs a page's Python beside the demo, with some names, and tells its output."""
    monkeypatch.chdir(folder)

    def run(code: str, **names: object) -> str:
        exec(compile(code, "page.md", "exec"), dict(names))
        return capsys.readouterr().out

    return run


@pytest.mark.slow
def test_in_process(folder: Path, names: dict[str, str], printed_by: PrintedBy) -> None:
    ranking = [(names[FIRST], 3.0), (names[SECOND], 2.0), ("never-heard-of", 1.0)]
    code = block("1. At the end of your ranker, in process", "python", names)
    printed = printed_by(code, your_ranking=ranking)
    places = [line.split() for line in printed.splitlines()[:-1]]
    catalog = [item_id for _, item_id, is_generated in places if is_generated == "False"]
    assert catalog == [item_id for item_id, _ in ranking]
    log = folder / "out" / "demo" / "decision_log"
    shown = {each.item_id for each in read_exposures(log) if each.request_id == "request-1"}
    assert shown == {item_id for _, item_id, _ in places}
    (liked,) = (each for each in read_outcomes(log) if each.request_id == "request-1")
    assert (liked.item_id, liked.kind) == (places[0][1], "like")
    assert "request-1" in {each.request_id for each in read_decisions(log)}
    assert re.search(r"^(fresh|few_steps|redraw|stored) - generated item gen-", printed, re.M)


@pytest.mark.slow
def test_the_lines_of_the_readme(names: dict[str, str], printed_by: PrintedBy) -> None:
    code = block("In your code", "python", names, README)
    assert len(code.splitlines()) <= 10
    first, *places = printed_by(code).splitlines()
    assert "generated item gen-" in first
    assert [line.split()[1] for line in places if line.endswith("False")] == [
        names[FIRST],
        names[SECOND],
    ]


@pytest.fixture
def served(folder: Path, names: dict[str, str]) -> Iterator[tuple[str, list[str]]]:
    """Serve with the page's first command; yield the address, and the others for its port."""
    first, *others = blocks("2. Over HTTP, from any language", "bash", names)
    serve, _, curl = first.partition("&\n")
    command = serve.replace("8080", "0").split()
    process = subprocess.Popen(
        [sys.executable, "-m", "pigeon_recsys.cli", *command[1:]],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    url = process.stdout.readline().removeprefix("serving at ").strip()
    until = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < until:
        try:
            urllib.request.urlopen(f"{url}/readyz", timeout=5)
            break
        except OSError:
            time.sleep(0.2)
    yield url, [code.replace("http://127.0.0.1:8080", url) for code in (curl, *others)]
    process.terminate()
    process.wait(30)
    process.stdout.close()


@pytest.mark.slow
def test_over_http(folder: Path, names: dict[str, str], served: tuple[str, list[str]]) -> None:
    url, (ask, report) = served
    slate = json.loads(shell(ask, folder).stdout)
    catalog = [place["item_id"] for place in slate["placements"] if not place["is_generated"]]
    assert catalog == [names[FIRST], names[SECOND]]
    done = shell(report, folder)
    assert done.stdout.strip() == '{"taken":2}'
    assert f"`{done.stdout.strip()}`" in PAGE
    with urllib.request.urlopen(f"{url}/", timeout=30) as viewer:
        assert names[USER] in viewer.read().decode()


@pytest.mark.kafka
@pytest.mark.slow
def test_through_kafka(folder: Path, names: dict[str, str]) -> None:
    """On a broker of its own: the page names topics as everybody does who has one."""
    code = block("3. Through Kafka alone", "bash", names)
    with Broker.start() as broker:
        done = shell(code, folder, KAFKA=broker.bootstrap)
    assert done.returncode == 0, done.stderr
    assert re.search(r"[1-9]\d* images published", done.stdout)
    assert list((folder / "images").rglob("*.png"))
