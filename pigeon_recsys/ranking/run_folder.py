"""The folder a trained ranker is kept in: `ranker.safetensors` and `ranker.json`.

The JSON is written last and names the hash of the weights, so a run that was cut short, or
whose two files do not belong together, is recognised instead of loaded.
"""

import hashlib
import json
import logging
import warnings
from dataclasses import asdict
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pigeon_recsys.errors import ArtifactError, MissingExtra
from pigeon_recsys.files import atomic_path, write_text_atomic
from pigeon_recsys.ranking.features import RankFeatures
from pigeon_recsys.ranking.quality import RankerReport
from pigeon_recsys.ranking.settings import RankerSettings

if TYPE_CHECKING:
    from pigeon_recsys.ranking.torchrec_ranker import TorchRecRanker

WEIGHTS_FILE = "ranker.safetensors"
MANIFEST_FILE = "ranker.json"
FORMAT = "pigeon-recsys ranker 2"
LIBRARIES = ("torch", "torchrec", "numpy")
TRACE_LOGGER = "torch.fx._symbolic_trace"  # warns once of a call that TorchRec makes


def save_run(
    run: Path,
    model: "TorchRecRanker",
    features: RankFeatures,
    settings: RankerSettings,
    report: RankerReport | None,
    dataset_fingerprint: str,
) -> None:
    """Write a ranker to its folder; without a report where it was never measured."""
    from safetensors.torch import save_file

    with atomic_path(run / WEIGHTS_FILE) as temporary:
        save_file(
            {name: value.contiguous() for name, value in model.state_dict().items()}, temporary
        )
        weights_sha256 = hashlib.sha256(temporary.read_bytes()).hexdigest()
    manifest = {
        "format": FORMAT,
        "weights_sha256": weights_sha256,
        "dataset_fingerprint": dataset_fingerprint,
        "report": None if report is None else asdict(report),
        "settings": asdict(settings),
        "versions": {name: version(name) for name in LIBRARIES},
        "num_rows": {
            "user": features.user.num_rows,
            "item": features.item.num_rows,
            **{name: table.num_rows for name, table in features.attributes.items()},
        },
        "features": json.loads(features.to_json()),
    }
    write_text_atomic(run / MANIFEST_FILE, json.dumps(manifest, indent=2, allow_nan=False) + "\n")


def load_run(run: Path) -> tuple["TorchRecRanker", RankFeatures, dict[str, Any]]:
    """Return a trained ranker, its features and its manifest."""
    manifest = _read_manifest(run)
    weights = run / WEIGHTS_FILE
    if not weights.is_file():
        raise ArtifactError(weights, "does not exist", rebuild=train_command(run))
    found = hashlib.sha256(weights.read_bytes()).hexdigest()
    if found != manifest["weights_sha256"]:
        fault = f"has sha256 {found[:12]}…, {MANIFEST_FILE} says {manifest['weights_sha256'][:12]}…"
        raise ArtifactError(weights, fault, rebuild=train_command(run))
    torchrec_ranker = import_torchrec("torchrec_ranker")
    from safetensors.torch import load_file

    try:
        features = RankFeatures.from_json(json.dumps(manifest["features"]))
        settings = RankerSettings(**manifest["settings"])
        model = torchrec_ranker.TorchRecRanker(features, settings.table_dim, settings.hidden_dim)
        model.load_state_dict(load_file(weights))
    except (KeyError, TypeError, ValueError, RuntimeError) as exc:
        fault = f"describes a model that its weights do not fit ({exc!r})"
        raise ArtifactError(run / MANIFEST_FILE, fault, rebuild=train_command(run)) from exc
    return model.eval(), features, manifest


def import_torchrec(name: str) -> Any:
    """Return a module of this folder that needs TorchRec; raise `MissingExtra` without it."""
    logging.getLogger(TRACE_LOGGER).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # FBGEMM tells of experimental parts it leaves out
            return import_module(f"pigeon_recsys.ranking.{name}")
    except ModuleNotFoundError as exc:
        raise MissingExtra(
            "torchrec", needed_for="training or exporting a ranker", library=exc.name
        ) from exc


def train_command(run: Path) -> str:
    """Return the command that trains the ranker of this run folder."""
    return f"pigeon-recsys rank train --data DIR --index INDEX_DIR --out {run}"


def _read_manifest(run: Path) -> dict[str, Any]:
    path = run / MANIFEST_FILE
    try:
        manifest = json.loads(path.read_text())
        found = manifest["format"]
    except FileNotFoundError as exc:
        raise ArtifactError(path, "does not exist", rebuild=train_command(run)) from exc
    except (ValueError, KeyError, TypeError) as exc:
        raise ArtifactError(path, "is no ranker manifest", rebuild=train_command(run)) from exc
    if found != FORMAT:
        fault = f"has the format {found!r}, this version reads {FORMAT!r}"
        raise ArtifactError(path, fault, rebuild=train_command(run))
    return dict(manifest)
