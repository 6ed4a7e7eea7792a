"""Results: in the caller's memory, or in that of results that nobody looks at any more."""

from __future__ import annotations

import subprocess
import sys
import threading

import numpy as np
import pytest

from fastconv import ops
from fastconv.ops import results
from fastconv.ops.results import LEAST, Recycled
from fastconv.utils import clear_session

FLOAT = np.dtype(np.float32)


@pytest.fixture(autouse=True)
def fresh():
    clear_session()
    yield
    clear_session()


def images(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


X, KERNEL, BIAS = images(2, 9, 8, 4), images(3, 3, 4, 6, seed=1), images(6, seed=2)
TRANSPOSED = images(3, 3, 6, 4, seed=3)

#: Each function with its arrays and options.
FUNCTIONS = {
    "conv2d": ((X, KERNEL, BIAS), {"strides": 2, "padding": "same"}),
    "conv2d_transpose": ((X, TRANSPOSED, BIAS), {"strides": 2}),
    "max_pool2d": ((X,), {"pool_size": 3, "strides": 2}),
    "average_pool2d": ((X,), {"padding": "same", "count_include_pad": True}),
    "l2_pool2d": ((X,), {}),
}
each_function = pytest.mark.parametrize("name", FUNCTIONS)


def backward_case(name):
    """Return the function's gradient, its arguments and options."""
    arrays, options = FUNCTIONS[name]
    dy = images(*getattr(ops, name)(*arrays, **options).shape, seed=4)
    return getattr(ops, f"{name}_backward"), (dy, *arrays[:2]), options


# out=


@each_function
def test_out_gets_the_result_and_is_returned(name):
    arrays, options = FUNCTIONS[name]
    expected = getattr(ops, name)(*arrays, **options)
    out = np.full_like(expected, np.nan)
    assert getattr(ops, name)(*arrays, **options, out=out) is out
    np.testing.assert_array_equal(out, expected)


@each_function
def test_out_gets_the_gradients(name):
    function, arrays, options = backward_case(name)
    expected = function(*arrays, **options)
    if not isinstance(expected, tuple):
        out = np.full_like(expected, np.nan)
        assert function(*arrays, **options, out=out) is out
        np.testing.assert_array_equal(out, expected)
        return
    for left_out in (None, 0, 1, 2):
        out = [np.full_like(array, np.nan) for array in expected]
        if left_out is not None:
            out[left_out] = None
        found = function(*arrays, **options, out=tuple(out))
        for array, given, wanted in zip(found, out, expected, strict=True):
            assert given is None or array is given
            np.testing.assert_array_equal(array, wanted)


@each_function
def test_an_out_that_does_not_fit_is_refused_and_left_alone(name):
    arrays, options = FUNCTIONS[name]
    function = getattr(ops, name)
    shape = function(*arrays, **options).shape
    strided = np.zeros((*shape[:3], 2 * shape[3]), np.float32)[..., ::2]
    fixed = np.zeros(shape, np.float32)
    fixed.flags.writeable = False
    shifted = np.zeros(4 * fixed.size + 1, np.uint8)[1:].view(np.float32).reshape(shape)
    for out, error, text in [
        (fixed.tolist(), TypeError, f"^{name}: out is a list; it must be a NumPy array"),
        (np.ma.zeros(shape, np.float32), TypeError, "MaskedArray"),
        (np.zeros(shape), TypeError, "out has dtype float64; it must be float32"),
        (np.zeros(shape, ">f4"), TypeError, "out has dtype >f4"),
        (np.zeros((1, *shape[1:]), np.float32), ValueError, "out has shape .* it must be"),
        (strided, ValueError, "out must be C-contiguous"),
        (fixed, ValueError, "writeable"),
        (shifted, ValueError, "aligned"),
    ]:
        with pytest.raises(error, match=text):
            function(*arrays, **options, out=out)
    assert not (strided.any() or fixed.any() or shifted.any())


def test_an_out_in_an_inputs_memory_is_refused():
    kernel = images(1, 1, 4, 4)
    x = images(4, 8, 8, 4)
    kept = x.copy()
    with pytest.raises(ValueError, match=r"^conv2d: out must have memory of its own"):
        ops.conv2d(x, kernel, out=x)
    with pytest.raises(ValueError, match="memory of its own"):
        ops.conv2d(x[:2], kernel, out=x[1:3])
    with pytest.raises(ValueError, match=r"^max_pool2d: out must have memory of its own"):
        ops.max_pool2d(x, 1, out=x)
    with pytest.raises(ValueError, match="out's dx must have memory of its own"):
        ops.conv2d_backward(x, x, kernel, out=(x, None, None))
    square = np.empty((1, 1, 4, 4), np.float32)
    with pytest.raises(ValueError, match="out's dkernel must have memory of its own"):
        ops.conv2d_backward(images(1, 1, 4, 4), square, kernel, out=(None, square, None))
    dx = np.empty((1, 1, 4, 4), np.float32)
    with pytest.raises(ValueError, match="out's dkernel must have memory of its own"):
        ops.conv2d_backward(images(1, 1, 4, 4), images(1, 1, 4, 4), kernel, out=(dx, dx, None))
    np.testing.assert_array_equal(x, kept)


def test_gradients_need_three_places():
    function, arrays, options = backward_case("conv2d")
    for out in (X, (None, None), (None,) * 4, {}):
        with pytest.raises(TypeError, match="it must be a tuple \\(dx, dkernel, dbias\\)"):
            function(*arrays, **options, out=out)


# Memory that is used again


def place(array):
    return array.ctypes.data


def test_a_loop_takes_turns_between_two_places():
    x, kernel = images(4, 128, 128, 8), images(3, 3, 8, 8)
    y, places = None, set()
    for _ in range(6):
        y = ops.conv2d(x, kernel, padding="same")
        places.add(place(y))
    assert len(places) == 2 and y.nbytes >= 4 * LEAST


def test_of_several_the_one_that_came_back_last_is_taken():
    store = Recycled()
    first, last = (store.empty((LEAST,), FLOAT) for _ in range(2))
    where = place(last)
    del first, last
    for _ in range(3):
        assert place(store.empty((LEAST,), FLOAT)) == where


def test_what_is_looked_at_is_never_given_to_another():
    x, kernel = images(4, 128, 128, 8), images(3, 3, 8, 8)
    expected = ops.conv2d(x, kernel, padding="same").copy()
    held = []
    for number in range(12):
        y = ops.conv2d(x, kernel, padding="same")
        np.testing.assert_array_equal(y, expected)
        y[...] = number
        held.append((y[1:, ::2].reshape(-1), memoryview(y), np.from_dlpack(y))[number % 3])
    for number, view in enumerate(held):
        assert (np.asarray(view) == number).all()


@pytest.mark.parametrize("name", ["conv2d", "max_pool2d", "average_pool2d", "l2_pool2d"])
def test_results_are_whole_whatever_was_in_their_memory(name):
    x = images(4, 128, 128, 16)
    arrays = (x, images(1, 1, 16, 16)) if name == "conv2d" else (x, 1)
    function, backward = getattr(ops, name), getattr(ops, f"{name}_backward")
    y = function(*arrays)
    expected = y.copy()
    gradients = backward(y, *arrays)
    gradients = gradients if isinstance(gradients, tuple) else (gradients,)
    expected_gradients = [gradient.copy() for gradient in gradients]
    for array in (y, *gradients):
        array.fill(np.nan)
    del y, gradients, array
    again = function(*arrays)
    np.testing.assert_array_equal(again, expected)
    found = backward(again, *arrays)
    for one, other in zip(
        found if isinstance(found, tuple) else (found,), expected_gradients, strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_memory_is_no_larger_than_told():
    store = Recycled()
    array = store.empty((4 * LEAST,), FLOAT)
    del array
    assert store.nbytes == 16 * LEAST
    small = store.empty((2 * LEAST,), FLOAT)  # half of it: not worth holding that
    assert store.nbytes == 16 * LEAST
    near = store.empty((int(3.5 * LEAST),), FLOAT)
    assert store.nbytes == 0
    del small, near


def test_what_waits_is_bounded_and_the_oldest_goes():
    store = Recycled(most_bytes=16 * LEAST, most_blocks=3)
    held = [store.empty((LEAST + number,), FLOAT) for number in range(6)]
    del held
    assert store.nbytes <= 16 * LEAST and len(store._free) == 3
    huge = store.empty((4 * LEAST + 1,), FLOAT)
    assert huge.flags.owndata  # more than all that may wait
    held = [store.empty((2 * LEAST,), FLOAT) for _ in range(3)]
    del held
    assert store.nbytes == 16 * LEAST and len(store._free) == 2
    store.clear()
    assert store.nbytes == 0


def test_threads_never_get_the_same_memory():
    store, wrong = Recycled(), []

    def work(number):
        held = {}
        for turn in range(300):
            array = store.empty((LEAST + 16 * (turn % 3),), FLOAT)
            array[::4096] = mark = number * 1000 + turn
            held[turn % 4] = array, mark
            wrong.extend(None for array, mark in held.values() if (array[::4096] != mark).any())

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and store.nbytes <= results.MOST_BYTES


def test_a_result_that_another_thread_lets_go_of_comes_back():
    x, kernel = images(4, 128, 128, 8), images(3, 3, 8, 8)
    box = [ops.conv2d(x, kernel, padding="same")]
    first = place(box[0])
    thread = threading.Thread(target=box.clear)
    thread.start()
    thread.join()
    assert place(ops.conv2d(x, kernel, padding="same")) == first


def test_the_end_of_a_process_is_silent():
    program = """
import numpy as np
from fastconv import ops
x, kernel = np.ones((4, 128, 128, 8), np.float32), np.ones((3, 3, 8, 8), np.float32)
kept = [ops.conv2d(x, kernel) for _ in range(3)]
np.kept = ops.kept = kept[:1]
circle = [kept, lambda: circle]
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_small_results_own_their_memory():
    y = ops.conv2d(X, KERNEL)
    assert y.flags.owndata and y.base is None
