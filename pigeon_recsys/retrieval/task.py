"""Gather the pictures of one generation task: the history selected, the reference looked up."""

from pigeon_recsys.errors import GenerationError
from pigeon_recsys.ports import ItemCatalog, ItemIndex
from pigeon_recsys.records import GenerationTask, History, HistoryImage, Reference
from pigeon_recsys.retrieval.history_selection import (
    NUM_IMAGES,
    SelectionSettings,
    select_history,
)


def gather_task(
    catalog: ItemCatalog,
    index: ItemIndex,
    history: History,
    reference: Reference,
    seed: int,
    *,
    num_images: int = NUM_IMAGES,
    selection: SelectionSettings | None = None,
) -> GenerationTask:
    """Return the task of drawing a reference for the owner of a history.

    Raises `UnknownItem`, and `GenerationError` for a history without a like.
    """
    if not history.liked:
        raise GenerationError(
            f"user {history.user_id!r} likes no item, so there is no taste to draw by. "
            "Choose a user with a like, or serve a cold-start slate."
        )
    wanted = reference.item_id
    vector = None if wanted is None else index.vectors([wanted])[0]
    chosen = select_history(index, history.liked, vector, num_images, selection)
    return GenerationTask(
        user_id=history.user_id,
        history=tuple(HistoryImage(item_id, catalog.pixels(item_id)) for item_id in chosen),
        history_hash=history.content_hash,
        reference=reference,
        reference_pixels=None if wanted is None else catalog.pixels(wanted),
        seed=seed,
    )
