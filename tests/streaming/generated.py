"""Generated items for tests."""

import numpy as np

from pigeon_recsys.records import GeneratedItem, Provenance, Reference


def generated_item(job_key: str = "key", user_id: str = "ada") -> GeneratedItem:
    """Return an item that a codec takes."""
    provenance = Provenance(
        content_hash="0" * 64, model="fake", weights_version="v", user_id=user_id,
        history_hash="h", history_item_ids=("i",), reference=Reference("r"),
        reference_mask_ratio=0.5, seed=0, steps=1, history_score=1.0, reference_score=1.0,
        checks_passed=(), created_ms=0,
    )  # fmt: skip
    embedding = np.array([1, 0], np.float32)
    return GeneratedItem("gen-0", "fake://0.png", embedding, job_key, "new likes", provenance)
