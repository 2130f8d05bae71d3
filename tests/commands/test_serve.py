"""The command `serve`: keys are shown once, and what cannot be served is told in a line."""

import json
import re
from pathlib import Path

import pytest

from pigeon_recsys import cli
from pigeon_recsys.service.api_keys import key_hash


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "COMMANDS", ("serve",))


def test_a_new_key_is_printed_and_its_hash_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = tmp_path / "result.json"
    made = ["serve", "new-key", "--name", "feed", "--scopes", "slates", "items"]
    assert cli.main([*made, "--json", str(result)]) == 0
    printed = capsys.readouterr().out
    (key,) = re.findall(r"this once: (\S+)", printed)
    kept = {"name": "feed", "sha256": key_hash(key), "scopes": ["items", "slates"]}
    assert json.loads(printed.splitlines()[-1].strip().removeprefix("- ")) == kept
    assert json.loads(result.read_text()) == kept


def test_a_scope_that_is_none_is_bad_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        cli.main(["serve", "new-key", "--name", "feed", "--scopes", "everything"])
    assert raised.value.code == 2
    assert "invalid choice: 'everything'" in capsys.readouterr().err


def test_without_settings_nothing_is_served(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["serve"]) == 2
    assert "--settings is missing" in capsys.readouterr().err


def test_settings_that_are_not_there_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["serve", "--settings", str(tmp_path / "slot.yaml")]) == 2
    assert "Name a settings file" in capsys.readouterr().err
