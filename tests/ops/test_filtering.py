"""filter2d: the chapter's convolution of one image with one filter."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import LAYOUTS, assert_close, laid_out

from fastconv import layers, ops
from fastconv.ops import reference


def test_the_chapters_example():
    y = ops.filter2d([[1, 0, 0], [1, 0, 0], [1, 1, 1]], [[1, -1], [1, -1]])
    assert y.dtype == np.float32 and y.tolist() == [[2, 0], [1, 0]]


@given(
    height=st.integers(1, 12),
    width=st.integers(1, 12),
    channels=st.sampled_from([None, 1, 3, 4, 17]),
    size=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    padding=st.sampled_from(["valid", "same", 2, ((0, 3), (4, 1))]),
    dtype=st.sampled_from([np.float32, np.float64]),
    layout=st.sampled_from(LAYOUTS),
    seed=st.integers(0, 2**16),
)
@settings(max_examples=60)
def test_against_the_twin(height, width, channels, size, padding, dtype, layout, seed):
    rng = np.random.default_rng(seed)
    if padding == "valid":
        height, width = max(height, size[0]), max(width, size[1])
    height, width = max(height, size[0] - 3), max(width, size[1] - 4)
    shape = (height, width) if channels is None else (height, width, channels)
    image = laid_out(rng.standard_normal(shape).astype(dtype), layout)
    kernel = laid_out(rng.standard_normal(size).astype(dtype), layout)
    kept = image.copy()
    y = ops.filter2d(image, kernel, padding)
    assert y.dtype == dtype and y.flags.c_contiguous
    # Up to 25 terms of size 1, which may cancel.
    assert_close(y, reference.filter2d(image, kernel, padding), usual=5)
    np.testing.assert_array_equal(image, kept)


@pytest.mark.parametrize(
    ("image", "kernel", "expected"),
    [
        (np.uint8, np.float32, np.float32),
        (np.int64, np.int64, np.float32),
        (bool, float, np.float64),
        (np.float64, np.float32, np.float64),
        (np.float32, np.float64, np.float64),
        (np.float16, np.float16, np.float32),
    ],
)
def test_dtypes(image, kernel, expected):
    y = ops.filter2d(np.eye(4, dtype=image), np.ones((2, 2), kernel))
    assert y.dtype == expected
    np.testing.assert_array_equal(y, [[2, 1, 0], [1, 2, 1], [0, 1, 2]])


def test_is_conv2d_of_one_channel():
    rng = np.random.default_rng(0)
    image, kernel = rng.random((9, 8), np.float32), rng.random((3, 2), np.float32)
    expected = ops.conv2d(image[None, :, :, None], kernel[:, :, None, None], padding="same")
    np.testing.assert_array_equal(ops.filter2d(image, kernel, "same"), expected[0, :, :, 0])


@pytest.mark.parametrize(
    ("image", "kernel", "padding", "error", "message"),
    [
        ([1, 2, 3], [[1]], "valid", ValueError, r"image has shape \(3,\); \(height, width\) or"),
        (np.ones((1, 3, 3, 1)), [[1]], "valid", ValueError, r"image has shape \(1, 3, 3, 1\)"),
        ([[1, 2]], [1, 2], "valid", ValueError, r"kernel has shape \(2,\); \(rows, columns\)"),
        ([[1, 2], [3]], [[1]], "valid", ValueError, "rows of image differ in length"),
        ([["a"]], [[1]], "valid", TypeError, "image has dtype <U1; numbers are needed"),
        ([[1]], [[1j]], "valid", TypeError, "kernel has dtype complex128"),
        ([[1]], [[1, 1]], "valid", ValueError, r"kernel \(1, 2\) does not fit the input \(1, 1"),
        ([[1]], [[1]], "full", ValueError, "padding is 'full'"),
        (np.ones((0, 3)), [[1]], "same", ValueError, "no pixels"),
        ([[1]], np.ones((0, 0)), "valid", ValueError, "no size may be 0"),
    ],
    ids=str,
)
def test_mistakes(image, kernel, padding, error, message):
    with pytest.raises(error, match="^filter2d: .*" + message):
        ops.filter2d(image, kernel, padding)


def test_no_channels_give_no_maps():
    assert ops.filter2d(np.ones((4, 5, 0), np.float32), np.ones((2, 2))).shape == (3, 4, 0)


@pytest.mark.parametrize("channels", [None, 1, 3, 20])
def test_the_same_bits_with_any_number_of_threads_and_what_the_layer_gives(channels, threads):
    rng = np.random.default_rng(0)
    shape = (70, 61) if channels is None else (70, 61, channels)
    image, kernel = rng.standard_normal(shape, np.float32), rng.standard_normal((3, 5), np.float32)
    threads(1)
    expected = ops.filter2d(image, kernel, "same")
    for count in (2, 3):
        threads(count)
        assert ops.filter2d(image, kernel, "same").tobytes() == expected.tobytes()
    images = np.atleast_3d(image)[np.newaxis]
    layer = layers.DepthwiseConv2D((3, 5), padding="same", use_bias=False)
    layer(images)
    weights = np.repeat(kernel[:, :, np.newaxis, np.newaxis], images.shape[3], axis=2)
    layer.set_weights([weights])
    np.testing.assert_allclose(layer(images).reshape(shape), expected, rtol=1e-5, atol=1e-5)


def test_out_gets_the_map():
    rng = np.random.default_rng(0)
    for shape in ((9, 8), (9, 8, 3), (60, 50), (4, 5, 0)):
        image, kernel = rng.standard_normal(shape), rng.standard_normal((3, 2))
        expected = ops.filter2d(image, kernel)
        out = np.full_like(expected, np.nan)
        assert ops.filter2d(image, kernel, out=out) is out
        np.testing.assert_array_equal(out, expected)
        with pytest.raises(TypeError, match="filter2d: out has dtype float32; it must be float64"):
            ops.filter2d(image, kernel, out=out.astype(np.float32))
    square = np.ones((4, 4), np.float32)
    with pytest.raises(ValueError, match="filter2d: out must have memory of its own"):
        ops.filter2d(square, np.ones((1, 1), np.float32), out=square)
