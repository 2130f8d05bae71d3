"""How fast is one request with 500 candidates ranked, by ONNX Runtime and by TorchRec itself?

    python -m benchmarks.ranker --out out/bench/ranker.json

One user with a full history, 500 catalog items with a picture, a title and five attributes. Both
ways have the same weights (untrained: time does not depend on them) and one thread, take turns,
and the benchmark fails unless their scores agree.

    eager          TorchRec's model in evaluation mode on 500 rows: from the arrays of a request,
                   which were encoded before, by a new `KeyedJaggedTensor`, as a request needs one
    eager_forward  the model alone, on tensors made once and a `KeyedJaggedTensor` with offsets
    onnx           from the arrays of the user's side and the states of the catalog, by the rows
                   of the items to rank, as a server does that has met these items before
    onnx_items     the items' half for all 500: once an item, not once a request
    encode_user    the user's side from a history
    encode_items   ids, title and picture of 500 items into arrays: once an item
    score          `OnnxRanker.score`: all that a request takes, of items met before

Read `times_faster` (medians, `eager` to `onnx`) against 5. Beside it stand `times_faster_forward`
(`eager_forward` to `onnx`), and `times_faster_nothing_kept`, the gain of the runtime without states
that were kept: `eager` to `onnx_items` and `onnx`.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._record import write_result
from pigeon_recsys.files import check_writable
from pigeon_recsys.ranking.bags import Ids
from pigeon_recsys.ranking.features import Batch, RankFeatures
from pigeon_recsys.ranking.text import HashedText
from pigeon_recsys.ranking.vocabulary import Vocabulary
from pigeon_recsys.records import LIKE, History, RankItem, Vectors
from pigeon_recsys.testing.fakes import FakeIndex

CANDIDATES = 500
REPEATS = 300
WARM_UP = 20
SEED = 0  # of weights, pictures and draws
USERS, ITEMS = 10_000, 20_000
ATTRIBUTES = {"topic": 40, "style": 20, "mood": 12, "colour": 10, "tags": 500}  # and their values
TAGS = 3  # of an item; of the other attributes it has one value
LIKED = 20
IMAGE_DIM, TEXT_DIM, TABLE_DIM, HIDDEN_DIM = 128, 64, 16, 64
TITLES = ("a happy friend with a balloon", "two old cats in the rain", "the long way home")
TOLERANCE = 1e-5


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print a table, write JSON."""
    args = parse_arguments(argv)
    check_writable(args.out)
    figures = measure(args)
    for name, values in figures["stages"].items():
        print(f"{name:18}{values['median_ms']:9.3f} ms{values['p95_ms']:9.3f} ms")
    for name in ("times_faster", "times_faster_forward", "times_faster_nothing_kept"):
        print(f"{name:26}{figures[name]:6}")
    settings = {
        "candidates": args.candidates,
        "repeats": args.repeats,
        "threads": args.threads,
        "users": USERS,
        "items": ITEMS,
        "attributes": ATTRIBUTES,
        "liked": LIKED,
        "seed": SEED,
    }
    write_result(args.out, "How fast are 500 candidates ranked?", settings, figures)


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--candidates", type=int, default=CANDIDATES)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args(argv)


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Return the times of every stage; the stages take turns."""
    import torch

    from pigeon_recsys.ranking.onnx_ranker import OnnxRanker
    from pigeon_recsys.ranking.request_encoder import RequestEncoder
    from pigeon_recsys.ranking.run_folder import import_torchrec

    torch.set_num_threads(args.threads)
    features, history, items, index = request(args.candidates)
    ranker = import_torchrec("torchrec_ranker")
    model = ranker.new_ranker(features, TABLE_DIM, HIDDEN_DIM, SEED).eval()
    with tempfile.TemporaryDirectory() as folder:
        path = export(model, features, Path(folder))
        onnx = OnnxRanker.load(path, index, num_threads=args.threads)
    encoder = RequestEncoder(features, index)
    batch: Batch = encoder.encode(history, items)
    inputs = ranker.model_inputs(batch)
    probability = ranker.ProbabilityRanker(model)
    columns, side = encoder.items(items), encoder.side(history)
    rows, states_NS = kept_states(onnx._item_states(columns))

    def eager_forward() -> Any:
        with torch.no_grad():
            return probability(**inputs).numpy()

    expected = model.probabilities(batch)
    np.testing.assert_allclose(onnx.score(history, items), expected, rtol=0, atol=TOLERANCE)
    times = take_turns(
        {
            "eager": lambda: model.probabilities(batch),
            "eager_forward": eager_forward,
            "onnx": lambda: onnx._probabilities(states_NS.take(rows, axis=0), side),
            "onnx_items": lambda: onnx._item_states(columns),
            "encode_user": lambda: encoder.side(history),
            "encode_items": lambda: encoder.items(items),
            "score": lambda: onnx.score(history, items),
        },
        args.repeats,
    )
    stages = {name: described(seconds) for name, seconds in times.items()}
    median_ms = {name: stage["median_ms"] for name, stage in stages.items()}
    onnx_ms = median_ms["onnx"]
    return {
        "times_faster": round(median_ms["eager"] / onnx_ms, 2),
        "times_faster_forward": round(median_ms["eager_forward"] / onnx_ms, 2),
        "times_faster_nothing_kept": round(
            median_ms["eager"] / (median_ms["onnx_items"] + onnx_ms), 2
        ),
        "stages": stages,
    }


def kept_states(states_BS: Vectors) -> tuple[Ids, Vectors]:
    """Return the rows of some states among those of a whole catalog."""
    rows = np.random.default_rng(SEED).permutation(ITEMS)[: len(states_BS)]
    states_NS = np.zeros((ITEMS, states_BS.shape[1]), np.float32)
    states_NS[rows] = states_BS
    return rows, states_NS


def export(model: Any, features: RankFeatures, folder: Path) -> Path:
    """Export a model by way of a run folder, as `rank export` does."""
    from pigeon_recsys.ranking.export import export_ranker
    from pigeon_recsys.ranking.run_folder import save_run
    from pigeon_recsys.ranking.settings import RankerSettings

    settings = RankerSettings(table_dim=TABLE_DIM, hidden_dim=HIDDEN_DIM, history_len=LIKED)
    save_run(folder, model, features, settings, None, "none")
    export_ranker(folder, folder / "ranker.onnx")
    return folder / "ranker.onnx"


def request(num_items: int) -> tuple[RankFeatures, History, list[RankItem], FakeIndex]:
    """Return features, one user's history, the items to rank, and the index of all items."""
    generator = np.random.default_rng(SEED)
    item_ids = [f"item-{number}" for number in range(ITEMS)]
    vectors_ND = generator.normal(size=(ITEMS, IMAGE_DIM)).astype(np.float32)
    vectors_ND /= np.linalg.norm(vectors_ND, axis=1, keepdims=True)
    text = HashedText(TEXT_DIM)
    features = RankFeatures(
        image_dim=IMAGE_DIM,
        text_dim=text.dim,
        text_version=text.version,
        history_len=LIKED,
        user=Vocabulary.of((f"user-{number}" for number in range(USERS)), 4),
        item=Vocabulary.of(item_ids, 4),
        attributes={name: Vocabulary.of(map(str, range(n)), 4) for name, n in ATTRIBUTES.items()},
    )
    items = [
        RankItem(
            item_id=item_ids[number],
            embedding=vectors_ND[number],
            attributes=attributes(generator),
            text=TITLES[number % len(TITLES)],
        )
        for number in range(num_items)
    ]
    liked = tuple(item_ids[number] for number in generator.permutation(ITEMS)[:LIKED])
    history = History("user-7", liked, tuple(range(LIKED)), (LIKE,) * LIKED)
    return features, history, items, FakeIndex(item_ids, vectors_ND)


def attributes(generator: np.random.Generator) -> dict[str, str | tuple[str, ...]]:
    """Return the attributes of one item."""
    drawn = {name: str(generator.integers(count)) for name, count in ATTRIBUTES.items()}
    tags = tuple(str(tag) for tag in generator.integers(ATTRIBUTES["tags"], size=TAGS))
    return {**drawn, "tags": tags}


def take_turns(stages: dict[str, Callable[[], Any]], repeats: int) -> dict[str, list[float]]:
    """Return each stage's seconds; one after the other, so that a busy machine slows all."""
    times: dict[str, list[float]] = {name: [] for name in stages}
    for turn in range(WARM_UP + repeats):
        for name, run in stages.items():
            started_s = time.perf_counter()
            run()
            if turn >= WARM_UP:
                times[name].append(time.perf_counter() - started_s)
    return times


def described(seconds: Sequence[float]) -> dict[str, float]:
    """Return what is told of some runs' times."""
    return {
        "median_ms": round(1e3 * statistics.median(seconds), 4),
        "p95_ms": round(1e3 * float(np.percentile(seconds, 95)), 4),
        "least_ms": round(1e3 * min(seconds), 4),
    }


if __name__ == "__main__":
    main()
