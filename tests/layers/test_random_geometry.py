"""Random geometry: Keras's transformations, seeds, states, threads, gradients."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
from finite_differences import check_layer, spaced
from keras_reference import import_keras, keras_test

import fastconv
from fastconv import layers, models

RANDOM = {
    "flip": lambda **o: layers.RandomFlip(**o),
    "rotation": lambda **o: layers.RandomRotation(0.2, **o),
    "translation": lambda **o: layers.RandomTranslation(0.2, (-0.1, 0.3), **o),
    "zoom": lambda **o: layers.RandomZoom(0.3, **o),
    "crop": lambda **o: layers.RandomCrop(5, 7, **o),
    "contrast": lambda **o: layers.RandomContrast(0.5, **o),
    "brightness": lambda **o: layers.RandomBrightness(0.5, **o),
    "erasing": lambda **o: layers.RandomErasing(**o),
}
MOVED = ("rotation", "translation", "zoom")


def pictures(count=6, height=9, width=12):
    return 255 * np.random.default_rng(0).random((count, height, width, 3), np.float32)


def drawn(layer, x):
    """What the layer will draw in its next call."""
    generator = copy.deepcopy(layer._generator)
    seed = generator.bit_generator.random_raw()
    return layer._draw(np.random.Generator(np.random.PCG64(seed)), x.shape)


@pytest.mark.parametrize("name", RANDOM)
def test_inference_hands_images_on(name):
    x = pictures()
    layer = RANDOM[name](seed=1)
    if name != "crop":
        np.testing.assert_array_equal(layer(x, training=False), x)
    layer(x, training=False)
    before = layer.get_state()
    layer(x, training=False)
    assert layer.get_state() == before, "inference draws nothing"
    assert not np.array_equal(layer(x, training=True), layer(x, training=False))
    assert layer(x, training=True).shape == layer(x, training=False).shape


@pytest.mark.parametrize("name", RANDOM)
def test_called_by_hand_it_is_in_training_as_in_keras(name):
    x, layer = pictures(), RANDOM[name](seed=3)
    kept = x.copy()
    first = layer(x)
    np.testing.assert_array_equal(first, RANDOM[name](seed=3)(x, training=True))
    np.testing.assert_array_equal(x, kept)
    single = RANDOM[name](seed=3)(x[0])
    assert single.shape == first.shape[1:]


@pytest.mark.parametrize("name", RANDOM)
def test_draws_follow_from_seed_and_calls(name):
    x = pictures()
    layer, twin = RANDOM[name](seed=5), RANDOM[name](seed=5)
    first, second = layer(x), layer(x)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(twin(x), first)
    np.testing.assert_array_equal(twin(x), second)
    # A state, a copy and a configuration go on from where they were taken.
    state = json.loads(json.dumps(layer.get_state()))
    copied = copy.deepcopy(layer)
    third = layer(x)
    np.testing.assert_array_equal(copied(x), third)
    again = layers.deserialize(json.loads(json.dumps(layers.serialize(layer))))
    again.build((None, *x.shape[1:]))
    again.set_state(state)
    np.testing.assert_array_equal(again(x), third)
    with pytest.raises(ValueError, match="not one of a PCG64 generator"):
        layer.set_state({"generator": 3})


@pytest.mark.parametrize("name", RANDOM)
def test_without_a_seed_the_root_seed_counts(name):
    results = []
    for _ in range(2):
        fastconv.utils.set_random_seed(11)
        results.append(RANDOM[name]()(pictures()))
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("name", RANDOM)
def test_the_same_bits_with_any_number_of_threads(name):
    before, results = fastconv.get_num_threads(), []
    try:
        for threads in (1, 2, 5):
            fastconv.set_num_threads(threads)
            results.append(RANDOM[name](seed=2)(pictures()))
    finally:
        fastconv.set_num_threads(before)
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])


@keras_test
@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
@pytest.mark.parametrize("fill_mode", ["constant", "nearest", "reflect"])
@pytest.mark.parametrize("name", MOVED)
def test_the_same_draw_moves_pixels_as_in_keras(name, fill_mode, interpolation):
    keras, x = import_keras(), pictures()
    options = {"fill_mode": fill_mode, "interpolation": interpolation, "fill_value": 40.0}
    layer = RANDOM[name](seed=4, **options)
    layer.build((None, *x.shape[1:]))
    matrices, count = drawn(layer, x), len(x)
    if name == "rotation":
        theirs = keras.layers.RandomRotation(0.2, **options)
        angles = np.degrees(np.arctan2(matrices[:, 1, 0], matrices[:, 0, 0])).astype(np.float32)
        zeros, ones = (
            keras.ops.convert_to_tensor(f(count, np.float32)) for f in (np.zeros, np.ones)
        )
        matrix = theirs._compute_affine_matrix(
            0.5, 0.5, keras.ops.convert_to_tensor(angles), zeros, zeros, ones, zeros, zeros, 9, 12
        )
        transformation = {"rotation_matrix": matrix}
    elif name == "translation":
        theirs = keras.layers.RandomTranslation(0.2, 0.3, **options)
        shifts = keras.ops.convert_to_tensor(-matrices[:, :, 2].astype(np.float32))
        transformation = {"translations": shifts}
    else:
        theirs = keras.layers.RandomZoom(0.3, **options)
        zooms = (matrices[:, i, i, np.newaxis].astype(np.float32) for i in (0, 1))
        width, height = (keras.ops.convert_to_tensor(zoom) for zoom in zooms)
        transformation = {"width_zoom": width, "height_zoom": height}
    expected = np.asarray(theirs.transform_images(x, transformation, training=True))
    mine = layer(x)
    if interpolation == "bilinear":
        np.testing.assert_allclose(mine, expected, atol=0.02)
    else:  # what lies just between two pixels is the one or the other
        assert np.mean(mine != expected) < 0.02


def turns(matrices):
    return np.arctan2(matrices[:, 1, 0], matrices[:, 0, 0]) / (2 * np.pi)


@pytest.mark.parametrize(
    ("layer", "low", "high", "number"),
    [
        (layers.RandomRotation((0.1, 0.2)), 0.1, 0.2, turns),
        (layers.RandomRotation(0.05), -0.05, 0.05, turns),
        (layers.RandomTranslation((-0.3, -0.1), 0.0), -0.3, -0.1, lambda m: -m[:, 1, 2] / 9),
        (layers.RandomTranslation(0.0, 0.4), -0.4, 0.4, lambda m: -m[:, 0, 2] / 12),
        (layers.RandomZoom((0.1, 0.5)), 1.1, 1.5, lambda m: m[:, 1, 1]),
        (layers.RandomZoom((0.1, 0.5)), 1.1, 1.5, lambda m: m[:, 0, 0]),
        (layers.RandomZoom(0.0, (-0.5, -0.2)), 0.5, 0.8, lambda m: m[:, 0, 0]),
    ],
)  # fmt: skip
def test_draws_fill_their_range(layer, low, high, number):
    found = number(layer._draw(np.random.default_rng(0), (2000, 9, 12, 3)))
    assert low <= found.min() < low + 0.05 * (high - low)
    assert high - 0.05 * (high - low) < found.max() <= high


def test_a_zoom_without_width_keeps_proportions():
    matrices = layers.RandomZoom(0.5)._draw(np.random.default_rng(0), (50, 9, 12, 3))
    np.testing.assert_array_equal(matrices[:, 0, 0], matrices[:, 1, 1])
    matrices = layers.RandomZoom(0.5, 0.5)._draw(np.random.default_rng(0), (50, 9, 12, 3))
    assert not np.any(matrices[:, 0, 0] == matrices[:, 1, 1])


@pytest.mark.parametrize(
    ("mode", "kinds"),
    [
        ("horizontal", {"", "h"}),
        ("vertical", {"", "v"}),
        ("horizontal_and_vertical", {"", "h", "v", "hv"}),
    ],
)
def test_flips_are_exact(mode, kinds):
    x, seen = pictures(64, 8, 5), set()
    for image, flipped in zip(x, layers.RandomFlip(mode, seed=0)(x), strict=True):
        ways = {"": image, "h": image[:, ::-1], "v": image[::-1], "hv": image[::-1, ::-1]}
        seen |= {kind for kind, way in ways.items() if np.array_equal(way, flipped)}
    assert seen == kinds


def test_crops_are_parts_and_inference_takes_the_middle():
    x, layer, corners = pictures(4), layers.RandomCrop(5, 7, seed=0), set()
    for _ in range(60):
        out = layer(x)
        top, left = np.argwhere(x[0, :, :, 0] == out[0, 0, 0, 0])[0]
        np.testing.assert_array_equal(out, x[:, top : top + 5, left : left + 7])
        corners.add((top, left))
    assert {top for top, _ in corners} == set(range(5))
    assert {left for _, left in corners} == set(range(6))
    middle = layers.Resizing(5, 7, crop_to_aspect_ratio=True)
    np.testing.assert_array_equal(layer(x, training=False), middle(x))
    large = layers.RandomCrop(20, 7, seed=0)
    np.testing.assert_array_equal(large(x), large(x, training=False))


def _again(layer):
    state = {}

    def before_call():
        if layer.built:
            state.setdefault("first", layer.get_state())
            layer.set_state(state["first"])

    return before_call


@pytest.mark.parametrize(
    "layer",
    [
        layers.RandomFlip(seed=1),
        layers.RandomCrop(3, 4, seed=1),
        layers.RandomCrop(7, 3, seed=1),
        layers.RandomContrast((0.5, 0.9), value_range=(-9, 9), seed=1),
        layers.RandomContrast(0.5, value_range=(-0.51, 0.52), seed=1),
        layers.RandomBrightness(0.4, value_range=(-1.9, 1.9), seed=4),
        layers.RandomErasing(value_range=(-1, 1), seed=1),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_gradients(layer):
    layer.build((None, 5, 4, 2))
    check_layer(layer, spaced((2, 5, 4, 2)), before_call=_again(layer))


@pytest.mark.parametrize("name", MOVED)
def test_no_gradient_is_an_error_only_where_one_is_needed(name):
    x, layer = pictures(), RANDOM[name](seed=0)
    dy = layer(x)
    with pytest.raises(NotImplementedError, match=f"{layer.name}.*it has no gradient of its input"):
        layer.backward(dy)
    model = models.Sequential(
        [RANDOM[name](seed=0, input_shape=x.shape[1:]), layers.Flatten(), layers.Dense(1)]
    )
    model.compile("sgd", "mse")
    model.fit(x, np.zeros((len(x), 1)), verbose=0)


def test_a_sequence_of_them_by_hand_and_in_a_model(tmp_path):
    x = pictures()

    def augmentation():
        return models.Sequential(
            [
                layers.RandomFlip("horizontal", seed=1),
                layers.RandomRotation(0.1, seed=2),
                layers.RandomZoom(0.2, seed=3),
                layers.RandomContrast(0.2, seed=4),
            ]
        )

    changed = augmentation()(x, training=True)
    assert changed.shape == x.shape and not np.array_equal(changed, x)
    np.testing.assert_array_equal(augmentation()(x, training=True), changed)
    np.testing.assert_array_equal(augmentation()(x, training=False), x)
    model = augmentation()
    np.testing.assert_array_equal(model.predict(x), x)
    model.save(tmp_path / "m.npz")
    np.testing.assert_array_equal(models.load_model(tmp_path / "m.npz").predict(x), x)


@pytest.mark.parametrize("path", [1, 2])
def test_a_resumed_run_draws_on(tmp_path, path):
    x, y = pictures(16), np.arange(16) % 2

    def fit(epochs, **options):
        fastconv.utils.set_random_seed(3)
        model = models.Sequential(
            [
                layers.Rescaling(1 / 255, input_shape=x.shape[1:]),
                layers.RandomRotation(0.1),
                layers.RandomErasing(0.8, value_range=(0, 1)),
                layers.Flatten(),
                layers.Dense(1, activation="sigmoid"),
            ]
        )
        model.compile("adam", "binary_crossentropy")
        model.fit(x, y, batch_size=8, epochs=epochs, verbose=0, **options)
        return model.get_weights()

    saved = tmp_path / "m-{epoch}.npz"
    whole = fit(4, callbacks=[fastconv.callbacks.ModelCheckpoint(saved)])
    resumed = fit(4, resume_from=tmp_path / f"m-{path}.npz")
    for one, other in zip(whole, resumed, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: layers.RandomFlip("both"), "mode is 'both'; it must be 'horizontal' or"),
        (lambda: layers.RandomRotation(2), r"factor is 2; it must be in \[-1, 1\]"),
        (lambda: layers.RandomRotation((0.1, 0.2, 0.3)), "it must be a pair of numbers"),
        (lambda: layers.RandomRotation("0.1"), "it must be a pair of numbers"),
        (lambda: layers.RandomZoom(-1), r"it must be in \(-1, 1\]"),
        (lambda: layers.RandomZoom(0.1, fill_mode="mirror"), "fill_mode is 'mirror'"),
        (lambda: layers.RandomTranslation(0, 0, interpolation="cubic"), "interpolation is 'cubic'"),
        (lambda: layers.RandomContrast(1.5), r"it must be in \[0, 1\]"),
        (lambda: layers.RandomBrightness(0.1, value_range=(1, 1)), "two different numbers"),
        (lambda: layers.RandomErasing(fill_value="red"), "fill_value is 'red'"),
        (lambda: layers.RandomErasing(fill_value=[1, 2])(pictures()), "each of 3 channels"),
        (lambda: layers.RandomFlip(seed=-1), "seed is -1"),
        (lambda: layers.RandomFlip(data_format="channels_first"), "channels_last"),
        (lambda: layers.RandomFlip()(np.zeros((3, 4))), "it must be images"),
    ],
)
def test_mistakes_are_named(make, text):
    with pytest.raises((TypeError, ValueError), match=text):
        make()


@pytest.mark.parametrize("name", RANDOM)
def test_a_place_of_inference_in_a_pass_of_training_hands_images_on(name):
    """As a graph asks for where a call is fixed to `training=False`."""
    x, layer = pictures(), RANDOM[name](seed=0)
    if name == "crop":
        x = x[:, :5, :7].copy()  # as it is after a crop
    layer.build((None, *x.shape[1:]))
    state = layer.get_state()
    layer._workspace.inference = True
    np.testing.assert_allclose(layer.call(x, training=True), x, rtol=1e-6)
    np.testing.assert_allclose(layer.backward(x), x, rtol=1e-6)
    assert layer.get_state() == state
    layer._workspace.inference = False
    assert name == "crop" or not np.array_equal(layer.call(x, training=True), x)


@pytest.mark.parametrize("name", RANDOM)
def test_in_a_graph_the_pass_decides(name):
    x = pictures()

    def model(**options):
        image = layers.Input(x.shape[1:])
        return models.Model(image, RANDOM[name](seed=1)(image, **options))

    by_hand = RANDOM[name](seed=1)
    expected = by_hand(x, training=True)
    np.testing.assert_array_equal(model()(x, training=True), expected)
    np.testing.assert_array_equal(model().predict(x), by_hand(x, training=False))
    np.testing.assert_array_equal(model(training=True).predict(x), expected)
    np.testing.assert_array_equal(model(training=False)(x, training=True), by_hand(x, False))
