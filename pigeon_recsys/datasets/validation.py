"""Check a whole dataset folder: the tables, and every picture decoded.

In:  a folder.
Out: a summary of what it holds, or one `DatasetError` with every fault.
"""

import warnings
from pathlib import Path

from pigeon_recsys.datasets.faults import FaultList
from pigeon_recsys.datasets.folder import DatasetFolder, note_picture, read_folder
from pigeon_recsys.datasets.pictures import BadPicture, decode_picture, picture_path
from pigeon_recsys.progress import track


def validate(path: Path) -> DatasetFolder:
    """Return the folder when it is sound. Raises `DatasetError`, which lists every fault."""
    faults = FaultList()
    dataset = read_folder(path, faults)
    if dataset is not None:
        _decode_all(dataset, faults)
    faults.raise_any(path)
    assert dataset is not None, "a folder without faults has been read"
    return dataset


def _decode_all(dataset: DatasetFolder, faults: FaultList) -> None:
    """Note every picture that cannot be decoded; a missing one has been noted while reading."""
    folder = dataset.path.resolve()
    rows = dataset.rows.values()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, about odd metadata of pictures that decode
        for row in track(rows, "decode pictures", total=len(rows)):
            try:
                path = picture_path(folder, row.image)
            except BadPicture:
                continue
            try:
                decode_picture(path)
            except BadPicture as exc:
                note_picture(exc, dataset.spec.items, row, faults)
