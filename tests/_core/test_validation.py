"""Argument checks: what passes, and the wording of what does not."""

from __future__ import annotations

import numpy as np
import pytest

from fastconv._core import validation as _validation
from fastconv._core.validation import any_array, number_array


@pytest.mark.parametrize("value", [3, np.int64(3), (3, 3), [3, np.int32(3)], np.array([3, 3])])
def test_pairs(value):
    pair = _validation.positive_pair(value, "strides", "layer")
    assert pair == (3, 3) and all(type(number) is int for number in pair)


@pytest.mark.parametrize("value", [1.0, "3", None, True, (1,), (1, 2, 3), (1, 2.5), {}])
def test_no_pairs(value):
    with pytest.raises(
        TypeError, match=r"^layer: strides is .*; it must be a whole number or a pair"
    ):
        _validation.positive_pair(value, "strides", "layer")


@pytest.mark.parametrize("value", [0, -1, (1, 0), (-2, 1)])
def test_pairs_too_small(value):
    with pytest.raises(
        ValueError, match=r"^layer: strides is .*; it must be at least 1 along both axes$"
    ):
        _validation.positive_pair(value, "strides", "layer")


def test_integers():
    number = _validation.positive_integer(np.uint8(7), "groups", "layer")
    assert number == 7 and type(number) is int
    for value in (1.0, "1", None, True, [1]):
        with pytest.raises(TypeError, match=r"^layer: groups is .*; it must be a whole number$"):
            _validation.positive_integer(value, "groups", "layer")
    with pytest.raises(ValueError, match=r"^layer: groups is 0; it must be at least 1$"):
        _validation.positive_integer(0, "groups", "layer")


def test_numbers_from_zero():
    assert _validation.natural(np.int8(0), "seed", "layer") == 0
    with pytest.raises(ValueError, match=r"^layer: seed is -1; it must be at least 0$"):
        _validation.natural(-1, "seed", "layer")
    assert _validation.integer(-1, "axis", "layer") == -1


RANGES = {
    "real": ((-1, np.inf), (), "a number"),
    "at_least_zero": ((0, np.float32(2)), (-1, np.nan), "at least 0"),
    "above_zero": ((1e-7, 3), (0, np.nan), "above 0"),
    "fraction": ((0, 0.5, 1), (-0.1, 1.1, np.nan), "from 0 to 1"),
    "fraction_below_one": ((0, 0.5), (-0.1, 1, np.nan), "at least 0 and below 1"),
    "finite": ((-1, np.float32(2)), (np.inf, np.nan), "a finite number"),
}


@pytest.mark.parametrize("name", RANGES)
def test_real_numbers(name):
    check = getattr(_validation, name)
    accepted, refused, condition = RANGES[name]
    for value in accepted:
        assert check(value, "rate", "layer") == value
        assert type(check(value, "rate", "layer")) in (int, float)
    for value in refused:
        with pytest.raises(ValueError, match=rf"^layer: rate is .*; it must be {condition}$"):
            check(value, "rate", "layer")
    for value in ("1", None, True, [1], 1j):
        with pytest.raises(TypeError, match=r"^layer: rate is .*; it must be a number$"):
            check(value, "rate", "layer")


def test_a_finite_number_keeps_its_kind():
    assert type(_validation.finite(np.int64(3), "steps", "schedule")) is int
    assert type(_validation.finite(np.float32(3), "steps", "schedule")) is float


def test_what_may_be_left_out():
    check = _validation.optional(_validation.natural)
    assert check(None, "seed", "layer") is None and check(3, "seed", "layer") == 3
    with pytest.raises(TypeError, match=r"^layer: seed is 'a'; it must be a whole number$"):
        check("a", "seed", "layer")


def test_one_of_a_few():
    check = _validation.one_of("rows", "columns")
    assert check("rows", "axis", "layer") == "rows"
    for value in ("row", None, 1, ["rows"], np.array(["rows", "row"])):
        with pytest.raises(ValueError, match=r"^layer: axis is .*; it must be 'rows' or 'col"):
            check(value, "axis", "layer")


def test_truth():
    for value in (True, 1, np.True_):
        assert _validation.truth(value, "use_bias", "layer") is True
        assert _validation.truth(not value, "use_bias", "layer") is False
    for value in ("no", 2, None, 0.0):
        with pytest.raises(TypeError, match=r"^layer: use_bias is .*; it must be True or False$"):
            _validation.truth(value, "use_bias", "layer")


def test_the_remedy_comes_last():
    error = _validation.wrong_value(3, "axis", "layer", "the last", "move it")
    assert str(error) == "layer: axis is 3; it must be the last; move it"


def test_data_format():
    _validation.channels_last(None, "layer")
    _validation.channels_last("channels_last", "layer")
    with pytest.raises(
        ValueError, match=r"^layer: data_format is 'channels_first'; .*numpy.moveaxis"
    ):
        _validation.channels_last("channels_first", "layer")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_arrays_pass_through_or_are_made_contiguous(dtype):
    array = np.arange(24, dtype=dtype).reshape(2, 3, 4)
    assert _validation.float_array(array, "x", "conv2d", 3) is array
    moved = _validation.float_array(array.T, "x", "conv2d")
    assert moved.flags.c_contiguous and moved.dtype == dtype
    np.testing.assert_array_equal(moved, array.T)


@pytest.mark.parametrize("value", [[[1, 2], [3, 4]], np.ones(3, bool), range(3), np.float16(1)])
def test_numbers(value):
    np.testing.assert_array_equal(_validation.number_array(value, "x", "fit"), np.asarray(value))


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (
            [[1, 2], [3]],
            ValueError,
            "^fit: x is a list whose rows differ in shape; it must be of numbers",
        ),
        ([np.zeros(2), np.zeros(3)], ValueError, "^fit: x is a list whose rows differ in shape"),
        (["a", "b"], TypeError, "^fit: x has dtype <U1; it must be of numbers, one shape for all"),
        ([None, 1], TypeError, "^fit: x has dtype object; it must be of numbers"),
        ({"a": 1}, TypeError, "^fit: x has dtype object; it must be of numbers"),
        ([1j], TypeError, "^fit: x has dtype complex128; it must be of numbers"),
    ],
)
def test_no_numbers(value, error, message):
    with pytest.raises(error, match=message):
        _validation.number_array(value, "x", "fit")


@pytest.mark.parametrize("dtype", [int, bool, np.float16, np.complex64, ">f4", object])
def test_other_dtypes(dtype):
    with pytest.raises(
        TypeError,
        match=r"^conv2d: x has dtype .*it must be float32 or float64; use x.astype\('float32'\)$",
    ):
        _validation.float_array(np.zeros((2, 2), dtype), "x", "conv2d")


def test_no_arrays():
    for value in ([1.0], 1.0, None):
        with pytest.raises(
            TypeError, match=r"^conv2d: x is a .*; it must be a NumPy array of float32"
        ):
            _validation.float_array(value, "x", "conv2d")


def test_dimensions():
    array = np.zeros((5, 5, 3), np.float32)
    with pytest.raises(
        ValueError, match=r"it must have 4 dimensions \(batch, height, width, channels\)$"
    ):
        _validation.float_array(array, "x", "conv2d", 4)
    with pytest.raises(
        ValueError, match=r"kernel has shape \(5, 5, 3\); it must have 4 dimensions$"
    ):
        _validation.float_array(array, "kernel", "conv2d", 4)


def test_one_dtype():
    single, double = np.zeros(1, np.float32), np.zeros(1)
    assert _validation.same_dtype("conv2d", x=single, kernel=single, bias=None) == np.float32
    with pytest.raises(TypeError, match=r"differ in dtype \(x float32, kernel float64\); convert"):
        _validation.same_dtype("conv2d", x=single, kernel=double, bias=None)


@pytest.mark.parametrize("check", [_validation.positive_integer, _validation.positive_pair])
def test_one_is_enough(check):
    assert check(1, "strides", "layer") in (1, (1, 1))


def test_what_any_array_can_be_made_of():
    class Exported:
        def __init__(self, array):
            self.__dlpack__, self.__dlpack_device__ = array.__dlpack__, array.__dlpack_device__

    class Broken:
        def __array__(self, dtype=None, copy=None):
            raise RuntimeError("it is on a GPU")

    class Sparse:
        nnz, toarray = 3, None

    class Both(Exported):
        def __array__(self, dtype=None, copy=None):
            return np.ones(2)

    class Counted(list):
        nnz = 3

    class Converted(list):
        toarray = None

    array = np.arange(3.0)
    assert _validation.any_array(array, "x", "fit") is array
    assert _validation.any_array(Both(array), "x", "fit").tolist() == [1, 1]
    for kind in (Counted, Converted):
        assert _validation.any_array(kind([1]), "x", "fit").tolist() == [1]
    assert _validation.any_array(Exported(array), "x", "fit").tolist() == [0, 1, 2]
    with pytest.raises(TypeError, match=r"^fit: x is a Broken that NumPy cannot read \(it is on a"):
        _validation.any_array(Broken(), "x", "fit")
    with pytest.raises(TypeError, match=r"^fit: x is a Sparse, a sparse matrix; .*x\.toarray\(\)$"):
        _validation.any_array(Sparse(), "x", "fit")
    with pytest.raises(ValueError, match=r"^fit: x is a masked array, .*x\.filled"):
        _validation.any_array(np.ma.masked_equal([1, 2], 1), "x", "fit")
    assert _validation.any_array(np.ma.array([1, 2]), "x", "fit").tolist() == [1, 2]


def test_anything_may_be_anything():
    thing = object()
    assert _validation.anything(thing, "x", "fit") is thing


def test_shapes():
    _validation.expect_shape(np.zeros((2, 3)), (2, 3), "dy", "conv2d")
    with pytest.raises(ValueError, match=r"^conv2d: dy has shape \(2, 3\); it must be \(3, 2\)$"):
        _validation.expect_shape(np.zeros((2, 3)), (3, 2), "dy", "conv2d")


class OnlyDlpack:
    """What can be read by DLPack alone, as arrays of other devices' libraries."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


def test_arrays_of_other_libraries_are_read_without_a_copy_where_that_can_be():
    own = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert np.shares_memory(number_array(OnlyDlpack(own), "x", "fit"), own)
    torch = pytest.importorskip("torch", reason="reads PyTorch's own tensors")
    tensor = torch.from_numpy(own)
    for given in (tensor, OnlyDlpack(tensor)):
        np.testing.assert_array_equal(number_array(given, "x", "fit"), own)
    assert np.shares_memory(number_array(tensor, "x", "fit"), own)
    small = number_array(tensor.bfloat16(), "x", "fit")
    assert small.dtype == np.float32
    np.testing.assert_array_equal(small, own)
    np.testing.assert_array_equal(number_array([tensor[0], tensor[1]], "x", "fit"), own)
    with pytest.raises(TypeError, match="fit: x is a Tensor that is on the device 'meta'"):
        number_array(tensor.to("meta"), "x", "fit")


def test_tables_of_pandas_are_read():
    pandas = pytest.importorskip("pandas", reason="reads pandas's own tables")
    table = pandas.DataFrame({"a": [1, 2], "b": [True, False], "c": [0.5, 1.5]}, index=[7, 9])
    np.testing.assert_array_equal(number_array(table, "x", "fit"), [[1, 1, 0.5], [2, 0, 1.5]])
    np.testing.assert_array_equal(number_array(table["a"], "y", "fit"), [1, 2])
    gaps = pandas.DataFrame({"a": pandas.array([1, None], dtype="Int64"), "b": [True, False]})
    np.testing.assert_array_equal(number_array(gaps, "x", "fit"), [[1, 1], [np.nan, 0]])
    texts = table.assign(name=["1", "2"])
    with pytest.raises(TypeError, match="fit: x has columns that are of no numbers, 'name'; leave"):
        number_array(texts, "x", "fit")
    with pytest.raises(TypeError, match="no numbers, 'name'"):
        number_array(texts["name"].astype("category"), "y", "fit")
    assert any_array(texts["name"], "y", "predict").tolist() == ["1", "2"]
