"""Pictures of a training; they live in `fastconv.visualization`."""

from .visualization.history import check_plot, plot_history

__all__ = ["check_plot", "plot_history"]
