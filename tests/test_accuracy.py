"""Gradients of a whole stack are float64's, but for the argmax of near ties.

Convolution + ReLU + pooling picks one pixel of four, and rounding decides between pixels that
are equal to within it.  Another pick sends a whole gradient to another pixel: against float64
with its own picks, single values differ wholly and sums of them by up to 1e-3.  With the picks
shared, all that is left is rounding - so the picks are all there is to that difference.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from fastconv.ops import reference
from fastconv.ops.plans import ConvPoolPlan

pytestmark = pytest.mark.usefixtures("algorithms")

TOLERANCE = 5e-6
"""Of the largest value, outputs and gradients: what Winograd's rounding is held to."""
CHANNELS = (3, 32, 64, 128)


def error(actual, expected):
    return np.abs(actual - expected).max() / np.abs(expected).max()


def picked(sums, argmax):
    """Return the pixels of 2x2 windows that `argmax` names, 0 where it is INACTIVE."""
    rows, columns = 2 * argmax.shape[1], 2 * argmax.shape[2]
    pixels = [sums[:, i:rows:2, j:columns:2] for i in (0, 1) for j in (0, 1)]
    return np.choose(argmax, [*pixels, np.zeros(argmax.shape)])


@pytest.fixture(scope="module")
def stack(algorithms):
    """Return three blocks in float32 and float64: inputs, kernel, output, argmax, sums."""
    rng = np.random.default_rng(0)
    x = rng.random((4, 46, 46, 3), dtype=np.float32)
    x[0] = 0.5 + 1e-5 * x[0]  # a wall in the sun: windows of near ties, as photos have them
    blocks, exact = [], x.astype(np.float64)
    for channels, filters in itertools.pairwise(CHANNELS):
        kernel = rng.standard_normal((3, 3, channels, filters), dtype=np.float32)
        kernel *= np.float32((2 / (9 * channels)) ** 0.5)
        plan = ConvPoolPlan(x.shape, kernel.shape)
        out, argmax = np.empty(plan.output_shape, np.float32), np.empty(plan.output_shape, "u1")
        plan.forward(x, kernel, None, out, argmax)
        sums = reference.conv2d(exact, kernel)
        blocks.append((plan, x, exact, kernel, out, argmax, sums))
        x, exact = out, picked(sums, argmax)
    return blocks


def gradients(stack, winners_of):
    """Return [(float32's, float64's) kernel gradients], float64 going by `winners_of(block)`."""
    dy = np.random.default_rng(1).standard_normal(stack[-1][4].shape, dtype=np.float32)
    exact_dy, pairs = dy.astype(np.float64), []
    for block in reversed(stack):
        plan, x, exact, kernel, _, argmax, _ = block
        dx, dkernel = np.empty_like(x), np.empty_like(kernel)
        plan.backward(dy, argmax, x, kernel, dx, dkernel, None)
        exact_dx, exact_dkernel, _ = reference.conv_pool_backward(
            exact_dy, winners_of(block), exact, kernel
        )
        pairs += [(dkernel, exact_dkernel), (dx, exact_dx)]
        dy, exact_dy = dx, exact_dx
    return pairs


def test_outputs(stack):
    for _, _, _, _, out, argmax, sums in stack:
        assert error(out, picked(sums, argmax)) < TOLERANCE


def test_other_picks_are_near_ties(stack):
    for _, _, _, _, _, argmax, sums in stack:
        best = picked(sums, exact_winners(sums))
        assert np.abs(best - picked(sums, argmax)).max() < 2 * TOLERANCE * np.abs(sums).max()


def test_gradients_with_shared_picks(stack):
    for actual, expected in gradients(stack, lambda block: block[5]):
        assert error(actual, expected) < TOLERANCE


def test_gradients_differ_by_near_ties_alone(stack):
    """The same passes with float64's own picks: what the test above does not see is theirs."""
    flips = sum(np.count_nonzero(exact_winners(block[6]) != block[5]) for block in stack)
    errors = [error(*pair) for pair in gradients(stack, lambda block: exact_winners(block[6]))]
    assert flips > 0
    assert max(errors) > 100 * TOLERANCE


def exact_winners(sums):
    rows, columns = sums.shape[1] // 2 * 2, sums.shape[2] // 2 * 2
    pixels = np.stack([sums[:, i:rows:2, j:columns:2] for i in (0, 1) for j in (0, 1)])
    return np.where(pixels.max(axis=0) > 0, pixels.argmax(axis=0), reference.INACTIVE)
