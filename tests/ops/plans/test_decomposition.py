"""The parts of a kernel: which there are, and that together they are the kernel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastconv._core.geometry import window2d
from fastconv.ops.plans.decomposition import input_gradient_schemes, output_schemes

windows = st.builds(
    lambda image, size, stride, padding: window2d(
        image, (size, size), stride, padding, owner="test"
    ),
    st.tuples(st.integers(12, 20), st.integers(12, 20)),
    st.integers(2, 12),
    st.integers(1, 4),
    st.tuples(*[st.tuples(st.integers(0, 4), st.integers(0, 4))] * 2),
)


def inputs_of(scheme, axis):
    """Yield (output, input, tap of the kernel) of every product along an axis; an input may lie
    outside, a tap may not exist."""
    for output in range(scheme.output[axis]):
        point, target = divmod(output, scheme.targets)
        for part in range(scheme.kernels):
            for tap in range(scheme.r):
                number = part + target  # one of them is 0
                yield (
                    output,
                    scheme.stride * (point + tap) + scheme.offset * part - scheme.before[axis],
                    scheme.first[axis] + scheme.kernel_step * number + scheme.tap_step * tap,
                )


def products(scheme, axis, window, sources):
    return sorted(
        product
        for product in inputs_of(scheme, axis)
        if 0 <= product[1] < sources and 0 <= product[2] < window
    )


@given(windows)
def test_an_outputs_parts_are_all_its_taps(window):
    for scheme in output_schemes(window):
        for number, axis in enumerate(window):
            expected = [
                (output, output * axis.stride + tap - axis.before, tap)
                for output in range(axis.output)
                for tap in range(axis.window)
                if 0 <= output * axis.stride + tap - axis.before < axis.size
            ]
            assert products(scheme, number, axis.window, axis.size) == sorted(expected)


@given(windows)
def test_an_input_gradients_parts_are_all_its_taps(window):
    for scheme in input_gradient_schemes(window):
        for number, axis in enumerate(window):
            expected = [
                (output * axis.stride + tap - axis.before, output, tap)
                for output in range(axis.output)
                for tap in range(axis.window)
                if 0 <= output * axis.stride + tap - axis.before < axis.size
            ]
            assert products(scheme, number, axis.window, axis.output) == sorted(expected)


@pytest.mark.parametrize(
    ("size", "stride", "dilation", "schemes"),
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
def test_which_kernels_have_parts(size, stride, dilation, schemes):
    size = (size, size) if isinstance(size, int) else size
    window = window2d((32, 32), size, stride, "same", dilation, owner="test")
    assert [(scheme.r, scheme.kernels) for scheme in output_schemes(window)] == schemes
    assert bool(input_gradient_schemes(window)) == bool(schemes)


def test_a_tile_reads_what_its_span_says():
    window = window2d((40, 40), (7, 7), 2, "valid", owner="test")
    (scheme,) = output_schemes(window)
    reach = max(source for output, source, _ in inputs_of(scheme, 0) if output < 2 * scheme.m)
    assert scheme.span(2) == reach + 1
    assert np.prod(
        [scheme.column_kernels, scheme.kernel_channels(5), scheme.kernels]
    ) == scheme.depth(5)
