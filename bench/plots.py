"""Figures of results: bars for models, a scatter of the sweep, rooflines, scaling curves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .report import progress

OURS = "#d1495b"
OTHERS = (
    "#30638e", "#6a9fc0", "#003d5b", "#5f7f94", "#edae49", "#66a182", "#8d6a9f", "#b08968",
    "#9fc2a6", "#c9a7d8", "#4a4e69",
)  # fmt: skip
HIDDEN = ("fastconv, 1 thread",)


def save(path: str, results: dict[str, Any]) -> None:
    """Draw what the command found, as the README shows it, to `path`.

    Raises SystemExit with what to install if matplotlib is missing.
    """
    try:
        import matplotlib
    except ModuleNotFoundError:
        raise SystemExit("--plot needs matplotlib: `pip install matplotlib`") from None
    matplotlib.use("Agg")
    from matplotlib import pyplot

    draw: dict[str, Callable[[Any, dict[str, Any]], Any]] = {
        "models": _models,
        "networks": _networks,
        "layers": _layers,
        "scaling": _scaling,
    }
    figure = draw[results["command"]](pyplot, results)
    facts = results["environment"]
    figure.text(0.01, 0.005, f"{facts['cpu']}, {facts['threads']} threads", fontsize=8, color="0.4")
    figure.savefig(path, dpi=150)
    pyplot.close(figure)
    progress(f"wrote {path}")


def _models(pyplot: Any, results: dict[str, Any]) -> Any:
    measurements = results["measurements"]
    # The roofline is of forward passes: a run of training steps alone has none.
    points = [
        (
            m["flops"] / m["bytes"],
            m["contenders"]["fastconv"]["flops/s"],
            f"{m['model']}, {m['operation'].removeprefix('prediction of ')}",
            OURS,
        )
        for m in measurements
        if m["operation"] != "training step"
    ]
    columns = 2 if points else 1
    figure, axes = pyplot.subplots(
        1,
        columns,
        figsize=(14 if points else 9.5, 5.5),
        layout="constrained",
        width_ratios=(2, 1)[:columns],
        squeeze=False,
    )
    figures = axes[0]
    _bars(figures[0], measurements)
    if points:
        _roofline(figures[1], results["rates"], points)
    return figure


def _networks(pyplot: Any, results: dict[str, Any]) -> Any:
    kinds = _by_operation(results["measurements"])
    size = (12, 4.5 * len(kinds))
    figure, grid = pyplot.subplots(len(kinds), 1, figsize=size, layout="constrained", squeeze=False)
    for axes, found in zip(grid[:, 0], kinds, strict=True):
        _bars(axes, found)
    return figure


def _by_operation(measurements: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Return the measurements of training, of a batch, and of one image, where there are any."""
    kinds: dict[str, list[dict[str, Any]]] = {"training step": [], "batch": [], "one": []}
    for measurement in measurements:
        operation = measurement["operation"]
        one = "one" if operation == "prediction of 1" else "batch"
        kinds[operation if operation in kinds else one].append(measurement)
    return [found for found in kinds.values() if found]


def _bars(axes: Any, measurements: list[dict[str, Any]]) -> None:
    """Draw the contenders' times beside one another, operation by operation."""
    labels = list(
        dict.fromkeys(
            label for m in measurements for label in m["contenders"] if label not in HIDDEN
        )
    )
    width = 0.8 / len(labels)
    for index, label in enumerate(labels):
        places, heights = [], []
        for place, measurement in enumerate(measurements):
            if label in measurement["contenders"]:
                places.append(place + (index - (len(labels) - 1) / 2) * width)
                heights.append(measurement["contenders"][label]["times fastconv's"])
        colour = OURS if label == "fastconv" else OTHERS[(index - 1) % len(OTHERS)]
        axes.bar(places, heights, width, label=label, color=colour)
    short = {"training step": "training", "prediction of ": "predict "}
    names = [f"{m['model']}\n{m['operation']}" for m in measurements]
    for long, brief in short.items():
        names = [name.replace(long, brief) for name in names]
    axes.set_xticks(range(len(names)), names, fontsize=8)
    axes.set_ylabel("time, fastconv = 1 (lower is better)")
    axes.axhline(1, color="0.5", linewidth=0.8)
    axes.legend(fontsize=8)


def _layers(pyplot: Any, results: dict[str, Any]) -> Any:
    figure, (scatter, roof) = pyplot.subplots(
        1, 2, figsize=(14, 5.5), layout="constrained", width_ratios=(2, 1)
    )
    points = []
    for direction, colour in (("forward", OURS), ("backward", OTHERS[0])):
        chosen = [r for r in results["results"] if r["direction"] == direction]
        scatter.scatter(
            [r["flops"] for r in chosen],
            [r["ratio"] for r in chosen],
            s=18,
            alpha=0.7,
            color=colour,
            label=direction,
        )
        if direction == "forward":
            points = [
                (r["flops"] / r["bytes"], r["flops"] / _median(r["fastconv"]), "", colour)
                for r in chosen
            ]
    scatter.set_xscale("log")
    scatter.set_yscale("log")
    scatter.axhline(1, color="0.5", linewidth=0.8)
    scatter.set_xlabel("dense operations of the case")
    scatter.set_ylabel("PyTorch's best time over fastconv's (higher is better)")
    scatter.legend()
    _roofline(roof, results["rates"], points)
    return figure


def _roofline(axes: Any, rates: dict[str, float], points: list[tuple]) -> None:
    """Draw forward passes under what sgemm and a copy of memory allow."""
    intensities = [point[0] for point in points] or [1.0]
    ridge = rates["sgemm"] / rates["copy"]
    low, high = min([*intensities, ridge]) / 2, max([*intensities, ridge]) * 2
    axes.plot(
        [low, ridge, high],
        [low * rates["copy"], rates["sgemm"], rates["sgemm"]],
        color="0.3",
        label="copy rate, then sgemm rate",
    )
    for intensity, rate, label, colour in points:
        axes.scatter([intensity], [rate], s=18, color=colour, alpha=0.7)
        if label:
            axes.annotate(label, (intensity, rate), fontsize=8)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("dense operations per byte, forward")
    axes.set_ylabel("effective operations a second")
    axes.legend(fontsize=8)


def _scaling(pyplot: Any, results: dict[str, Any]) -> Any:
    kinds = list(dict.fromkeys(point["axis"] for point in results["curves"]))
    figure, grid = pyplot.subplots(1, len(kinds), figsize=(14, 4.5), layout="constrained")
    for axes, kind in zip(grid, kinds, strict=True):
        points = [point for point in results["curves"] if point["axis"] == kind]
        for name in dict.fromkeys(point["model"] for point in points):
            own = [point for point in points if point["model"] == name]
            axes.plot(
                [point["value"] for point in own],
                [point["flops/s"] / 1e9 for point in own],
                marker="o",
                label=name,
            )
        axes.set_xlabel(kind)
        axes.set_ylabel("effective GFLOP/s, training")
        axes.set_ylim(bottom=0)
        axes.legend()
    return figure


def _median(values: list[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
