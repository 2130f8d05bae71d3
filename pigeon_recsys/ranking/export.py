"""Export a trained ranker to one ONNX file that needs no torch and no other file.

The inputs are those of `torchrec_export.py`: for B rows of U requests

    image, text                              (B, D), (B, T)  float32
    taste, context                           (U, D), (U, C)  float32
    request                                  (B,)            int64, the request of each row
    ids.values, ids.offsets                  item and attributes, B bags each
    ids.request.values, ids.request.offsets  user and history, U bags each

and the output is `probability` (B,). The file's metadata holds the features, so that
`OnnxRanker` can build the inputs.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pigeon_recsys.files import check_writable
from pigeon_recsys.ranking.bags import Bags
from pigeon_recsys.ranking.context import CONTEXT_NAMES
from pigeon_recsys.ranking.features import REQUEST_BAGS, Batch, RankFeatures
from pigeon_recsys.ranking.run_folder import import_torchrec, load_run

FEATURES_KEY = "pigeon_recsys.rank_features"
WEIGHTS_KEY = "pigeon_recsys.weights_sha256"
DATASET_KEY = "pigeon_recsys.dataset_fingerprint"

REQUEST_INPUT, OUTPUT = "request", "probability"


@dataclass(frozen=True)
class ExportReport:
    """What was written."""

    path: Path
    num_bytes: int
    weights_sha256: str


def export_ranker(run: Path, out: Path) -> ExportReport:
    """Write the ranker trained in `run` to the ONNX file `out`."""
    check_writable(out)
    model, features, manifest = load_run(run)
    ranker, export = import_torchrec("torchrec_ranker"), import_torchrec("torchrec_export")
    num_bytes = export.export_torchrec(
        ranker.ProbabilityRanker(model),
        out,
        ranker.model_inputs(_one_row(features)),
        output=OUTPUT,
        repeated={REQUEST_INPUT: [*REQUEST_BAGS, "taste", "context"]},
        metadata={
            FEATURES_KEY: features.to_json(),
            WEIGHTS_KEY: manifest["weights_sha256"],
            DATASET_KEY: manifest["dataset_fingerprint"],
        },
    )
    return ExportReport(out, num_bytes, manifest["weights_sha256"])


def _one_row(features: RankFeatures) -> Batch:
    """Return a row of which only the widths matter."""
    image, text, context = (
        np.zeros((1, width), np.float32)
        for width in (features.image_dim, features.text_dim, len(CONTEXT_NAMES))
    )
    nothing = Bags.from_lists([[]])
    bags = dict.fromkeys(features.bag_names, nothing)
    return Batch(image, text, image, context, bags, np.zeros(1, np.int64))
