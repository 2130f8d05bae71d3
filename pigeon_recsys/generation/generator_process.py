"""A generator in a process of its own, so that one that hangs or dies can be replaced.

In:  generation tasks, and how long they may take.
Out: what the generator in the process makes; `GenerationTimeout` or `GenerationError` where it
     does not answer, and a new process for the next tasks.

A thread that hangs in a model cannot be stopped, and a crash of a GPU library takes its process
along. The process is started when it is first needed, and ends with the one that started it. What
a laddered generator keeps of its users is lost with it. It is a Python of its own that imports what
it needs and never the program it works for, so that a script may use one as it stands.
"""

import json
import logging
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from subprocess import DEVNULL, Popen

from pigeon_recsys.errors import GenerationError, GenerationTimeout, SettingsError
from pigeon_recsys.generation.generator_child import Call, Failure
from pigeon_recsys.ports import ImageGenerator, LadderedGenerator
from pigeon_recsys.records import Generation, GenerationTask

logger = logging.getLogger(__name__)

CHILD = (  # imports from where this process does, whatever lies in the current folder
    "import json, sys; sys.path[:] = json.loads(sys.argv.pop()); "
    "from pigeon_recsys.generation.generator_child import main; main()"
)
STOP_TIMEOUT_S = 5.0


class GeneratorProcess:
    """Implements the `ImageGenerator` port; of several threads, one waits for the other.

    `make_generator` is called in the process, so it must be a function of a module that can be
    imported there (`__main__` cannot), or a `partial` of one. `start_timeout_s` bounds loading,
    `timeout_s` each call, waiting for others apart.
    """

    def __init__(
        self,
        make_generator: Callable[[], ImageGenerator],
        timeout_s: float = 120.0,
        start_timeout_s: float = 300.0,
    ) -> None:
        if not (timeout_s > 0 and start_timeout_s > 0):
            raise SettingsError(
                f"a generator's time-outs must be above 0, got {timeout_s} and {start_timeout_s}."
            )
        self._make_generator = make_generator
        self._timeout_s = timeout_s
        self._start_timeout_s = start_timeout_s
        self._process: Popen[bytes] | None = None
        self._pipe: Connection[object, object] | None = None
        self._version: str | None = None
        self._asking = threading.Lock()  # one question at a time
        self._unasked: deque[tuple[Call, Future[int]]] = deque()  # for whoever asks next, or now
        self._starting = threading.Lock()  # against a `close` from another thread
        self._is_closed = False

    @property
    def version(self) -> str:
        """That of the generator; starts the process where it has not been."""
        if self._version is None:
            self.start()
        assert self._version is not None
        return self._version

    @property
    def pid(self) -> int | None:
        """The process that runs; None where there is none."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Load the generator before it is needed. Raises `GenerationError`."""
        with self._turn():
            self._start()

    def generate(self, tasks: Sequence[GenerationTask]) -> list[Generation]:
        """Return one generation a task. Raises `GenerationError` and `GenerationTimeout`."""
        return self._generations("generate", tasks)

    def close(self) -> None:
        """End the process for good, whatever it is doing; another thread's `generate` fails."""
        with self._starting:
            self._is_closed = True
            self._end()

    def _generations(self, method: str, tasks: Sequence[GenerationTask]) -> list[Generation]:
        """Return what a method that takes tasks makes of them."""
        if not tasks:
            return []
        answer = self._ask(Call(method, list(tasks)))
        if isinstance(answer, list):
            return answer
        raise GenerationError(f"the generator answered {method!r} with {type(answer).__name__}.")

    def _ask(self, call: Call, *, may_start: bool = True) -> object:
        """Return the answer of the process; where there is none, of a new one, or None."""
        with self._turn():
            if not self._runs():
                if not may_start:
                    return None
                self._start()
            answer = self._exchange([call], self._timeout_s)
        if isinstance(answer, Failure):
            raise GenerationError(str(answer))
        return answer

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Ask alone; what others could not wait to ask is asked before, and after."""
        try:
            with self._asking:
                self._ask_unasked()
                yield
        finally:
            self._catch_up()

    def _catch_up(self) -> None:
        """Ask what is unasked, unless another thread asks: that one will."""
        while self._unasked and self._asking.acquire(blocking=False):
            try:
                self._ask_unasked()
            finally:
                self._asking.release()

    def _ask_unasked(self) -> None:
        while self._unasked:
            call, count = self._unasked.popleft()
            count.set_result(self._dropped(call))

    def _dropped(self, call: Call) -> int:
        """Return how many entries a process drops; one that cannot is ended, and so keeps none."""
        if not self._runs():
            return 0
        try:
            answer = self._exchange([call], self._timeout_s)
        except GenerationError:  # it has ended
            return 0
        if isinstance(answer, int):
            return answer
        logger.warning(
            "a generator that does not forget a user is ended: %s", type(answer).__name__
        )
        self._end()
        return 0

    def _runs(self) -> bool:
        process = self._process
        return process is not None and process.poll() is None

    def _end(self) -> None:
        """End the process; the next tasks get another."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            _wait_for(process)

    def _start(self) -> None:
        """Start a process and wait until the generator is loaded."""
        self._end()
        if self._pipe is not None:
            self._pipe.close()
        self._pipe, theirs = Pipe()
        with theirs, self._starting:
            if self._is_closed:
                raise GenerationError("the generator is closed.")
            told = [theirs.fileno(), os.getpid(), json.dumps(list(map(str, sys.path)))]
            command = [sys.executable, "-P", "-c", CHILD, *map(str, told)]
            self._process = Popen(command, stdin=DEVNULL, pass_fds=[theirs.fileno()])
        answer = self._exchange([self._make_generator], self._start_timeout_s)
        if not isinstance(answer, str):
            self._end()
            raise GenerationError(f"the generator cannot be loaded: {answer}")
        if self._version not in (None, answer):  # what is logged and stored names the first
            self._end()
            raise GenerationError(
                f"the generator was {self._version} and would now be {answer}: its weights have "
                "changed. Restart whoever uses it, or put them back."
            )
        self._version = answer

    def _exchange(self, told: Sequence[object], timeout_s: float) -> object:
        """Send what is to be told and return the answer, both before the time is up.

        At that time the process is killed, which ends a `send` or `recv` that waits for it.
        """
        process, pipe = self._process, self._pipe
        if process is None or pipe is None:  # ended by another thread just now
            raise GenerationError("the generator is closed.")
        expired = threading.Event()

        def expire() -> None:
            expired.set()
            process.kill()

        killer = threading.Timer(timeout_s, expire)
        killer.start()
        try:
            for each in told:
                pipe.send(each)
            return pipe.recv()
        except (EOFError, OSError) as exc:
            if expired.is_set():
                self._end()
                raise GenerationTimeout(
                    f"the generator gave no answer in {timeout_s:g} s, and its process was ended. "
                    "Allow more time, or smaller batches."
                ) from exc
            raise GenerationError(f"the generator's process ended: {self._last_word()}.") from exc
        except BaseException:  # Ctrl-C above all
            self._end()  # or its answer would be taken for one to the next question
            raise
        finally:
            killer.cancel()

    def _last_word(self) -> str:
        """Return how the process ended."""
        process, self._process = self._process, None
        if process is None:
            return "it was closed"
        return f"exit code {_wait_for(process)}"


class LadderedGeneratorProcess(GeneratorProcess):
    """Implements the `LadderedGenerator` port; what is kept for `redraw` is in the process."""

    def __init__(
        self,
        make_generator: Callable[[], LadderedGenerator],
        timeout_s: float = 120.0,
        start_timeout_s: float = 300.0,
    ) -> None:
        super().__init__(make_generator, timeout_s, start_timeout_s)

    def quick(self, tasks: Sequence[GenerationTask]) -> list[Generation]:
        """Return one generation a task. Raises `GenerationError` and `GenerationTimeout`."""
        return self._generations("quick", tasks)

    def redraw(self, task: GenerationTask) -> Generation | None:
        """Return another picture of an equal task's tokens, none where none are kept."""
        answer = self._ask(Call("redraw", task), may_start=False)
        assert answer is None or isinstance(answer, Generation)
        return answer

    def forget(self, user_id: str) -> int:
        """Drop what is kept of a user's tasks; return how many.

        While a picture is made nobody waits for it: what is kept goes as soon as it is there, that
        of the picture too, and is not counted. Without a process nothing is kept.
        """
        count: Future[int] = Future()
        self._unasked.append((Call("forget", user_id), count))
        self._catch_up()
        return count.result() if count.done() else 0


def _wait_for(process: "Popen[bytes]") -> int | None:
    """Return the exit code of a process that is about to end, None where it does not."""
    try:
        return process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return None
