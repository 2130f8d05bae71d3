"""The settings that the demo leaves: they log, and show slates to this machine alone."""

from pathlib import Path

from pigeon_recsys.demo.slot_file import write_slot_file
from pigeon_recsys.settings_file import read_slot_file
from pigeon_recsys_connectors.http_service.settings import check_may_bind, read_http_settings


def test_the_demos_slot_logs_and_has_a_viewer_for_this_machine(tmp_path: Path) -> None:
    file = read_slot_file(write_slot_file(tmp_path, tmp_path / "data", None))
    assert file.parts.log is not None
    assert file.place(file.parts.log.at) == tmp_path / "decision_log"
    assert file.parts.recent_slates > 0
    http = read_http_settings(file.parts.http)
    assert http.viewer
    check_may_bind(http)
