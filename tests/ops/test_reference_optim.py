"""The optimizers' twins themselves: by hand, and against PyTorch in float64."""

from __future__ import annotations

import numpy as np
import pytest

from fastconv.ops import reference_optim


def test_optimizers_against_pytorch():
    """Where PyTorch's rules are the same: its epsilon of RMSprop is outside of the root."""
    torch = pytest.importorskip("torch", reason="needs PyTorch")
    rng = np.random.default_rng(0)
    start, gradients = rng.standard_normal(20), rng.standard_normal((10, 20))

    def theirs(make):
        value = torch.tensor(start.copy(), requires_grad=True)
        optimizer = make([value])
        for gradient in gradients:
            value.grad = torch.tensor(gradient)
            optimizer.step()
        return value.detach().numpy()

    value, velocity = start.copy(), np.zeros(20)
    for gradient in gradients:
        reference_optim.sgd(value, gradient, velocity, 0.1, 0.9)
    expected = theirs(lambda values: torch.optim.SGD(values, lr=0.1, momentum=0.9))
    np.testing.assert_allclose(value, expected, rtol=1e-12)

    value, m, v = start.copy(), np.zeros(20), np.zeros(20)
    for step, gradient in enumerate(gradients, 1):
        reference_optim.adam(value, gradient, m, v, 0.01, 0.9, 0.999, 0.0, step, weight_decay=0.1)
    expected = theirs(lambda values: torch.optim.AdamW(values, lr=0.01, eps=0.0, weight_decay=0.1))
    np.testing.assert_allclose(value, expected, rtol=1e-10)

    value, square, velocity, mean = start.copy(), *np.zeros((3, 20))
    for gradient in gradients:
        reference_optim.rmsprop(value, gradient, square, velocity, mean, 0.01, 0.9, 0.5, 0.0)
        # The first step's variance is g**2 (rho - rho**2), which both compute from a difference.
    expected = theirs(
        lambda values: torch.optim.RMSprop(
            values, lr=0.01, alpha=0.9, eps=0.0, momentum=0.5, centered=True
        )
    )
    np.testing.assert_allclose(value, expected, rtol=1e-9)


def test_gradients_are_scaled_before_they_are_clipped():
    value, gradient = np.zeros(3), np.array([-8.0, 1.0, 8.0])
    reference_optim.sgd(value, gradient, None, 1.0, gradient_scale=0.5, clip_value=2.0)
    np.testing.assert_array_equal(value, [2, -0.5, -2])
    np.testing.assert_array_equal(gradient, [-8, 1, 8])
