"""Ask for stickers on behalf of users never trained on, twice: the second time swapped.

In:  a world with its truth, a generator, the index of its items.
Out: one record a user for the judge: the picture from the user's own history, and the one
     from another user's history with the same reference and seed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.errors import SettingsError
from pigeon_recsys.evaluation.personalization import PersonalizationRecord, read_main_styles
from pigeon_recsys.ports import ImageGenerator, ItemIndex
from pigeon_recsys.progress import track
from pigeon_recsys.records import Generation, GenerationTask, HistoryImage, Reference
from pigeon_recsys.retrieval.history_selection import SelectionSettings, select_history

USERS_TRUTH = "users_truth.parquet"
CONTENT_ATTRIBUTES = ("emotion", "prop")  # public attributes of a sticker world's items


@dataclass(frozen=True)
class Trial:
    """One user's request and both answers."""

    record: PersonalizationRecord
    own: Generation
    swapped: Generation


def run_trials(
    world: DatasetFolder,
    generator: ImageGenerator,
    index: ItemIndex,
    *,
    num_users: int,
    seed: int = 0,
    selection: SelectionSettings | None = None,
) -> list[Trial]:
    """Return one trial for each of `num_users` users, drawn without replacement."""
    truth_path = world.path / USERS_TRUTH
    if not truth_path.is_file():
        raise SettingsError(
            f"{truth_path} is missing, so there is no truth to judge by. "
            "Draw a world with: pigeon-recsys data world --out DIR"
        )
    if not 2 <= num_users <= len(world.user_ids):
        raise SettingsError(
            f"users must be from 2 to the world's {len(world.user_ids)}, got {num_users}"
        )
    main_styles = read_main_styles(truth_path)
    rng = np.random.default_rng(seed)
    users = [world.user_ids[row] for row in rng.permutation(len(world.user_ids))[:num_users]]
    references = [world.item_ids[row] for row in rng.integers(len(world.item_ids), size=num_users)]
    trials = []
    for number in track(range(num_users), "ask for stickers"):
        own, other = users[number], users[(number + 1) % num_users]
        tasks = [
            make_task(world, index, own, source, references[number], seed + number, selection)
            for source in (own, other)
        ]
        mine, swapped = generator.generate(tasks)
        asked = world.item(references[number]).attributes
        record = PersonalizationRecord(
            user_id=own,
            main_style=main_styles[own],
            asked={name: str(asked[name]) for name in CONTENT_ATTRIBUTES},
            own=mine.pixels,
            swapped=swapped.pixels,
        )
        trials.append(Trial(record, mine, swapped))
    return trials


def make_task(
    world: DatasetFolder,
    index: ItemIndex,
    user_id: str,
    history_of: str,
    reference_id: str,
    seed: int,
    selection: SelectionSettings | None,
) -> GenerationTask:
    """Return the task of drawing a reference for a user from somebody's history."""
    history = world.history(history_of)
    vector = index.vectors([reference_id])[0]
    chosen = select_history(index, history.liked, vector, settings=selection)
    return GenerationTask(
        user_id=user_id,
        history=tuple(HistoryImage(item_id, world.pixels(item_id)) for item_id in chosen),
        history_hash=history.content_hash,
        reference=Reference(reference_id, world.item(reference_id).instruction),
        reference_pixels=world.pixels(reference_id),
        seed=seed,
    )


def contact_sheet(world: DatasetFolder, trials: Sequence[Trial], path: Path) -> None:
    """Write a PNG: a row a user, five history pictures, the reference, own, swapped."""
    from PIL import Image

    from pigeon_recsys.datasets.pixel_table import resize
    from pigeon_recsys.files import atomic_path

    height, width = trials[0].own.pixels.shape[:2]
    blank = np.full((height, width, 3), 255, np.uint8)
    rows = []
    for trial in trials:
        provenance = trial.own.provenance
        history = [world.pixels(item_id) for item_id in provenance.history_item_ids]
        assert provenance.reference.item_id is not None
        reference = world.pixels(provenance.reference.item_id)
        row = [*[blank] * (5 - len(history)), *history, blank, reference, blank]
        row += [trial.own.pixels, trial.swapped.pixels]
        rows.append(np.concatenate([resize(picture, height, width) for picture in row], axis=1))
    with atomic_path(path) as temporary:
        Image.fromarray(np.concatenate(rows)).save(temporary)
