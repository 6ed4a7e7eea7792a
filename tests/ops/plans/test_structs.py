"""Structs reach the kernels by the names of their fields, and whole."""

from __future__ import annotations

from struct import error

import numpy as np
import pytest
from oracle import fields_of

from fastconv._core import runtime
from fastconv.ops.plans import structs


def given(kind):
    return {name: number + 1 for number, name in enumerate(structs.DTYPES[kind].names)}


@pytest.mark.parametrize("kind", structs.DTYPES)
def test_each_field_gets_the_value_of_its_name(kind):
    fields = given(kind)
    backwards = dict(reversed(fields.items()))
    read = fields_of(kind, structs.struct(kind, **backwards))
    assert {name: read[name] for name in read.dtype.names} == fields


@pytest.mark.parametrize("kind", structs.DTYPES)
def test_a_wrong_missing_or_unknown_field_fails_at_once(kind):
    fields = given(kind)
    name, value = fields.popitem()
    with pytest.raises(TypeError, match=rf"{kind}: missing or unknown fields: {name}$"):
        structs.struct(kind, **fields)
    with pytest.raises(TypeError, match=r"missing or unknown fields: another$"):
        structs.struct(kind, **fields, **{name: value}, another=1)
    with pytest.raises(TypeError, match="missing or unknown fields"):
        structs.struct(kind, **fields, another=value)


def test_a_value_that_does_not_fit_is_refused():
    with pytest.raises(error):
        structs.struct("BatchTiles", first_row=2**40, first_column=0, taps=1, images=1)


def test_kernels_refuse_another_struct():
    x = np.zeros((1, 2, 2, 1), np.float32)
    other = structs.struct("BatchTiles", first_row=0, first_column=0, taps=1, images=1)
    with pytest.raises(TypeError, match="a struct of 52 bytes is wanted, not of 16"):
        runtime.kernels.pool.pool(x, x[:, :1, :1].copy(), None, other, 1)


def test_structs_that_a_kernel_takes_together_differ_in_size():
    """So that one for the other is refused."""
    sizes = [dtype.itemsize for name, dtype in structs.DTYPES.items() if name != "Pool"]
    assert len(set(sizes)) == len(sizes)


@pytest.mark.parametrize("change", [{"another": 1}, {"scale": None}])
def test_rules_have_all_their_fields_and_no_others(change):
    rule = dict.fromkeys(("kind", "rate", "momentum", "nesterov", "first", "second"), 0)
    rule |= {"epsilon": 0, "scale": 0, "clip": 0, "decay": 0} | change
    rule = {name: value for name, value in rule.items() if value is not None}
    value = np.zeros(3, np.float32)
    with pytest.raises((TypeError, ValueError), match=r"another|scale"):
        runtime.kernels.optimizers.update(rule, value, (None, None, None), value.copy(), 1)
