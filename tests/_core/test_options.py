"""Attributes that are checked when they are assigned."""

from __future__ import annotations

import pytest

from fastconv._core.options import Once, Option, Strict
from fastconv._core.validation import natural


class Part(Strict):
    """As one of the package's own."""

    __module__ = "fastconv.parts"
    size = Option(natural)
    kind = Once[str]()
    _hidden = 0

    def __init__(self, kind="a"):
        self.kind = kind


def test_values_are_checked_under_their_names():
    part = Part()
    part.size = 3
    assert part.size == 3 and part.__dict__ == {"kind": "a", "size": 3}
    with pytest.raises(ValueError, match=r"^Part: size is -1; it must be at least 0$"):
        part.size = -1
    assert part.size == 3


def test_what_the_constructor_sets_stays():
    part = Part()
    with pytest.raises(AttributeError, match=r"^Part: kind cannot be set .*: Part\(kind=...\)$"):
        part.kind = "b"
    assert part.kind == "a"


def test_unknown_names_are_refused_with_the_one_that_may_be_meant():
    part = Part()
    part._anything = 3
    for name, hint in (
        ("sise", r"did you mean 'size'\?"),
        ("hidden", "derive a class to add your own"),
        ("qqq", "derive a class to add your own"),
    ):
        with pytest.raises(AttributeError, match=f"'{name}' that could be set; {hint}$"):
            setattr(part, name, 1)

    class Own(Part):
        __module__ = "elsewhere"

    own = Own()
    own.qqq = 3
    assert own.qqq == 3


def test_errors_name_the_owner_that_an_object_has():
    part = Part()
    part.__dict__["owner"] = "Part 'first'"
    with pytest.raises(ValueError, match=r"^Part 'first': size is -1"):
        part.size = -1
