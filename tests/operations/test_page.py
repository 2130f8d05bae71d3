"""docs/operations.md: its commands exist, its metrics are served, its settings are read."""

import re
import shlex
from pathlib import Path

import pytest

from pigeon_recsys.cli import build_parser
from pigeon_recsys.operations.metric_table import METRICS


@pytest.fixture(scope="module")
def page(repo_root: Path) -> str:
    return (repo_root / "docs/operations.md").read_text()


def test_every_command_of_ours_is_understood(page: str) -> None:
    blocks = re.findall(r"```bash\n(.*?)```", page, re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    ours = [line for line in lines if line.startswith("pigeon-recsys ")]
    assert len(ours) >= 6
    for line in ours:
        build_parser().parse_args(shlex.split(line, comments=True)[1:])


def test_the_table_lists_every_metric_with_its_labels(page: str) -> None:
    for metric in METRICS:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        assert f"| `{metric.name}` | {metric.kind} | {labels} | {metric.meaning} |" in page
