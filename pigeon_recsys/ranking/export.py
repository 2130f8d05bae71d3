"""Export a trained ranker to one ONNX file that needs no torch and no other file.

Inputs: `image` and `taste` (B, D), and for each id feature `NAME.values` (V,) and
`NAME.offsets` (B + 1,), both int64. Output: `probability` (B,). Any B and V from 1 and 0 on.
The file's metadata holds the features, so that `OnnxRanker` can build the inputs.
"""

import logging
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pigeon_recsys.errors import MissingExtra, RankingError
from pigeon_recsys.files import atomic_path, check_writable
from pigeon_recsys.ranking.features import RankFeatures
from pigeon_recsys.ranking.run_folder import import_torchrec_ranker, load_run

if TYPE_CHECKING:
    import torch

    from pigeon_recsys.ranking.torchrec_ranker import TorchRecRanker

OPSET = 18  # the lowest that torch's exporter writes without converting versions
EXAMPLE_ROWS = 3  # sizes that differ from one another and from 1, which would be taken as fixed
EXAMPLE_VALUES = 5

CHATTY_LOGGERS = ("torch.onnx", "onnx_ir")  # they comment on every step of an export

FEATURES_KEY = "pigeon_recsys.rank_features"
WEIGHTS_KEY = "pigeon_recsys.weights_sha256"
DATASET_KEY = "pigeon_recsys.dataset_fingerprint"

IMAGE_INPUT, TASTE_INPUT, OUTPUT = "image", "taste", "probability"


@dataclass(frozen=True)
class ExportReport:
    """What was written."""

    path: Path
    num_bytes: int
    weights_sha256: str


def values_input(bag: str) -> str:
    """Return the name of the input that holds the values of a bag feature."""
    return f"{bag}.values"


def offsets_input(bag: str) -> str:
    """Return the name of the input that says where the bags start."""
    return f"{bag}.offsets"


def export_ranker(run: Path, out: Path) -> ExportReport:
    """Write the ranker trained in `run` to the ONNX file `out`."""
    check_writable(out)
    model, features, manifest = load_run(run)
    try:
        import onnx
        import onnxscript  # noqa: F401  torch's exporter is built on it
    except ModuleNotFoundError as exc:
        raise MissingExtra("onnx", needed_for="exporting a ranker", library=exc.name) from exc
    proto = _to_onnx(model, features)
    metadata = {
        FEATURES_KEY: features.to_json(),
        WEIGHTS_KEY: manifest["weights_sha256"],
        DATASET_KEY: manifest["dataset_fingerprint"],
    }
    onnx.helper.set_model_props(proto, metadata)
    with atomic_path(out) as temporary:
        onnx.save(proto, temporary)
    return ExportReport(out, out.stat().st_size, manifest["weights_sha256"])


def _to_onnx(model: "TorchRecRanker", features: RankFeatures) -> Any:
    """Return the ONNX model of the TorchRec-free twin."""
    import torch

    for name in CHATTY_LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    twin = import_torchrec_ranker().PlainRanker(model).eval()
    rows = torch.export.Dim("rows", min=1)
    bags = features.bag_names
    names = [IMAGE_INPUT, TASTE_INPUT]
    for bag in bags:
        names += [values_input(bag), offsets_input(bag)]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter's notes on its own deprecations
            program = torch.onnx.export(
                twin,
                (*_example_pictures(features), [_example_bag() for _ in bags]),
                input_names=names,
                output_names=[OUTPUT],
                dynamic_shapes=(
                    {0: rows},
                    {0: rows},
                    [
                        ({0: torch.export.Dim(f"values_{n}")}, {0: rows + 1})
                        for n in range(len(bags))
                    ],
                ),
                opset_version=OPSET,
                dynamo=True,
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as exc:
        raise RankingError(f"torch {torch.__version__} could not export the ranker: {exc}") from exc
    if program is None:
        raise AssertionError("torch.onnx.export with dynamo=True returns a program")
    return program.model_proto


def _example_pictures(features: RankFeatures) -> "tuple[torch.Tensor, torch.Tensor]":
    import torch

    shape = (EXAMPLE_ROWS, features.image_dim)
    return torch.zeros(shape), torch.zeros(shape)


def _example_bag() -> "tuple[torch.Tensor, torch.Tensor]":
    """Return values and offsets of bags of which one is empty."""
    import torch

    values_V = torch.zeros(EXAMPLE_VALUES, dtype=torch.int64)
    return values_V, torch.tensor([0, 2, 2, EXAMPLE_VALUES])
