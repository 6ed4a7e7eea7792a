"""The parts of a kernel: which there are, and that together they are the kernel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastconv._core.geometry import window2d
from fastconv.ops.plans.winograd_cuts import forward_cuts, input_gradient_cuts

windows = st.builds(
    lambda image, size, stride, padding: window2d(
        image, (size, size), stride, padding, owner="test"
    ),
    st.tuples(st.integers(12, 20), st.integers(12, 20)),
    st.integers(2, 12),
    st.integers(1, 4),
    st.tuples(*[st.tuples(st.integers(0, 4), st.integers(0, 4))] * 2),
)


def inputs_of(cut, axis):
    """Yield (output, input, tap of the kernel) of every product along an axis; an input may lie
    outside, a tap may not exist."""
    for output in range(cut.output[axis]):
        point, target = divmod(output, cut.targets)
        for part in range(cut.parts):
            for tap in range(cut.taps):
                number = part + target  # one of them is 0
                yield (
                    output,
                    cut.stride * (point + tap) + cut.offset * part - cut.before[axis],
                    cut.first[axis] + cut.part_step * number + cut.tap_step * tap,
                )


def products(cut, axis, window, sources):
    return sorted(
        product
        for product in inputs_of(cut, axis)
        if 0 <= product[1] < sources and 0 <= product[2] < window
    )


@given(windows)
def test_an_outputs_parts_are_all_its_taps(window):
    for cut in forward_cuts(window):
        for number, axis in enumerate(window):
            expected = [
                (output, output * axis.stride + tap - axis.before, tap)
                for output in range(axis.output)
                for tap in range(axis.window)
                if 0 <= output * axis.stride + tap - axis.before < axis.size
            ]
            assert products(cut, number, axis.window, axis.size) == sorted(expected)


@given(windows)
def test_an_input_gradients_parts_are_all_its_taps(window):
    for cut in input_gradient_cuts(window):
        for number, axis in enumerate(window):
            expected = [
                (output * axis.stride + tap - axis.before, output, tap)
                for output in range(axis.output)
                for tap in range(axis.window)
                if 0 <= output * axis.stride + tap - axis.before < axis.size
            ]
            assert products(cut, number, axis.window, axis.output) == sorted(expected)


@pytest.mark.parametrize(
    ("size", "stride", "dilation", "cuts"),
    [
        (3, 1, 1, [(3, 1)]),
        (5, 1, 1, [(3, 2), (4, 2), (5, 1)]),
        (7, 1, 1, [(3, 3), (4, 2), (5, 2)]),
        (5, 2, 1, [(3, 2)]),
        (11, 4, 1, [(3, 4)]),
        (1, 1, 1, []),
        (1, 2, 1, []),
        (3, 1, 2, []),
        (3, 5, 1, []),
        ((3, 5), 1, 1, []),
        (3, (1, 2), 1, []),
    ],
)
def test_which_kernels_have_parts(size, stride, dilation, cuts):
    size = (size, size) if isinstance(size, int) else size
    window = window2d((32, 32), size, stride, "same", dilation, owner="test")
    assert [(cut.taps, cut.parts) for cut in forward_cuts(window)] == cuts
    assert bool(input_gradient_cuts(window)) == bool(cuts)


def test_a_tile_reads_what_its_span_says():
    window = window2d((40, 40), (7, 7), 2, "valid", owner="test")
    (cut,) = forward_cuts(window)
    reach = max(source for output, source, _ in inputs_of(cut, 0) if output < 2 * cut.side)
    assert cut.span(2) == reach + 1
    assert np.prod([cut.column_parts, cut.part_channels(5), cut.parts]) == cut.depth(5)
