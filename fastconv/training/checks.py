"""Whether a batch fits a model, its losses and its metrics, found out before anything changes."""

from __future__ import annotations

from typing import Any

from ..losses import crossentropy
from .batches import Batch, each
from .fit_state import Meters
from .labels import LabelCheck, check_label_dtype, check_weighed_classes, reworded
from .model import TrainableModel
from .objectives import BatchLoss, Output, as_tuple, halves, row_shapes


class BatchChecks:
    """The checks of a `TrainStep`, which says what is asked of each output."""

    #: The kind of labels, and the metrics, that were found to fit each other.
    _tried: Any = None

    @property
    def model(self) -> TrainableModel:
        raise NotImplementedError

    def require_compiled(self, method: str) -> Any:
        raise NotImplementedError

    def outputs(self, method: str = "fit") -> list[Output]:
        raise NotImplementedError

    def meters(self) -> Meters:
        raise NotImplementedError

    def prepare(
        self,
        batch: Batch,
        method: str,
        class_weight: dict[int, float] | None = None,
        labels: tuple[Any, Any] | None = None,
    ) -> None:
        """Build the model if need be and check that a batch fits it, its loss and its metrics.

        `labels` are all (y, sample_weight) that can be seen, else the batch's are checked.
        """
        self.require_compiled(method)
        self.prepare_input(batch.x, method)
        y, sample_weight = labels or (batch.y, batch.sample_weight)
        self.check_labels(y, sample_weight, method, class_weight)
        self._try_metrics(batch.y, method)

    def check_later_batch(self, batch: Batch) -> None:
        """Check what may differ between an iterator's batches; the first was checked in full."""
        self.prepare_input(batch.x, "the iterator's batch")
        owner = self.model.owner
        if batch.y is None:
            raise ValueError(f"{owner}: the iterator gave no labels; it must give (x, y)")
        each(lambda y: check_label_dtype(y, f"{owner}: the iterator's batch"), batch.y)
        self._try_metrics(batch.y, "the iterator's batch")

    def check_labels(
        self,
        y: Any,
        weight: Any,
        method: str,
        class_weight: dict[int, float] | None = None,
    ) -> None:
        """Raise what the losses would raise on these labels, whatever the prediction."""
        model = self.model
        owner = f"{model.owner}: {method}"
        if y is None:
            raise ValueError(f"{owner}: y is None; it must be the labels")
        asked = self.outputs(method)
        if class_weight is not None:
            self._check_class_weight(class_weight, asked, owner)
        fused = model._executor().fused_losses([one.loss for one in asked])
        every = as_tuple(y, len(asked))
        shapes = row_shapes(model.output_shape, every)
        for n, (one, targets, weights) in enumerate(
            zip(asked, every, as_tuple(weight, len(asked)), strict=True)
        ):
            whose = owner if one.name is None else f"{owner}: output {one.name!r}"
            if one.loss is None:
                continue
            if targets is None:
                raise ValueError(f"{whose}: y has no targets for it, and it has a loss")
            check_label_dtype(targets, whose)
            check = LabelCheck(one.loss, shapes[n], fused[n], class_weight)
            check.all_rows(targets, weights, whose)

    def _check_class_weight(
        self, class_weight: dict[int, float], asked: list[Output], owner: str
    ) -> None:
        if len(asked) > 1:
            raise ValueError(
                f"{owner}: class_weight is for a model with one output; give sample_weight for each"
            )
        classes = self._classes(asked)
        if classes is not None:
            check_weighed_classes(class_weight, classes, owner)

    def _classes(self, asked: list[Output]) -> int | None:
        """How many classes the model tells apart, None where it is no classifier."""
        outputs = self.model.output_shape[-1]
        if outputs is not None and outputs > 1:
            return int(outputs)
        return 2 if isinstance(asked[0].loss, crossentropy.BinaryTargets) else None

    def _try_metrics(self, y: Any, method: str) -> None:
        """Raise what the metrics would raise on such labels, before a step changes the weights."""
        asked = self.outputs(method)
        chosen = [m for one in asked for m in (*one.metrics, *one.weighted_metrics)]
        if not chosen:
            return
        targets = as_tuple(y, len(asked))
        kinds = [None if one is None else (one.shape[1:], one.dtype) for one in targets]
        kind = (kinds, self.model.output_shape, chosen)
        if self._tried == kind:
            return
        shapes = row_shapes(self.model.output_shape, targets)
        rows = next(len(one) for one in targets if one is not None)
        outputs: Any = [halves(shape, rows) for shape in shapes]
        meters = self.meters()
        try:
            batch = Batch(outputs[0], y, None)
            value = 0.0 if len(asked) == 1 else BatchLoss(0.0, [0.0] * len(asked))
            meters.update(batch, value, outputs if len(asked) > 1 else outputs[0])
            meters.logs()
        except (ValueError, TypeError) as error:
            raise reworded(error, f"{self.model.owner}: {method}: {error}") from None
        self._tried = kind

    def prepare_input(self, x: Any, method: str) -> None:
        """Check the inputs' shapes (batch, ...), and build the model for them if need be."""
        model = self.model
        if model.built and not isinstance(x, tuple):
            inputs = model.graph.inputs
            if len(inputs) == 1 and x.shape[1:] == inputs[0].shape[1:]:
                return  # as nearly always
        shapes = [one.shape for one in x] if isinstance(x, tuple) else [x.shape]
        if not model.built:
            if not model.layers and hasattr(model, "add"):
                raise ValueError(
                    f"{model.owner}: {method}: the model has no layers; add some first"
                )
            model.build((None, *shapes[0][1:]))
        wanted = [tensor.shape for tensor in model.graph.inputs]
        for n, (shape, expected) in enumerate(zip(shapes, wanted, strict=True)):
            if shape[1:] != expected[1:]:
                what = "x" if len(wanted) == 1 else f"x[{n}]"
                _check_shape(shape, expected, f"{model.owner}: {method}: {what}")


def _check_shape(shape: tuple[int, ...], wanted: tuple[Any, ...], what: str) -> None:
    if _fits(shape[1:], wanted[1:]):
        return
    hint = ""
    if _fits(shape, wanted[1:]):
        hint = "; add the batch axis: x[None], or make batches of single rows: data.batch(32)"
    elif len(shape) == 4 and _fits((*shape[2:], shape[1]), wanted[1:]):
        hint = (
            "; move the channel axis to the end: numpy.moveaxis(x, 1, -1), or of PyTorch's "
            "tensors x.permute(0, 2, 3, 1)"
        )
    raise ValueError(f"{what} has shape {tuple(shape)}; it must be {tuple(wanted)}{hint}")


def _fits(shape: tuple[int, ...], wanted: tuple[Any, ...]) -> bool:
    """Whether sizes are the wanted ones, of which None is any."""
    return len(shape) == len(wanted) and all(
        size is None or size == given for size, given in zip(wanted, shape, strict=True)
    )
