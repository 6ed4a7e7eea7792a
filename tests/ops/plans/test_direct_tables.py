"""The index tables: what they say, followed step by step, is the sum over taps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastconv.ops import reference
from fastconv.ops.plans.direct_tables import (
    BUFFER_BYTES,
    ROW_BLOCK_BYTES,
    TASK_PIXELS,
    DirectTables,
)


def follow(tables, image):
    """Return, for each output of the grid, the source values in the order of the weights."""
    height, width, channels = tables.source
    top, left, padded_width = tables.rows.before, tables.columns.before, tables.columns.padded
    if tables.in_place:
        memory = image.reshape(-1)
        row_width = width
    else:
        rows = tables.rows.padded
        padded = np.zeros((max(rows, top + height), max(padded_width, left + width), channels))
        padded[top : top + height, left : left + width] = image
        memory = np.ascontiguousarray(padded[:rows, :padded_width]).reshape(-1)
        assert memory.size == tables.scratch_size(tables.rows.outputs)
        row_width = padded_width
    row_stride, column_stride = tables.rows.stride, tables.columns.stride
    values = []
    for row in range(tables.rows.outputs):
        for column in range(tables.columns.outputs):
            first = (row * row_stride * row_width + column * column_stride) * channels
            runs = [
                memory[first + offset : first + offset + tables.run_length]
                for offset in tables.run_offset
            ]
            assert all(run.size == tables.run_length for run in runs), "reads past the source"
            values.append(np.concatenate(runs))
    return np.array(values)


@given(
    image=st.tuples(st.integers(1, 7), st.integers(1, 7), st.integers(1, 3)),
    size=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    strides=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    top=st.integers(0, 2),
    left=st.integers(0, 2),
)
@settings(max_examples=80)
def test_follows_the_windows(image, size, strides, dilation, top, left):
    padding = ((top, 4), (left, 4))
    rows, columns = reference.output_size(image[:2], size, strides, padding, dilation)
    tables = DirectTables(
        image,
        (rows, columns, 1),
        [(i, i * dilation[0] - top) for i in range(size[0])],
        [(j, j * dilation[1] - left) for j in range(size[1])],
        grid=(rows, columns),
        strides=strides,
    )
    assert tables.taps.tolist() == [[i, j] for i in range(size[0]) for j in range(size[1])]
    pixels = np.random.default_rng(0).random(image)
    expected = np.zeros((rows, columns, *size, image[2]))
    for row, column, taps in reference.windows(image[:2], size, strides, padding, dilation):
        for i, j, y, x in taps:
            expected[row, column, i, j] = pixels[y, x]
    np.testing.assert_array_equal(follow(tables, pixels), expected.reshape(rows * columns, -1))


def plain(image=(10, 10, 4), size=3, offset=0, groups=1):
    taps = [(tap, tap + offset) for tap in range(size)]
    grid = (image[0] - size + 1, image[1] - size + 1)
    return DirectTables(image, (*grid, 8), taps, taps, grid=grid, groups=groups)


def test_neighbouring_columns_are_one_run():
    tables = plain()
    assert tables.in_place and tables.run_length == 12
    assert tables.run_offset.tolist() == [0, 40, 80]
    assert tables.scratch_size(5) == 1
    assert plain(groups=2).run_length == 2


def test_padding_needs_a_copy():
    tables = plain(offset=-1)
    assert not tables.in_place
    assert tables.line == 10 * 4
    assert tables.scratch_size(2) == (2 - 1 + 3) * tables.line


def test_no_taps_reach_anything():
    tables = DirectTables((4, 4, 2), (4, 4, 2), [], [(0, 0)], grid=(4, 4))
    assert tables.taps.shape == (0, 2)


@pytest.mark.parametrize("threads", [1, 2, 7])
@pytest.mark.parametrize("images", [1, 2, 64])
def test_strips_cover_the_rows_and_are_worth_a_task(images, threads):
    tables = plain((100, 100, 32))
    rows = tables.task_rows(images, threads, 4)
    assert 1 <= rows <= tables.rows.outputs
    assert rows * tables.columns.outputs >= min(TASK_PIXELS, 100 * 100)


def test_a_strip_with_what_it_writes_fits_a_cache_if_its_weights_are_small():
    def rows(channels, filters):
        taps = [(0, 0)]
        image, grid = (200, 200, channels), (200, 200)
        return DirectTables(image, (*grid, filters), taps, taps, grid=grid).task_rows(64, 2, 4)

    assert rows(4, 256) < rows(4, 4) < rows(4, 256 * 1024)
    assert rows(4, 256) * 200 * (4 + 256) * 4 <= ROW_BLOCK_BYTES


@pytest.mark.parametrize(
    "channels, step, depth, staged",
    [
        (100, 1, 13, True),
        (100, 2, 13, True),
        (13, 1, 13, True),
        (13, 2, 13, False),
        (96, 1, 13, False),
        (100, 1, 4096, False),
    ],
    ids=str,
)
def test_pixels_that_are_no_whole_vectors_are_staged_where_the_copies_are_long(
    channels, step, depth, staged
):
    tap, grid = [(0, 0)], (20, 20)
    pixels = DirectTables(
        (20, 20, depth), (40, 40, channels), tap, tap, grid=grid, target_step=(step, step)
    ).buffer_pixels(4)
    assert (pixels > 0) == staged
    assert pixels * channels * 4 <= BUFFER_BYTES
