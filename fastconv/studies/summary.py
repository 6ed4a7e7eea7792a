"""What several runs of one experiment come to: means, intervals, a table, curves."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..visualization.figures import new_picture
from .chapter import Experiment
from .runs import Row

# Student's t for a two-sided 95 % interval, by degrees of freedom 1, 2, ...: what scipy.stats.t.ppf
# (0.975, n) gives.  Beyond them the normal distribution's 1.96 is within 2 %.
_T95 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
    2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip


@dataclass(frozen=True)
class Estimate:
    """The mean of some runs' values; the true mean lies within `half_width` of it in 95 %.

    `half_width` is None of a single run.
    """

    mean: float
    half_width: float | None

    def text(self, digits: int) -> str:
        """Return "0.701 ± 0.012"."""
        if self.half_width is None:
            return f"{self.mean:.{digits}f}"
        return f"{self.mean:.{digits}f} ± {self.half_width:.{digits}f}"


def estimate(values: Sequence[float]) -> Estimate:
    """Return the mean of `values`, one at least, with Student's 95 % interval."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return Estimate(mean, None)
    degrees = len(values) - 1
    t = _T95[degrees - 1] if degrees <= len(_T95) else 1.96
    return Estimate(mean, t * statistics.stdev(values) / math.sqrt(len(values)))


def best(rows: Sequence[Row]) -> Row:
    """Return the epoch of the best validation accuracy, the first where there are several."""
    return max(rows, key=lambda row: (row["val_accuracy"], -row["epoch"]))


Results = Mapping[Experiment, Mapping[int, Sequence[Row]]]


def table(results: Results) -> list[str]:
    """Return a Markdown table, a line each, of the runs of each experiment by their seeds."""
    lines = [
        "| | chapter | fastconv | each seed | epoch | PyTorch | s an epoch |",
        "|---|---|---|---|---|---|---|",
    ]
    for experiment, runs in results.items():
        if not runs:
            continue
        bests = [best(rows) for rows in runs.values()]
        accuracy = estimate([row["val_accuracy"] for row in bests])
        epoch = estimate([row["epoch"] for row in bests])
        printed = "" if experiment.printed is None else f"{experiment.printed:.3f}"
        if experiment.printed_epoch is not None:
            printed += f" (epoch {experiment.printed_epoch})"
        pytorch = "" if experiment.pytorch is None else f"{experiment.pytorch:.3f}"
        if pytorch:
            pytorch += f" ({experiment.pytorch_seeds} run{'s' * (experiment.pytorch_seeds > 1)})"
        # The first epoch of a run makes what the later ones use, so it is left out.
        seconds = [row["seconds"] for rows in runs.values() for row in rows[1:] or rows]
        each = ", ".join(f"{row['val_accuracy']:.3f}" for row in bests)
        lines.append(
            f"| {experiment.name} | {printed} | **{accuracy.text(3)}** | {each} | {epoch.text(1)} "
            f"| {pytorch} | {statistics.median(seconds):.2f} |"
        )
    return lines


def report(results: Results, said: Sequence[str], curves: str | None) -> str:
    """Return the study's report in Markdown: the table, the lines `said`, the picture `curves`."""
    seeds = sorted({seed for runs in results.values() for seed in runs})
    lines = [
        "# The chapter's experiments",
        "",
        f"Best validation accuracy of each run and the epoch where it came, from seeds {seeds}: "
        "the mean and, after ±, half of Student's 95 % interval for it. The recipe is the "
        "chapter's. Its text augments model3's photos; its listing passes the iterator without "
        "augmentation, and its figures are of that: model3-as-listed. PyTorch's column was "
        "measured once, with the same recipe; it is not run again here.",
        "",
        *table(results),
        "",
        *said,
        "",
    ]
    if curves is not None:
        lines += [f"![Learning curves]({curves})", ""]
    return "\n".join(lines)


def draw_curves(results: Results, path: str) -> None:
    """Draw each experiment's losses and accuracies, a thin line a run, as a PNG file.

    Raises ImportError, with what to install, without matplotlib.
    """
    shown = {experiment: runs for experiment, runs in results.items() if runs}
    figure = new_picture(3.4 * len(shown), 5.6)
    axes = figure.subplots(2, len(shown), squeeze=False, sharex="col", sharey="row")
    for column, (experiment, runs) in enumerate(shown.items()):
        for row, name in enumerate(("loss", "accuracy")):
            panel = axes[row][column]
            for number, rows in enumerate(runs.values()):
                epochs = [one["epoch"] for one in rows]
                for key, label, colour in (
                    (name, "training", "C0"),
                    (f"val_{name}", "validation", "C1"),
                ):
                    values = [one[key] for one in rows]
                    style = {"color": colour, "alpha": 0.6, "linewidth": 1.2}
                    panel.plot(epochs, values, label=None if number else label, **style)
            if not column:
                panel.set_ylabel(name)
        axes[0][column].set_title(experiment.name)
        axes[1][column].set_xlabel("epoch")
    axes[0][0].legend()
    figure.save(path)
