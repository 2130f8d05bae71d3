"""A story holds the pictures behind a slate."""

from dataclasses import replace

import numpy as np
import pytest

from pigeon_recsys.demo.story import tell_story
from pigeon_recsys.errors import UnknownItem
from pigeon_recsys.records import Placement, Reference


def test_history_and_reference_come_from_the_provenance(catalog, slate_of, generation):
    story = tell_story(slate_of("user-0042", generation, 2), catalog, liked=["sticker-0"])
    expected = tuple(f"sticker-{number}" for number in (6, 7, 8, 9, 10))
    assert tuple(item.item_id for item in story.history) == expected
    assert story.reference_item is not None
    assert story.reference_item.title == catalog.item("sticker-5").title


def test_the_generated_item_shows_the_generated_pixels_under_the_reference_title(
    catalog, slate_of, generation
):
    story = tell_story(slate_of("user-0042", generation, 2), catalog)
    assert story.shown[2].title == catalog.item("sticker-5").title
    np.testing.assert_array_equal(story.shown[2].pixels, generation.pixels)
    np.testing.assert_array_equal(story.shown[1].pixels, catalog.pixels("sticker-1"))


def test_a_text_reference_titles_the_generated_item(catalog, slate_of, generation):
    provenance = replace(generation.provenance, reference=Reference(text=" a waving bear "))
    generation = replace(generation, provenance=provenance)
    story = tell_story(slate_of("user-0042", generation, 2), catalog)
    assert story.shown[2].title == "a waving bear"
    assert story.reference_item is None


def test_a_creative_keeps_the_title_of_its_item_and_changes_its_picture(
    catalog, slate_of, generation
):
    placements = (Placement(0, "sticker-3", 0.9, is_generated=True),)
    slate = replace(slate_of("user-0042", generation, 2), placements=placements)
    shown = tell_story(slate, catalog).shown[0]
    assert shown.title == catalog.item("sticker-3").title
    np.testing.assert_array_equal(shown.pixels, generation.pixels)


def test_without_a_generation_the_story_shows_what_was_liked(catalog, slate_of):
    story = tell_story(slate_of("user-new", None, None), catalog, liked=["sticker-4"])
    assert [item.item_id for item in story.history] == ["sticker-4"]
    assert story.reference is None
    assert story.generated_placement is None
    assert not story.masks


def test_an_item_the_catalog_lacks_is_an_error(catalog, slate_of):
    with pytest.raises(UnknownItem, match="holds no item 'gone' among its 15 items"):
        tell_story(slate_of("user-new", None, None), catalog, liked=["gone"])


def test_pictures_must_match_the_placements(catalog, slate_of):
    story = tell_story(slate_of("user-new", None, None), catalog)
    with pytest.raises(ValueError, match=r"story of 'user-new': the slate places .*, pictures"):
        replace(story, shown=story.shown[1:])
