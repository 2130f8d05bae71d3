"""A user's word in logs: the same for the same key, and no way back."""

import hmac
import os
import subprocess
import sys

import pytest

from pigeon_recsys import hashed_ids
from pigeon_recsys.errors import UnknownUser
from pigeon_recsys.hashed_ids import KEY_VARIABLE, NUM_DIGITS, hashed, without_user

ASK = "from pigeon_recsys.hashed_ids import hashed; print(hashed('ada'))"


@pytest.fixture(autouse=True)
def _anew() -> None:
    hashed_ids._key.cache_clear()


def test_with_a_key_it_is_the_start_of_its_hmac(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "key")
    assert hashed("ada") == hmac.new(b"key", b"ada", "sha256").hexdigest()[:NUM_DIGITS]
    assert hashed("ada") != hashed("bob")


def test_without_a_key_every_process_has_its_own() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    environment.pop(KEY_VARIABLE, None)
    words = {
        subprocess.run(
            [sys.executable, "-c", ASK], env=environment, capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    }
    assert len(words) == 2


def test_a_text_loses_its_user() -> None:
    text = without_user(UnknownUser("ada"), "ada")
    assert "ada" not in text
    assert f"no history is stored for user {hashed('ada')}." in text
