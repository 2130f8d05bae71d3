"""Names of pictures in an image store: relative paths of plain words, the same in every store.

Letters, digits, `_`, `-` and `.` mean themselves in a file system, in a URL and in a bucket; no
word starts with a dot, so a name can neither leave the store nor meet the store's own files.
"""

import re

from pigeon_recsys.errors import SettingsError

MAX_NAME = 200  # characters; a file system takes 255 in a word, a bucket 1,024 in all
NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*")


def check_image_name(name: str) -> None:
    """Raise `SettingsError` for a name that no image store takes."""
    if len(name) > MAX_NAME or not NAME.fullmatch(name):
        shown = name if len(name) <= MAX_NAME else f"{name[:MAX_NAME]}…"
        raise SettingsError(
            f"{shown!r} is no name of a picture. Use words of letters, digits, `_`, `-` and `.` "
            f"parted by `/`, at most {MAX_NAME} characters, such as images/3f/3fc9.png."
        )


def picture_name(content_hash: str) -> str:
    """Return the name of a picture, by its content."""
    return f"images/{content_hash[:2]}/{content_hash}.png"


def sweep_name(content_hash: str) -> str:
    """Return the name of what was hidden and tried for a picture, by its content."""
    return f"sweeps/{content_hash[:2]}/{content_hash}.json"


def files_of_picture(content_hash: str) -> tuple[str, str]:
    """Return the names of all that is stored of a picture, the picture last."""
    return sweep_name(content_hash), picture_name(content_hash)


def result_name(job_key: str) -> str:
    """Return the name of what a job has made."""
    return f"results/{job_key[:2]}/{job_key}.json"


def ticket_name(job_key: str) -> str:
    """Return the name of what is known of a job that was asked for and has made nothing yet."""
    return f"tickets/{job_key[:2]}/{job_key}.json"
