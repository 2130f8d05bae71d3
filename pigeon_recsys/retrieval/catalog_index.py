"""Index the pictures of a whole catalog.

In:  a dataset folder and an embedder.
Out: a `FaissIndex` that knows what it was made from.
"""

import numpy as np

from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.progress import track
from pigeon_recsys.retrieval.faiss_index import FaissIndex, IndexSettings
from pigeon_recsys.retrieval.index_manifest import IndexSource
from pigeon_recsys.retrieval.onnx_embedder import OnnxEmbedder

CHUNK = 256  # pictures decoded and embedded at once; bounds memory, steps the progress bar


def index_catalog(
    dataset: DatasetFolder, embedder: OnnxEmbedder, settings: IndexSettings | None = None
) -> FaissIndex:
    """Embed the picture of every item and index the vectors."""
    item_ids = dataset.item_ids
    vectors_ND = np.empty((len(item_ids), embedder.dim), np.float32)
    for start in track(range(0, len(item_ids), CHUNK), "embed pictures"):
        chunk = item_ids[start : start + CHUNK]
        vectors_ND[start : start + CHUNK] = embedder.embed([dataset.pixels(i) for i in chunk])
    source = IndexSource(embedder.weights_sha256, dataset.fingerprint)
    return FaissIndex.build(item_ids, vectors_ND, settings, source)
