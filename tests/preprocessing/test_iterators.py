"""Batches from arrays: order, shapes, and that they depend on (seed, epoch, index) alone."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from image_folders import write_folder
from scipy import ndimage

from fastconv.preprocessing.image import ImageDataGenerator, load_img

AUGMENT = {
    "rotation_range": 40,
    "width_shift_range": 0.2,
    "zoom_range": 0.2,
    "horizontal_flip": True,
}


def data(count=10, size=12):
    x = np.random.default_rng(0).integers(0, 256, (count, size, size, 3), dtype=np.uint8)
    return x, np.arange(count)


def by_image(iterator, epoch):
    """{image number: pixels} of one epoch, where the targets are the images' numbers."""
    found = {}
    for step in range(len(iterator)):
        x, y = iterator.batch(epoch, step)
        found.update(zip(y.tolist(), x, strict=True))
    return found


def test_an_epoch_without_shuffling():
    x, y = data()
    iterator = ImageDataGenerator(rescale=1 / 255).flow(x, y, batch_size=4, shuffle=False, seed=0)
    assert (len(iterator), iterator.n, iterator.image_shape) == (3, 10, (12, 12, 3))
    batches = [iterator[i] for i in range(3)]
    assert [len(batch[0]) for batch in batches] == [4, 4, 2]
    assert batches[0][0].dtype == np.float32
    np.testing.assert_array_equal(np.concatenate([b[1] for b in batches]), y)
    np.testing.assert_allclose(np.concatenate([b[0] for b in batches]), x / 255, rtol=1e-6)
    np.testing.assert_array_equal(iterator[-1][0], batches[2][0])
    with pytest.raises(IndexError, match="batch 3 was asked for; an epoch has 3"):
        iterator[3]


def test_shuffling_serves_every_image_once_in_a_new_order():
    x, y = data(100)
    iterator = ImageDataGenerator().flow(x, y, batch_size=32, seed=5)
    orders = [
        np.concatenate([iterator.batch(epoch, step)[1] for step in range(4)]) for epoch in (0, 1)
    ]
    for order in orders:
        np.testing.assert_array_equal(np.sort(order), y)
    assert not np.array_equal(*orders) and not np.array_equal(orders[0], y)


def test_next_goes_on_for_ever_like_the_epochs():
    x, y = data()
    iterator = ImageDataGenerator(**AUGMENT).flow(x, y, batch_size=4, seed=3)
    expected = [iterator.batch(epoch, step) for epoch in range(2) for step in range(3)]
    for (x1, y1), (x2, y2) in zip(expected, iterator, strict=False):
        np.testing.assert_array_equal(x1, x2)
        np.testing.assert_array_equal(y1, y2)


def test_an_image_does_not_depend_on_batch_size_order_or_company():
    x, y = data()
    generator = ImageDataGenerator(**AUGMENT)
    small = by_image(generator.flow(x, y, batch_size=1, seed=9), 2)
    large = by_image(generator.flow(x, y, batch_size=10, seed=9), 2)
    ordered = by_image(generator.flow(x, y, batch_size=3, seed=9, shuffle=False), 2)
    for number in range(10):
        np.testing.assert_array_equal(small[number], large[number])
        np.testing.assert_array_equal(small[number], ordered[number])


def test_seeds_epochs_and_images_differ():
    x, y = np.repeat(data(1)[0], 4, axis=0), np.arange(4)
    generator = ImageDataGenerator(rotation_range=180)
    first = generator.flow(x, y, seed=1)
    images = [*by_image(first, 0).values(), *by_image(first, 1).values()]
    images += by_image(generator.flow(x, y, seed=2), 0).values()
    assert len({image.tobytes() for image in images}) == 12


def test_threads_get_the_same_batches():
    x, y = data(64)
    iterator = ImageDataGenerator(**AUGMENT).flow(x, y, batch_size=8, seed=3)
    places = [(epoch, step) for epoch in range(3) for step in range(8)]
    expected = [iterator.batch(*place) for place in places]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda place: iterator.batch(*place), reversed(places)))
    for (x1, y1), (x2, y2) in zip(expected, reversed(found), strict=True):
        np.testing.assert_array_equal(x1, x2)
        np.testing.assert_array_equal(y1, y2)


def test_next_in_threads_gives_every_batch_once():
    x, y = data(60)
    iterator = ImageDataGenerator().flow(x, y, batch_size=6, seed=0)
    with ThreadPoolExecutor(4) as pool:
        batches = list(pool.map(lambda _: next(iterator), range(20)))
    counts = np.bincount(np.concatenate([targets for _, targets in batches]))
    np.testing.assert_array_equal(counts, 2)


def test_seek_state_and_epochs():
    x, y = data()
    generator = ImageDataGenerator(**AUGMENT)
    iterator = generator.flow(x, y, batch_size=4, seed=3)
    iterator.seek(4, 2)
    state = json.loads(json.dumps(iterator.get_state()))
    assert state == {"seed": 3, "epoch": 4, "step": 2}
    other = generator.flow(x, y, batch_size=4, seed=77)
    other.set_state(state)
    for _ in range(3):
        np.testing.assert_array_equal(next(iterator)[0], next(other)[0])
    other.set_epoch(1)
    np.testing.assert_array_equal(other[1][0], iterator.batch(1, 1)[0])
    other.on_epoch_end()
    assert other.epoch == 2
    next(other)
    assert other.batch_index == 1
    other.reset()
    assert (other.epoch, other.batch_index) == (2, 0)
    with pytest.raises(ValueError, match="cannot seek to epoch 0, step 3"):
        other.seek(0, 3)


def test_the_package_seed_decides_where_none_is_given():
    from fastconv.utils import set_random_seed

    x, y = data()
    seeds = []
    for _ in range(2):
        set_random_seed(21)
        seeds.append([ImageDataGenerator().flow(x, y).seed for _ in range(2)])
    assert seeds[0] == seeds[1] and seeds[0][0] != seeds[0][1]


def test_what_a_batch_holds():
    x, y = data()
    weights = np.linspace(0, 1, 10)
    generator = ImageDataGenerator()
    assert generator.flow(x, seed=0)[0].shape == (10, 12, 12, 3)
    images, targets, weight = generator.flow(x, y, sample_weight=weights, seed=0)[0]
    np.testing.assert_array_equal(weight, weights[targets])
    np.testing.assert_array_equal(images, x[targets].astype(np.float32))


def test_slow_and_fast_ways_agree():
    x, y = data()
    fast = ImageDataGenerator(rescale=1 / 255).flow(x, y, seed=0)[0][0]
    slow = ImageDataGenerator(rescale=1 / 255, preprocessing_function=lambda image: image)
    np.testing.assert_array_equal(slow.flow(x, y, seed=0)[0][0], fast)


def test_a_subclass_is_asked():
    class Inverted(ImageDataGenerator):
        def random_transform(self, x, seed=None):
            return 255.0 - x

        def standardize(self, x):
            return super().standardize(x) * 2

    x, _ = data()
    batch = Inverted().flow(x, shuffle=False, seed=0)[0]
    np.testing.assert_array_equal(batch, 2 * (255.0 - x))


def test_subsets():
    x, y = data()
    generator = ImageDataGenerator(validation_split=0.25)
    parts = {
        subset: generator.flow(x, y % 2, subset=subset, shuffle=False, seed=0)
        for subset in ("training", "validation")
    }
    assert (parts["validation"].n, parts["training"].n) == (2, 8)
    np.testing.assert_array_equal(parts["validation"][0][0], x[:2])
    with pytest.raises(ValueError, match="do not have the same classes"):
        generator.flow(x, y, subset="training")
    assert generator.flow(x, y, subset="training", ignore_class_split=True).n == 8
    with pytest.raises(ValueError, match="subset is 'test'"):
        generator.flow(x, y, subset="test")
    with pytest.raises(ValueError, match="needs ImageDataGenerator"):
        ImageDataGenerator().flow(x, y, subset="training")


def test_save_to_dir(tmp_path):
    x, y = data(3)
    iterator = ImageDataGenerator().flow(
        x, y, seed=0, save_to_dir=tmp_path / "seen", save_prefix="a", save_format="png"
    )
    iterator.batch(2, 0)
    assert sorted(p.name for p in (tmp_path / "seen").iterdir()) == [
        "a_0_2.png",
        "a_1_2.png",
        "a_2_2.png",
    ]
    assert load_img(tmp_path / "seen" / "a_0_2.png").size == (12, 12)


def test_wrong_arguments_are_refused():
    x, y = data()
    generator = ImageDataGenerator()
    with pytest.raises(ValueError, match=r"flow: x has shape \(12, 12, 3\)"):
        generator.flow(x[0])
    with pytest.raises(ValueError, match=r"flow: y has shape \(9,\); x has 10 images"):
        generator.flow(x, y[:9])
    with pytest.raises(ValueError, match=r"flow: sample_weight has shape"):
        generator.flow(x, y, sample_weight=[1.0])
    with pytest.raises(ValueError, match="x has no images"):
        generator.flow(x[:0], y[:0])
    with pytest.raises(TypeError, match="cannot be made an array"):
        generator.flow([x, [1, 2]], y)
    with pytest.raises(ValueError, match="batch_size is 0"):
        generator.flow(x, y, batch_size=0)
    with pytest.raises(ValueError, match="seed is -1"):
        generator.flow(x, y, seed=-1)


class Readable(ImageDataGenerator):
    """Takes the slow way, image by image, because it has a step of its own."""

    def random_transform(self, x, seed=None):
        return super().random_transform(x, seed)


CHANGES = [
    AUGMENT,
    {"rotation_range": 90, "fill_mode": "reflect", "vertical_flip": True, "height_shift_range": 5},
    {"shear_range": 0.4, "fill_mode": "wrap", "brightness_range": (0.3, 1.7)},
    {"zoom_range": 0.5, "fill_mode": "constant", "cval": 99, "channel_shift_range": 60},
    {"fill_mode": "constant", "cval": -20, "brightness_range": (0.5, 2), "rotation_range": 20},
    {"channel_shift_range": 100, "brightness_range": (0.5, 2), "horizontal_flip": True},
    {"horizontal_flip": True, "interpolation_order": 3},
    {"rotation_range": 30, "interpolation_order": 0},
    {"cutout": (0.2, 0.6), "cutout_value": 200},
    {"cutout": 0.5, "cutout_probability": 0.5, "brightness_range": (0.5, 2), **AUGMENT},
]
NORMALIZATIONS = [
    {},
    {"rescale": 1 / 255},
    {"rescale": 1 / 255, "samplewise_std_normalization": True},
    {"featurewise_std_normalization": True, "rescale": 1 / 255},
    {"featurewise_center": True, "samplewise_center": True},
    {"zca_whitening": True},
    {"preprocessing_function": lambda image: image[::-1] * 2},
    {"rescale": 1 / 255, "samplewise_std_normalization": True, "cutout": 0.5},
    {"featurewise_std_normalization": True, "cutout": 0.5},
    {"zca_whitening": True, "cutout": 0.5},
]


@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
@pytest.mark.parametrize(
    "options",
    [{"rescale": 1 / 255, **changes} for changes in CHANGES]
    + [{**AUGMENT, **normalization} for normalization in NORMALIZATIONS]
    + NORMALIZATIONS,
)
def test_the_kernel_agrees_with_the_readable_way(options, dtype):
    x, y = data(8, 16)
    x = ndimage.gaussian_filter(x, (0, 1, 1, 0)).astype(dtype)
    results = []
    for kind in (ImageDataGenerator, Readable):
        generator = kind(**options)
        generator.fit(x)
        results.append(generator.flow(x, y, seed=4, shuffle=False).batch(3, 0)[0])
    scale = np.abs(results[1]).max()
    np.testing.assert_allclose(*results, atol=2e-4 * scale)


def test_what_fails_on_an_image_names_it():
    def fail(image):
        raise KeyError("no such tag")

    x, y = data()
    iterator = ImageDataGenerator(preprocessing_function=fail).flow(x, y, shuffle=False)
    with pytest.raises(RuntimeError, match="image 0 of x could not be prepared: KeyError") as error:
        iterator[0]
    assert isinstance(error.value.__cause__, KeyError)


def test_the_number_of_threads_does_not_change_a_batch():
    import fastconv

    x, y = data(33, 40)
    iterator = ImageDataGenerator(rescale=1 / 255, **AUGMENT).flow(x, y, batch_size=33, seed=0)
    before = fastconv.get_num_threads()
    try:
        batches = []
        for threads in (1, 2, 5):
            fastconv.set_num_threads(threads)
            batches.append(iterator.batch(2, 0)[0])
    finally:
        fastconv.set_num_threads(before)
    np.testing.assert_array_equal(batches[1], batches[0])
    np.testing.assert_array_equal(batches[2], batches[0])


def test_it_says_what_it_is(tmp_path):
    x = np.zeros((20, 4, 5, 3), np.uint8)
    text = repr(ImageDataGenerator(rescale=0.5).flow(x, batch_size=8, seed=3))
    assert text == (
        "<NumpyArrayIterator: 20 images of 4 x 5 x 3 by ImageDataGenerator(rescale=0.5), "
        "3 batches of up to 8, shuffled by seed 3>"
    )
    root = write_folder(tmp_path / "set", {"a": 2, "b": 3})
    text = repr(ImageDataGenerator().flow_from_directory(root, (4, 5), shuffle=False))
    assert text == (
        f"<DirectoryIterator: 5 images of 2 classes in {str(root)!r} of 4 x 5 x 3 by "
        "ImageDataGenerator(), 1 batch of up to 32, in their order>"
    )


@pytest.mark.parametrize("prefetch", [0, 2])
@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("batch_size", 5),
        ("shuffle", False),
        ("seed", 9),
        ("rescale", 0.5),
        ("rotation_range", 30),
        ("zoom_range", 0.5),
        ("zoom_range", (0.5, 0.75)),
        ("brightness_range", (0.2, 0.4)),
        ("horizontal_flip", True),
        ("samplewise_center", True),
        ("preprocessing_function", np.negative),
    ],
)
def test_what_is_assigned_counts_from_the_next_batch(option, value, prefetch):
    def flow(**options):
        of_iterator = {"seed": 1, "batch_size": 4}
        for name in ("batch_size", "shuffle", "seed"):
            if name in options:
                of_iterator[name] = options.pop(name)
        x = np.random.default_rng(0).integers(0, 256, (21, 6, 6, 3), dtype=np.uint8)
        return ImageDataGenerator(**options).flow(x, prefetch=prefetch, **of_iterator)

    iterator, expected = flow(), flow(**{option: value})
    for step in range(3):
        iterator[step]  # the next ones are made ahead
    owner = iterator if hasattr(iterator, option) else iterator.image_data_generator
    setattr(owner, option, value)
    for step in range(3, len(expected)):
        assert iterator[step].tobytes() == expected[step].tobytes()
    iterator.close()
    expected.close()


def test_a_mean_of_ones_own_is_taken_as_a_list():
    generator = ImageDataGenerator(featurewise_center=True)
    generator.mean = [10, 20, 30]
    x = np.full((1, 2, 2, 3), 40, np.uint8)
    assert np.array_equal(generator.flow(x)[0], x - np.array([10, 20, 30], np.float32))
    assert np.array_equal(generator.standardize(x[0]), (x - np.array([10, 20, 30.0]))[0])


@pytest.mark.parametrize(
    ("option", "value", "error"),
    [
        ("batch_size", 0, ValueError),
        ("shuffle", "no", TypeError),
        ("seed", -1, ValueError),
        ("rescale", "small", TypeError),
        ("zoom_range", 2, ValueError),
        ("fill_mode", "mirror", ValueError),
        ("preprocessing_function", 3, TypeError),
        ("horizontal_flip", "yes", TypeError),
        ("data_format", "channels_first", AttributeError),
    ],
)
def test_what_is_assigned_is_checked(option, value, error):
    iterator = ImageDataGenerator().flow(np.zeros((3, 4, 4, 3), np.uint8), batch_size=2)
    owner = iterator if hasattr(iterator, option) else iterator.image_data_generator
    before = getattr(owner, option)
    with pytest.raises(error, match=option):
        setattr(owner, option, value)
    assert getattr(owner, option) == before


def test_the_batch_size_changes_where_an_epoch_begins():
    iterator = ImageDataGenerator().flow(np.zeros((6, 4, 4, 3), np.uint8), batch_size=2)
    next(iterator)
    with pytest.raises(ValueError, match=r"middle of an epoch; call reset\(\) first"):
        iterator.batch_size = 3
    iterator.reset()
    iterator.batch_size = 3
    assert [len(next(iterator)) for _ in range(3)] == [3, 3, 3]
