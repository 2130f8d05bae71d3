import base64
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from pigeon_recsys.evaluation.human_study.comparison import Comparison, write_comparison
from pigeon_recsys.evaluation.human_study.page import MAX_SIDE, csp_hash, png_uri, render_page
from pigeon_recsys.evaluation.human_study.plan import plan_study
from pigeon_recsys.evaluation.human_study.study import Study, StudySettings
from tests.evaluation.human_study.simulated_people import METHODS, picture, small_comparison
from tests.evaluation.human_study.test_plan import tasks_of


@pytest.fixture(scope="module")
def page(study: Study, comparison: Comparison) -> str:
    return render_page(study, comparison)


def data_of(page: str) -> dict[str, object]:
    match = re.search(r'id="study">(.*?)</script>', page, re.DOTALL)
    assert match
    content: dict[str, object] = json.loads(match[1])
    return content


def test_nothing_in_the_page_names_methods_tasks_users_or_the_comparison(
    page: str, study: Study
) -> None:
    for name in (*METHODS, "three ways to draw", "task-", "user-", "pigeon"):
        assert name not in page.lower()
    assert f'"seed": {study.seed}' not in page


def test_nothing_in_the_page_is_in_an_order_that_unblinds(page: str) -> None:
    data = data_of(page)
    for kind in ("pairs", "checks"):
        entries = data[kind]
        assert isinstance(entries, list)
        assert [each["id"] for each in entries] == sorted(each["id"] for each in entries)
        assert all(each["pictures"] == sorted(each["pictures"]) for each in entries)
    assert list(data["images"]) == sorted(data["images"])  # type: ignore[call-overload]


def test_what_a_picture_file_says_about_its_origin_is_left_out(tmp_path: Path) -> None:
    comparison = small_comparison(tmp_path / "run")
    for method in METHODS:
        for path in (tmp_path / "run" / "images" / method).iterdir():
            origin = PngImagePlugin.PngInfo()
            origin.add_text("model", method)
            Image.open(path).save(path, pnginfo=origin)
    page = render_page(plan_study(comparison, StudySettings(seed=1)), comparison)
    for uri in re.findall(r"data:image/png;base64,([\w+/=]+)", page):
        content = base64.b64decode(uri)
        assert b"tEXt" not in content
        assert Image.open(io.BytesIO(content)).info == {}


def test_every_picture_is_inside_with_its_own_pixels(
    page: str, study: Study, comparison: Comparison
) -> None:
    images = data_of(page)["images"]
    assert isinstance(images, dict)
    for pair in study.pairs:
        for code, method in zip(pair.pictures, pair.methods, strict=True):
            content = base64.b64decode(images[code].removeprefix("data:image/png;base64,"))
            shown = np.asarray(Image.open(io.BytesIO(content)))
            assert np.array_equal(shown, comparison.drawn(method, pair.task_id))


def test_a_large_picture_is_shown_smaller_in_its_shape() -> None:
    uri = png_uri(np.zeros((2 * MAX_SIDE, MAX_SIDE, 3), np.uint8), MAX_SIDE)
    content = base64.b64decode(uri.removeprefix("data:image/png;base64,"))
    assert Image.open(io.BytesIO(content)).size == (MAX_SIDE // 2, MAX_SIDE)


def test_the_policy_allows_exactly_the_pages_script_and_style(page: str) -> None:
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy
    script = re.search(r"<script>(.*?)</script>", page, re.DOTALL)
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert script
    assert style
    assert f"script-src '{csp_hash(script[1])}'" in policy[1]
    assert f"style-src '{csp_hash(style[1])}'" in policy[1]
    assert policy[1].startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy[1]


def test_a_text_cannot_end_the_data_it_stands_in(tmp_path: Path) -> None:
    hostile = "</script><script>alert(1)</script>"
    task = replace(tasks_of(1)[0], text=hostile)
    pictures = {"a": {"t0": picture(1)}, "b": {"t0": picture(2)}}
    comparison = write_comparison(tmp_path / "run", name="n", tasks=[task], pictures=pictures)
    page = render_page(plan_study(comparison, StudySettings(seed=1)), comparison)
    assert hostile not in page
    tasks = data_of(page)["tasks"]
    assert isinstance(tasks, list)
    assert tasks[0]["text"] == hostile


def test_without_ties_the_page_offers_none(study: Study, comparison: Comparison) -> None:
    page = render_page(replace(study, ties_allowed=False), comparison)
    assert re.search(r'id="tie"[^>]*\bhidden', page)
    assert "cannot decide" not in page
