"""A study on disk: `study.html` for the participants, `key.json` for the experimenter.

The key says which method drew which picture, and which pairs are checks. Whoever has it is no
longer blind, so only the page is handed out.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from pigeon_recsys.errors import ArtifactError, OutputError
from pigeon_recsys.evaluation.human_study.comparison import Comparison
from pigeon_recsys.evaluation.human_study.page import render_page
from pigeon_recsys.evaluation.human_study.study import Study
from pigeon_recsys.files import check_writable_folder, write_text_atomic

PAGE_FILE = "study.html"
KEY_FILE = "key.json"
WRITE_AGAIN = "pigeon-recsys evaluate human --run RUN --out DIR"
LARGE_PAGE_BYTES = 25 * 2**20  # mail servers refuse more, phones load it slowly


@dataclass(frozen=True, slots=True)
class WrittenStudy:
    """What was written, and what to tell the experimenter."""

    study: Study
    page: Path
    key: Path
    page_bytes: int

    def summary_lines(self) -> list[str]:
        """Return what the command prints."""
        study = self.study
        judged = study.per_participant
        share = len(study.checks) / study.num_shown
        clicker = study.chance_of_passing()
        lines = [
            f"study {study.study_id}: {len(study.pairs)} pairs of {len(study.methods)} methods, "
            f"{study.num_identical} identical pairs left out",
            f"each participant: {judged} pairs and {len(study.checks)} attention checks "
            f"({share:.0%}); more than {study.max_failed_checks} failed excludes "
            f"(who always chooses one side passes with {clicker:.1%})",
            f"page    {self.page}  ({self.page_bytes / 2**20:.1f} MiB; give out this file only; "
            "#participant=ID at its address fills in the id)",
            f"key     {self.key}  (says which method is which: keep it to yourself)",
        ]
        if self.page_bytes > LARGE_PAGE_BYTES:
            lines.append("The page is too large to mail. Lower --pairs, or put it on a server.")
        return lines

    def to_json(self) -> dict[str, Any]:
        """Return the machine-readable result; holds nothing that unblinds."""
        study = self.study
        return {
            "study_id": study.study_id,
            "page": str(self.page),
            "key": str(self.key),
            "page_bytes": self.page_bytes,
            "num_pairs": len(study.pairs),
            "num_identical": study.num_identical,
            "per_participant": study.per_participant,
            "num_checks": len(study.checks),
            "max_failed_checks": study.max_failed_checks,
            "chance_of_passing": study.chance_of_passing(),
        }


def write_study(study: Study, comparison: Comparison, folder: Path) -> WrittenStudy:
    """Write the page and the key. Raises `OutputError` where a study is already there.

    Answers fit one key only, and a second study would overwrite it.
    """
    check_writable_folder(folder)
    key, page = folder / KEY_FILE, folder / PAGE_FILE
    if key.exists():
        raise OutputError(f"{key} belongs to an earlier study. Choose another folder.")
    content = render_page(study, comparison)
    write_text_atomic(page, content)
    write_text_atomic(key, json.dumps(asdict(study), indent=1) + "\n")
    return WrittenStudy(study, page, key, len(content.encode()))


def read_study(folder: Path) -> Study:
    """Return the study whose key is in `folder`. Raises `ArtifactError`."""
    path = folder / KEY_FILE
    try:
        study = TypeAdapter(Study).validate_json(path.read_bytes())
    except OSError as exc:
        raise ArtifactError(path, f"cannot be read: {exc.strerror}", rebuild=WRITE_AGAIN) from exc
    except ValidationError as exc:
        first = exc.errors()[0]
        fault = f"is no key of a study: {first['msg']} at {'.'.join(map(str, first['loc']))}"
        raise ArtifactError(path, fault, rebuild=WRITE_AGAIN) from exc
    if study.content_hash() != study.study_id:
        fault = "was changed after the study was written, so it no longer decides what counts"
        raise ArtifactError(path, fault, rebuild=WRITE_AGAIN)
    return study
