"""How well does a trained ranker rank, and what does calibration make of its source bias?

    python -m benchmarks.ranker_quality --out out/bench/ranker_quality.json

Draws a sticker world, trains a ranker on it as `rank train` does (the shipped embedder's vectors),
and tells its report: AUC, NDCG@10 and calibration error on the newest interactions, which training
did not see. Nothing in that part is simulated beyond the world itself.

The source-bias gap needs outcomes of generated pictures, and nobody has looked at any: **these
outcomes are simulated.** Users that training never saw are given slates of the nine candidates that
the ranker puts first of a hundred, and one picture: a catalog sticker in the user's style, scored
as what is generated is, without an id. All of a slate is seen. An item is liked with log-odds of
`BASE` + `PER_MATCH` times its share of the user's planted style; a picture with `excess` less, as
if people held back from what is generated. Everything goes through a decision log and `rank
calibrate --log`; the gap after is of users that the curves were not fitted on.

Read `before` against `after` for each excess: at 0 the gap before is the ranker's own.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from benchmarks._record import write_result
from benchmarks.personalization import run
from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.datasets.split import user_split
from pigeon_recsys.datasets.sticker_drawing import STYLE_FACTORS
from pigeon_recsys.datasets.world import ITEMS_TRUTH, USERS_TRUTH
from pigeon_recsys.datasets.world_users import SECOND_WEIGHT
from pigeon_recsys.decisions import Decision, Exposure, Offered, Outcome, SlateEntry
from pigeon_recsys.files import check_writable
from pigeon_recsys.ranking.onnx_ranker import OnnxRanker
from pigeon_recsys.records import Placement, RankItem
from pigeon_recsys.retrieval.faiss_index import FaissIndex
from pigeon_recsys.wiring import EMBEDDER_FILE, SHIPPED_WEIGHTS
from pigeon_recsys_connectors.parquet_slate_log import ParquetSlateLog

WORLD_SEED = 1
WORLD_ITEMS, WORLD_USERS = 2000, 400
SEED = 0  # of slates and outcomes
SLATES = 25  # of a user
CANDIDATES, SHOWN = 100, 9  # drawn for a slate, and shown of them beside the picture
IN_STYLE = 20  # stickers nearest to the user's style; a picture is one of them
BASE, PER_MATCH = -4.0, 4.0  # log-odds of a like without any of the style; more with all of it
EXCESSES = (0.0, 1.0, 2.0)  # log-odds that pictures are liked less than the catalog's
FIRST_MS, SLATE_MS = 1_767_225_600_000, 1_000
WINDOW_MS = 24 * 3_600_000
TOLD = (
    *("auc", "auc_interval", "auc_without_item_id", "auc_new_users"),
    *("ndcg_at_10", "ndcg_at_10_interval", "ndcg_at_10_of_chance"),
    *("calibration_error", "log_loss", "log_loss_of_base_rate"),
    *("num_train_rows", "num_heldout_rows", "num_heldout_users"),
)


@dataclass(frozen=True, eq=False)
class World:
    """A drawn world, its ranker, and how far every item has each user's style."""

    dataset: DatasetFolder
    ranker: OnnxRanker
    rows: list[RankItem]  # of every item
    item_styles: dict[str, list[str]]  # by style factor
    tastes: dict[str, dict[str, str]]  # by user, then by column of the truth

    def style_match(self, user_id: str) -> "np.typing.NDArray[np.float64]":
        """Return each item's share of the user's style, from 0 to 1."""
        taste = self.tastes[user_id]
        match = np.zeros(len(self.rows))
        for factor, values in self.item_styles.items():
            of_item = np.array(values)
            match += of_item == taste[f"main_{factor}"]
            match += SECOND_WEIGHT * (of_item == taste[f"second_{factor}"])
        return match / len(self.item_styles)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print the figures, write JSON."""
    args = parse_arguments(argv)
    check_writable(args.out)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        report = train(folder, args)
        figures = {
            "held_out": {key: report[key] for key in TOLD},
            "source_bias_of_simulated_outcomes": source_bias(folder, args.slates),
        }
    settings = {
        "world_seed": WORLD_SEED,
        "world_items": args.world_items,
        "world_users": args.world_users,
        "slates": args.slates,
        "candidates": CANDIDATES,
        "shown": SHOWN,
        "log_odds_base": BASE,
        "log_odds_per_match": PER_MATCH,
        "seed": SEED,
    }
    write_result(args.out, "How well does a ranker rank, and how fair?", settings, figures)


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--slates", type=int, default=SLATES)
    parser.add_argument("--world-items", type=int, default=WORLD_ITEMS)
    parser.add_argument("--world-users", type=int, default=WORLD_USERS)
    return parser.parse_args(argv)


def train(folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Draw the world and train and export its ranker into a folder; return the report."""
    world, embedder, index = (str(folder / name) for name in ("world", EMBEDDER_FILE, "index"))
    trained, report = str(folder / "run"), folder / "train.json"
    sizes = ["--items", str(args.world_items), "--users", str(args.world_users)]
    weights = str(SHIPPED_WEIGHTS / "embedder.safetensors")
    run(["data", "world", "--out", world, *sizes, "--seed", str(WORLD_SEED)])
    run(["index", "embedder", "--weights", weights, "--out", embedder])
    run(["index", "build", "--data", world, "--embedder", embedder, "--out", index])
    told = ["--json", str(report)]
    run(["rank", "train", "--data", world, "--index", index, "--out", trained, *told])
    run(["rank", "export", "--run", trained, "--out", str(folder / "ranker.onnx")])
    found: dict[str, Any] = json.loads(report.read_text())
    return found


def source_bias(folder: Path, num_slates: int) -> dict[str, Any]:
    """Return the gaps before and after calibration for every planted excess."""
    world = open_world(folder)
    found = {}
    for excess in EXCESSES:
        log, report = folder / f"log-{excess}", folder / f"calibrate-{excess}.json"
        ParquetSlateLog(log).write(list(simulate(world, num_slates, excess)))
        out = ["--out", str(folder / "calibration.json"), "--json", str(report)]
        run(["rank", "calibrate", "--log", str(log), *out])
        told = json.loads(report.read_text())
        names = ("before", "after", "log_loss_before", "log_loss_after", "by_source")
        found[f"excess_{excess:g}"] = {name: told[name] for name in names}
    return found


def open_world(folder: Path) -> World:
    """Return what `train` left in a folder."""
    dataset, index = DatasetFolder.open(folder / "world"), FaissIndex.load(folder / "index")
    items = [dataset.item(item_id) for item_id in dataset.item_ids]
    vectors_ID = index.vectors(dataset.item_ids)
    item_truth = pq.read_table(folder / "world" / ITEMS_TRUTH).to_pydict()
    place = {item_id: row for row, item_id in enumerate(item_truth["item_id"])}
    order = [place[item_id] for item_id in dataset.item_ids]
    users = pq.read_table(folder / "world" / USERS_TRUTH).to_pylist()
    return World(
        dataset,
        OnnxRanker.load(folder / "ranker.onnx", index),
        [
            RankItem(item.item_id, vector, item.attributes, text=item.title)
            for item, vector in zip(items, vectors_ID, strict=True)
        ],
        {name: [item_truth[name][row] for row in order] for name in STYLE_FACTORS},
        {taste["user_id"]: taste for taste in users},
    )


def simulate(world: World, num_slates: int, excess: float) -> Iterator[SlateEntry]:
    """Yield the log of slates for every user that training did not see."""
    rng = np.random.default_rng(SEED)
    users = [user for user in world.dataset.user_ids if user_split(user) != "train"]
    count = 0
    for user_id in users:
        match = world.style_match(user_id)
        met = set(world.dataset.history(user_id).item_ids)
        is_unmet = np.array([row.item_id not in met for row in world.rows])
        nearest = np.argsort(-np.where(is_unmet, match, -1), kind="stable")[:IN_STYLE]
        for _ in range(num_slates):
            count += 1
            made = int(rng.choice(nearest))
            others = np.flatnonzero(is_unmet & (np.arange(len(match)) != made))
            drawn = rng.choice(others, min(CANDIDATES, len(others)), replace=False)
            decision, shown = decide(world, user_id, count, drawn, made)
            yield decision
            chances = 1 / (1 + np.exp(-(BASE + PER_MATCH * match[shown])))
            chances[0] = 1 / (1 + np.exp(-(BASE + PER_MATCH * match[made] - excess)))
            for place, chance in zip(decision.placements, chances, strict=True):
                about = (user_id, decision.at_ms, decision.request_id, place.item_id)
                yield Exposure(*about, place.position)
                if rng.random() < chance:
                    yield Outcome(*about, "like", "like")
    end_ms = FIRST_MS + count * SLATE_MS + WINDOW_MS
    yield Exposure("nobody", end_ms, "the end", world.rows[0].item_id, 0)


def decide(
    world: World, user_id: str, number: int, drawn: "np.typing.NDArray[np.int64]", made: int
) -> tuple[Decision, list[int]]:
    """Return the decision on a slate, and the items' numbers by place, the picture's first."""
    row = world.rows[made]
    name = f"gen-{number}"
    picture = RankItem(name, row.embedding, row.attributes, is_generated=True, text=row.text)
    items = [world.rows[each] for each in drawn]
    scores = world.ranker.score(world.dataset.history(user_id), [*items, picture]).tolist()
    best = np.argsort(-np.array(scores[:-1]), kind="stable")[:SHOWN].tolist()
    places = [(name, scores[-1]), *((items[each].item_id, scores[each]) for each in best)]
    decision = Decision(
        request_id=f"slate-{number}",
        user_id=user_id,
        surface="",
        at_ms=FIRST_MS + number * SLATE_MS,
        action=name,
        propensity=1.0,
        slot_propensity=1.0,
        rung="stored",
        reason="",
        placements=tuple(
            Placement(place, item_id, score, is_generated=place == 0)
            for place, (item_id, score) in enumerate(places)
        ),
        num_candidates=len(items),
        candidate_ids=tuple(item.item_id for item in items),
        candidate_scores=tuple(scores[:-1]),
        candidate_probabilities=tuple(scores[:-1]),
        offered=(Offered(name, "item", "generated", scores[-1], scores[-1], "placed", "", 1.0),),
        versions={"ranker": world.ranker.weights_sha256},
        candidate_raw_scores=tuple(scores[:-1]),
    )
    return decision, [made, *(int(drawn[each]) for each in best)]


if __name__ == "__main__":
    main()
