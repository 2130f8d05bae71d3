"""Pictures in, pictures out: what a picture may and may not depend on."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from pigeon_recsys.model.ablation import Ablation
from pigeon_recsys.model.inference import PigeonModel, SweepOrder
from pigeon_recsys.model.pigeon import Pigeon
from pigeon_recsys.model.sampling import Sampling
from pigeon_recsys.records import Pixels

SAMPLING = Sampling(temperature=1.0)


def picture(seed: int) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (30, 30, 3), dtype=np.uint8)


def order(seed: int, num_history: int, text: str, *, with_reference: bool = True) -> SweepOrder:
    history = [picture(10 * seed + place) for place in range(num_history)]
    reference = picture(10 * seed + 9) if with_reference else None
    return SweepOrder(history, reference, text, (0.0, 0.4, 1.0), seed)


ORDERS = (
    order(1, 5, "a happy sticker"),
    order(2, 0, ""),
    order(3, 2, "a happy sticker with a star and a star and a star"),
    order(4, 7, "star", with_reference=False),
)


@pytest.fixture
def model(pigeon: Pigeon) -> PigeonModel:
    return PigeonModel(pigeon, "v1")


@pytest.mark.parametrize("sampling", [SAMPLING, Sampling(beams=2)])
def test_four_orders_together_give_the_pixels_of_each_alone(
    model: PigeonModel, sampling: Sampling
) -> None:
    together = model.paint_sweeps(ORDERS, sampling=sampling, steps=1)
    for one, painted in zip(ORDERS, together, strict=True):
        (alone,) = model.paint_sweeps([one], sampling=sampling, steps=1)
        np.testing.assert_array_equal(np.stack(painted.pictures), np.stack(alone.pictures))
        np.testing.assert_array_equal(painted.history_keep, alone.history_keep)


def test_two_equal_orders_in_one_pass_give_equal_pixels(model: PigeonModel) -> None:
    first, again = model.paint_sweeps([ORDERS[0], ORDERS[0]], sampling=SAMPLING, steps=1)
    np.testing.assert_array_equal(np.stack(first.pictures), np.stack(again.pictures))


def test_a_ratio_alone_gives_the_picture_of_the_sweep(model: PigeonModel) -> None:
    """But for rounding: one picture is convolved in another order than three."""
    (swept,) = model.paint_sweeps([ORDERS[0]], sampling=SAMPLING, steps=1)
    (alone,) = model.paint_sweeps([replace(ORDERS[0], ratios=(0.4,))], sampling=SAMPLING, steps=1)
    difference = swept.pictures[1].astype(int) - alone.pictures[0]
    assert np.abs(difference).max() <= 1


def test_another_seed_gives_another_picture(model: PigeonModel) -> None:
    first, other = model.paint_sweeps(
        [ORDERS[0], replace(ORDERS[0], seed=99)], sampling=SAMPLING, steps=1
    )
    assert not np.array_equal(first.pictures[0], other.pictures[0])


def test_only_the_newest_history_pictures_count(model: PigeonModel) -> None:
    long = ORDERS[3]
    newest = replace(long, history=list(long.history)[-model.history_length :])
    first, second = model.paint_sweeps([long, newest], sampling=SAMPLING, steps=1)
    np.testing.assert_array_equal(np.stack(first.pictures), np.stack(second.pictures))
    assert len(first.history_keep) == model.history_length


def test_no_orders_give_no_pictures(model: PigeonModel) -> None:
    assert model.paint_sweeps([], sampling=SAMPLING) == []


def test_orders_with_different_numbers_of_ratios_are_refused(model: PigeonModel) -> None:
    orders = [ORDERS[0], replace(ORDERS[0], ratios=(0.5,))]
    with pytest.raises(ValueError, match="need as many ratios each"):
        model.paint_sweeps(orders, sampling=SAMPLING)


def test_a_picture_through_its_own_tokens_has_the_models_size_and_follows_from_the_seed(
    model: PigeonModel,
) -> None:
    first, again = (model.repaint(picture(1), seed=4, steps=1) for _ in range(2))
    assert first.shape == (*model.image_size, 3)
    np.testing.assert_array_equal(first, again)


def test_tokens_painted_with_the_orders_seed_give_the_sweeps_pictures(model: PigeonModel) -> None:
    """Writing draws one number a token from each picture's generator; noise comes after them."""
    for one, written in zip(ORDERS, model.write_tokens(ORDERS, sampling=SAMPLING), strict=True):
        (painted,) = model.paint_sweeps([one], sampling=SAMPLING, steps=1)
        pictures = model.paint(written, seed=one.seed, steps=1)
        np.testing.assert_array_equal(np.stack(pictures), np.stack(painted.pictures))
        np.testing.assert_array_equal(written.history_keep, painted.history_keep)


def test_another_seed_paints_the_same_tokens_from_other_noise(model: PigeonModel) -> None:
    (written,) = model.write_tokens([ORDERS[0]], sampling=SAMPLING)
    own, other = (model.paint(written, seed=seed, steps=1) for seed in (1, 99))
    assert not np.array_equal(own[0], other[0])
    soft, same = (model.paint(written, seed=seed, steps=0) for seed in (1, 99))
    np.testing.assert_array_equal(soft[0], same[0])


def test_one_ratio_of_a_sweep_is_what_was_written_at_it(model: PigeonModel) -> None:
    (written,) = model.write_tokens([ORDERS[0]], sampling=SAMPLING)
    one = written.at(1)
    assert one.ratios == (0.4,)
    (alone,) = model.write_tokens([replace(ORDERS[0], ratios=(0.4,))], sampling=SAMPLING)
    np.testing.assert_array_equal(one.visual_RT, alone.visual_RT)


def test_threads_that_paint_in_different_numbers_of_steps_do_not_meddle(
    model: PigeonModel,
) -> None:
    """The sampler holds the number of steps, so a quick picture could spoil a full one."""
    (written,) = model.write_tokens([ORDERS[0]], sampling=SAMPLING)
    alone = {steps: model.paint(written, seed=1, steps=steps) for steps in (1, 5)}
    with ThreadPoolExecutor(2) as pool:
        wanted = [1, 5] * 6
        made = pool.map(lambda steps: model.paint(written, seed=1, steps=steps), wanted)
        for steps, pictures in zip(wanted, made, strict=True):
            np.testing.assert_array_equal(np.stack(pictures), np.stack(alone[steps]))


def test_a_model_without_a_part_is_another_version_of_the_same_weights(model: PigeonModel) -> None:
    """It writes as for an order that lacks the part; the model itself stays whole."""
    without = model.ablated(Ablation(history=False, mask="none"))
    assert (model.version, without.version) == ("v1", "v1-history=False-mask=none")
    (found,) = without.write_tokens([ORDERS[0]], sampling=SAMPLING)
    bare = [replace(ORDERS[0], history=[])]
    (expected,) = model.ablated(Ablation(mask="none")).write_tokens(bare, sampling=SAMPLING)
    np.testing.assert_array_equal(found.visual_RT, expected.visual_RT)
    (whole,) = model.write_tokens([ORDERS[0]], sampling=SAMPLING)
    assert not np.array_equal(found.visual_RT, whole.visual_RT)
