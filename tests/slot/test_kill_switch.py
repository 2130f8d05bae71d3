"""A switch that is a file."""

import logging
from pathlib import Path

import pytest

from pigeon_recsys.slot.kill_switch import LOOK_S, KillSwitch


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_it_is_thrown_while_its_file_exists(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file, clock = tmp_path / "off", Clock()
    switch = KillSwitch(file, clock)
    assert not switch.is_thrown()
    file.touch()
    clock.now += LOOK_S / 2
    assert not switch.is_thrown(), "looked up too often"
    clock.now += LOOK_S
    with caplog.at_level(logging.WARNING):
        assert switch.is_thrown()
        file.unlink()
        clock.now += LOOK_S
        assert not switch.is_thrown()
        assert not switch.is_thrown()
    assert [record.message for record in caplog.records] == [
        "kill switch: thrown",
        "kill switch: no longer thrown",
    ]


def test_a_switch_thrown_before_the_start_counts_at_once(tmp_path: Path) -> None:
    (tmp_path / "off").touch()
    assert KillSwitch(tmp_path / "off").is_thrown()


def test_without_a_file_it_is_never_thrown() -> None:
    assert not KillSwitch(None).is_thrown()


def test_what_cannot_be_looked_for_stays_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    file, clock = tmp_path / "off", Clock()
    file.touch()
    switch = KillSwitch(file, clock)
    assert switch.is_thrown()

    def fail(path: Path) -> bool:
        raise PermissionError("the disk is gone")

    monkeypatch.setattr(Path, "exists", fail)
    clock.now += LOOK_S
    assert switch.is_thrown()
    assert "cannot look for" in caplog.text
