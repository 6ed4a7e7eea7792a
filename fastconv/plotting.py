"""Pictures of training, networks and answers, drawn by matplotlib (`pip install 'fastconv[plot]'`).

Each `plot_...` returns a matplotlib `Figure` that shows itself as the last line of a notebook's
cell; `.save("picture.png")` writes it.  `saliency`, `grad_cam`, `occlusion` and `confusion_matrix`
return arrays and need no matplotlib.
"""

from .utils import plot_model
from .visualization.answers import (
    confusion_matrix,
    plot_batch,
    plot_calibration,
    plot_confusion_matrix,
    plot_mistakes,
    plot_roc,
)
from .visualization.explanations import grad_cam, occlusion, saliency
from .visualization.history import check_plot, plot_history
from .visualization.learning_curves import plot_learning_curves
from .visualization.networks import plot_explanation, plot_feature_maps, plot_kernels

__all__ = [
    "check_plot",
    "confusion_matrix",
    "grad_cam",
    "occlusion",
    "plot_batch",
    "plot_calibration",
    "plot_confusion_matrix",
    "plot_explanation",
    "plot_feature_maps",
    "plot_history",
    "plot_kernels",
    "plot_learning_curves",
    "plot_mistakes",
    "plot_model",
    "plot_roc",
    "saliency",
]
