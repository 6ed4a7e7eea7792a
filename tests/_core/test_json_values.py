"""Configurations and states as JSON: every reader takes it, and nothing is lost."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastconv._core.json_values import Configured, dumps, free_name, loads, part, plain

ARRAYS = st.sampled_from(
    [np.arange(3.0), np.zeros((0, 2)), np.array("text"), np.array(float("nan")), np.array([True])]
)
KEYS = st.one_of(
    st.text(max_size=8),
    st.sampled_from(["array", "number", "items", "object", "a/b", "", "NaN"]),
    st.integers(-3, 3),
    st.none(),
    st.booleans(),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), ARRAYS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=12,
)


def _same(a, b):
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and a.tobytes() == b.tobytes()
    if isinstance(a, dict):
        return list(a) == list(b) and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(_same, a, b))
    return type(a) is type(b) and (a == b or (a != a and b != b))


def _strict(text):
    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


@given(VALUES)
def test_what_is_written_comes_back(value):
    arrays = {}
    text = dumps(value, "state", "state", arrays)
    _strict(text)
    assert _same(value, loads(text, arrays))


@pytest.mark.parametrize(
    "value",
    [
        {"array": "x"},
        {"number": "NaN"},
        {"object": {"array": {"object": 1}}},
        {"items": [[1, 2]]},
        {1: "a", "1": "b", None: 3, 0.5: math.inf},
        {"a/b": np.zeros(1), "a": {"b": np.ones(1)}},
        [math.nan, math.inf, -math.inf, -0.0],
    ],
)
def test_what_looks_like_something_else(value):
    arrays = {}
    assert _same(value, loads(dumps(value, "state", "state", arrays), arrays))


def test_arrays_are_lists_where_there_is_no_place_for_them():
    assert loads(dumps({"a": np.arange(2)}, "config", "config"), {}) == {"a": [0, 1]}


def test_a_writer_that_knew_fewer_tags_is_understood():
    old = '{"a": {"number": "NaN"}, "b": {"array": "x"}, "c": NaN}'
    read = loads(old, {"x": 5}, ("array",))
    assert read["a"] == {"number": "NaN"} and read["b"] == 5 and math.isnan(read["c"])


def test_names_are_short_printable_and_differ():
    assert part("aXb/c\\d\0e\n") == "aXb_c_d_e_" and part("") == "_" and len(part("x" * 999)) == 100
    assert free_name("a", {}) == "a" and free_name("a", {"a": 1, "a_2": 1}) == "a_3"


def test_the_format_word_for_word():
    """Files of before have it."""
    arrays = {"state/a": 0}
    value = {"a": np.ones(1), "b": [np.zeros(1)], "c": [math.nan, math.inf, -math.inf], 3: 4}
    assert json.loads(dumps(value, "state", "state", arrays)) == {
        "items": [
            ["a", {"array": "state/a_2"}],
            ["b", [{"array": "state/b/0"}]],
            ["c", [{"number": "NaN"}, {"number": "Infinity"}, {"number": "-Infinity"}]],
            [3, 4],
        ]
    }
    assert list(arrays) == ["state/a", "state/a_2", "state/b/0"]
    # Without a place for arrays they are lists.
    assert json.loads(dumps({"a": np.ones(1)}, "state", "state")) == {"a": [1.0]}


def test_what_python_and_numpy_have_and_json_has_not():
    value = {np.int64(3): (np.float32(0.5), Path("a")), "b": np.ones(2, int)}
    assert plain(value, "x") == {3: [0.5, "a"], "b": [1, 1]}
    assert all(type(key) in (int, str) for key in plain(value, "x"))
    assert type(plain(np.float32(1), "x")) is float
    kept = np.ones(1)
    assert plain([kept], "x", arrays=True)[0] is kept
    with pytest.raises(
        TypeError, match=r"^x\['a'\]\[1\] is .*, of object; it must be a num.*such$"
    ):
        plain({"a": [1, object()]}, "x")
    with pytest.raises(TypeError, match=r"of set; it must be .* of such, or an array$"):
        plain(set(), "x", arrays=True)
    with pytest.raises(TypeError, match=r"^x has the key \(1,\); keys must be texts or numbers$"):
        plain({(1,): 2}, "x")


def test_configurations_of_subclasses_are_plain_too():
    class Base(Configured):
        made = None

        def __init_subclass__(cls, **options):
            super().__init_subclass__(**options)

    class Own(Base):
        def __init__(self, size=3):
            self.size = np.int64(size) if isinstance(size, int) else size

        def get_config(self):
            return {**super().get_config(), "size": self.size}

    class Child(Own):
        pass

    assert Base().get_config() == {}
    for cls in (Own, Child):
        config = cls().get_config()
        assert config == {"size": 3} and type(config["size"]) is int
        assert cls.from_config({"size": 5}).size == 5
    with pytest.raises(TypeError, match=r"^Child: get_config\(\)\['size'\] is "):
        Child(object()).get_config()
