"""Results say which software and machine they come from, alike everywhere."""

import json
import subprocess

import pytest

from pigeon_recsys import software


def test_the_description_is_json_with_commit_versions_and_hardware() -> None:
    described = json.loads(json.dumps(software.describe_software()))
    assert set(described) == {"commit", "versions", "hardware"}
    assert described["versions"]["python"].startswith("3.")
    assert described["hardware"]["cores"] >= 1


def test_a_library_that_is_not_installed_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(software, "LIBRARIES", ("no-such-library",))
    assert software.versions()["no-such-library"] is None


def test_outside_of_a_checkout_the_commit_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise subprocess.CalledProcessError(128, "git")

    monkeypatch.setattr(subprocess, "run", fail)
    assert software.commit() is None
