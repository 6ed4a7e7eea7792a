"""ImageDataGenerator: what it draws, how it normalizes, what it refuses."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from fastconv.preprocessing.image import ImageDataGenerator

SHAPE = (40, 80, 3)


def draws(count=400, **options):
    generator = ImageDataGenerator(**options)
    return [generator.get_random_transform(SHAPE, seed) for seed in range(count)]


def span(name, **options):
    values = [parameters[name] for parameters in draws(**options)]
    return min(values), max(values)


def assert_fills(name, lowest, highest, **options):
    """The drawn values stay inside the range and reach nearly its ends."""
    low, high = span(name, **options)
    margin = 0.03 * (highest - lowest)
    assert lowest <= low <= lowest + margin and highest - margin <= high <= highest


def test_ranges():
    assert_fills("theta", -40, 40, rotation_range=40)
    assert_fills("zx", 0.8, 1.2, zoom_range=0.2)
    assert_fills("zy", 0.5, 0.9, zoom_range=(0.5, 0.9))
    assert_fills("channel_shift_intensity", -30, 30, channel_shift_range=30)
    assert_fills("brightness", 0.5, 1.5, brightness_range=(0.5, 1.5))


def test_width_shift_moves_columns_and_height_shift_rows():
    assert_fills("tx", -16, 16, width_shift_range=0.2)
    assert span("ty", width_shift_range=0.2) == (0, 0)
    assert_fills("ty", -8, 8, height_shift_range=0.2)
    assert span("tx", height_shift_range=0.2) == (0, 0)


def test_shifts_in_pixels():
    assert_fills("tx", -5, 5, width_shift_range=5.0)
    assert {p["tx"] for p in draws(width_shift_range=3)} == {-2, -1, 0, 1, 2}
    assert {p["tx"] for p in draws(width_shift_range=1)} == {0}
    assert {p["ty"] for p in draws(height_shift_range=[3, 7])} == {-7, -3, 3, 7}
    assert {p["ty"] for p in draws(height_shift_range=(0.5,))} == {-20, 20}


def test_shear_below_one_is_a_fraction_and_above_degrees():
    slant = math.degrees(math.atan(0.2))
    assert_fills("shear", -slant, slant, shear_range=0.2)
    assert_fills("shear", -20, 20, shear_range=20)


def test_flips_come_half_of_the_time_and_only_if_asked():
    for name in ("horizontal", "vertical"):
        flips = [p[f"flip_{name}"] for p in draws(**{f"{name}_flip": True})]
        assert 0.4 < np.mean(flips) < 0.6
        assert not any(p[f"flip_{name}"] for p in draws())


def test_isotropic_zoom_keeps_proportions_and_changes_no_other_draw():
    alike = draws(zoom_range=(0.65, 1.1), isotropic_zoom=True, rotation_range=10)
    apart = draws(zoom_range=(0.65, 1.1), rotation_range=10)
    assert all(p["zx"] == p["zy"] for p in alike) and any(p["zx"] != p["zy"] for p in apart)
    assert [(p["zx"], p["theta"]) for p in alike] == [(p["zx"], p["theta"]) for p in apart]


def test_cutouts_have_the_sides_asked_for_and_lie_in_the_picture():
    rectangles = np.array([p["cutout"] for p in draws(cutout=0.25)])
    top, bottom, left, right = rectangles.T
    assert set(bottom - top) == {10} and set(right - left) == {20}
    assert (top.min(), bottom.max(), left.min(), right.max()) == (0, 40, 0, 80)
    sides = np.array([p["cutout"] for p in draws(cutout=(0.25, 0.5))])
    heights, widths = sides[:, 1] - sides[:, 0], sides[:, 3] - sides[:, 2]
    assert (heights.min(), heights.max(), widths.min(), widths.max()) == (10, 20, 20, 40)
    assert abs(np.corrcoef(heights, widths)[0, 1]) < 0.2
    some = [p["cutout"] is not None for p in draws(cutout=0.25, cutout_probability=0.5)]
    assert 0.4 < np.mean(some) < 0.6
    assert not any(p["cutout"] for p in draws(cutout=0.25, cutout_probability=0))
    assert {p["cutout"] for p in draws(5, cutout=1)} == {(0, 40, 0, 80)}


def test_a_cutout_is_written_over_the_changed_picture():
    image = np.random.default_rng(0).uniform(0, 255, SHAPE).astype(np.float32)
    generator = ImageDataGenerator(cutout_value=7)
    changed = generator.apply_transform(
        image, {"flip_horizontal": True, "brightness": 0.5, "cutout": (1, 4, 2, 9)}
    )
    expected = image[:, ::-1] * np.float32(0.5)
    expected[1:4, 2:9] = 7
    np.testing.assert_allclose(changed, expected, rtol=1e-6)
    assert image[1:4, 2:9].min() != 7


def test_without_options_nothing_changes():
    for parameters in draws(5):
        assert parameters == {
            "theta": 0,
            "tx": 0,
            "ty": 0,
            "shear": 0,
            "zx": 1,
            "zy": 1,
            "flip_horizontal": False,
            "flip_vertical": False,
            "channel_shift_intensity": None,
            "brightness": None,
            "cutout": None,
        }


def test_one_option_does_not_change_what_another_draws():
    plain = ImageDataGenerator(rotation_range=40, zoom_range=0.2)
    more = ImageDataGenerator(
        rotation_range=40, zoom_range=0.2, width_shift_range=0.3, brightness_range=(0.5, 1)
    )
    for seed in range(5):
        first, second = (g.get_random_transform(SHAPE, seed) for g in (plain, more))
        assert (first["theta"], first["zx"]) == (second["theta"], second["zx"])


def test_the_global_state_is_neither_used_nor_changed():
    generator = ImageDataGenerator(rotation_range=40)
    np.random.seed(1)
    state = np.random.get_state()[1].copy()
    first = generator.get_random_transform(SHAPE, 7)
    np.testing.assert_array_equal(np.random.get_state()[1], state)
    np.random.seed(2)
    assert generator.get_random_transform(SHAPE, 7) == first


def test_without_a_seed_the_package_seed_decides():
    from fastconv.utils import set_random_seed

    generator = ImageDataGenerator(rotation_range=40)
    set_random_seed(11)
    first = [generator.get_random_transform(SHAPE)["theta"] for _ in range(3)]
    set_random_seed(11)
    assert [generator.get_random_transform(SHAPE)["theta"] for _ in range(3)] == first
    assert len(set(first)) == 3


def test_random_transform_is_draw_then_apply():
    image = np.random.default_rng(0).uniform(0, 255, SHAPE).astype(np.float32)
    generator = ImageDataGenerator(rotation_range=40, zoom_range=0.3)
    expected = generator.apply_transform(image, generator.get_random_transform(SHAPE, 3))
    np.testing.assert_array_equal(generator.random_transform(image, 3), expected)


def test_standardize_order_and_that_it_does_not_write():
    image = np.full((2, 2, 1), 10.0, np.float32)
    generator = ImageDataGenerator(rescale=0.5, preprocessing_function=lambda x: x + 2)
    np.testing.assert_array_equal(generator.standardize(image), 6.0)
    np.testing.assert_array_equal(image, 10.0)
    assert generator.standardize(image.astype(np.uint8)).dtype == np.float32


def test_samplewise_normalization():
    image = np.random.default_rng(0).uniform(0, 255, SHAPE)
    result = ImageDataGenerator(samplewise_std_normalization=True).standardize(image)
    np.testing.assert_allclose([result.mean(), result.std()], [0, 1], atol=1e-4)


def test_featurewise_normalization_after_fit():
    x = np.random.default_rng(0).uniform(0, 255, (30, 8, 9, 3)) * [1, 0.5, 0.1]
    generator = ImageDataGenerator(featurewise_std_normalization=True, rescale=1 / 255)
    generator.fit(x)
    result = np.stack([generator.standardize(image) for image in x])
    np.testing.assert_allclose(result.mean(axis=(0, 1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(result.std(axis=(0, 1, 2)), 1, atol=1e-3)
    np.testing.assert_allclose(generator.mean.ravel(), x.mean(axis=(0, 1, 2)) / 255, rtol=1e-5)


def test_fit_on_changed_images_is_reproducible():
    x = np.random.default_rng(0).uniform(0, 255, (6, 8, 9, 3))
    means = []
    for _ in range(2):
        generator = ImageDataGenerator(featurewise_center=True, rotation_range=90, fill_mode="wrap")
        generator.fit(x, augment=True, rounds=2, seed=4)
        means.append(generator.mean)
    np.testing.assert_array_equal(*means)


def test_zca_whitening_decorrelates():
    draw = np.random.default_rng(0)
    x = (draw.normal(size=(400, 12)) @ draw.normal(size=(12, 12))).reshape(400, 2, 2, 3)
    generator = ImageDataGenerator(zca_whitening=True)
    generator.fit(x)
    white = np.stack([generator.standardize(image) for image in x]).reshape(400, -1)
    np.testing.assert_allclose(white.T @ white / 400, np.eye(12), atol=1e-3)


def test_normalizing_before_fit_warns():
    with pytest.warns(UserWarning, match=r"featurewise_center=True, but nothing was measured"):
        ImageDataGenerator(featurewise_center=True).standardize(np.zeros(SHAPE))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fill_mode": "mirror"}, "fill_mode is 'mirror'; it must be 'nearest' or 'reflect'"),
        ({"zoom_range": 1.5}, "zoom_range is 1.5; it must be a number below 1"),
        ({"zoom_range": (1.2, 0.8)}, "zoom_range is .* the lowest comes first"),
        ({"zoom_range": (1, 2, 3)}, "zoom_range is .* a pair"),
        ({"brightness_range": 0.5}, "brightness_range is 0.5; it must be a pair"),
        ({"cutout": 1.5}, "cutout is 1.5; it must be a share"),
        ({"cutout": (0.5, 0.2)}, "cutout is .* the lowest comes first"),
        ({"cutout_probability": 2}, "cutout_probability is 2; it must be from 0 to 1"),
        ({"rotation_range": -5}, "rotation_range is -5; .* at least 0"),
        ({"rotation_range": float("nan")}, "rotation_range is nan; .* finite number"),
        ({"validation_split": 1.0}, "validation_split is 1.0; it must be at least 0 and below 1"),
        ({"interpolation_order": 2}, "interpolation_order is 2; it must be 0, 1 or 3"),
        (
            {"data_format": "channels_first"},
            "data_format is 'channels_first'; it must be 'channels_last'",
        ),
        ({"zca_whitening": True, "featurewise_std_normalization": True}, "leave out"),
    ],
)
def test_wrong_values_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ImageDataGenerator(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shear_range": "0.2"}, "shear_range is '0.2'; .*a number"),
        ({"rescale": "1/255"}, "rescale is '1/255'; .*a number"),
        ({"dtype": "float16"}, "dtype is 'float16'; batches are always 'float32'"),
    ],
)
def test_wrong_types_are_refused(options, message):
    with pytest.raises(TypeError, match=message):
        ImageDataGenerator(**options)


def test_wrong_images_are_refused():
    generator = ImageDataGenerator()
    with pytest.raises(ValueError, match=r"apply_transform: x has shape \(2, 40, 80, 3\)"):
        generator.apply_transform(np.zeros((2, *SHAPE)), {})
    with pytest.raises(ValueError, match=r"fit: x has shape \(40, 80, 3\)"):
        generator.fit(np.zeros(SHAPE))


def test_it_shows_what_was_chosen():
    assert repr(ImageDataGenerator()) == "ImageDataGenerator()"
    generator = ImageDataGenerator(
        rescale=1 / 4, zoom_range=0.5, horizontal_flip=True, preprocessing_function=np.abs
    )
    text = repr(generator)
    assert text.startswith("ImageDataGenerator(") and "rotation_range" not in text
    for part in ("rescale=0.25", "zoom_range=(0.5, 1.5)", "horizontal_flip=True", "=absolute"):
        assert part in text
    fitted = ImageDataGenerator(featurewise_center=True)
    fitted.fit(np.zeros((2, 4, 4, 3)))
    assert repr(fitted) == "ImageDataGenerator(featurewise_center=True, fitted)"


def test_its_numbers_are_pythons_own():
    """A saved model keeps them as JSON, which does not know NumPy's."""
    generator = ImageDataGenerator(
        rescale=np.float32(0.5),
        rotation_range=np.int64(3),
        zoom_range=np.float32(0.25),
        brightness_range=np.array([0.5, 1.5], np.float32),
        width_shift_range=np.array([1, 2]),
        cval=np.float32(3),
        validation_split=np.float64(0.5),
    )
    json.dumps({k: v for k, v in vars(generator).items() if k not in ("mean", "std")})
    with pytest.raises(ValueError, match="cval is nan"):
        ImageDataGenerator(cval=float("nan"))
    with pytest.raises(TypeError, match="zca_epsilon is 'small'"):
        ImageDataGenerator(zca_epsilon="small")


@pytest.mark.parametrize("share", [1, -0.1, "half"])
def test_an_assigned_split_is_checked_like_a_given_one(share):
    generator = ImageDataGenerator(validation_split=0.25)
    with pytest.raises((TypeError, ValueError), match="validation_split is"):
        generator.validation_split = share
    assert generator.validation_split == 0.25
