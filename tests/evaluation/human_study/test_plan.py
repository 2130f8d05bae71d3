import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from pigeon_recsys.errors import SettingsError
from pigeon_recsys.evaluation.human_study.comparison import (
    Comparison,
    DrawnTask,
    write_comparison,
)
from pigeon_recsys.evaluation.human_study.plan import plan_study
from pigeon_recsys.evaluation.human_study.study import Study, StudySettings
from tests.evaluation.human_study.simulated_people import picture


def test_pairs_are_even_over_the_pairs_of_methods(comparison: Comparison) -> None:
    study = plan_study(comparison, StudySettings(num_pairs=10, num_checks=1, seed=1))
    counts = Counter(pair.methods for pair in study.pairs)
    assert sorted(counts.values()) == [3, 3, 4]
    assert len({(pair.task_id, pair.methods) for pair in study.pairs}) == 10


def test_every_code_is_used_once(study: Study) -> None:
    shown = [*study.pairs, *study.checks]
    codes = [code for each in shown for code in (each.pair_id, *each.pictures)]
    assert len(codes) == len(set(codes)) == 3 * 20


def test_the_same_seed_gives_the_same_study_and_no_seed_another(comparison: Comparison) -> None:
    settings = StudySettings(seed=3)
    assert plan_study(comparison, settings) == plan_study(comparison, settings)
    drawn = [plan_study(comparison, StudySettings()) for _ in range(2)]
    assert drawn[0].study_id != drawn[1].study_id
    assert drawn[0].seed != drawn[1].seed


def test_the_id_changes_with_any_part_of_the_study(study: Study) -> None:
    assert study.study_id == study.content_hash()
    assert replace(study, max_failed_checks=1).content_hash() != study.study_id
    assert replace(study, pictures_sha256="0").content_hash() != study.study_id


def test_one_who_always_chooses_one_side_passes_like_a_tossed_coin(study: Study) -> None:
    """Two checks, none may fail: 1/4. With one failure allowed: 1/4 + 2/4."""
    assert study.chance_of_passing() == 0.25
    assert replace(study, max_failed_checks=1).chance_of_passing() == 0.75


def tasks_of(*history_lengths: int, reference: bool = True) -> list[DrawnTask]:
    return [
        DrawnTask(
            f"t{number}",
            f"u{number}",
            tuple(picture(i) for i in range(length)),
            picture(50) if reference else None,
            "a cat",
        )
        for number, length in enumerate(history_lengths)
    ]


def test_identical_pictures_are_not_asked_about(tmp_path: Path) -> None:
    pictures = {
        "a": {"t0": picture(1), "t1": picture(2)},
        "b": {"t0": picture(1), "t1": picture(3)},
    }
    comparison = write_comparison(
        tmp_path / "run", name="n", tasks=tasks_of(1, 1), pictures=pictures
    )
    study = plan_study(comparison, StudySettings())
    assert [pair.task_id for pair in study.pairs] == ["t1"]
    assert study.num_identical == 1
    assert study.per_participant == 1


def test_without_a_history_nobody_is_asked_what_the_person_would_use(tmp_path: Path) -> None:
    pictures = {name: {"t0": picture(i), "t1": picture(i)} for i, name in enumerate("ab")}
    comparison = write_comparison(
        tmp_path / "run", name="n", tasks=tasks_of(0, 2), pictures=pictures
    )
    study = plan_study(comparison, StudySettings())
    assert {pair.task_id: pair.questions for pair in study.pairs} == {
        "t0": ("asked",),
        "t1": ("personal", "asked"),
    }
    only_personal = plan_study(comparison, StudySettings(questions=("personal",)))
    assert [pair.task_id for pair in only_personal.pairs] == ["t1"]


def test_a_study_needs_two_different_pictures(tmp_path: Path) -> None:
    pictures = {"a": {"t0": picture(1)}, "b": {"t0": picture(1)}}
    comparison = write_comparison(tmp_path / "run", name="n", tasks=tasks_of(1), pictures=pictures)
    with pytest.raises(SettingsError, match="holds no two different pictures to ask personal and"):
        plan_study(comparison, StudySettings())


def test_checks_need_a_real_picture(tmp_path: Path) -> None:
    pictures = {"a": {"t0": picture(1)}, "b": {"t0": picture(2)}}
    tasks = tasks_of(0, reference=False)
    comparison = write_comparison(tmp_path / "run", name="n", tasks=tasks, pictures=pictures)
    with pytest.raises(SettingsError, match="attention checks need a reference or history"):
        plan_study(comparison, StudySettings())


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"num_pairs": 0}, "num_pairs must be at least 1, got 0"),
        ({"num_checks": 0}, "num_checks must be at least 1, got 0"),
        (
            {"max_failed_checks": 4},
            "max_failed_checks must be from 0 to 3 with 4 checks, got 4",
        ),
        (
            {"questions": ("nicer",)},
            "questions must be some of personal, asked, each once, got nicer",
        ),
        ({"questions": ("asked", "asked")}, "each once, got asked, asked"),
        ({"questions": ()}, "each once, got none"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, object], fault: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(fault)):
        StudySettings(**settings)  # type: ignore[arg-type]
