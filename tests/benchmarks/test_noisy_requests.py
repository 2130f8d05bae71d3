"""Requests with noise among the history: drawn from raw likes, of users never trained on."""

import json
from pathlib import Path

import pytest

from benchmarks._noisy_requests import (
    WINDOW,
    draw_requests,
    mixed_windows,
    noise_likes,
)
from pigeon_recsys.datasets.folder import DatasetFolder
from pigeon_recsys.datasets.split import users_in
from pigeon_recsys.datasets.world import INTERACTIONS_TRUTH, generate_world
from pigeon_recsys.errors import DatasetError, SettingsError
from pigeon_recsys.model.pigeon import HISTORY_LENGTH


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> DatasetFolder:
    folder = tmp_path_factory.mktemp("data") / "world"
    generate_world(folder, num_items=80, num_users=40, seed=4, size=64, noise_share=0.4)
    return DatasetFolder.open(folder)


def test_a_window_is_as_long_as_the_model_takes():
    assert WINDOW == HISTORY_LENGTH


def test_windows_are_likes_in_a_row_with_noise_and_taste(world: DatasetFolder) -> None:
    noise = noise_likes(world)
    user_id = world.user_ids[0]
    liked = world.history(user_id).liked
    windows = mixed_windows(world, user_id, noise)
    assert windows
    for window in windows:
        start = liked.index(window[0])
        assert liked[start : start + WINDOW] == window
        assert 0 < sum((user_id, item_id) in noise for item_id in window) < WINDOW


def test_only_users_no_run_was_trained_on_are_asked(world: DatasetFolder, tmp_path: Path) -> None:
    training = {"training": {"fingerprint": world.fingerprint}}
    (tmp_path / "pigeon.json").write_text(json.dumps(training))
    test_users = set(users_in(world.user_ids, "test"))
    requests = draw_requests(world, [tmp_path], len(test_users), seed=0)
    assert {request.user_id for request in requests} == test_users
    with pytest.raises(SettingsError, match=f"--users must be from 1 to {len(test_users)}, the"):
        draw_requests(world, [tmp_path], len(test_users) + 1, seed=0)


def test_a_request_tells_noise_from_taste_and_asks_for_something_new(
    world: DatasetFolder, tmp_path: Path
) -> None:
    noise = noise_likes(world)
    for request in draw_requests(world, [tmp_path], 5, seed=1):
        told = [(request.user_id, item_id) in noise for item_id in request.history_ids]
        assert request.is_noise.tolist() == told
        assert request.reference_id not in world.history(request.user_id).item_ids


def test_the_same_seed_draws_the_same_requests(world: DatasetFolder, tmp_path: Path) -> None:
    one, two = (draw_requests(world, [tmp_path], 5, seed=2) for _ in range(2))
    assert [r.history_ids for r in one] == [r.history_ids for r in two]
    assert [r.reference_id for r in one] == [r.reference_id for r in two]


def test_data_without_planted_noise_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "world"
    generate_world(folder, num_items=50, num_users=3, seed=4, size=64)
    (folder / INTERACTIONS_TRUTH).unlink()
    with pytest.raises(DatasetError, match="which likes are noise is known of sticker worlds only"):
        noise_likes(DatasetFolder.open(folder))
