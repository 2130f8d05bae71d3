"""How exact and how fast is a search of a million items, and of one user's items among them?

    python -m benchmarks.faiss_search --out out/bench/faiss_search.json

FAISS's exhaustive `IndexFlatIP` and this project's index with inverted lists hold the same vectors
and answer the same queries one at a time, as a feed asks, in turns, so that a machine that gets
busy slows both. Ours is timed with ids, checks and sorting, the exhaustive one without. Read
`times_faster` (a ratio of medians) against 10 and `recall_at_10` (the share of the true ten that
is found) against 0.95, in the row of the default `probes`; and `within_ms`, one user's items
among all of them, against 1. `times_less_cpu` is the same of processor time: other work on the
machine interrupts long searches more often than short ones, and that would flatter ours.
`by_callers` tells the queries a second that as many threads get at once.

What is found depends on how the vectors lie, so three clouds are measured. All are drawn, none is
a catalog; queries are drawn like the items and are none of them.

    mixture   2,000 clusters of Zipf sizes (exponent 0.5); a cluster's spread is as long as its
              centre, and both have variances that fall as 1/rank, as embeddings' do
    spectrum  the same variances without clusters
    uniform   all directions alike: no embedder gives this, and inverted lists cannot help
"""

import argparse
import multiprocessing
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._record import write_result
from pigeon_recsys.files import check_writable
from pigeon_recsys.records import Vectors
from pigeon_recsys.retrieval.faiss_index import FaissIndex, IndexSettings

ITEMS = 1_000_000
DIM = 128
QUERIES = 100
PROBES = (16, 32, 64, 128, 256)
CALLERS = (1, 2)
K = 10
USER_ITEMS = 60  # that a user's history holds
CLUSTERS = 2_000
ZIPF = 0.5
MIB = 2**20


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds on the clock and of processors."""

    wall_s: float
    cpu_s: float


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print, write JSON."""
    args = parse_arguments(argv)
    check_writable(args.out)
    import faiss

    figures = {}
    for cloud in args.clouds:
        faiss.omp_set_num_threads(args.threads)
        figures[cloud] = measure(CLOUDS[cloud], args.items, args.queries)
    for cloud, told in figures.items():
        for row in told["by_probes"]:
            print(
                f"{cloud:9} probes {row['probes']:4}  recall@10 {row['recall_at_10']:.3f}  "
                f"{row['median_ms']:.2f} ms, {row['times_faster']:.1f} times faster, "
                f"{row['times_less_cpu']:.1f} times less CPU"
            )
        print(f"{cloud:9} within {USER_ITEMS} items: {told['within_ms']['gathered']['median']} ms")
    settings = {
        "items": args.items,
        "dim": DIM,
        "queries": args.queries,
        "k": K,
        "user_items": USER_ITEMS,
        "default_probes": IndexSettings().probes,
        "build_threads": args.threads,
        "search_threads": 1,
        "clusters": CLUSTERS,
        "seed": [0, 1, 2],
    }
    write_result(args.out, "How exact and how fast is a search?", settings, figures)


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=ITEMS)
    parser.add_argument("--queries", type=int, default=QUERIES)
    parser.add_argument("--clouds", nargs="+", choices=CLOUDS, default=list(CLOUDS))
    parser.add_argument("--threads", type=int, default=1, help="of building; a search has one")
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args(argv)


def unit(rows_ND: Vectors) -> Vectors:
    """Return the rows at length 1; works in place."""
    rows_ND /= np.linalg.norm(rows_ND, axis=1, keepdims=True)
    return rows_ND


def uniform(count: int, seed: int) -> Vectors:
    """Return directions that are all alike."""
    return unit(np.random.default_rng(seed).standard_normal((count, DIM), np.float32))


def spectrum(count: int, seed: int) -> Vectors:
    """Return directions whose variance falls from dimension to dimension."""
    rows_ND = np.random.default_rng(seed).standard_normal((count, DIM), np.float32)
    rows_ND /= np.sqrt(np.arange(1, DIM + 1, dtype=np.float32))
    return unit(rows_ND)


def mixture(count: int, seed: int) -> Vectors:
    """Return directions in clusters, some much larger than others."""
    sizes = np.arange(1, CLUSTERS + 1) ** -ZIPF
    which = np.random.default_rng(seed).choice(CLUSTERS, count, p=sizes / sizes.sum())
    rows_ND = spectrum(count, seed + 100)
    rows_ND += spectrum(CLUSTERS, seed=0)[which]
    return unit(rows_ND)


CLOUDS: Mapping[str, Callable[[int, int], Vectors]] = {
    "mixture": mixture,
    "spectrum": spectrum,
    "uniform": uniform,
}


def measure(draw: Callable[[int, int], Vectors], num_items: int, num_queries: int) -> Any:
    """Return all figures of one cloud."""
    import faiss

    vectors_ND, queries_QD = draw(num_items, 1), draw(num_queries, 2)
    item_ids = [f"item-{number}" for number in range(num_items)]
    exact = faiss.IndexFlatIP(DIM)
    exact.add(vectors_ND)
    settings = IndexSettings(kind="ivf")
    built, index = timed(lambda: FaissIndex.build(item_ids, vectors_ND, settings))
    faiss.omp_set_num_threads(1)  # one query is searched by one thread in any case
    return {
        "by_probes": by_probes(exact, index, queries_QD),
        "by_callers": by_callers(exact, index, queries_QD),
        "within_ms": within_times(index, queries_QD),
        "lists": int(index._index.nlist),
        "build_s": round(built.wall_s, 1),
        "build_cpu_s": round(built.cpu_s, 1),
        **sizes(index),
    }


def by_probes(exact: Any, index: FaissIndex, queries_QD: Vectors) -> list[dict[str, Any]]:
    """Return recall and speed for each number of probes, all asked in turns with the exact one."""
    exact_costs: list[Cost] = []
    costs: dict[int, list[Cost]] = {probes: [] for probes in PROBES}
    found = dict.fromkeys(PROBES, 0)
    default = index.settings
    for query_D in queries_QD:
        cost, answer = timed(lambda q=query_D: exact.search(q[None], K))
        exact_costs.append(cost)
        true_ids = {f"item-{number}" for number in answer[1][0]}
        for probes in PROBES:
            index.settings = IndexSettings("ivf", probes)
            cost, items = timed(lambda q=query_D: index.search(q, K))
            costs[probes].append(cost)
            found[probes] += len(true_ids & {item.item_id for item in items})
    index.settings = default
    exact_ms, exact_cpu_ms = medians_ms(exact_costs)
    rows = []
    for probes in PROBES:
        median_ms, median_cpu_ms = medians_ms(costs[probes])
        rows.append(
            {
                "probes": probes,
                "recall_at_10": round(found[probes] / (K * len(queries_QD)), 4),
                "median_ms": round(median_ms, 3),
                "exact_median_ms": round(exact_ms, 3),
                "times_faster": round(exact_ms / median_ms, 1),
                "times_less_cpu": round(exact_cpu_ms / median_cpu_ms, 1),
            }
        )
    return rows


def medians_ms(costs: Sequence[Cost]) -> tuple[float, float]:
    """Return the median milliseconds on the clock and of processors."""
    wall_s = statistics.median(cost.wall_s for cost in costs)
    return 1000 * wall_s, 1000 * statistics.median(cost.cpu_s for cost in costs)


def by_callers(exact: Any, index: FaissIndex, queries_QD: Vectors) -> list[dict[str, Any]]:
    """Return the queries a second of each, asked by one thread and by two at once."""

    def per_s(ask: Callable[[Vectors], Any], callers: int) -> float:
        with ThreadPoolExecutor(callers) as threads:
            cost, _ = timed(lambda: list(threads.map(ask, queries_QD)))
        return len(queries_QD) / cost.wall_s

    rows = []
    for callers in CALLERS:
        exact_per_s = per_s(lambda query_D: exact.search(query_D[None], K), callers)
        ours_per_s = per_s(lambda query_D: index.search(query_D, K), callers)
        rows.append(
            {
                "callers": callers,
                "exact_per_s": round(exact_per_s, 1),
                "ours_per_s": round(ours_per_s, 1),
                "times_faster": round(ours_per_s / exact_per_s, 1),
            }
        )
    return rows


def within_times(index: FaissIndex, queries_QD: Vectors) -> dict[str, Any]:
    """Return what a search of one user's items takes, our way and FAISS's own."""
    import faiss

    rng = np.random.default_rng(0)
    costs: dict[str, list[Cost]] = {"gathered": [], "id_selector": []}
    for query_D in queries_QD:
        numbers = rng.choice(len(index), USER_ITEMS, replace=False)
        item_ids = [f"item-{number}" for number in numbers]
        cost, items = timed(lambda q=query_D, w=item_ids: index.search(q, K, within=w))
        costs["gathered"].append(cost)
        parameters = faiss.SearchParametersIVF(
            sel=faiss.IDSelectorBatch(numbers), nprobe=index._index.nlist
        )
        cost, answer = timed(
            lambda q=query_D, p=parameters: index._index.search(q[None], K, params=p)
        )
        costs["id_selector"].append(cost)
        scores = [item.score for item in items]
        assert np.allclose(scores, answer[0][0], atol=1e-5), "the two ways found other items"
    told = {}
    for name, each in costs.items():
        median_ms, median_cpu_ms = medians_ms(each)
        p99_ms = 1000 * float(np.quantile([cost.wall_s for cost in each], 0.99))
        told[name] = {
            "median": round(median_ms, 3),
            "p99": round(p99_ms, 3),
            "median_cpu": round(median_cpu_ms, 3),
        }
    return told


def sizes(index: FaissIndex) -> dict[str, float]:
    """Return what the index takes on the disk, and in the memory of a process that loads it."""
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / "index"
        cost, _ = timed(lambda: index.save(saved))
        size = sum(path.stat().st_size for path in saved.iterdir())
        with multiprocessing.get_context("spawn").Pool(1) as process:
            load_s, memory_mib = process.apply(load_cost, (saved,))
    return {
        "save_s": round(cost.wall_s, 1),
        "load_s": round(load_s, 1),
        "disk_mib": round(size / MIB, 1),
        "memory_mib": round(memory_mib, 1),
    }


def load_cost(folder: Path) -> tuple[float, float]:
    """Return the seconds and the memory that a loaded index takes, in a process of its own."""
    FaissIndex.build(["a"], np.ones((1, 1), np.float32))  # the library itself is not counted
    before = resident_mib()
    cost, index = timed(lambda: FaissIndex.load(folder))
    after = resident_mib()
    assert len(index)  # so it is still held
    return cost.wall_s, after - before


def resident_mib() -> float:
    """Return the memory that this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / MIB


def timed(work: Callable[[], Any]) -> tuple[Cost, Any]:
    """Return what a call took, and what it returned."""
    started_s, started_cpu_s = time.perf_counter(), time.process_time()
    result = work()
    cpu_s, wall_s = time.process_time() - started_cpu_s, time.perf_counter() - started_s
    return Cost(wall_s, cpu_s), result


if __name__ == "__main__":
    main()
