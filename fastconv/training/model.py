"""What training needs of a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from ..callbacks import History
from ..graph.executor import Executor
from ..graph.graph import Graph
from ..saving.model import SavableModel
from .batches import Batch
from .fit_state import Run


class TrainableModel(SavableModel, Protocol):
    """A model whose steps a user may override; `_run` is the training that goes on."""

    history: History | None
    stop_training: bool
    stop_evaluating: bool
    stop_predicting: bool
    _run: Run | None
    _fit_state: dict[str, Any] | None

    @property
    def output_shape(self) -> Any: ...

    @property
    def graph(self) -> Graph: ...

    @property
    def input_names(self) -> list[str]: ...

    @property
    def output_names(self) -> list[str]: ...

    _graph: Graph | None
    _output_names: list[str] | None

    def build(self, input_shape: Sequence[int | None] | None = None) -> None: ...

    def get_weights(self) -> list[np.ndarray]: ...

    def set_weights(self, weights: Sequence[Any]) -> None: ...

    def _executor(self) -> Executor: ...

    def train_step(self, batch: Batch) -> tuple[float, Any]: ...

    def test_step(self, batch: Batch) -> tuple[float, Any]: ...

    def predict_step(self, x: Any) -> Any: ...
