"""A small world with planted tastes, and random rows for any ranker.

Items come in two styles whose vectors point opposite ways, plus noise. A user likes one style
and skips the other.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.ranking.bags import Bags
from pigeon_recsys.ranking.context import CONTEXT_NAMES
from pigeon_recsys.ranking.features import HISTORY, ITEM, REQUEST_BAGS, USER, Batch, RankFeatures
from pigeon_recsys.ranking.settings import RankerSettings
from pigeon_recsys.records import LIKE, SKIP, Vectors

NUM_ITEMS, NUM_USERS, IMAGE_DIM = 80, 60, 8
LIKES, SKIPS = 12, 3  # of each user
STYLES = ("flat", "outline")
FIRST_DAY = datetime(2025, 1, 1, tzinfo=UTC)
SETTINGS = RankerSettings(
    table_dim=8,
    hidden_dim=16,
    text_dim=16,
    batch_size=128,
    min_steps=80,
    history_len=6,
    ndcg_negatives=20,
)

DATASET_YAML = """\
name: planted
task: sticker
items:
  file: items.parquet
  id: item_id
  title: item_id
  image: image
  attributes: [shape, tags]
  instruction: [item_id]
interactions:
  file: interactions.parquet
  user: user_id
  item: item_id
  time: timestamp
  event: event
  positive: [like]
  negative: [skip]
"""

ITEM_IDS = [f"item-{number:02d}" for number in range(NUM_ITEMS)]
USER_IDS = [f"user-{number:02d}" for number in range(NUM_USERS)]


def style_vectors() -> Vectors:
    """Return each item's vector; even items are of one style, odd ones of the other."""
    generator = np.random.default_rng(1)
    axis_D = np.zeros(IMAGE_DIM)
    axis_D[0] = 1.5
    signs_N = np.where(np.arange(NUM_ITEMS) % 2 == 0, 1, -1)
    vectors_ND = signs_N[:, None] * axis_D + generator.normal(size=(NUM_ITEMS, IMAGE_DIM)) * 0.4
    return (vectors_ND / np.linalg.norm(vectors_ND, axis=1, keepdims=True)).astype(np.float32)


def write_folder(folder: Path, user_ids: Iterable[str] = USER_IDS) -> DatasetFolder:
    """Write the planted world and open it; each user's events follow from the user alone."""
    (folder / "images").mkdir(parents=True)
    Image.new("RGB", (4, 4)).save(folder / "images" / "plain.png")
    (folder / "dataset.yaml").write_text(DATASET_YAML)
    items = {
        "item_id": ITEM_IDS,
        "image": ["images/plain.png"] * NUM_ITEMS,
        "shape": [("round", "square", "star")[number % 3] for number in range(NUM_ITEMS)],
        "tags": [[f"tag-{number % 5}", "all"][: number % 3] for number in range(NUM_ITEMS)],
    }
    pq.write_table(pa.table(items), folder / "items.parquet")
    rows = [row for user_id in user_ids for row in _events(user_id)]
    names = ("user_id", "item_id", "event", "timestamp")
    columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    pq.write_table(pa.table(columns), folder / "interactions.parquet")
    return DatasetFolder.open(folder)


def _events(user_id: str) -> list[tuple[str, str, str, datetime]]:
    number = int(user_id.rsplit("-", 1)[1])
    generator = np.random.default_rng([2, number])
    of_style = generator.permutation(np.arange(number % 2, NUM_ITEMS, 2))[:LIKES]
    of_other = generator.permutation(np.arange(1 - number % 2, NUM_ITEMS, 2))[:SKIPS]
    events = [(ITEM_IDS[item], LIKE) for item in of_style]
    events += [(ITEM_IDS[item], SKIP) for item in of_other]
    times = [FIRST_DAY + timedelta(minutes=int(m)) for m in generator.permutation(5000)]
    order = generator.permutation(len(events))
    return [(user_id, *events[row], times[row]) for row in order]


def random_batch(
    features: RankFeatures,
    num_rows: int,
    seed: int,
    num_requests: int | None = None,
    lengths: Sequence[int] = range(5),
    row: int | None = None,
) -> Batch:
    """Return random rows, with bags of these lengths; `row` of the tables if it is given."""
    generator = np.random.default_rng(seed)
    num_requests = num_rows if num_requests is None else num_requests
    tables = {USER: features.user, HISTORY: features.item, ITEM: features.item}
    tables |= {f"attribute.{name}": table for name, table in features.attributes.items()}
    bags = {}
    for name, table in tables.items():
        count = num_requests if name in REQUEST_BAGS else num_rows
        drawn = generator.choice(lengths, count)
        values = generator.integers(0, table.num_rows, drawn.sum())
        bags[name] = Bags(values if row is None else 0 * values + row % table.num_rows, drawn)

    def vectors(count: int, width: int) -> Vectors:
        return generator.normal(size=(count, width)).astype(np.float32)

    return Batch(
        image=vectors(num_rows, features.image_dim),
        text=vectors(num_rows, features.text_dim),
        taste=vectors(num_requests, features.image_dim),
        context=vectors(num_requests, len(CONTEXT_NAMES)),
        bags=bags,
        request_of_row=generator.permutation(np.arange(num_rows) % num_requests),
    )


def empty_batch(features: RankFeatures, num_rows: int) -> Batch:
    """Return rows of one request without any id."""
    nothing = Bags.from_lists([[]] * num_rows)
    bags = dict.fromkeys(features.bag_names, nothing)
    return Batch(
        image=np.ones((num_rows, features.image_dim), np.float32),
        text=np.ones((num_rows, features.text_dim), np.float32),
        taste=np.ones((1, features.image_dim), np.float32),
        context=np.zeros((1, len(CONTEXT_NAMES)), np.float32),
        bags={**bags, **dict.fromkeys(REQUEST_BAGS, Bags.from_lists([[]]))},
        request_of_row=np.zeros(num_rows, np.int64),
    )
