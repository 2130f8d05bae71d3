"""The image encoder as an ONNX file, so that serving needs no torch.

In:  weights written by `train embedder`.
Out: one ONNX file: uint8 `pixels` (N, size, size, 3) to `vectors` (N, dim). Scaling of the
     pixels is inside the graph; sizes and the hash of the weights are in its metadata.
"""

import hashlib
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pigeon_recsys.errors import MissingExtra
from pigeon_recsys.files import atomic_path, check_writable

OPSET = 18  # the lowest that torch's exporter writes without converting versions
EXAMPLE_BATCH = 2  # any number but 1, which the exporter would take for fixed


def export_embedder(weights: Path, out: Path) -> str:
    """Write the encoder in `weights` to the ONNX file `out`; return the sha256 of `weights`."""
    import torch

    try:
        import onnx
        import onnxscript  # noqa: F401  # torch's exporter needs it and fails late without
    except ModuleNotFoundError as exc:
        raise MissingExtra(
            "onnx", needed_for="exporting the image embedder", library=exc.name
        ) from exc
    from pigeon_recsys.model.image_encoder import load_image_encoder

    check_writable(out)
    encoder = load_image_encoder(weights)
    config = encoder.config
    shape = (EXAMPLE_BATCH, config.image_size, config.image_size, 3)
    with _quiet_exporter():
        program = torch.onnx.export(
            encoder,
            (torch.zeros(shape, dtype=torch.uint8),),
            input_names=["pixels"],
            output_names=["vectors"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    weights_sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
    metadata = {
        "image_size": str(config.image_size),
        "dim": str(config.dim),
        "content_dim": str(config.content_dim),
        "weights_sha256": weights_sha256,
    }
    assert program is not None, "the exporter returns a program when dynamo is on"
    model = program.model_proto
    onnx.helper.set_model_props(model, metadata)
    with atomic_path(out) as temporary:
        onnx.save(model, temporary)
    return weights_sha256


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Keep back what the exporter says about itself: deprecations, and torchvision missing."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
