"""Output shapes and padding against counting windows one by one, and against the known cases."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastconv._core import geometry
from fastconv._core.geometry import conv2d_window, pool2d_window, window2d
from fastconv.ops import reference

pairs = st.tuples(st.integers(1, 5), st.integers(1, 5))
sizes = st.tuples(st.integers(1, 20), st.integers(1, 20))
edges = st.tuples(st.integers(0, 4), st.integers(0, 4))
paddings = st.one_of(st.sampled_from(["valid", "same"]), st.integers(0, 4), st.tuples(edges, edges))


def outputs(window):
    return window.rows.output, window.columns.output


@given(image=sizes, size=pairs, strides=pairs, padding=paddings, dilation=pairs)
def test_counts_the_windows_that_fit(image, size, strides, padding, dilation):
    expected = reference.output_size(image, size, strides, padding, dilation)
    if min(expected) < 1:
        with pytest.raises(ValueError, match=r"layer: kernel .* does not fit"):
            window2d(image, size, strides, padding, dilation, owner="layer")
        return
    window = window2d(image, size, strides, padding, dilation, owner="layer")
    assert outputs(window) == expected
    for axis, length, stride, apart in zip(window, image, strides, dilation, strict=True):
        assert (axis.size, axis.stride, axis.dilation) == (length, stride, apart)
        last = (axis.output - 1) * stride + (axis.window - 1) * apart
        room = length + axis.before + axis.after - 1
        assert last <= room < last + stride


@given(image=sizes, size=pairs, strides=pairs, padding=paddings, dilation=pairs)
def test_inside_is_the_share_of_taps_that_read_the_image(image, size, strides, padding, dilation):
    if min(reference.output_size(image, size, strides, padding, dilation)) < 1:
        return
    window = window2d(image, size, strides, padding, dilation, owner="layer")
    share = 1.0
    for axis in window:
        reads = [
            0 <= output * axis.stride + tap * axis.dilation - axis.before < axis.size
            for output in range(axis.output)
            for tap in range(axis.window)
        ]
        assert axis.inside == sum(reads) / len(reads)
        share *= axis.inside
    assert window.inside == share


@given(image=sizes, size=pairs, strides=pairs, dilation=pairs)
def test_same_is_tensorflows(image, size, strides, dilation):
    window = window2d(image, size, strides, "same", dilation, owner="layer")
    for axis in window:
        assert axis.output == math.ceil(axis.size / axis.stride)
        assert axis.after - axis.before in (0, 1), "the odd pixel goes behind"
        extent = (axis.window - 1) * axis.dilation + 1
        needed = (axis.output - 1) * axis.stride + extent
        assert axis.before + axis.after == max(needed - axis.size, 0)


@pytest.mark.parametrize(
    ("length", "window", "stride", "before", "after", "output"),
    [
        (5, 3, 1, 1, 1, 5),
        (5, 2, 1, 0, 1, 5),
        (6, 3, 2, 0, 1, 3),
        (5, 3, 2, 1, 1, 3),
        (224, 7, 2, 2, 3, 112),
        (7, 2, 2, 0, 1, 4),
        (4, 1, 3, 0, 0, 2),
        (1, 5, 1, 2, 2, 1),
    ],
)
def test_same_by_hand(length, window, stride, before, after, output):
    axis = window2d((length, length), (window, window), stride, "same", owner="layer").rows
    assert (axis.before, axis.after, axis.output) == (before, after, output)


@pytest.mark.parametrize("padding", ["valid", "VALID", 0, ((0, 0), (0, 0)), [[0, 0], [0, 0]]])
def test_spellings_of_no_padding(padding):
    window = window2d((9, 8), (3, 2), 1, padding, owner="layer")
    assert outputs(window) == (7, 7) and not window.padded


def test_sides_by_name():
    window = window2d((9, 8), (3, 2), (2, 1), ((1, 2), (3, 4)), owner="layer")
    rows, columns = window
    assert (rows.before, rows.after, columns.before, columns.after) == (1, 2, 3, 4)
    assert window.padded


def test_the_chapters_shapes():
    window, groups = conv2d_window((32, 100, 100, 3), (3, 3, 3, 32))
    assert (outputs(window), groups) == ((98, 98), 1)
    assert outputs(pool2d_window((32, 47, 47, 32))) == (23, 23)


def test_pooling_steps_by_its_size():
    window = pool2d_window((1, 10, 12, 1), (2, 3))
    assert [axis.stride for axis in window] == [2, 3]
    assert [axis.stride for axis in pool2d_window((1, 10, 12, 1), 3, 1)] == [1, 1]


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (
            lambda: window2d((3, 3), (5, 5), 1, "valid", owner="a", channels=32),
            "a: kernel (5, 5) does not fit the input (3, 3, 32) with padding='valid'",
        ),
        (
            lambda: window2d((3, 9), (2, 2), 1, 0, (3, 1), owner="a", what="window"),
            "a: window (2, 2) does not fit the input (3, 9) with padding=0 and "
            "dilation_rate=(3, 1)",
        ),
        (
            lambda: window2d((0, 9), (2, 2), 1, 2, owner="a"),
            "a: the input (0, 9) has no pixels",
        ),
        (
            lambda: window2d((9, 9), (2, 2), 1, "causal", owner="a"),
            "a: padding is 'causal'; it must be 'valid', 'same', a whole number of at least 0 or "
            "((top, bottom), (left, right))",
        ),
        (
            lambda: conv2d_window((1, 9, 9, 4), (3, 3, 4, 6), groups=2, owner="a"),
            "a: kernel (3, 3, 4, 6) takes 4 channels a group, but the input has 4 channels in "
            "2 groups",
        ),
        (
            lambda: conv2d_window((1, 9, 9, 4), (3, 3, 2, 5), groups=2, owner="a"),
            "a: groups=2 does not divide 4 input channels and 5 filters",
        ),
        (
            lambda: conv2d_window((1, 9, 9, 4), (3, 3, 3, 5), owner="a"),
            "a: kernel (3, 3, 3, 5) takes 3 channels a group, but the input has 4 channels in "
            "1 group",
        ),
        (
            lambda: pool2d_window((1, 9, 9, 4), 2, padding=((0, 0), (2, 0)), owner="a"),
            "a: padding=((0, 0), (2, 0)) is as large as the pool window (2, 2); a window must "
            "hold at least one pixel of the image",
        ),
    ],
)
def test_mistakes_word_for_word(check, message):
    with pytest.raises(ValueError) as caught:
        check()
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("strides", "padding", "dilation"),
    [(2**40, "valid", 1), (1, 2**40, 1), (2**32, 2**33, 1), (1, "same", 2**29)],
)
def test_absurd_numbers_are_refused_before_memory_is_planned(strides, padding, dilation):
    with pytest.raises(ValueError, match=r"^a: strides=.*reach over more than \d+ pixels"):
        window2d((4, 4), (3, 3), strides, padding, dilation, owner="a")


def test_a_row_of_more_values_than_the_kernels_count_is_refused():
    """Such rows take 8 GB; but padding alone makes one of a single pixel."""
    padding = ((0, 0), (1 << 23, 0))
    window2d((1, 1), (1, 1), (1, 1 << 23), padding, owner="layer", channels=255)
    with pytest.raises(ValueError, match=r"layer: a row of the input \(1, 1, 256\) with padding="):
        window2d((1, 1), (1, 1), (1, 1 << 23), padding, owner="layer", channels=256)


def test_limits_are_of_what_fits():
    window2d((1, 1), (1, 1), geometry.LARGEST, "valid", owner="a")
    with pytest.raises(ValueError, match="reach over more than 16777216 pixels"):
        window2d((1, 1), (1, 1), geometry.LARGEST + 1, "valid", owner="a")
    side = 1 << 15
    window2d((side, side), (1, 1), 1, "valid", owner="a", channels=65_535)
    with pytest.raises(ValueError, match="makes an output of 32769 x 32768 pixels; at most 107374"):
        window2d((side, side), (1, 1), 1, ((1, 0), (0, 0)), owner="a")
    # Only a row's pixels lie one behind the other.
    window2d((1 << 23, 1), (1, 1), 1 << 23, "valid", owner="a", channels=256)


def test_groups_are_checked():
    assert conv2d_window((1, 9, 9, 4), (3, 3, 2, 6), groups=2)[1] == 2
    with pytest.raises(ValueError, match=r"^a: groups is 0; it must be at least 1"):
        conv2d_window((1, 9, 9, 4), (3, 3, 4, 6), groups=0, owner="a")
    with pytest.raises(ValueError, match=r"^conv2d: groups=2 does not divide 5 input channels"):
        conv2d_window((1, 9, 9, 5), (3, 3, 2, 6), groups=2)
    with pytest.raises(ValueError, match=r"kernel has shape \(3, 3, 4, 0\); no size may be 0"):
        conv2d_window((1, 9, 9, 4), (3, 3, 4, 0))


@pytest.mark.parametrize(
    ("padding", "kept"),
    [
        ("same", "same"),
        ("valid", "valid"),
        (np.int64(2), 2),
        (True, None),
        (-1, None),
        (((1, 2), (3, 0)), ((1, 2), (3, 0))),
        ([[0, 1], [2, 3]], ((0, 1), (2, 3))),
        (((1, 2), (3, -1)), None),
        (((1, 2), (3, 1.0)), None),
    ],
)
def test_padding_as_it_is_kept(padding, kept):
    if kept is None:
        with pytest.raises(ValueError, match=r"^layer: padding is .*; it must be 'valid'"):
            geometry.plain_padding(padding, "padding", "layer")
        return
    found = geometry.plain_padding(padding, "padding", "layer")
    assert found == kept and type(found) is type(kept)


def test_padding_of_one_side_is_padding():
    for padding in (((1, 0), (0, 0)), ((0, 1), (0, 0)), ((0, 0), (1, 0)), ((0, 0), (0, 1))):
        assert window2d((9, 8), (3, 2), 1, padding, owner="layer").padded


def test_wrong_arguments_are_named():
    for check, name in (
        (lambda: window2d((9, 9), (2, 2), 0, "valid", owner="a"), "strides"),
        (lambda: window2d((9, 9), (2, 2), 1, "valid", 0, owner="a"), "dilation_rate"),
        (lambda: pool2d_window((1, 9, 9, 1), 0, owner="a"), "pool_size"),
    ):
        with pytest.raises(ValueError, match=f"^a: {name} is 0; it must be at least 1 along both"):
            check()
    with pytest.raises(ValueError, match=r"^pool2d: pool window \(3, 2\) does not fit the input"):
        pool2d_window((1, 2, 3, 4), (3, 2))
    assert geometry.share_inside([], 4, 1, 4) == 1.0


def test_rows_and_columns_are_not_exchanged():
    window, _ = conv2d_window((1, 9, 7, 4), (3, 2, 4, 6))
    assert outputs(window) == (7, 6)
    assert [(axis.size, axis.window) for axis in window] == [(9, 3), (7, 2)]
    assert outputs(pool2d_window((1, 9, 7, 4), (3, 1))) == (3, 7)
    assert outputs(conv2d_window((1, 9, 7, 1), (1, 1, 1, 1))[0]) == (9, 7)


def test_the_longest_row_is_taken():
    window2d((1, 1), (1, 1), 1, "valid", owner="a", channels=geometry.LARGEST_ROW)
    with pytest.raises(ValueError, match="has 2147483648 values; it must have at most 2147483647"):
        window2d((1, 1), (1, 1), 1, "valid", owner="a", channels=geometry.LARGEST_ROW + 1)
