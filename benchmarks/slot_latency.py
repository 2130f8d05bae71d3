"""How long does the slot take to fill a slate, and what of it is the slot's own?

    make demo
    python -m benchmarks.slot_latency --out out/bench/slot_latency.json

Opens the slot that the demo left, with its users' pictures in the store, as a request path has it:
stored pictures only, a deadline, the decision log on. Ways that answer the same request take turns:

    fill        `fill` of a request with so many candidates of the caller's
    retrieved   `fill` of a request without any, which searches the index for as many
    ranking     what a team does without the slot: read the history, rank the candidates

and its parts alone. As a team would run them that has none of our code but a trained ranker:

    feast       Feast's `get_online_features` of the user's history
    pictures    the user's newest pictures, from Feast's online store too
    search      the user's taste from the index, and FAISS's search for so many items with it
    rank        the encoding of the user's side, and ONNX Runtime's run for these items

and the libraries alone, with all they need prepared and what they answer left as it is:

    faiss       FAISS's own search
    onnx        ONNX Runtime's run

Read `fill` against 10 ms at the median and 25 ms at the 99th percentile, `slot_adds_ms` (fill less
ranking, medians) against 2 ms, and against 1.3 the median of `retrieved` over the sum of what it is
made of: `retrieved_over_parts` takes feast, pictures, search and rank, `retrieved_over_libraries`
feast, pictures, faiss and onnx, which counts everything between them as the slot's own. Both are
hardest in a small catalog, where a search takes no time: with `--index-items` the index is filled
up with items that are like nobody's taste, so that a search takes what it takes among so many.
`stages_ms` says where `fill` spends its time.
"""

import argparse
import gc
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._record import write_result
from pigeon_recsys.demo.slot_file import SLOT_FILE
from pigeon_recsys.files import check_writable
from pigeon_recsys.generation.ladder import LadderSettings, Rung
from pigeon_recsys.ranking.onnx_ranker import OnnxRanker
from pigeon_recsys.ranking.scoring import Scorer
from pigeon_recsys.records import RankContext, ScoredItem, SlotRequest
from pigeon_recsys.retrieval.candidates import retrieve_candidates, taste_query
from pigeon_recsys.service.background_log import BackgroundSlateLog
from pigeon_recsys.settings_file import read_slot_file
from pigeon_recsys.slot.slot import Slot
from pigeon_recsys.wiring import connector, slot_parts

DEMO = Path("out/demo")  # where `make demo` leaves it
WARM_UP = 0.1  # share of the rounds that is not counted
WAYS = ("fill", "retrieved", "ranking")
PARTS = ("feast", "pictures", "search", "rank")
LIBRARIES = ("feast", "pictures", "faiss", "onnx")


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print, write JSON."""
    args = parse_arguments(argv)
    check_writable(args.out)
    with tempfile.TemporaryDirectory() as folder:
        slot = open_slot(args, Path(folder))
        with slot:
            figures = measure(slot, args)
        slot.parts.log.close()
    for name, value in figures.items():
        print(f"{name:24} {value}")
    settings = {name: str(value) for name, value in vars(args).items() if name != "out"}
    write_result(args.out, "How long does the slot take to fill a slate?", settings, figures)


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--demo", type=Path, default=DEMO, help="the folder that `demo` left")
    parser.add_argument("--candidates", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=600)
    parser.add_argument("--index-items", type=int, default=0, help="fill the index up to so many")
    parser.add_argument("--deadline-ms", type=float, default=100.0)
    args = parser.parse_args(argv)
    if not (args.demo / SLOT_FILE).is_file():
        parser.error(f"--demo: {args.demo} holds no {SLOT_FILE}. Run `make demo` to make {DEMO}.")
    return args


def open_slot(args: argparse.Namespace, folder: Path) -> Slot:
    """Return the demo's slot as a request path has it."""
    file = read_slot_file(args.demo / SLOT_FILE)
    log = BackgroundSlateLog(connector("slate_logs", "parquet")(folder / "log"))
    parts = replace(slot_parts(file), generator=None, log=log, recent=None)
    parts = replace(parts, index=filled_up(parts.index, args.index_items))
    settings = replace(
        file.slot,
        deadline_ms=args.deadline_ms,
        num_candidates=args.candidates,
        ladder=LadderSettings(rungs=(Rung.STORED,)),
    )
    return Slot(parts, settings)


def filled_up(index: Any, num_items: int) -> Any:
    """Return an index with as many items more as it lacks; they look away from all of its own."""
    num_more = num_items - len(index)
    if num_more <= 0:
        return index
    vectors_ND = index.vectors(index.item_ids)
    noise_ND = np.random.default_rng(0).normal(size=(num_more, index.dim)) / index.dim
    away_ND = noise_ND - vectors_ND.mean(axis=0)
    away_ND /= np.linalg.norm(away_ND, axis=1, keepdims=True)
    item_ids = [*index.item_ids, *(f"far-{number}" for number in range(num_more))]
    rows_ND = np.concatenate([vectors_ND, away_ND]).astype(np.float32)
    return type(index).build(item_ids, rows_ND, source=index.source)


def measure(slot: Slot, args: argparse.Namespace) -> dict[str, Any]:
    """Time all ways in turns and return medians, percentiles and what follows from them."""
    rng = np.random.default_rng(0)
    users = users_with_pictures(args.demo, slot)
    item_ids = np.array(catalog_ids(args))
    times_ms: dict[str, list[float]] = {
        way: [] for way in dict.fromkeys((*WAYS, *PARTS, *LIBRARIES))
    }
    stages: list[dict[str, float]] = []
    placed = given_up = 0
    gc.freeze()
    num_warm = round(args.rounds * WARM_UP)
    for number in range(args.rounds + num_warm):
        user = users[number % len(users)]
        chosen = rng.choice(item_ids, args.candidates, replace=False)
        request = request_of(f"bench-{number}", user, chosen.tolist())
        for way, call in ways(slot, request, args.candidates).items():
            started = time.perf_counter()
            answer = call()
            if number >= num_warm:
                times_ms[way].append((time.perf_counter() - started) * 1000)
                if way == "fill":
                    placed += any(place.is_generated for place in answer.placements)
                    given_up += "deadline" in answer.reason
    stages = stage_times(slot, users, item_ids, args)
    return summary(times_ms, stages) | {
        "placed_share": round(placed / args.rounds, 3),
        "deadlines_missed": given_up,
        "users": len(users),
        "catalog_items": len(item_ids),
        "index_items": len(slot.parts.index),  # type: ignore[arg-type]
    }


def ways(slot: Slot, request: SlotRequest, count: int) -> dict[str, Callable[[], Any]]:
    """Return what to time for one request; what a part needs is prepared before its turn."""
    parts = slot.parts
    limit = slot.settings.history_limit
    history = parts.histories.recent(request.user_id, limit)
    scorer: Scorer = slot._stages.scorer  # type: ignore[assignment]
    ranker: OnnxRanker = parts.ranker  # type: ignore[assignment]
    context = RankContext(time.time_ns() // 1_000_000)
    query = taste_query(parts.index, history.liked)
    rows = [row for row in scorer._catalog_rows([c.item_id for c in request.candidates]) if row]
    states_BS, side = ranker._states.of(rows), ranker._encoder.side(history, context)
    assert parts.stored is not None
    stored, num_stored = parts.stored, slot.settings.ladder.num_stored

    def ranking() -> Any:
        found = parts.histories.recent(request.user_id, limit)
        return scorer.score(found, request.candidates, (), context, with_vectors=False)

    return {
        "fill": lambda: slot.fill(request),
        "retrieved": lambda: slot.fill(replace(request, candidates=())),
        "ranking": ranking,
        "feast": lambda: feast_read(parts.histories, request.user_id),
        "search": lambda: retrieve_candidates(parts.index, parts.catalog, history.liked, count),
        "rank": lambda: ranker.score(history, rows, context),
        "pictures": lambda: stored.of_user(request.user_id, num_stored),
        "faiss": faiss_search(parts.index, query, count),
        "onnx": lambda: ranker._probabilities(states_BS, side),
    }


def feast_read(histories: Any, user_id: str) -> Any:
    """Read a user's history by Feast's API, with the feature service at hand."""
    store, service, _ = histories._feast
    return store.get_online_features(service, {"user_id": [user_id]}).to_dict()


def faiss_search(index: Any, query: Any, count: int) -> Callable[[], Any]:
    """Return what FAISS alone does for a search, on one thread as `fill` has it."""
    import faiss

    def search() -> Any:
        return index._index.search(query_1D, count, params=index._visited())

    faiss.omp_set_num_threads(1)
    query_1D = query[None]
    return search


def request_of(request_id: str, user_id: str, item_ids: Sequence[str]) -> SlotRequest:
    """Return a request with candidates scored by their rank."""
    candidates = tuple(
        ScoredItem(item_id, float(len(item_ids) - rank)) for rank, item_id in enumerate(item_ids)
    )
    return SlotRequest(request_id, user_id, candidates=candidates)


def users_with_pictures(demo: Path, slot: Slot) -> list[str]:
    """Return the users of the demo for whom the store has pictures."""
    from pigeon_recsys.datasets.folder import DatasetFolder

    catalog = DatasetFolder.open(read_slot_file(demo / SLOT_FILE).place("data"))
    stored = slot.parts.stored
    assert stored is not None
    return [user for user in catalog.user_ids if stored.of_user(user, 1)]


def catalog_ids(args: argparse.Namespace) -> tuple[str, ...]:
    """Return the ids of the demo's catalog."""
    from pigeon_recsys.datasets.folder import DatasetFolder

    file = read_slot_file(args.demo / SLOT_FILE)
    return DatasetFolder.open(file.place(file.parts.catalog)).item_ids


def stage_times(
    slot: Slot, users: Sequence[str], item_ids: Any, args: argparse.Namespace
) -> list[dict[str, float]]:
    """Return the times of the stages of some slates."""
    from pigeon_recsys.slot.recent_slates import RecentSlates

    recent = RecentSlates(args.rounds)
    with Slot(replace(slot.parts, recent=recent, log=None), slot.settings) as watched:
        for number, user in enumerate(users):
            chosen = item_ids[: args.candidates].tolist()
            watched.fill(request_of(f"stages-{number}", user, chosen))
    return [draft.times_ms for draft, _ in recent.newest(args.rounds)]


def summary(times_ms: dict[str, list[float]], stages: Sequence[dict[str, float]]) -> dict[str, Any]:
    """Return the figures."""
    medians = {way: statistics.median(found) for way, found in times_ms.items()}
    figures: dict[str, Any] = {
        way: {
            "median_ms": round(medians[way], 3),
            "p99_ms": round(float(np.quantile(found, 0.99)), 3),
        }
        for way, found in times_ms.items()
    }
    parts_ms = sum(medians[part] for part in PARTS)
    libraries_ms = sum(medians[library] for library in LIBRARIES)
    figures["retrieved_over_parts"] = round(medians["retrieved"] / parts_ms, 3)
    figures["retrieved_over_libraries"] = round(medians["retrieved"] / libraries_ms, 3)
    figures["slot_adds_ms"] = round(medians["fill"] - medians["ranking"], 3)
    figures["stages_ms"] = {
        stage: round(statistics.median(each.get(stage, 0.0) for each in stages), 3)
        for stage in stages[0]
    }
    return figures


if __name__ == "__main__":
    main()
