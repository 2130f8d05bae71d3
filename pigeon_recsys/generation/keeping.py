"""Keep a picture that was just made: check it, store it, describe it.

In:  a generation.
Out: the generated item that names the stored picture, beside which lies what was hidden and tried
     for it; `GenerationError` for the first check that it does not pass.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pigeon_recsys.errors import GenerationError
from pigeon_recsys.generation.checks import check_not_blank, check_not_copy, check_safe, check_sound
from pigeon_recsys.generation.image_names import files_of_picture, picture_name, sweep_name
from pigeon_recsys.generation.picture_file import encode_picture
from pigeon_recsys.generation.sweep_record import encode_sweep
from pigeon_recsys.ports import (
    GeneratedItemStore,
    ImageEmbedder,
    ImageStore,
    ItemIndex,
    SafetyClassifier,
)
from pigeon_recsys.records import GeneratedItem, Generation

REASON = "slate"  # why a picture was made that a slate asked for
KEY_DIGITS = 32  # hex


@dataclass(frozen=True)
class PictureKeeper:
    """Checks pictures and stores them; threads may share it when its parts are."""

    embedder: ImageEmbedder
    index: ItemIndex  # of the catalog, for the near-copy check
    images: ImageStore
    safety: SafetyClassifier | None = None

    def keep(self, made: Generation, job_key: str, reason: str) -> GeneratedItem:
        """Store a picture. Raises `GenerationError` where a check fails, and `ImageStoreError`."""
        check_sound(made)
        check_not_blank(made.pixels)
        vector = self.embedder.embed([made.pixels])[0]
        check_not_copy(vector, self.index)
        if self.safety is not None:
            check_safe(made.pixels, self.safety)
        told = made.provenance.content_hash
        self.images.write(sweep_name(told), encode_sweep(made))
        url = self.images.write(picture_name(told), encode_picture(made))
        return GeneratedItem(
            item_id=made.item_id,
            image=url,
            embedding=np.asarray(vector, np.float32),
            job_key=job_key,
            reason=reason,
            provenance=made.provenance,
        )


def keeps_for_slates(
    keeper: PictureKeeper, items: GeneratedItemStore, forget: Callable[[str], object]
) -> Callable[[Generation, int], GeneratedItem]:
    """Return what keeps the pictures that slates ask for, and puts them among their users'.

    A user who was erased since is forgotten once more: what the picture was made of is cached.
    """

    def keep(made: Generation, begun_ms: int) -> GeneratedItem:
        item = keeper.keep(made, _key(made), REASON)
        if items.put([item], begun_ms=begun_ms):
            for name in files_of_picture(made.provenance.content_hash):
                keeper.images.delete(name)
            forget(made.provenance.user_id)
            raise GenerationError("the user was erased before the picture was ready.")
        return item

    return keep


def _key(made: Generation) -> str:
    """Return a key for a picture without a job; a job's never is the same."""
    content = json.dumps([REASON, made.item_id, made.provenance.user_id])
    return hashlib.sha256(content.encode()).hexdigest()[:KEY_DIGITS]
