"""Lent memory: it comes back when nobody looks at it, whoever that was, and no sooner."""

from __future__ import annotations

import gc
import pickle

import numpy as np
import pytest

from fastconv._core.lending import Block, smallest

FLOAT = np.dtype(np.float32)


def lent(shape=(4, 8), dtype=FLOAT, nbytes=1024):
    """Return an array in lent memory, and the list that the block comes back to."""
    back: list[Block] = []
    return Block(nbytes).lend(shape, dtype, back.append), back


def test_the_array_is_what_was_asked_for():
    for dtype in (np.float32, np.float64, np.uint8, np.bool_):
        array, _ = lent((3, 5), np.dtype(dtype))
        assert array.shape == (3, 5) and array.dtype == dtype and type(array) is np.ndarray
        assert array.flags.carray and array.ctypes.data % 64 == 0


def test_a_block_is_lent_in_one_shape_after_another():
    block, back = Block(1024), []
    for shape in ((4, 8), (4, 8), (256,), (0, 3), ()):
        for dtype in (np.dtype(np.float32), np.dtype(np.int8)):
            array = block.lend(shape, dtype, back.append)
            assert array.shape == shape and array.dtype == dtype
            array[...] = 1
            del array
            assert back.pop() is block


@pytest.mark.parametrize(
    "look",
    [
        lambda a: a[1:3, ::2],
        lambda a: a.reshape(-1)[3:].view(np.uint8),
        lambda a: a.T,
        memoryview,
        lambda a: memoryview(a[1:]).cast("B"),
        np.asarray,
        lambda a: a.view(np.recarray),
        lambda a: np.from_dlpack(a),
        lambda a: a.__dlpack__(),
        lambda a: np.lib.stride_tricks.as_strided(a, (2, 2), (4, 4)),
        lambda a: np.frombuffer(a, np.uint8),
        lambda a: iter(a),
        lambda a: a.flat,
        lambda a: a.__array_interface__ and a.base,
        lambda a: [np.broadcast_to(a, (2, *a.shape))],
    ],
)
def test_whatever_looks_at_it_keeps_it(look):
    array, back = lent()
    looking = look(array)
    del array
    gc.collect()
    assert not back
    del looking
    gc.collect()
    assert len(back) == 1


def test_pytorchs_tensors_keep_it():
    torch = pytest.importorskip("torch")
    for make in (torch.from_numpy, torch.as_tensor, torch.from_dlpack):
        array, back = lent()
        tensor = make(array)[1:]
        del array
        assert not back
        del tensor
        assert len(back) == 1


def test_it_behaves_as_other_arrays_do():
    array, back = lent()
    array[...] = np.arange(32).reshape(4, 8)
    assert pickle.loads(pickle.dumps(array)).tolist() == array.tolist()
    copy = array.copy()
    assert copy.flags.owndata and copy.base is None
    with pytest.raises(ValueError, match="own"):
        array.resize(64)
    array += 1
    array.shape = (8, 4)
    array.flags.writeable = False
    assert not back
    del array
    assert len(back) == 1


def test_the_smallest_block_that_fits_is_found():
    blocks = [Block(size) for size in (100, 40, 60, 60)]
    assert smallest(blocks, 50, 1000) is blocks[2]
    assert smallest(blocks, 40, 40) is blocks[1]
    assert smallest(blocks, 70, 80) is None
    assert smallest([], 0, 1) is None
