"""The sticker world: a dataset folder with planted tastes, drawn and simulated in seconds.

In:  how many items and users, and a seed.
Out: a dataset folder (`dataset.yaml`, `items.parquet`, `interactions.parquet`, `images/`)
     and, beside it, the planted truth, which only evaluation may read.
"""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from pigeon_recsys.datasets.sticker_drawing import (
    CONTENT_FACTORS,
    MIN_SIZE,
    STYLE_FACTORS,
    Sticker,
    draw_sticker,
)
from pigeon_recsys.datasets.world_items import CONTENTS, PACK_SIZE, draw_catalog
from pigeon_recsys.datasets.world_tables import (
    event_tables,
    image_path,
    item_table,
    item_truth_table,
    user_truth_table,
)
from pigeon_recsys.datasets.world_users import (
    NOISE_SHARE,
    UserEvents,
    UserTastes,
    codes,
    draw_users,
    simulate,
)
from pigeon_recsys.errors import OutputError, SettingsError
from pigeon_recsys.files import check_writable_folder
from pigeon_recsys.progress import track

DEFAULT_SIZE = 96  # pixels
MIN_ITEMS = 50  # fewer, and a user who likes 25 leaves too little to skip
MAX_NOISE_SHARE = 0.5  # above it, likes say more about chance than about taste
WORLD_STREAM = 20_114  # sets a world's random numbers apart from every other use of its seed
CATALOG, USERS, EVENTS, TIMES, PICTURES, CAPTIONS = range(6)  # streams inside a world

ITEMS_TRUTH = "items_truth.parquet"
USERS_TRUTH = "users_truth.parquet"
INTERACTIONS_TRUTH = "interactions_truth.parquet"

DATASET_YAML = """\
# How to read this folder. Every path is relative to it.
name: {name}
task: sticker            # a generated sticker is a new item
items:
  file: items.parquet
  id: item_id
  title: caption
  image: image
  attributes: [emotion, prop]
  instruction: [caption]   # what the text instruction may mention; never the style
interactions:
  file: interactions.parquet
  user: user_id
  item: item_id
  time: timestamp
  event: event
  positive: [like]
  negative: [skip]
"""

README = """\
# {name}

A built-in sticker world: {num_items} stickers, {num_users} simulated users. The same again:

    pigeon-recsys data world --out DIR {options}

`dataset.yaml` says how to read it. Nobody real is behind these events.

The three `*_truth.parquet` files hold what was planted: the style of every item, the taste of
every user and which likes are noise. They are for evaluation only: no model, ranker or policy
may read them.
"""


@dataclass(frozen=True)
class WorldSummary:
    """What a new world holds."""

    folder: Path
    num_items: int
    num_users: int
    num_likes: int
    num_noise_likes: int
    num_skips: int
    main_style_share: float  # of likes that are not noise, mean over the style factors
    seed: int


def generate_world(
    out: Path,
    *,
    num_items: int,
    num_users: int,
    seed: int,
    size: int = DEFAULT_SIZE,
    noise_share: float = NOISE_SHARE,
    pack_size: int = PACK_SIZE,
) -> WorldSummary:
    """Write a world to `out`, whole or not at all; the same arguments, the same bytes."""
    check_arguments(num_items, num_users, seed, size, noise_share, pack_size)
    check_replaceable(out)
    check_writable_folder(out.absolute().parent)
    stickers = draw_catalog(num_items, random_stream(seed, CATALOG), pack_size)
    tastes = draw_users(num_users, codes(stickers, STYLE_FACTORS), random_stream(seed, USERS))
    events = simulate(
        tastes,
        codes(stickers, STYLE_FACTORS),
        codes(stickers, CONTENT_FACTORS),
        noise_share,
        random_stream(seed, EVENTS),
    )
    building = Path(tempfile.mkdtemp(dir=out.absolute().parent, prefix=f".{out.name}."))
    try:
        write_pictures(building, stickers, size, seed)
        write_tables(building, stickers, tastes, events, seed)
        options = {
            "items": num_items,
            "users": num_users,
            "seed": seed,
            "size": size,
            "noise-share": noise_share,
            "pack-size": pack_size,
        }
        write_readme(building, options)
        building.chmod(0o755)
        if out.exists():
            shutil.rmtree(out)
        building.replace(out)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return summary(out, stickers, tastes, events, seed)


def check_arguments(
    num_items: int, num_users: int, seed: int, size: int, noise_share: float, pack_size: int
) -> None:
    """Raise `SettingsError` for the first argument that cannot work."""
    if num_items < MIN_ITEMS:
        raise SettingsError(
            f"a world's number of items must be at least {MIN_ITEMS}, got {num_items}. Use 2000."
        )
    if num_users < 1:
        raise SettingsError(
            f"a world's number of users must be at least 1, got {num_users}. Use 500."
        )
    if seed < 0:
        raise SettingsError(f"a world's seed must not be negative, got {seed}. Use 0.")
    if size < MIN_SIZE:
        raise SettingsError(
            f"a world's picture size must be at least {MIN_SIZE} pixels, got {size}. "
            f"Use {DEFAULT_SIZE}."
        )
    if not 0 <= noise_share <= MAX_NOISE_SHARE:
        raise SettingsError(
            f"a world's noise share must be from 0 to {MAX_NOISE_SHARE}, got {noise_share}. "
            f"Use {NOISE_SHARE}."
        )
    if not 1 <= pack_size <= len(CONTENTS):
        raise SettingsError(
            f"a world's pack size must be from 1 to {len(CONTENTS)}, got {pack_size}. "
            f"Use {PACK_SIZE}."
        )


def check_replaceable(out: Path) -> None:
    """Raise `OutputError` unless `out` is free, empty or an earlier world."""
    if out.is_dir():
        if any(out.iterdir()) and not (out / ITEMS_TRUTH).is_file():
            raise OutputError(
                f"{out} holds files that are not a sticker world (no {ITEMS_TRUTH}). "
                "Name a new folder, or empty this one."
            )
    elif out.exists():
        raise OutputError(f"{out} is a file. Name a folder.")


def random_stream(seed: int, *part: int) -> np.random.Generator:
    """Return the random numbers of one part of a world."""
    return np.random.default_rng([WORLD_STREAM, seed, *part])


def write_pictures(folder: Path, stickers: Sequence[Sticker], size: int, seed: int) -> None:
    """Draw every sticker and write it as PNG; each has random numbers of its own."""
    for number, sticker in enumerate(track(stickers, "drawing stickers", len(stickers))):
        path = folder / image_path(seed, number)
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = draw_sticker(sticker, size, random_stream(seed, PICTURES, number))
        Image.fromarray(pixels).save(path, compress_level=4)


def write_tables(
    folder: Path,
    stickers: Sequence[Sticker],
    tastes: UserTastes,
    events: Sequence[UserEvents],
    seed: int,
) -> None:
    """Write the dataset's tables, the planted truth and how to read them."""
    log, log_truth = event_tables(events, seed, random_stream(seed, TIMES))
    tables = {
        "items.parquet": item_table(stickers, seed, random_stream(seed, CAPTIONS)),
        "interactions.parquet": log,
        ITEMS_TRUTH: item_truth_table(stickers, seed),
        USERS_TRUTH: user_truth_table(tastes, seed),
        INTERACTIONS_TRUTH: log_truth,
    }
    for file, table in tables.items():
        pq.write_table(table, folder / file)
    (folder / "dataset.yaml").write_text(DATASET_YAML.format(name=world_name(seed)))


def write_readme(folder: Path, options: dict[str, float]) -> None:
    """Write what the folder is and the command that draws it again."""
    text = README.format(
        name=world_name(int(options["seed"])),
        num_items=options["items"],
        num_users=options["users"],
        options=" ".join(f"--{name} {value}" for name, value in options.items()),
    )
    (folder / "README.md").write_text(text)


def world_name(seed: int) -> str:
    """Return the dataset's name."""
    return f"sticker-world-{seed}"


def summary(
    out: Path,
    stickers: Sequence[Sticker],
    tastes: UserTastes,
    events: Sequence[UserEvents],
    seed: int,
) -> WorldSummary:
    """Count what was made."""
    styles = codes(stickers, STYLE_FACTORS)
    matches = [
        styles[one.liked[~one.is_noise]] == tastes.main[user] for user, one in enumerate(events)
    ]
    return WorldSummary(
        folder=out,
        num_items=len(stickers),
        num_users=len(tastes),
        num_likes=sum(len(one.liked) for one in events),
        num_noise_likes=sum(int(one.is_noise.sum()) for one in events),
        num_skips=sum(len(one.skipped) for one in events),
        main_style_share=float(np.concatenate(matches).mean()),
        seed=seed,
    )
