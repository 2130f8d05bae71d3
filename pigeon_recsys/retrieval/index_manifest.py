"""What a saved index says about itself, and the check that its files are what it says.

In:  a folder holding `manifest.json`, `index.faiss` and `item_ids.json`.
Out: a verified manifest, or an `ArtifactError` naming the file that is at fault.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from pigeon_recsys.errors import ArtifactError

MANIFEST_FILE = "manifest.json"
INDEX_FILE = "index.faiss"
IDS_FILE = "item_ids.json"
INDEX_FOLDER_FILES = {MANIFEST_FILE, INDEX_FILE, IDS_FILE}
REBUILD = "pigeon-recsys index build --data DIR --embedder FILE.onnx --out {folder}"
READ_BLOCK = 1 << 20  # bytes hashed at once, so that a large index is never held twice
SHOWN = 12  # hex digits of a hash in a message


@dataclass(frozen=True, slots=True)
class IndexSource:
    """What the vectors of an index were made from; an empty field is not known."""

    embedder_sha256: str = ""  # of the weights
    dataset_fingerprint: str = ""


class IndexManifest(BaseModel):
    """The contents of `manifest.json`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["pigeon-recsys item index 1"] = "pigeon-recsys item index 1"
    kind: Literal["flat", "ivf"]
    metric: Literal["inner product"] = "inner product"
    dim: int
    count: int
    faiss_version: str
    embedder_sha256: str
    dataset_fingerprint: str
    sha256: dict[str, str]  # of each other file

    @property
    def source(self) -> IndexSource:
        """What the vectors were made from."""
        return IndexSource(self.embedder_sha256, self.dataset_fingerprint)


def rebuild_command(folder: Path) -> str:
    """Return the command that makes the index in `folder` anew."""
    return REBUILD.format(folder=folder)


def file_sha256(path: Path) -> str:
    """Return a file's sha256, reading it in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(READ_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def is_index_folder(folder: Path) -> bool:
    """Say whether `folder` holds a saved index and nothing else."""
    return folder.is_dir() and {path.name for path in folder.iterdir()} == INDEX_FOLDER_FILES


def read_manifest(folder: Path) -> IndexManifest:
    """Return the manifest in `folder` after checking that every file is as it says."""
    rebuild = rebuild_command(folder)
    path = folder / MANIFEST_FILE
    try:
        manifest = IndexManifest.model_validate_json(path.read_bytes())
    except FileNotFoundError as exc:
        raise ArtifactError(path, "does not exist", rebuild=rebuild) from exc
    except ValidationError as exc:
        first = exc.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "its JSON"
        fault = f"is no index manifest of this version ({where}: {first['msg']})"
        raise ArtifactError(path, fault, rebuild=rebuild) from exc
    for name in (INDEX_FILE, IDS_FILE):
        _check_file(folder / name, manifest.sha256.get(name, "nothing"), rebuild)
    return manifest


def read_item_ids(folder: Path, count: int) -> list[str]:
    """Return the item id of every row, checking that there are `count` distinct ones."""
    path = folder / IDS_FILE
    item_ids = json.loads(path.read_bytes())
    if not isinstance(item_ids, list) or len(set(map(str, item_ids))) != count:
        fault = f"does not list {count} distinct item ids, as the manifest says"
        raise ArtifactError(path, fault, rebuild=rebuild_command(folder))
    return [str(item_id) for item_id in item_ids]


def check_source(folder: Path, manifest: IndexManifest, expected: IndexSource) -> None:
    """Raise `ArtifactError` where a field of `expected` that is known differs."""
    path, found = folder / MANIFEST_FILE, manifest.source
    if expected.embedder_sha256 and found.embedder_sha256 != expected.embedder_sha256:
        fault = (
            "says its vectors come from embedder weights "
            f"{found.embedder_sha256[:SHOWN] or 'unknown'}, not from "
            f"{expected.embedder_sha256[:SHOWN]}"
        )
        raise ArtifactError(path, fault, rebuild=rebuild_command(folder))
    if expected.dataset_fingerprint and found.dataset_fingerprint != expected.dataset_fingerprint:
        fault = (
            f"says it indexes dataset {found.dataset_fingerprint[:SHOWN] or 'unknown'}, "
            f"not {expected.dataset_fingerprint[:SHOWN]}"
        )
        raise ArtifactError(path, fault, rebuild=rebuild_command(folder))


def _check_file(path: Path, expected: str, rebuild: str) -> None:
    if not path.is_file():
        raise ArtifactError(path, "does not exist", rebuild=rebuild)
    found = file_sha256(path)
    if found != expected:
        fault = f"has sha256 {found[:SHOWN]}…, its manifest says {expected[:SHOWN]}…"
        raise ArtifactError(path, fault, rebuild=rebuild)
