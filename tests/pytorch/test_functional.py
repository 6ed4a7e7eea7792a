"""fastconv's operations on tensors beside PyTorch's, with their gradients."""

from __future__ import annotations

import itertools
import warnings

import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional  # noqa: E402

from fastconv.torch import conv2d, conv2d_relu_pool, max_pool2d  # noqa: E402


def tensors(*shapes, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(shape, dtype=dtype, generator=generator).requires_grad_() for shape in shapes
    ]


def check(ours, theirs, arguments, tolerance=1e-4):
    """Hold values and gradients beside PyTorch's, all in units of the largest one."""
    dy = torch.randn(theirs(*arguments).shape, dtype=arguments[0].dtype)
    wanted = torch.autograd.grad(theirs(*arguments), arguments, dy)
    found = torch.autograd.grad(ours(*arguments), arguments, dy)
    pairs = zip((ours(*arguments), *found), (theirs(*arguments), *wanted), strict=True)
    for one, other in pairs:
        assert one.shape == other.shape
        assert (one - other).abs().max() <= tolerance * other.abs().max()


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")
@pytest.mark.parametrize(
    ("stride", "padding", "dilation", "groups"),
    [
        (1, 0, 1, 1),
        (2, 1, 1, 2),
        ((1, 2), (2, 0), (2, 1), 4),
        (1, "same", (2, 1), 1),
        (3, "valid", 1, 4),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_conv2d_is_pytorchs(stride, padding, dilation, groups, dtype):
    options = stride, padding, dilation, groups
    x, weight, bias = tensors((2, 4, 11, 9), (8, 4 // groups, 3, 2), (8,), dtype=dtype)
    check(
        lambda *given: conv2d(*given, *options),
        lambda *given: functional.conv2d(*given, *options),
        [x, weight, bias],
    )
    check(
        lambda x, weight: conv2d(x, weight, None, *options),
        lambda x, weight: functional.conv2d(x, weight, None, *options),
        [x, weight],
    )


@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (2, 1), ((1, 2), (0, 2))])
def test_conv2d_relu_pool_is_three_of_pytorchs(stride, padding):
    arguments = tensors((2, 3, 11, 13), (5, 3, 3, 3), (5,))

    def three(x, weight, bias):
        y = functional.conv2d(x, weight, bias, stride, padding)
        return functional.max_pool2d(functional.relu(y), 2)

    check(lambda *given: conv2d_relu_pool(*given, stride, padding), three, arguments)


def test_max_pool2d_is_pytorchs():
    for size, stride, padding, ceil in itertools.product((2, (3, 2)), (None, 1), (0, 1), (0, 1)):
        options = size, stride, padding, 1, bool(ceil)
        check(
            lambda x, options=options: max_pool2d(x, *options),
            lambda x, options=options: functional.max_pool2d(x, *options),
            tensors((2, 3, 8, 9)),
        )


def test_gradients_are_those_of_finite_differences():
    x, weight, bias = tensors((1, 2, 6, 5), (4, 1, 3, 3), (4,))
    assert torch.autograd.gradcheck(lambda *given: conv2d(*given, 2, 1, 1, 2), (x, weight, bias))
    x, weight, bias = tensors((1, 2, 6, 5), (3, 2, 3, 3), (3,))
    assert torch.autograd.gradcheck(conv2d_relu_pool, (x, weight, bias))
    assert torch.autograd.gradcheck(lambda x: max_pool2d(x, 2), (x,))


@pytest.mark.parametrize("name", ["conv2d", "conv2d_relu_pool", "max_pool2d"])
def test_operators_keep_pytorchs_rules(name):
    x, weight, bias = tensors((1, 2, 6, 6), (3, 2, 3, 3), (3,))
    arguments = {
        "conv2d": (x, weight, bias, [1, 1], [1, 1, 1, 1], [1, 1], 1),
        "conv2d_relu_pool": (x, weight, bias, [1, 1], [0, 0, 0, 0]),
        "max_pool2d": (x, [2, 2], [2, 2], [0, 0], [1, 1], False),
    }
    with warnings.catch_warnings():  # what PyTorch's compiler imports warns of its own
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        results = torch.library.opcheck(getattr(torch.ops.fastconv, name), arguments[name])
    assert set(results.values()) == {"SUCCESS"}


def test_channels_last_tensors_are_not_copied():
    from fastconv.torch import arrays

    x = torch.randn(2, 3, 5, 4).to(memory_format=torch.channels_last)
    assert arrays.images_of(x).ctypes.data == x.data_ptr()
    y = conv2d(x, torch.randn(4, 3, 3, 3))
    assert y.is_contiguous(memory_format=torch.channels_last)


def test_what_fastconv_does_not_compute_is_pytorchs():
    x, weight = torch.randn(1, 2, 6, 6).bfloat16(), torch.randn(3, 2, 3, 3).bfloat16()
    assert torch.equal(conv2d(x, weight), functional.conv2d(x, weight))
    assert conv2d(x.to("meta"), weight.to("meta")).shape == (1, 3, 4, 4)
    x, weight = x.float(), weight.float()
    with torch.autocast("cpu", torch.bfloat16):
        assert conv2d(x, weight).dtype == torch.bfloat16
    assert conv2d(x[0], weight).shape == (3, 4, 4)
    assert conv2d_relu_pool(x[:0], weight).shape == (0, 3, 2, 2)


def test_mistakes_are_named():
    x, weight = torch.randn(1, 2, 6, 6), torch.randn(3, 2, 3, 3)
    with pytest.raises(ValueError, match="padding='same' needs a stride of 1"):
        conv2d(x, weight, stride=2, padding="same")
    with pytest.raises(ValueError, match="stride is 'x'"):
        conv2d(x, weight, stride="x")
    with pytest.raises(ValueError, match="at most half"):
        max_pool2d(x, 2, padding=2)
