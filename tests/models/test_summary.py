"""The table of `summary()`."""

from __future__ import annotations

import pytest
from small_models import convnet


def table(**arguments):
    lines = []
    convnet().summary(print_fn=lines.append, **arguments)
    return lines


def test_the_width_and_the_columns_can_be_chosen():
    assert len(table()[0]) == 65
    wide = table(line_length=100)
    assert len(wide[0]) == len(wide[2]) == 100 and wide[1].index("Output Shape") == 45
    placed = table(line_length=100, positions=(0.5, 0.7, 1))
    assert placed[1].index("Output Shape") == 50 and placed[1].index("Param #") == 70
    assert table(positions=[30, 50, 65])[1].index("Param #") == 50
    assert table(expand_nested=True)[1:3] == table()[1:3]


def test_it_tells_what_is_trained_and_lists_some_layers_alone():
    told = table(show_trainable=True)
    assert told[1].split()[-1] == "Trainable" and len(told[0]) == 76
    assert [line.split()[-1] for line in told[3:13:2]] == ["Y", "-", "-", "-", "Y"]
    part = table(layer_range=("max_pooling.*", "dropout.*"))
    assert [line[:7] for line in part[3:-5:2]] == ["max_poo", "flatten", "dropout"]


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"line_length": "wide"}, ValueError, "summary: line_length is 'wide'; it must be a whole"),
        ({"line_length": 3}, ValueError, "line_length is 3"),
        ({"positions": (0.5, 1.0)}, ValueError, r"summary: positions is \(0\.5, 1\.0\); .* three"),
        ({"positions": (0.5, 0.4, 1.0)}, ValueError, "each beyond the one before"),
        ({"positions": 3}, ValueError, "positions is 3"),
        ({"positions": ()}, ValueError, r"positions is \(\)"),
        ({"print_fn": 100}, TypeError, "print_fn is 100; it must be a function; .* line_length="),
        ({"show_weights": True}, TypeError, "got an unexpected .*'show_weights'"),
        ({"layer_range": ("a", "b")}, ValueError, "layer_range is .* names of two layers"),
        ({"layer_range": 3}, ValueError, "layer_range is 3"),
    ],
)
def test_what_makes_no_table_is_named(arguments, error, text):
    with pytest.raises(error, match=text):
        convnet().summary(**arguments)
