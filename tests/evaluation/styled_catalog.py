"""A tiny catalog of concepts in styles, with planted main styles beside it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from pigeon_recsys.datasets.folder import DatasetFolder

STYLED = """
name: styled
task: sticker
items:
  {file: items.parquet, id: item_id, title: concept, image: image, attributes: [concept, style],
   instruction: [concept]}
interactions:
  {file: interactions.parquet, user: user_id, item: item_id, time: timestamp, event: event,
   positive: [like], negative: [skip]}
"""
START_US = 1_735_689_600_000_000


def write_styled(
    folder: Path,
    pictures: Mapping[str, int],
    main_styles: Mapping[str, str],
    likes: Mapping[str, Sequence[str]],
    *,
    side: int = 8,
) -> DatasetFolder:
    """Write and open the folder; an item is `STYLE-CONCEPT`, its picture one grey."""
    (folder / "images").mkdir(parents=True)
    for item_id, grey in pictures.items():
        picture = np.full((side, side, 3), grey, np.uint8)
        Image.fromarray(picture).save(folder / "images" / f"{item_id}.png")
    columns = {
        "item_id": list(pictures),
        "concept": [item_id.split("-")[1] for item_id in pictures],
        "style": [item_id.split("-")[0] for item_id in pictures],
        "image": [f"images/{item_id}.png" for item_id in pictures],
    }
    pq.write_table(pa.table(columns), folder / "items.parquet")
    rows = [(user_id, item_id) for user_id, liked in likes.items() for item_id in liked]
    times = pa.array([START_US + n for n in range(len(rows))], pa.timestamp("us", tz="UTC"))
    events = {
        "user_id": [user_id for user_id, _ in rows],
        "item_id": [item_id for _, item_id in rows],
        "event": ["like"] * len(rows),
        "timestamp": times,
    }
    pq.write_table(pa.table(events), folder / "interactions.parquet")
    truth = {"user_id": list(main_styles), "main_style": list(main_styles.values())}
    pq.write_table(pa.table(truth), folder / "users_truth.parquet")
    (folder / "dataset.yaml").write_text(STYLED)
    return DatasetFolder.open(folder)


def many_styled(folder: Path, *, num_concepts: int = 24, num_users: int = 6) -> DatasetFolder:
    """Every concept in three styles, users who like six pictures each, in turn.

    `soft` is 10 from `round` and 100 from `sharp`, in every concept.
    """
    styles = {"round": 0, "soft": 10, "sharp": 110}
    concepts = [f"c{number:02d}" for number in range(num_concepts)]
    pictures = {
        f"{style}-{concept}": 3 * number + shade  # no two alike: shades differ in the rest by 3
        for number, concept in enumerate(concepts)
        for style, shade in styles.items()
    }
    users = [f"u{number}" for number in range(num_users)]
    mains = {user_id: list(styles)[number % 3] for number, user_id in enumerate(users)}
    likes = {
        user_id: [f"{mains[user_id]}-{concepts[(number + k) % num_concepts]}" for k in range(8)]
        for number, user_id in enumerate(users)
    }
    return write_styled(folder, pictures, mains, likes, side=16)
