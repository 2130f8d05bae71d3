"""Export a trained ranker to ONNX: two files that need no torch and nothing else.

The ranker is exported in the halves of `torchrec_halves.py`, with inputs as `torchrec_export.py`
names them. What belongs to the items, for B of them, once an item; beside the other file, as
`NAME.items.onnx`:

    image, text              (B, D), (B, T)  float32
    ids.values, ids.offsets  item and attributes, B bags each
    state                    (B, S)          float32, the output

What belongs to a request, for B items of one user; `NAME.onnx`:

    state                    (B, S)          float32
    taste, context           (1, D), (1, C)  float32
    ids.values, ids.offsets  user and history, one bag each
    probability              (B,)            float32, the output

Metadata of the second holds the features, so that `OnnxRanker` can build the inputs; both name the
weights they are of.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pigeon_recsys.files import check_writable
from pigeon_recsys.ranking.bags import Bags
from pigeon_recsys.ranking.context import CONTEXT_NAMES
from pigeon_recsys.ranking.features import REQUEST_BAGS, RankFeatures
from pigeon_recsys.ranking.run_folder import import_torchrec, load_run

FEATURES_KEY = "pigeon_recsys.rank_features"
WEIGHTS_KEY = "pigeon_recsys.weights_sha256"
DATASET_KEY = "pigeon_recsys.dataset_fingerprint"

STATE, OUTPUT = "state", "probability"
ITEMS_SUFFIX = ".items.onnx"  # in place of the other file's suffix


@dataclass(frozen=True)
class ExportReport:
    """What was written."""

    path: Path
    num_bytes: int
    weights_sha256: str


def export_ranker(run: Path, out: Path) -> ExportReport:
    """Write the ranker trained in `run` to the ONNX file `out` and to the one beside it."""
    check_writable(out)
    check_writable(items_path(out))
    model, features, manifest = load_run(run)
    export, halves = import_torchrec("torchrec_export"), import_torchrec("torchrec_halves")
    origin = {
        WEIGHTS_KEY: manifest["weights_sha256"],
        DATASET_KEY: manifest["dataset_fingerprint"],
    }
    of_items, of_request = halves.ItemHalf(model), halves.RequestHalf(model)
    num_bytes = export.export_torchrec(
        of_items, items_path(out), _item_example(features), output=STATE, metadata=origin
    )
    num_bytes += export.export_torchrec(
        of_request,
        out,
        {STATE: _zeros(of_items.width), **_side_example(features)},
        output=OUTPUT,
        once=_side_example(features).keys(),
        metadata={FEATURES_KEY: features.to_json(), **origin},
    )
    return ExportReport(out, num_bytes, manifest["weights_sha256"])


def items_path(path: Path) -> Path:
    """Return the file of the items' half beside that of the request's."""
    return path.with_suffix(ITEMS_SUFFIX)


def _item_example(features: RankFeatures) -> dict[str, Any]:
    """Return the arguments of the items' half, of which only the widths matter."""
    names = [name for name in features.bag_names if name not in REQUEST_BAGS]
    return {
        "image": _zeros(features.image_dim),
        "text": _zeros(features.text_dim),
        "ids": _no_ids(names),
    }


def _side_example(features: RankFeatures) -> dict[str, Any]:
    """Return what the request's half takes once for all its items."""
    return {
        "taste": _zeros(features.image_dim),
        "context": _zeros(len(CONTEXT_NAMES)),
        "ids": _no_ids(REQUEST_BAGS),
    }


def _no_ids(names: Sequence[str]) -> Any:
    bags = dict.fromkeys(names, Bags.from_lists([[]]))
    return import_torchrec("torchrec_ranker").jagged(bags)


def _zeros(width: int) -> Any:
    import torch

    return torch.zeros(1, width)
