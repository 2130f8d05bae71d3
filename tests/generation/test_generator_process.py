"""A generator in a process: what hangs or dies is replaced, what answers is passed on."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from pigeon_recsys.errors import GenerationError, GenerationTimeout, SettingsError
from pigeon_recsys.generation.generator_process import (
    GeneratorProcess,
    LadderedGeneratorProcess,
)
from pigeon_recsys.ports import ImageGenerator, LadderedGenerator
from pigeon_recsys.records import Generation, GenerationTask
from pigeon_recsys.testing.fake_laddered_generator import FakeLadderedGenerator
from pigeon_recsys.testing.fakes import FakeGenerator
from pigeon_recsys.testing.generator_contract import (
    ImageGeneratorContract,
    LadderedGeneratorContract,
    make_task,
)

HANGS, DIES, RAISES, SLEEPS = 101, 102, 103, 104  # seeds


class Moody(FakeGenerator):
    """Does what the seed of the first task says."""

    def generate(self, tasks: Sequence[GenerationTask]) -> list[Generation]:
        seed = tasks[0].seed
        if seed == HANGS:
            time.sleep(600)
        if seed == DIES:
            os.kill(os.getpid(), signal.SIGKILL)
        if seed == RAISES:
            raise ZeroDivisionError("by design")
        return super().generate(tasks)


def moody() -> ImageGenerator:
    return Moody()


def broken() -> ImageGenerator:
    raise FileNotFoundError("no weights here")


def processes(
    make: Callable[[], ImageGenerator] = moody, timeout_s: float = 60
) -> GeneratorProcess:
    return GeneratorProcess(make, timeout_s=timeout_s)


@pytest.fixture(scope="module")
def process() -> Iterator[GeneratorProcess]:
    """One for all tests of the contract."""
    generator = processes(FakeGenerator)
    yield generator
    generator.close()


class TestGeneratorProcess(ImageGeneratorContract):
    @pytest.fixture(autouse=True)
    def _on(self, process: GeneratorProcess) -> None:
        self.process = process

    def make_generator(self) -> ImageGenerator:
        return self.process


@pytest.fixture(scope="module")
def laddered() -> Iterator[LadderedGeneratorProcess]:
    """One for all tests of the contract."""
    generator = LadderedGeneratorProcess(FakeLadderedGenerator, timeout_s=60)
    yield generator
    generator.close()


class TestLadderedGeneratorProcess(LadderedGeneratorContract):
    @pytest.fixture(autouse=True)
    def _on(self, laddered: LadderedGeneratorProcess) -> None:
        self.process = laddered

    def make_generator(self) -> LadderedGenerator:
        self.process.forget("bob")
        return self.process


def test_nothing_is_kept_where_no_process_runs_and_none_is_started() -> None:
    generator = LadderedGeneratorProcess(FakeLadderedGenerator)
    assert generator.redraw(make_task()) is None
    assert generator.forget("ada") == 0
    assert generator._process is None


def test_threads_that_ask_at_once_get_their_own_answers(process: GeneratorProcess) -> None:
    """An erasure is asked for by another thread than the one that generates."""
    with ThreadPoolExecutor(4) as pool:
        tasks = [make_task(seed=seed) for seed in range(24)]
        made = list(pool.map(lambda task: process.generate([task])[0], tasks))
    assert [each.provenance.seed for each in made] == list(range(24))


def test_a_generator_without_cheaper_ways_says_so() -> None:
    generator = LadderedGeneratorProcess(FakeGenerator, timeout_s=60)  # type: ignore[arg-type]
    with pytest.raises(GenerationError, match="AttributeError: .* no attribute 'quick'"):
        generator.quick([make_task()])
    generator.close()


def test_one_that_hangs_is_ended_in_time_and_replaced() -> None:
    generator = processes()
    assert generator.generate([make_task()])
    generator._timeout_s = 1.0
    started = time.monotonic()
    with pytest.raises(GenerationTimeout, match="no answer in 1 s"):
        generator.generate([make_task(seed=HANGS)])
    assert time.monotonic() - started < 10
    generator._timeout_s = 60
    assert generator.generate([make_task()])
    generator.close()


def test_one_that_dies_is_replaced() -> None:
    generator = processes()
    with pytest.raises(GenerationError, match="exit code -9"):
        generator.generate([make_task(seed=DIES)])
    assert generator.generate([make_task()])
    generator.close()


def test_errors_are_told_and_the_process_lives_on() -> None:
    generator = processes(partial(Moody, 16, ["ada"]))
    with pytest.raises(GenerationError, match="fails for user 'ada'"):
        generator.generate([make_task()])
    with pytest.raises(GenerationError, match="ZeroDivisionError: by design"):
        generator.generate([make_task(seed=RAISES)])
    process = generator._process
    assert process is not None
    assert process.poll() is None
    generator.close()
    assert process.poll() is not None


def test_one_that_cannot_be_loaded_says_why() -> None:
    generator = processes(broken)
    with pytest.raises(GenerationError, match="cannot be loaded: FileNotFoundError: no weights"):
        generator.generate([make_task()])
    with pytest.raises(GenerationError, match="cannot be loaded"):
        _ = generator.version
    generator.close()


def test_a_closed_one_starts_no_more() -> None:
    """A maker that was closed in the middle of a batch tried its tasks one by one, on a new one."""
    generator = processes()
    threading.Timer(1.0, generator.close).start()
    with pytest.raises(GenerationError, match=r"it was closed|is closed"):
        generator.generate([make_task(seed=HANGS)])
    with pytest.raises(GenerationError, match="the generator is closed"):
        generator.generate([make_task()])


def test_it_ends_with_the_process_that_started_it(tmp_path: Path, repo_root: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "import threading, time\n"
        "from pigeon_recsys.generation.generator_process import GeneratorProcess\n"
        "from pigeon_recsys.testing.generator_contract import make_task\n"
        "from tests.generation.test_generator_process import HANGS, moody\n"
        "generator = GeneratorProcess(moody)\n"  # not guarded by __name__: nothing imports it
        "generator.version\n"
        "print(generator.pid, flush=True)\n"
        "generator.generate([make_task(seed=HANGS)])\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{repo_root}:{repo_root / 'connectors'}"}
    parent = subprocess.Popen([sys.executable, str(script)], stdout=-1, env=environment, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 20
    while Path(f"/proc/{child}").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not Path(f"/proc/{child}").exists()


@pytest.mark.parametrize("timeout_s", [0, -1])
def test_times_that_mean_nothing_are_refused(timeout_s: float) -> None:
    with pytest.raises(SettingsError, match="must be above 0"):
        processes(timeout_s=timeout_s)
