"""Pictures of how good a classifier's answers are, and of the images it was shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .figures import COLOURS, grid, new_picture, show_image


def class_shares(probabilities: Any, owner: str) -> np.ndarray:
    """Return probabilities (n, classes) of a model's outputs: (n, classes), or (n,) or (n, 1)."""
    shares = np.asarray(probabilities, np.float64)
    if shares.ndim == 2 and shares.shape[1] == 1:
        shares = shares[:, 0]
    if shares.ndim == 1:
        shares = np.stack([1 - shares, shares], axis=1)
    if shares.ndim != 2 or not len(shares):
        raise ValueError(
            f"{owner}: probabilities has shape {np.shape(probabilities)}; it must be (n, classes), "
            "or (n, 1) for two classes"
        )
    return shares


def class_places(labels: Any, shares: np.ndarray, owner: str) -> np.ndarray:
    """Return labels as class numbers (n,), of numbers or one-hot rows."""
    places = np.asarray(labels)
    if places.ndim == 2:
        places = places[:, 0] if places.shape[1] == 1 else places.argmax(axis=1)
    if places.shape != (len(shares),):
        raise ValueError(
            f"{owner}: labels has shape {np.shape(labels)}; it must be ({len(shares)},), one for "
            "each row of probabilities"
        )
    whole: np.ndarray = np.rint(places).astype(int)
    if (whole != places).any() or whole.min() < 0 or whole.max() >= shares.shape[1]:
        raise ValueError(f"{owner}: labels must be whole numbers from 0 to {shares.shape[1] - 1}")
    return whole


def confusion_matrix(labels: Any, probabilities: Any) -> np.ndarray:
    """Return how often each class (row) was given each answer (column), (classes, classes)."""
    shares = class_shares(probabilities, "confusion_matrix")
    places = class_places(labels, shares, "confusion_matrix")
    counts = np.zeros((shares.shape[1],) * 2, int)
    np.add.at(counts, (places, shares.argmax(axis=1)), 1)
    return counts


def roc_curve(positive: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Return false and true positive rates over all thresholds, and the area under them (AUC).

    `positive` is (n,) of bool with both kinds, `scores` (n,).  Equal scores are one threshold.
    """
    order = np.argsort(-scores, kind="stable")
    hits, ranked = positive[order], scores[order]
    last = np.r_[ranked[1:] != ranked[:-1], True]
    true = np.r_[0, np.cumsum(hits)[last]] / max(1, hits.sum())
    false = np.r_[0, np.cumsum(~hits)[last]] / max(1, (~hits).sum())
    area = float(np.sum(np.diff(false) * (true[1:] + true[:-1]) / 2))
    return false, true, area


def plot_confusion_matrix(
    labels: Any, probabilities: Any, class_names: Sequence[str] | None = None
) -> Any:
    """Return a picture of the confusion matrix: counts, shaded by their share of the row."""
    counts = confusion_matrix(labels, probabilities)
    names = _names(class_names, len(counts))
    size = max(3.4, 0.55 * len(counts) + 1.6)
    picture = new_picture(size + 0.6, size)
    axes = picture.subplots()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(*counts.shape):
        colour = "white" if shares[row, column] > 0.55 else "black"
        axes.text(column, row, f"{counts[row, column]:,}", ha="center", va="center", color=colour)
    axes.set_xticks(range(len(names)), names, rotation=0 if len(names) < 5 else 90)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("answer")
    axes.set_ylabel("class")
    return picture


def plot_roc(labels: Any, probabilities: Any, class_names: Sequence[str] | None = None) -> Any:
    """Return a picture of the ROC: of the second class of two, or of each class against all."""
    shares = class_shares(probabilities, "plot_roc")
    places = class_places(labels, shares, "plot_roc")
    names = _names(class_names, shares.shape[1])
    picture = new_picture(4.4, 4.2)
    axes = picture.subplots()
    for place in [1] if len(names) == 2 else range(len(names)):
        positive = places == place
        if positive.all() or not positive.any():
            continue  # without both kinds there is no curve
        false, true, area = roc_curve(positive, shares[:, place])
        colour = COLOURS[place % len(COLOURS)]
        axes.plot(false, true, label=f"{names[place]}: AUC {area:.3f}", color=colour)
    axes.plot([0, 1], [0, 1], color="gray", linewidth=1, linestyle=":")
    axes.set_xlabel("false positive rate")
    axes.set_ylabel("true positive rate")
    axes.set_aspect("equal")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, loc="lower right")
    return picture


def plot_calibration(labels: Any, probabilities: Any, bins: int = 10) -> Any:
    """Return a picture of how often answers of some confidence are right.

    The circles' areas tell how many answers there are; on the diagonal confidence is earned.
    """
    shares = class_shares(probabilities, "plot_calibration")
    places = class_places(labels, shares, "plot_calibration")
    confidence, right = shares.max(axis=1), shares.argmax(axis=1) == places
    edges = np.linspace(1 / shares.shape[1], 1, bins + 1)
    which = np.clip(np.digitize(confidence, edges) - 1, 0, bins - 1)
    counts = np.bincount(which, minlength=bins)
    filled = counts > 0
    mean = np.bincount(which, confidence, bins)[filled] / counts[filled]
    accuracy = np.bincount(which, right, bins)[filled] / counts[filled]
    error = float(np.sum(np.abs(mean - accuracy) * counts[filled]) / len(places))
    picture = new_picture(4.4, 4.2)
    axes = picture.subplots()
    axes.plot([edges[0], 1], [edges[0], 1], color="gray", linewidth=1, linestyle=":")
    axes.plot(mean, accuracy, color=COLOURS[0], linewidth=1)
    areas = 20 + 400 * counts[filled] / counts.max()
    axes.scatter(mean, accuracy, s=areas, color=COLOURS[0], alpha=0.5)
    axes.set_xlabel("confidence")
    axes.set_ylabel("share that is right")
    axes.set_ylim(-0.03, 1.05)
    axes.set_title(f"expected calibration error {error:.3f}")
    return picture


def plot_mistakes(
    images: Any,
    labels: Any,
    probabilities: Any,
    class_names: Sequence[str] | None = None,
    count: int = 12,
) -> Any:
    """Return a picture of the images that are most wrong, the most confident mistake first."""
    shares = class_shares(probabilities, "plot_mistakes")
    places = class_places(labels, shares, "plot_mistakes")
    if len(images) != len(shares):
        raise ValueError(
            f"plot_mistakes: there are {len(images)} images and {len(shares)} rows of probabilities"
        )
    names = _names(class_names, shares.shape[1])
    answers = shares.argmax(axis=1)
    wrong = np.flatnonzero(answers != places)
    wrong = wrong[np.argsort(-shares[wrong, answers[wrong]], kind="stable")][:count]
    picture, panels = grid(max(1, len(wrong)), 4, 2.2, 0.45)
    if not len(wrong):
        panels[0].text(0.5, 0.5, "no mistakes", ha="center", va="center")
        panels[0].set_axis_off()
    for panel, number in zip(panels, wrong, strict=False):
        show_image(panel, images[number])
        answer = answers[number]
        said = f"{names[answer]} {shares[number, answer]:.0%}"
        panel.set_title(f"{said}\nis {names[places[number]]}", fontsize="small")
    return picture


def plot_batch(batch: Any, class_names: Sequence[str] | None = None, count: int = 16) -> Any:
    """Return a picture of a batch as the network is shown it, augmented and all.

    `batch` is images (n, height, width, channels), (images, labels), or an iterator, of which the
    next batch is taken.
    """
    if hasattr(batch, "__next__"):
        if class_names is None and getattr(batch, "class_indices", None):
            class_names = list(batch.class_indices)
        batch = next(batch)
    images, labels = (batch[0], batch[1]) if isinstance(batch, (tuple, list)) else (batch, None)
    images = np.asarray(images)
    if images.ndim != 4 or not len(images):
        raise ValueError(
            f"plot_batch: the images have shape {images.shape}; it must be (n, height, width, "
            "channels)"
        )
    picture, panels = grid(min(count, len(images)), 4, 2.0, 0.0 if labels is None else 0.3)
    for number, panel in enumerate(panels):
        show_image(panel, images[number])
        if labels is not None:
            panel.set_title(_said(np.asarray(labels)[number], class_names), fontsize="small")
    return picture


def _said(label: Any, class_names: Sequence[str] | None) -> str:
    """Return what a label, a number or a row, says; of mixed images each class's share."""
    row = np.ravel(label)
    if len(row) == 1:
        value = float(row[0])
        if value == int(value) and value >= 0:
            names = class_names or []
            return str(names[int(value)]) if int(value) < len(names) else f"{value:g}"
        if not class_names or len(class_names) != 2 or not 0 < value < 1:
            return f"{value:.2f}"
        row = np.array([1 - value, value])
    names = _names(class_names, len(row))
    parts = [f"{name} {share:.0%}" for name, share in zip(names, row, strict=True) if share > 0]
    return parts[0].removesuffix(" 100%") if len(parts) == 1 else ", ".join(parts)


def _names(class_names: Sequence[str] | None, classes: int) -> list[str]:
    if class_names is None:
        return [str(number) for number in range(classes)]
    if len(class_names) != classes:
        raise ValueError(f"class_names has {len(class_names)} names; there are {classes} classes")
    return list(map(str, class_names))
