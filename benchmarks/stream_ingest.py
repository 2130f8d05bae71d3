"""How many events a second become histories, how old are they then, and what does a kill cost?

    python -m benchmarks.stream_ingest --out out/bench/stream_ingest.json

Starts a Kafka broker of its own (or takes the one that PIGEON_KAFKA names) and measures four
things on it, with a Feast repository on SQLite.

`per_process`: a bare kafka-python consumer of the topic, which decodes nothing, and the whole
ingest path, from the poll to the committed transaction. They take turns over the same topic, with
the same isolation and batch size, each in a process of its own whose first batch is not counted.
Read `over_bare`, a ratio of medians, against 0.4, and beside it the same of processor time, which
does not notice who else uses the machine. `without_store` is the same path with a store in memory.

`age`: how long after it happened an event is in the store and committed, at a steady rate.

`recovery`: of two workers one is killed by SIGKILL while events arrive; until every partition has
committed an event that was sent after the kill. Read it against 15 s.

`scale`: events a second of several workers that are ready before the events show, and a second of
the processor time of all of them. The machine's cores, which `settings` counts, also carry the
broker, so the first stops growing at the cores; the second says what sharing the work costs, and
so what more cores would give, up to the store: a SQLite file takes one writer at a time.
"""

import argparse
import gc
import multiprocessing
import os
import signal
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from benchmarks._ingest_workload import (
    Stream,
    fill,
    hidden,
    make_events,
    new_stream,
    processor_s,
    send,
    wait_until,
    workers,
)
from benchmarks._record import write_result
from kafka_broker.cluster import Cluster, open_cluster
from pigeon_recsys.files import check_writable

SPAWN = multiprocessing.get_context("spawn")
POLL_MS = 200
WORKERS_BEFORE_KILL = 2
SENT_BEFORE_KILL_S = 5.0


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print, write JSON."""
    args = parse_arguments(argv)
    check_writable(args.out)
    figures: dict[str, Any] = {}
    with open_cluster() as cluster, tempfile.TemporaryDirectory() as folder:
        for name, measure in MEASUREMENTS.items():
            figures[name] = measure(cluster, Path(folder) / name, args)
            print(name, figures[name], flush=True)
    settings = {name: value for name, value in vars(args).items() if name != "out"}
    settings |= {"cores_allowed": len(os.sched_getaffinity(0)), "store": "sqlite"}
    write_result(args.out, "How many events a second become histories?", settings, figures)


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--events", type=int, default=40_000)
    parser.add_argument("--users", type=int, default=4_000)
    parser.add_argument("--partitions", type=int, default=12)
    parser.add_argument("--max-polled", type=int, default=5_000, help="records of a batch")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--rate", type=int, default=200, help="events a second, age and recovery")
    parser.add_argument("--age-s", type=float, default=30.0, help="seconds of events for the age")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    return parser.parse_args(argv)


def per_process(cluster: Cluster, folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Measure the three ways in turns over one topic."""
    stream = new_stream(cluster, args.partitions)
    fill(stream, make_events(args.events, args.users))
    rates: dict[str, list[tuple[float, float]]] = {name: [] for name in WAYS}
    for number in range(args.repeats):
        for name in WAYS:
            store = make_store(folder / f"{name}-{number}") if name == "ingest" else None
            group = cluster.unique(name)
            with SPAWN.Pool(1) as process:
                told = process.apply(rate, (name, stream_arguments(stream, group), store, args))
            rates[name].append(told)
    figures: dict[str, Any] = {name: rate_row(rates[name]) for name in WAYS}
    for figure in ("events_per_s", "events_per_cpu_s"):
        ratio = figures["ingest"][figure] / figures["bare"][figure]
        figures[f"over_bare_{figure}"] = round(ratio, 3)
    return figures


def rate_row(rates: Sequence[tuple[float, float]]) -> dict[str, float]:
    """Return the medians of events a second, of the clock and of the processor."""
    by_clock, by_cpu = zip(*rates, strict=True)
    return {
        "events_per_s": round(statistics.median(by_clock)),
        "events_per_cpu_s": round(statistics.median(by_cpu)),
        "most_per_s": round(max(by_clock)),
    }


def stream_arguments(stream: Stream, group: str) -> tuple[str, str, str, str]:
    """Return what a process needs to know to read a stream."""
    return stream.cluster.bootstrap, group, stream.events, stream.histories


def rate(
    way: str, stream: tuple[str, str, str, str], store: Path | None, args: argparse.Namespace
) -> tuple[float, float]:
    """Return the events a second, and a second of processor time, after the first batch."""
    step, close = WAYS[way](stream, store, args.max_polled)
    gc.freeze()  # what was imported is not looked through again and again
    with closing(close):
        first = 0
        while not first:
            first = step()
        started_s, started_cpu_s, num_read = time.perf_counter(), time.process_time(), first
        while num_read < args.events:
            num_read += step()
        wall_s, cpu_s = time.perf_counter() - started_s, time.process_time() - started_cpu_s
    return (args.events - first) / wall_s, (args.events - first) / cpu_s


def bare(
    stream: tuple[str, str, str, str], _: Path | None, max_polled: int
) -> tuple[Callable[[], int], Any]:
    """Return a step of a consumer that does nothing with what it reads."""
    from kafka import KafkaConsumer

    bootstrap, group, events, _histories = stream
    consumer = KafkaConsumer(
        events,
        bootstrap_servers=bootstrap,
        group_id=group,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_poll_records=max_polled,
    )
    return lambda: sum(map(len, consumer.poll(POLL_MS).values())), consumer


def ingest(
    stream: tuple[str, str, str, str], folder: Path | None, max_polled: int, observer: Any = None
) -> tuple[Callable[[], int], Any]:
    """Return a step of an ingest worker; without a folder its store is in memory."""
    from pigeon_recsys.streaming.ingest import HistoryIngest, IngestSettings
    from pigeon_recsys.streaming.interaction_messages import JsonEvents
    from pigeon_recsys.streaming.messages import MessageReader
    from pigeon_recsys.streaming.observation import SILENT
    from pigeon_recsys.testing.fakes import FakeHistoryStateStore
    from pigeon_recsys_connectors.feast_history import FeastHistoryStore
    from pigeon_recsys_connectors.kafka_event_log import KafkaEventLog

    bootstrap, group, events, histories = stream
    store = FeastHistoryStore.open(folder) if folder else FakeHistoryStateStore()
    log = KafkaEventLog(bootstrap, group, [events], max_polled=max_polled)
    settings = IngestSettings(changelog=histories, poll_s=POLL_MS / 1000)
    reader = MessageReader(JsonEvents())
    worker = HistoryIngest(log, store, reader, settings, observer or SILENT)
    return lambda: worker.step().num_records, log


WAYS = {"bare": bare, "without_store": ingest, "ingest": ingest}


def make_store(folder: Path) -> Path:
    """Make an empty Feast repository on SQLite."""
    from pigeon_recsys_connectors.feast_history import FeastHistoryStore

    FeastHistoryStore.create(folder, [])
    return folder


def age(cluster: Cluster, folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Send events at a steady rate and return how old they were when they counted."""
    stream, num_events = new_stream(cluster, args.partitions), round(args.rate * args.age_s)
    told = stream_arguments(stream, stream.group)
    with SPAWN.Pool(1) as process:
        ages = process.apply_async(ages_ms, (told, make_store(folder), num_events))
        wait_until(lambda: stream.is_shared_by(1), "the worker has its partitions")
        send_steadily(stream, args, num_events, threading.Event())
        found = sorted(ages.get())
    cuts = statistics.quantiles(found, n=100)
    return {
        "events": num_events,
        "p50_ms": round(cuts[49]),
        "p99_ms": round(cuts[98]),
        "most_ms": round(found[-1]),
    }


def ages_ms(stream: tuple[str, str, str, str], folder: Path, num_events: int) -> list[float]:
    """Work until so many events count and return the age of each at that moment."""
    from pigeon_recsys.streaming.observation import Observer

    found: list[float] = []

    class Ages(Observer):
        def batch_finished(self, seconds: float, event_times_ms: Any, num_changed: int) -> None:
            now_ms = time.time() * 1000
            found.extend(now_ms - at_ms for at_ms in event_times_ms)

    step, close = ingest(stream, folder, num_events, Ages())
    with closing(close):
        while len(found) < num_events:
            step()
    return found


def send_steadily(
    stream: Stream, args: argparse.Namespace, num_events: int, stop: threading.Event
) -> None:
    """Send events as they happen, at a rate, until there are so many or it is stopped."""
    from dataclasses import replace

    from kafka import KafkaProducer

    with closing(KafkaProducer(bootstrap_servers=stream.cluster.bootstrap)) as producer:
        started = time.monotonic()
        for number, event in enumerate(make_events(num_events, args.users)):
            if stop.wait(max(0.0, started + number / args.rate - time.monotonic())):
                return
            send(producer, stream.events, [replace(event, at_ms=round(time.time() * 1000))])


def recovery(cluster: Cluster, folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Kill one of two workers while events arrive; return the time until all partitions go on."""
    stream, stop = new_stream(cluster, args.partitions), threading.Event()
    with workers(stream, make_store(folder), WORKERS_BEFORE_KILL) as crew:
        sending = threading.Thread(target=send_steadily, args=(stream, args, 10**6, stop))
        sending.start()
        try:
            time.sleep(SENT_BEFORE_KILL_S)
            wait_until(lambda: len(stream.done()) == args.partitions, "every partition is read")
            os.kill(crew[0].pid, signal.SIGKILL)
            killed, ends = time.monotonic(), stream.ends()
            wait_until(
                lambda: all(at > ends[place] for place, at in stream.done().items()),
                "all partitions go on",
            )
            seconds = time.monotonic() - killed
        finally:
            stop.set()
            sending.join()
    return {"workers": WORKERS_BEFORE_KILL, "killed": 1, "recovered_s": round(seconds, 1)}


def scale(cluster: Cluster, folder: Path, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the events a second of each number of workers."""
    events, rows = make_events(args.events, args.users), []
    for count in args.workers:
        stream = new_stream(cluster, args.partitions)
        store = make_store(folder / str(count))
        with hidden(stream, events) as show, workers(stream, store, count) as crew:
            used_s = processor_s(crew)
            show()
            seconds = wait_until(
                lambda stream=stream: sum(stream.done().values()) == len(events),  # type: ignore[misc]
                f"{count} workers read all events",
            )
            used_s = processor_s(crew) - used_s
        row = {
            "workers": count,
            "events_per_s": round(len(events) / seconds),
            "events_per_cpu_s": round(len(events) / used_s),
        }
        rows.append(row)
    return rows


MEASUREMENTS: dict[str, Callable[[Cluster, Path, argparse.Namespace], Any]] = {
    "per_process": per_process,
    "age": age,
    "recovery": recovery,
    "scale": scale,
}


if __name__ == "__main__":
    main()
