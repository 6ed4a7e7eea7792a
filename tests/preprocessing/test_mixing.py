"""Mixup and CutMix: an image and its target get the same share of another one of the batch."""

from __future__ import annotations

import numpy as np
import pytest
from image_folders import write_folder
from small_models import convnet

import fastconv
from fastconv.preprocessing.image import ImageDataGenerator

COUNT, SIZE = 24, 20


def flat_images(targets):
    """Images all of whose pixels are their target times 100, so that shares can be read off."""
    pixels = np.repeat(100 * targets, SIZE * SIZE * 3).astype(np.float32)
    return pixels.reshape(-1, SIZE, SIZE, 3)


def batch(y=None, options=None, epoch=0, step=0, **flow):
    y = np.arange(COUNT) % 2 if y is None else y
    generator = ImageDataGenerator(**(options or {"mixup": 1.0}))
    x = flow.pop("x", None)
    x = flat_images(y) if x is None else x
    return generator.flow(x, y, batch_size=COUNT, seed=3, **flow).batch(epoch, step)


@pytest.mark.parametrize("options", [{"mixup": 1}, {"cutmix": 1}, {"mixup": 0.4, "cutmix": 2}])
def test_a_target_is_the_share_of_its_picture(options):
    x, y = batch(options=options)
    assert y.dtype == np.float32
    np.testing.assert_allclose(x.mean(axis=(1, 2, 3)) / 100, y, atol=1e-5)
    assert np.count_nonzero((y > 0.02) & (y < 0.98)) > COUNT / 8


def test_mixup_blends_whole_pictures_and_cutmix_pastes_rectangles():
    blended, _ = batch(options={"mixup": 1})
    assert np.ptp(blended, axis=(1, 2, 3)).max() < 1e-4
    before = flat_images(np.arange(COUNT) % 2)
    pasted, _ = batch(options={"cutmix": 1}, shuffle=False)
    for changed in (pasted != before)[..., 0]:
        assert changed.sum() == changed.any(axis=0).sum() * changed.any(axis=1).sum()
    assert set(np.unique(pasted)) == {0, 100}
    both, _ = batch(options={"mixup": 1, "cutmix": 1})
    is_pasted = np.isin(both, (0, 100)).all(axis=(1, 2, 3))
    assert COUNT / 4 < np.count_nonzero(is_pasted) < COUNT


def test_a_share_of_the_images_is_mixed():
    y = np.arange(400) % 2
    generator = ImageDataGenerator(mixup=1, mix_probability=0.25)
    mixed = generator.flow(flat_images(y), y, batch_size=400, seed=0).batch(0, 0)[1]
    # Half of the partners have the same target.
    assert 0.06 < np.mean((mixed > 0) & (mixed < 1)) < 0.19
    never = ImageDataGenerator(mixup=1, mix_probability=0).flow(flat_images(y), y, seed=0)
    assert never.batch(0, 0)[1].dtype == y.dtype


def test_it_follows_from_seed_epoch_and_batch_alone():
    y = np.arange(64) % 2
    generator = ImageDataGenerator(
        mixup=1, cutmix=1, rotation_range=20, cutout=0.3, rescale=1 / 255
    )
    x = np.random.default_rng(0).integers(0, 256, (64, SIZE, SIZE, 3), dtype=np.uint8)

    def served(prefetch, threads, start):
        fastconv.set_num_threads(threads)
        iterator = generator.flow(x, y, batch_size=16, seed=5, prefetch=prefetch)
        iterator.seek(1, start)
        return [next(iterator) for _ in range(4)]

    before = fastconv.get_num_threads()
    try:
        first = served(0, 1, 0)
        again = served(2, 2, 0)
        later = served(0, 2, 2)
    finally:
        fastconv.set_num_threads(before)
    for one, other in [*zip(first, again, strict=True), *zip(first[2:], later[:2], strict=True)]:
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])
    assert not np.array_equal(np.sort(first[0][1]), np.sort(first[1][1]))


def test_one_option_does_not_change_what_another_draws():
    plain, more = (batch(options=o)[0] for o in ({"cutmix": 1}, {"cutmix": 1, "cutout": 0.5}))
    differs = (plain != more).any(axis=-1).mean()
    assert 0 < differs < 0.3


def test_one_hot_targets_weights_and_pictures_as_targets():
    numbers = np.arange(COUNT) % 3
    x, y = batch(np.eye(3, dtype=np.float32)[numbers], x=flat_images(numbers))
    np.testing.assert_allclose(y.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(x.mean(axis=(1, 2, 3)) / 100, y @ [0, 1, 2], atol=1e-5)
    x, y, weight = batch(sample_weight=1 + np.arange(COUNT) % 2)
    np.testing.assert_allclose(weight, 1 + y, rtol=1e-6)
    pictures = flat_images(np.arange(COUNT) % 2)
    for options in ({"mixup": 1}, {"cutmix": 1}):
        x, y = batch(pictures, options, x=pictures)
        np.testing.assert_array_equal(x, y)


def test_what_cannot_be_mixed_is_refused(tmp_path):
    numbers = np.arange(COUNT) % 3
    with pytest.raises(ValueError, match=r"numbers of more than two classes; .*to_categorical"):
        batch(numbers)
    with pytest.raises(ValueError, match="this iterator has none; give y"):
        ImageDataGenerator(mixup=1).flow(flat_images(numbers)).batch(0, 0)
    with pytest.raises(ValueError, match=r"cutmix cannot mix targets of shape \(24, 5, 5, 1\)"):
        batch(np.zeros((COUNT, 5, 5, 1)), {"cutmix": 1}, x=flat_images(numbers))
    with pytest.raises(TypeError, match="mix numbers, and y has dtype <U3"):
        batch(np.array(["cat", "dog"] * (COUNT // 2)), x=flat_images(numbers))
    write_folder(tmp_path, {"a": 3, "b": 3, "c": 3})
    generator = ImageDataGenerator(cutmix=1)
    shape = {"target_size": (8, 8), "seed": 0}
    with pytest.raises(ValueError, match="class_mode='categorical'"):
        generator.flow_from_directory(tmp_path, class_mode="sparse", **shape).batch(0, 0)
    y = generator.flow_from_directory(tmp_path, class_mode="categorical", **shape).batch(0, 0)[1]
    np.testing.assert_allclose(y.sum(axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize("name", ["mixup", "cutmix", "mix_probability"])
def test_wrong_values_are_refused(name):
    for value in (-0.1, float("nan")):
        with pytest.raises(ValueError, match=f"{name} is {value}"):
            ImageDataGenerator(**{name: value})
    with pytest.raises(ValueError, match=f"{name} is 10000000.0; it must be from 0 to 1"):
        ImageDataGenerator(**{name: 1e7})
    with pytest.raises(TypeError, match=f"{name} is 'much'"):
        ImageDataGenerator(**{name: "much"})


def test_a_network_learns_from_mixed_pictures():
    y = np.arange(COUNT) % 2
    model = convnet(SIZE)
    iterator = ImageDataGenerator(mixup=0.2, rescale=1 / 255).flow(
        flat_images(y), y, batch_size=8, seed=1
    )
    logs = model.fit(iterator, epochs=2, verbose=0, class_weight={0: 1.0, 1: 2.0}).history
    assert np.isfinite(logs["loss"]).all() and max(logs["accuracy"]) > 0.3
