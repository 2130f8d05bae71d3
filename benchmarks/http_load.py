"""How many slates a second does the HTTP service fill, how fast, and does its memory stay flat?

    make demo
    python -m benchmarks.http_load --settings out/demo/slot.yaml --duration 600 --out …
    python -m benchmarks.http_load --out …    # over fakes in memory: the service without a slot

Like wrk: `connections` clients, kept alive, each of which sends its next request of `candidates`
items as soon as the last is answered, from processes of their own. With `--settings` it is the slot
of a settings file that is served, by the processes of `pigeon-recsys serve`, with all that the file
names; decisions are logged to a folder that is thrown away. Read `requests_per_s` against 150,
`p99_ms` against 100, as the clients see them, and `errors` (any answer but 200, any connection that
breaks) against 0. `own_slates` are answers without a generated item, as a slot gives that is short
of time or threads: every user has a picture in the store.

`worker_memory_mib` is the resident memory of each worker with its model's process, taken `SAMPLES`
times during the load, and `memory_mib_per_min` the slope of a line through the second half, by when
caches are full; read it against 0. Clients take processor time too, from the same cores unless
there are more; `worker_cpu_ms` is what the workers and their models' processes took for a request,
by which two commits can be compared on a machine that others use as well.
"""

import argparse
import asyncio
import json
import math
import multiprocessing
import os
import queue
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks._http_world import open_fakes, open_logged, sample_of_fakes, sample_of_settings
from benchmarks._record import write_result
from pigeon_recsys.files import check_writable

WARM_UP_S = 3.0
SAMPLES = 60  # of the workers' memory
START_S = 300.0  # for the workers to load what they need
MIB = 2**20
QUESTION = "How many slates a second does the HTTP service fill, how fast, in how much memory?"


@dataclass(frozen=True)
class Load:
    """What one process of clients sends, and for how long."""

    port: int
    bodies: tuple[bytes, ...]
    connections: int
    seconds: float


@dataclass(frozen=True)
class Seen:
    """What the clients of one process saw."""

    times_ms: list[float]
    errors: int
    own_slates: int


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print, write JSON."""
    args = parse_arguments(argv)
    check_writable(args.out)
    sample = sample_of_settings(args.settings) if args.settings else sample_of_fakes()
    bodies = tuple(request(user_id, sample.item_ids, args) for user_id in sample.user_ids)
    with serving(args) as (pid, port):
        send(args, port, bodies, WARM_UP_S)
        with watched_memory(pid, args.duration) as memory:
            started_s, cpu_started_s = time.perf_counter(), cpu_s(pid)
            seen = send(args, port, bodies, args.duration)
            took_s, cpu_took_s = time.perf_counter() - started_s, cpu_s(pid) - cpu_started_s
        worker_cpu_ms = round(1000 * cpu_took_s / len(seen.times_ms), 3)
        figures = summary(seen, took_s) | {"worker_cpu_ms": worker_cpu_ms} | memory_figures(memory)
    for name, value in figures.items():
        print(f"{name:26} {value}")
    settings = {
        "slot": "fakes" if args.settings is None else args.settings.name,
        **{name: getattr(args, name) for name in COUNTS},
        "duration_s": args.duration,
        "deadline_ms": args.deadline_ms,
        "users": len(bodies),
    }
    write_result(args.out, QUESTION, settings, figures)


COUNTS = ("workers", "clients", "connections", "candidates")


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--settings", type=Path, help="of the slot to serve, instead of fakes")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--clients", type=int, default=1, help="processes")
    parser.add_argument("--connections", type=int, default=8, help="of each process")
    parser.add_argument("--candidates", type=int, default=100, help="of a request")
    parser.add_argument("--duration", type=float, default=10.0, help="seconds")
    parser.add_argument("--deadline-ms", type=float, default=80.0, help="of a request")
    return parser.parse_args(argv)


def request(user_id: str, item_ids: Sequence[str], args: argparse.Namespace) -> bytes:
    """Return a whole HTTP request for a user's slate."""
    first = hash_of(user_id) % len(item_ids)
    candidates = [
        {"item_id": item_ids[(first + number) % len(item_ids)], "score": 1 / (1 + number)}
        for number in range(args.candidates)
    ]
    body = json.dumps(
        {"user_id": user_id, "candidates": candidates, "deadline_ms": args.deadline_ms}
    ).encode()
    head = (
        "POST /v1/slates HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def hash_of(text: str) -> int:
    """Return a number that is the same in every process."""
    return int.from_bytes(text.encode(), "big") % 1_000_003


@contextmanager
def serving(args: argparse.Namespace) -> Iterator[tuple[int, int]]:
    """Serve in a process of its own; yield its id and the port."""
    context = multiprocessing.get_context("spawn")
    ready: Any = context.Queue()
    log = tempfile.TemporaryDirectory(prefix="decisions-")
    process = context.Process(
        target=serve_until_stopped, args=(args.settings, Path(log.name), args.workers, ready)
    )
    process.start()
    try:
        deadline_s = time.monotonic() + START_S
        while True:
            try:
                url = ready.get(timeout=1)
                break
            except queue.Empty:
                assert process.is_alive(), "the service does not start; its log says why"
                assert time.monotonic() < deadline_s, f"no service in {START_S:.0f} s"
        assert process.pid is not None
        yield process.pid, int(url.rpartition(":")[2])
    finally:
        process.terminate()
        process.join()
        log.cleanup()


def serve_until_stopped(settings: Path | None, log: Path, workers: int, ready: Any) -> None:
    """Serve, and tell the address."""
    from pigeon_recsys_connectors.http_service.serving import serve

    open_it = open_fakes if settings is None else partial(open_logged, settings.absolute(), log)
    section = {"port": 0, "workers": workers, "rate_per_s": 1e6, "burst": 1_000_000, "drain_s": 0}
    serve(open_it, section, on_ready=ready.put)


def send(args: argparse.Namespace, port: int, bodies: tuple[bytes, ...], seconds: float) -> Seen:
    """Send load from as many processes as asked for, and return what all of them saw."""
    load = Load(port, bodies, args.connections, seconds)
    with multiprocessing.get_context("spawn").Pool(args.clients) as pool:
        found = pool.map(run_clients, [load] * args.clients, chunksize=1)
    return Seen(
        [each for seen in found for each in seen.times_ms],
        sum(seen.errors for seen in found),
        sum(seen.own_slates for seen in found),
    )


def run_clients(load: Load) -> Seen:
    """Run the clients of one process."""
    return asyncio.run(_all_clients(load))


async def _all_clients(load: Load) -> Seen:
    seen = Seen([], 0, 0)
    ends_s = time.perf_counter() + load.seconds
    counts = await asyncio.gather(
        *(_client(load, number, ends_s, seen.times_ms) for number in range(load.connections))
    )
    return Seen(seen.times_ms, sum(each[0] for each in counts), sum(each[1] for each in counts))


async def _client(load: Load, number: int, ends_s: float, times_ms: list[float]) -> tuple[int, int]:
    """Send one request after another; return the number of errors and of own slates."""
    errors = own_slates = 0
    while time.perf_counter() < ends_s:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", load.port)
            while (started_s := time.perf_counter()) < ends_s:
                number += 1
                writer.write(load.bodies[number % len(load.bodies)])
                status, body = await _answer(reader)
                times_ms.append((time.perf_counter() - started_s) * 1000)
                errors += status != 200
                own_slates += b'"is_generated":true' not in body
            writer.close()
        except (OSError, asyncio.IncompleteReadError):
            errors += 1
    return errors, own_slates


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
    return int(head.split(maxsplit=2)[1]), await reader.readexactly(length)


def summary(seen: Seen, took_s: float) -> dict[str, Any]:
    """Return the figures of a run; there must be answers."""
    ordered = sorted(seen.times_ms)
    return {
        "requests": len(ordered),
        "requests_per_s": round(len(ordered) / took_s, 1),
        "p50_ms": round(statistics.median(ordered), 2),
        "p99_ms": round(ordered[math.ceil(0.99 * len(ordered)) - 1], 2),
        "worst_ms": round(ordered[-1], 2),
        "errors": seen.errors,
        "own_slates": seen.own_slates,
    }


@contextmanager
def watched_memory(pid: int, seconds: float) -> Iterator[list[tuple[float, list[float]]]]:
    """Take the workers' memory again and again; yield a list of times and memory, which grows."""
    taken: list[tuple[float, list[float]]] = []
    is_over, started_s = threading.Event(), time.monotonic()

    def watch() -> None:
        while True:
            taken.append((time.monotonic() - started_s, memory_mib(pid)))
            if is_over.wait(seconds / SAMPLES):
                return

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield taken
    finally:
        is_over.set()
        thread.join()


def memory_figures(taken: Sequence[tuple[float, list[float]]]) -> dict[str, Any]:
    """Return the workers' memory over time, and how fast it grows in the second half."""
    later = taken[len(taken) // 2 :]
    minutes = [at_s / 60 for at_s, _ in later]
    of_workers = list(zip(*(mib for _, mib in later), strict=True))
    return {
        "memory_mib_per_min": [round(slope(minutes, mib), 3) for mib in of_workers],
        "memory_at_s": [round(at_s, 1) for at_s, _ in taken],
        "worker_memory_mib": [mib for _, mib in taken],
    }


def slope(xs: Sequence[float], ys: Sequence[float]) -> float:
    """Return how much y grows with x by least squares; two points or more."""
    mean_x, mean_y = statistics.fmean(xs), statistics.fmean(ys)
    moment = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True))
    return moment / sum((x - mean_x) ** 2 for x in xs)


def memory_mib(pid: int) -> list[float]:
    """Return the resident memory of each worker of a service, with its model's process."""
    pages = [
        sum(int((process / "statm").read_text().split()[1]) for process in with_children(worker))
        for worker in workers_of(pid)
    ]
    return [round(each * os.sysconf("SC_PAGE_SIZE") / MIB, 1) for each in pages]


def cpu_s(pid: int) -> float:
    """Return the processor time that workers and their models' processes have taken, in seconds."""
    ticks = 0
    for process in (each for worker in workers_of(pid) for each in with_children(worker)):
        after_name = (process / "stat").read_text().rpartition(")")[2].split()
        ticks += int(after_name[11]) + int(after_name[12])  # utime and stime, see proc(5)
    return ticks / os.sysconf("SC_CLK_TCK")


def workers_of(pid: int) -> list[Path]:
    """Return the folders in /proc of a service's workers."""
    children = with_children(Path("/proc", str(pid)))[1:]
    return [each for each in children if b"spawn_main" in (each / "cmdline").read_bytes()]


def with_children(process: Path) -> list[Path]:
    """Return the folders in /proc of a process and of those that its threads have started."""
    started = [each.read_text().split() for each in process.glob("task/*/children")]
    return [process, *(Path("/proc", child) for children in started for child in children)]


if __name__ == "__main__":
    main()
