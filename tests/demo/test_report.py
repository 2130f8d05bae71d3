"""The report is strict JSON without pixels, and a summary a terminal can show."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from pigeon_recsys.demo.report import (
    StageTiming,
    duration,
    summary_lines,
    to_json,
    write_report,
)


def read_strictly(text: str) -> dict:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_the_report_holds_ids_scores_ratios_masks_and_provenance(report, tmp_path):
    write_report(report, tmp_path / "report.json")
    told = read_strictly((tmp_path / "report.json").read_text(encoding="utf-8"))
    user = told["users"][0]
    generation = user["slate"]["generation"]
    assert told["timings"][0] == {"stage": "world", "seconds": 2.31}
    assert user["slate"]["placements"][2]["item_id"] == generation["item_id"]
    assert [image["reference_mask_ratio"] for image in generation["sweep"]] == [
        step / 10 for step in range(11)
    ]
    assert generation["provenance"]["reference"] == {"item_id": "sticker-5", "text": ""}
    assert user["history"][0]["title"] == report.users[0].history[0].title


def test_the_report_holds_no_pixels(report):
    assert "pixels" not in json.dumps(to_json(report))


def test_a_mask_is_written_as_one_string_a_row(report):
    mask = report.users[0].slate.generation.history_masks[0]
    told = to_json(report)["users"][0]["slate"]["generation"]["history_masks"][0]
    assert (told["rows"], told["columns"]) == (8, 8)
    assert "".join(told["keep"]) == "".join("1" if kept else "0" for kept in mask.keep)
    assert {len(row) for row in told["keep"]} == {8}


def test_a_number_that_is_not_finite_becomes_null(report, tmp_path):
    broken = replace(report, timings=(StageTiming("world", math.nan),), peak_memory_mib=math.inf)
    write_report(broken, tmp_path / "report.json")
    told = read_strictly((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert told["timings"] == [{"stage": "world", "seconds": None}]
    assert told["peak_memory_mib"] is None


def test_numpy_numbers_become_plain_ones(report):
    told = to_json(replace(report, num_items=np.int64(3), peak_memory_mib=np.float32(1.5)))
    assert json.dumps([told["num_items"], told["peak_memory_mib"]]) == "[3, 1.5]"


def test_the_summary_is_aligned_and_counts_positions_from_one(report):
    lines = summary_lines(report)
    assert lines[0] == "dataset                 sticker-world (480 items, 160 users)"
    assert "time: total             1 min 43 s" in lines
    assert "user user-0042          image at position 3 of 10" in lines
    assert "user user-0113          image made, not placed" in lines
    assert lines[-1] == "user user-new           catalog only"


def test_an_id_cannot_steer_the_terminal(report_of, cold_start_story):
    slate = replace(cold_start_story.slate, user_id="\x1b[2Jme")
    lines = summary_lines(report_of(replace(cold_start_story, slate=slate)))
    assert lines[-1].startswith("user ?[2Jme ")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.417, "0.42 s"),
        (34.0, "34.0 s"),
        (59.96, "1 min 0 s"),
        (125.2, "2 min 5 s"),
        (math.nan, "unknown"),
    ],
)
def test_a_duration_reads_as_a_person_says_it(seconds, said):
    assert duration(seconds) == said
