"""How many slates a second does the HTTP service fill, how fast, and does its memory stay flat?

    python -m benchmarks.http_load --out out/bench/http_load.json
    python -m benchmarks.http_load --settings slot.yaml --seconds 600 --out …   # a slot of yours

Like wrk: `connections` clients, kept alive, each of which sends its next request of `candidates`
items as soon as the last is answered, from processes of their own. Read `requests_per_s`, `p50_ms`
and `p99_ms` as the clients see them, `errors` (any answer but 200, any connection that breaks) and
the workers' memory after the warm-up against the end. `own_slates` are answers without a generated
item, which a slot that is short of time or threads gives. Without `--settings` the stores are fakes
in memory: then it is the service that is measured, not the slot. Clients take processor time too,
from the same cores unless there are more.
"""

import argparse
import asyncio
import json
import math
import multiprocessing
import os
import queue
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks._http_world import open_fakes, sample_of_fakes, sample_of_settings
from benchmarks._record import write_result
from pigeon_recsys.files import check_writable

WARM_UP_S = 3.0
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
        before = memory_mib(pid)
        started_s = time.perf_counter()
        seen = send(args, port, bodies, args.seconds)
        took_s = time.perf_counter() - started_s
        figures = summary(seen, took_s) | {
            "worker_memory_mib_before": before,
            "worker_memory_mib_after": memory_mib(pid),
        }
    for name, value in figures.items():
        print(f"{name:26} {value}")
    settings = {
        "slot": "fakes" if args.settings is None else args.settings.name,
        **{name: getattr(args, name) for name in COUNTS},
        "seconds": args.seconds,
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
    parser.add_argument("--seconds", type=float, default=10.0)
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
    process = context.Process(target=serve_until_stopped, args=(args.settings, args.workers, ready))
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


def serve_until_stopped(settings: Path | None, workers: int, ready: Any) -> None:
    """Serve, and tell the address."""
    from pigeon_recsys.commands.serve import open_service
    from pigeon_recsys_connectors.http_service.serving import serve

    open_it = open_fakes if settings is None else partial(open_service, settings.absolute())
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


def memory_mib(pid: int) -> list[float]:
    """Return the resident memory of each worker of a service."""
    found = []
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
            pages = int(Path(f"/proc/{child}/statm").read_text().split()[1])
            found.append(round(pages * os.sysconf("SC_PAGE_SIZE") / MIB, 1))
    return found


if __name__ == "__main__":
    main()
