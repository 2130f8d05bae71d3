"""A file of weights by path, or by its name on the model hub.

In:  `weights/inception.pth`, or `OWNER/REPOSITORY/FILE` of the hub.
Out: the path of the file, fetched once into the hub's own cache.
"""

from pathlib import Path

from pigeon_recsys.errors import ArtifactError

HUB_PARTS = 3  # owner, repository, file


def local_file(name_or_path: str | None) -> Path | None:
    """Return where a file is; a path that is none is returned as it is, to be told of later.

    Raises `ArtifactError` for a file that the hub does not give.
    """
    if name_or_path is None:
        return None
    path = Path(name_or_path)
    parts = path.parts
    if path.is_file() or len(parts) < HUB_PARTS or parts[0] in ("/", "..", "~"):
        return path
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    owner, repository, *inside = parts
    try:
        return Path(hf_hub_download(f"{owner}/{repository}", "/".join(inside)))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as exc:
        told = (str(exc).splitlines() or [type(exc).__name__])[0]
        fault = f"is no file here, and the hub does not give it: {told}"
        raise ArtifactError(path, fault, rebuild="a path, or OWNER/REPOSITORY/FILE") from exc
