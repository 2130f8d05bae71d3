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


class Slow(FakeLadderedGenerator):
    """Takes its time for one seed, and forgets no user of one name."""

    def generate(self, tasks: Sequence[GenerationTask]) -> list[Generation]:
        if tasks[0].seed == SLEEPS:
            time.sleep(2)
        return super().generate(tasks)

    def forget(self, user_id: str) -> int:
        if user_id == "nobody":
            raise ZeroDivisionError("by design")
        return super().forget(user_id)


@pytest.fixture
def slow() -> Iterator[LadderedGeneratorProcess]:
    generator = LadderedGeneratorProcess(Slow, timeout_s=60)
    generator.start()
    yield generator
    generator.close()


def test_forgetting_does_not_wait_for_a_picture_and_reaches_it(
    slow: LadderedGeneratorProcess,
) -> None:
    """A worker that waited heard no news of the others, and was ended for it."""
    slow.generate([make_task()])
    with ThreadPoolExecutor(1) as pool:
        making = pool.submit(slow.generate, [make_task(seed=SLEEPS)])
        while not slow._asking.locked():
            time.sleep(0.01)
        started = time.monotonic()
        assert slow.forget(make_task().user_id) == 0
        assert time.monotonic() - started < 1
        assert making.result(60)
    assert not slow._unasked
    assert slow.redraw(make_task()) is None
    assert slow.generate([make_task()])
    assert slow.forget(make_task().user_id) == 1


def test_one_that_cannot_forget_is_ended_with_all_it_keeps(slow: LadderedGeneratorProcess) -> None:
    slow.generate([make_task()])
    assert slow.forget("nobody") == 0
    assert slow._process is None
    slow.start()
    assert slow.redraw(make_task()) is None
    assert slow.pid is not None
    os.kill(slow.pid, signal.SIGKILL)
    assert slow.forget("ada") == 0


def test_an_answer_that_nobody_took_is_not_the_next_ones(
    slow: LadderedGeneratorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever pressed Ctrl-C, and asked again, got the picture asked for before."""

    def interrupt(process: object, *_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("multiprocessing.connection.Connection.recv", interrupt)
        with pytest.raises(KeyboardInterrupt):
            slow.generate([make_task(seed=7)])
    (made,) = slow.generate([make_task(seed=8)])
    assert made.provenance.seed == 8


def test_a_function_that_cannot_travel_leaves_no_process() -> None:
    generator = processes(lambda: Moody(16))
    for _ in range(2):
        with pytest.raises(Exception, match="pickle"):
            generator.start()
        assert generator._process is None


def test_signals_for_the_group_do_not_end_it(slow: LadderedGeneratorProcess) -> None:
    """A service manager sends SIGTERM to all processes; the parent still answers for a while."""
    pid = slow.pid
    assert pid is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        os.kill(pid, number)
    assert slow.generate([make_task()])
    assert slow.pid == pid


def test_it_imports_from_where_its_parent_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise ImportError('of the current folder')")
    (tmp_path / "logging.py").write_text("raise ImportError('of the current folder')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    generator = processes(FakeGenerator)
    assert generator.generate([make_task()])
    generator.close()


def test_known_errors_are_told_and_not_written_to_its_output(
    capfd: pytest.CaptureFixture[str],
) -> None:
    generator = processes(partial(Moody, 16, ["ada"]))
    with pytest.raises(GenerationError, match="fails for user 'ada'"):
        generator.generate([make_task()])
    assert "ada" not in capfd.readouterr().err
    with pytest.raises(GenerationError, match="ZeroDivisionError"):
        generator.generate([make_task(seed=RAISES)])
    assert "Traceback" in capfd.readouterr().err
    generator.close()


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


class Versioned(Moody):
    """Its version is what a file says."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._told = file.read_text()

    @property
    def version(self) -> str:
        return self._told


def test_one_that_dies_is_not_replaced_by_one_of_other_weights(tmp_path: Path) -> None:
    """Logs and jobs would go on to name the first."""
    file = tmp_path / "version"
    file.write_text("v1")
    generator = processes(partial(Versioned, file))
    assert generator.version == "v1"
    file.write_text("v2")
    with pytest.raises(GenerationError, match="exit code -9"):
        generator.generate([make_task(seed=DIES)])
    with pytest.raises(GenerationError, match=r"was v1 and would now be v2.*Restart"):
        generator.generate([make_task()])
    file.write_text("v1")
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
