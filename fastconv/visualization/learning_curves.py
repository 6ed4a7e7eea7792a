"""Learning curves of one run or of several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .figures import COLOURS, new_picture

History = Mapping[str, Sequence[float]]


def plot_learning_curves(runs: Any, metrics: Sequence[str] | None = None) -> Any:
    """Return a picture of losses and metrics by epoch: training thin, validation thick.

    Args:
        runs: a `History`, its dict, or {name: History or dict} of several runs.
        metrics: which; by default all that training logged, the learning rate excepted.

    Raises ValueError for runs without an epoch, and for a metric that none of them has.
    """
    named = _named(runs)
    found = dict.fromkeys(
        name.removeprefix("val_") for history in named.values() for name in history
    )
    wanted = [name for name in found if name != "learning_rate"] if metrics is None else metrics
    for name in wanted:
        if name not in found:
            raise ValueError(
                f"plot_learning_curves: metrics has {name!r}; the runs have {', '.join(found)}"
            )
    if not wanted:
        raise ValueError("plot_learning_curves: the runs have no epoch; there is nothing to draw")
    picture = new_picture(4.6 * len(wanted), 3.6)
    for axes, metric in zip(
        picture.subplots(1, len(wanted), squeeze=False)[0], wanted, strict=True
    ):
        for number, (name, history) in enumerate(named.items()):
            colour = COLOURS[number % len(COLOURS)]
            _draw(axes, history, metric, name, colour, several=len(named) > 1)
        axes.set_xlabel("epoch")
        axes.set_ylabel(metric)
        axes.grid(alpha=0.25)
        axes.legend(frameon=False)
    return picture


def _draw(axes: Any, history: History, metric: str, name: str, colour: str, several: bool) -> None:
    kinds = ((metric, "training", 1.0, 0.55), (f"val_{metric}", "validation", 2.0, 1.0))
    for number, (key, label, width, opacity) in enumerate(kinds):
        if key in history:
            values = list(history[key])
            shade = colour if several or number else COLOURS[1]
            label = f"{name}, {label}" if several else label
            style = {"color": shade, "linewidth": width, "alpha": opacity if several else 1.0}
            marker = "o" if len(values) == 1 else None
            axes.plot(range(1, len(values) + 1), values, label=label, marker=marker, **style)


def _named(runs: Any) -> dict[str, History]:
    """Return the runs' dicts by their names."""
    runs = getattr(runs, "history", runs)
    if not isinstance(runs, Mapping):
        raise TypeError(
            f"plot_learning_curves: runs is {type(runs).__name__}; it must be a History, or a dict "
            "of them by name"
        )
    values: list[Any] = [getattr(value, "history", value) for value in runs.values()]
    if values and all(isinstance(value, Mapping) for value in values):
        return dict(zip(map(str, runs), values, strict=True))
    return {"": runs}
