"""Arrays that end, or begin, at a page of memory that nobody may touch; see test_bounds.py.

    python tests/fences.py ALGORITHM SEED CASES

runs drawn convolutions, or poolings, by one algorithm on such arrays, tables and scratch, and
compares them with `fastconv.ops.reference`.  A step out of bounds ends the process by SIGSEGV; the
last case printed is the one.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import sys
from collections.abc import Sequence
from typing import Any
from unittest import mock

import numpy as np

PAGE = mmap.PAGESIZE
_library = ctypes.CDLL(None, use_errno=True)
_kept: list[mmap.mmap] = []
"""Memory stays until `release`: an array of it may be held by a plan."""


def fenced_empty(shape: Any, dtype: Any, *, before: bool = False, align: int = 1) -> np.ndarray:
    """Return memory right before a page that cannot be touched, or right behind one.

    Before one, it starts at a multiple of `align` bytes, and may end so much earlier.
    """
    dtype = np.dtype(dtype)
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    room = -(-max(size, 1) // PAGE) * PAGE
    memory = mmap.mmap(-1, room + PAGE)
    _kept.append(memory)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    if _library.mprotect(ctypes.c_void_p(start + (0 if before else room)), PAGE, 0):
        raise OSError(ctypes.get_errno(), "mprotect")
    offset = PAGE if before else (room - size) // align * align
    return np.frombuffer(memory, dtype, size // dtype.itemsize, offset).reshape(shape)


def fenced(array: np.ndarray, *, before: bool = False) -> np.ndarray:
    """Return a copy of `array` at such a place."""
    copy = fenced_empty(array.shape, array.dtype, before=before)
    copy[...] = array
    return copy


def release() -> None:
    """Forget all memory; no array of it may be used again."""
    _kept.clear()


def fence_tables(value: Any, before: bool, seen: set[int] | None = None) -> None:
    """Put the index tables of a plan, and of the plans and tables in it, at such places."""
    seen = set() if seen is None else seen
    if id(value) in seen or not type(value).__module__.startswith("fastconv.ops.plans"):
        return
    seen.add(id(value))
    for name, part in list(getattr(value, "__dict__", {}).items()):
        if isinstance(part, np.ndarray) and part.dtype.kind == "i" and part.size:
            object.__setattr__(value, name, fenced(part, before=before))
        elif isinstance(part, (list, tuple)):
            for item in part:
                fence_tables(item, before, seen)
        else:
            fence_tables(part, before, seen)


def draw(rng: np.random.Generator) -> tuple[tuple, tuple, dict[str, Any], type]:
    """Return shapes and options of a convolution, often with taps or groups that reach nothing."""
    groups = int(rng.choice([1, 1, 1, 2, 3, 8, 17]))
    channels = groups * int(rng.choice([1, 2, 3, 5, 8, 17, 33] if groups < 8 else [1, 2, 3]))
    filters = groups * int(rng.choice([1, 2, 3, 7, 16, 18, 33] if groups < 8 else [1, 2, 5]))
    size, strides, dilation, pads, image = [], [], [], [], []
    square, between = rng.random() < 0.4, rng.random() < 0.2
    for axis in range(2):
        if between:
            # The few outputs, far apart, read padding alone: the image is between them.
            before, stride, side = (int(n) for n in rng.integers((1, 6, 1), (4, 9, 5)))
            size.append(1), strides.append(stride), dilation.append(1), image.append(side)
            pads.append((before, max(0, stride + 1 - before - side)))
            continue
        if square and axis:
            values = size[0], strides[0], dilation[0]
        else:
            values = tuple(int(rng.choice([1, 1, 2, 3, 3, 4, 5, 7][:most])) for most in (8, 7, 5))
        size.append(values[0])
        strides.append(values[1])
        dilation.append(values[2])
        reach = (values[0] - 1) * values[2] + 1
        # Up to whole windows of padding: their outputs read nothing of the image.
        pads.append(tuple(int(rng.choice([0, 0, 1, 2, reach - 1, reach, reach + 2])) for _ in "ab"))
        image.append(max(int(rng.choice([1, 1, 2, 3, 5, 9, 14])), reach - sum(pads[-1])))
    x = (int(rng.choice([1, 1, 2, 5, 13])), *image, channels)
    options = {
        "strides": tuple(strides),
        "padding": tuple(pads),
        "dilation_rate": tuple(dilation),
        "groups": groups,
    }
    dtype = np.float64 if rng.random() < 0.3 else np.float32
    return x, (*size, channels // groups, filters), options, dtype


#: "as chosen" and the names that plans can be told, Winograd's with its first and second scheme.
ALGORITHMS = (
    "as chosen",
    "panels",
    "dot_products",
    "batch_tiles",
    "overlap_add",
    "depthwise",
    "product",
    "patch",
    "winograd first",
    "winograd second",
    "winograd_narrow",
)


def convolution_by(algorithm: str, *arguments: Any, **options: Any) -> Any:
    """Return a plan that takes `algorithm` for every direction in which it serves the shape."""
    from fastconv.ops.plans import Conv2DPlan, choice
    from fastconv.ops.plans.select import ALGORITHMS as BY_DIRECTION
    from fastconv.ops.plans.select import forced

    name, _, place = algorithm.partition(" ")
    number = ("first", "second").index(place) if place in ("first", "second") else None

    def scheme(schemes: Sequence[Any], *_: Any) -> tuple[float, Any]:
        return 0.0, schemes[number % len(schemes)]

    with contextlib.ExitStack() as stack:
        if number is not None:
            stack.enter_context(mock.patch.object(choice, "_cheapest", scheme))
        served = []
        for direction, names in BY_DIRECTION.items():
            if name in names:
                with contextlib.suppress(ValueError), forced(name, direction):
                    Conv2DPlan(*arguments, **options).describe()
                    served.append(direction)
        if served:
            stack.enter_context(forced(name, *served))
        plan = Conv2DPlan(*arguments, **options)
        plan.describe()  # makes the gradients' plans, too
        return plan


OTHERS = ("fused with pooling", "max", "average", "l2", "transposed", "normalization")


class Fenced:
    """Makes arrays for one case, all before a fence or all behind one."""

    def __init__(self, rng: np.random.Generator, dtype: type) -> None:
        self.rng, self.dtype = rng, dtype
        self.before = bool(rng.random() < 0.5)

    def normal(self, shape: tuple[int, ...]) -> np.ndarray:
        return fenced(self.rng.standard_normal(shape).astype(self.dtype), before=self.before)

    def empty(self, shape: tuple[int, ...]) -> np.ndarray:
        array = fenced_empty(shape, self.dtype, before=self.before)
        array.fill(np.nan)
        return array

    def bytes(self, shape: tuple[int, ...]) -> np.ndarray:
        return fenced_empty(shape, np.uint8, before=self.before)

    def fence_tables(self, plan: Any) -> None:
        fence_tables(plan, self.before)


def agree(found: Sequence[np.ndarray], right: Sequence[np.ndarray], usual: float) -> None:
    """Compare what a plan wrote with the reference's; sums may cancel, of sizes like `usual`."""
    from oracle import assert_close

    for number, (array, wanted) in enumerate(zip(found, right, strict=True)):
        assert_close(array, wanted, usual=usual, what=f"result {number}")


def check_convolution(rng: np.random.Generator, algorithm: str) -> None:
    """Compare one drawn convolution and its gradients with the reference."""
    from fastconv.ops import reference

    x_shape, kernel_shape, options, dtype = draw(rng)
    make, limit = Fenced(rng, dtype), float(rng.choice([0, 0, np.inf, 1.5]))
    print(x_shape, kernel_shape, options, dtype.__name__, make.before, flush=True)
    plan = convolution_by(algorithm, x_shape, kernel_shape, dtype=dtype, limit=limit, **options)
    x, kernel, bias = map(make.normal, (x_shape, kernel_shape, kernel_shape[3:]))
    dy, y = make.normal(plan.output_shape), make.empty(plan.output_shape)
    gradients = [make.empty(array.shape) for array in (x, kernel, bias)]
    expected = reference.conv2d(x, kernel, bias, **options)
    for _ in range(2):  # the plans of the gradients are made with their first use
        make.fence_tables(plan)
        plan.forward(x, kernel, bias, y)
        plan.backward(dy, x, kernel, *gradients)
    agree(
        [y], [np.clip(expected, 0, limit) if limit else expected], np.prod(kernel_shape[:3]) ** 0.5
    )
    right = reference.conv2d_backward(dy, x, kernel, **options)
    agree(gradients, right, (dy.size + kernel.size) ** 0.5)


def check_fused(rng: np.random.Generator) -> None:
    """The same for a convolution with ReLU and pooling."""
    from fastconv.ops import reference
    from fastconv.ops.plans import ConvPoolPlan

    x_shape, kernel_shape, options, dtype = draw(rng)
    height, width, channels = x_shape[1] + 9, x_shape[2] + 9, kernel_shape[2]
    x_shape = (x_shape[0], height, width, channels)
    options = {name: options[name] for name in ("strides", "padding")}
    make = Fenced(rng, dtype)
    print(x_shape, kernel_shape, options, dtype.__name__, make.before, flush=True)
    try:
        plan = ConvPoolPlan(x_shape, kernel_shape, dtype=dtype, **options)
    except ValueError as error:
        assert "too small for 2x2 pooling" in str(error)
        return
    x, kernel, bias = map(make.normal, (x_shape, kernel_shape, kernel_shape[3:]))
    dy, y = make.normal(plan.output_shape), make.empty(plan.output_shape)
    argmax = make.bytes(plan.output_shape)
    gradients = [make.empty(array.shape) for array in (x, kernel, bias)]
    for _ in range(2):
        make.fence_tables(plan)
        plan.forward(x, kernel, bias, y, argmax)
        plan.backward(dy, argmax, x, kernel, *gradients)
    agree(
        [y], reference.conv_pool(x, kernel, bias, **options)[:1], np.prod(kernel_shape[:3]) ** 0.5
    )
    right = reference.conv_pool_backward(dy, argmax, x, kernel, **options)
    agree(gradients, right, (dy.size + kernel.size) ** 0.5)


def check_pooling(rng: np.random.Generator, kind: str) -> None:
    """The same for pooling, windows of more places than a byte has numbers among them."""
    from fastconv.ops import reference
    from fastconv.ops.plans import Pool2DPlan

    size = tuple(int(n) for n in rng.choice([1, 2, 2, 3, 5, 17, 40], 2))
    pads = tuple(tuple(int(n) for n in rng.integers(0, most, 2)) for most in size)
    image = [max(int(rng.integers(1, 12)), n - sum(pad)) for n, pad in zip(size, pads, strict=True)]
    x_shape = (int(rng.integers(1, 4)), *image, int(rng.choice([1, 2, 3, 8, 16, 17, 65, 130])))
    strides = tuple(int(n) for n in rng.choice([1, 2, 3, 9], 2))
    options = {"pool_size": size, "strides": strides, "padding": pads}
    options["ceil_mode"] = bool(rng.random() < 0.3)
    if rng.random() < 0.3:
        options["dilation_rate"] = tuple(int(n) for n in rng.integers(1, 4, 2))
        options["padding"] = tuple(tuple(min(n, 1) for n in pad) for pad in pads)
    if kind == "average":
        options["count_include_pad"] = bool(rng.random() < 0.3)
    make = Fenced(rng, rng.choice([np.float32, np.float64]))
    print(x_shape, options, make.dtype.__name__, make.before, flush=True)
    try:
        plan = Pool2DPlan(kind, x_shape, dtype=make.dtype, **options)
    except ValueError as error:
        assert "does not fit" in str(error) or "at least one pixel" in str(error)
        return
    x, dx, y = make.normal(x_shape), make.empty(x_shape), make.empty(plan.output_shape)
    argmax = make.bytes(y.shape) if plan.keeps_argmax else None
    dy = make.normal(y.shape)
    make.fence_tables(plan)
    plan.forward(x, y, argmax)
    plan.backward(dy, x, dx, argmax)
    agree([y], [getattr(reference, f"{kind}_pool2d")(x, **options)], 1.0)
    right = getattr(reference, f"{kind}_pool2d_backward")(dy, x, **options)
    agree([dx], [right], 10.0)


def check_transposed(rng: np.random.Generator) -> None:
    """The same for a transposed convolution, which ends in one, or is added to a bias."""
    from fastconv.ops import reference
    from fastconv.ops.plans import Conv2DTransposePlan

    x_shape, kernel_shape, options, dtype = draw(rng)
    groups, channels = options["groups"], x_shape[3]
    kernel_shape = (*kernel_shape[:2], kernel_shape[3] // groups, channels)
    options["output_padding"] = tuple(int(rng.integers(0, stride)) for stride in options["strides"])
    if rng.random() < 0.5:
        options["padding"] = str(rng.choice(["valid", "same"]))
    make = Fenced(rng, dtype)
    print(x_shape, kernel_shape, options, dtype.__name__, make.before, flush=True)
    try:
        limit = float(rng.choice([0, 0, np.inf, 1.5]))
        plan = Conv2DTransposePlan(x_shape, kernel_shape, dtype=dtype, limit=limit, **options)
    except ValueError as error:
        assert "leaves nothing" in str(error)
        return
    x, kernel, bias = map(make.normal, (x_shape, kernel_shape, (kernel_shape[2] * groups,)))
    dy, y = make.normal(plan.output_shape), make.empty(plan.output_shape)
    gradients = [make.empty(array.shape) for array in (x, kernel, bias)]
    for _ in range(2):
        make.fence_tables(plan)
        plan.forward(x, kernel, bias, y)
        plan.backward(dy, x, kernel, *gradients)
    usual = (dy.size + kernel.size) ** 0.5
    right = reference.conv2d_transpose(x, kernel, bias, **options)
    agree([y], [np.clip(right, 0, limit) if limit else right], kernel.size**0.5)
    agree(gradients, reference.conv2d_transpose_backward(dy, x, kernel, **options), usual)


def check_normalization(rng: np.random.Generator) -> None:
    """Batch normalization with what is added to it and a ReLU, and a sum by itself."""
    from fastconv.ops import elementwise
    from fastconv.ops.plans import NormalizationPlan

    rows, channels = int(rng.choice([1, 2, 7, 50, 333])), int(rng.choice([1, 3, 8, 13, 32, 67]))
    make, limit = Fenced(rng, np.float32), float(rng.choice([0, np.inf, 1.5]))
    print(rows, channels, limit, make.before, flush=True)
    plan = NormalizationPlan(rows, channels, limit=limit, residual=True)
    x, residual, dy, y, dz, dx, total = (make.normal((rows, channels)) for _ in range(7))
    by_channel = [make.normal((channels,)) for _ in range(6)]
    plan.moments(x)
    plan.set_affine(*by_channel[:3])
    plan.forward(x, y, residual)
    gated = plan.gate(dy, y, dz)
    plan.sums(gated, x)
    plan.input_gradient(gated, x, *by_channel[3:], dx)
    elementwise.add(x, residual, total, limit)
    center, scale, shift, by_dy, by_x, constant = (array.astype(np.float64) for array in by_channel)
    exact = (x.astype(np.float64) - center) * scale + shift + residual
    sums = np.add(x, residual, dtype=np.float64)
    least, most = (0, limit) if limit else (-np.inf, np.inf)
    expected_dx = by_dy * gated + by_x * (x - center) + constant
    clipped = [np.clip(values, least, most) for values in (exact, sums)]
    agree([y, total, dx], [*clipped, expected_dx], 10.0)


def main(algorithm: str, seed: str, cases: str) -> None:
    """Check so many cases, scratch memory fenced, too."""
    import faulthandler

    from fastconv._core import memory as _memory

    faulthandler.enable()
    rng = np.random.default_rng([int(seed), *algorithm.encode()])

    def aligned_empty(shape, dtype=np.float32):
        return fenced_empty(tuple(shape), dtype, align=_memory.ALIGNMENT)

    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(_memory, "aligned_empty", aligned_empty))
        from fastconv.ops.plans import scratch

        stack.enter_context(mock.patch.object(scratch, "GAP", 0))
        for _ in range(int(cases)):
            if algorithm in ALGORITHMS:
                check_convolution(rng, algorithm)
            elif algorithm == OTHERS[0]:
                check_fused(rng)
            elif algorithm == "transposed":
                check_transposed(rng)
            elif algorithm == "normalization":
                check_normalization(rng)
            else:
                check_pooling(rng, algorithm)
            release()


if __name__ == "__main__":
    main(*sys.argv[1:])
