"""The chapter's experiments in PyTorch: the same weights at the start, the same batches.

    python -m bench.experiments_torch --data dog-vs-cat.zip --seeds 3 --output torch

Photos are decoded and augmented by fastconv, so that PyTorch is given the very batches that
`python -m fastconv.experiments` trains on with the same seed; networks, losses and optimizers are
PyTorch's.  What differs is rounding and, for model4, which units are dropped.  A CSV per run is
kept in the folder, and runs that are there are not run again; at the end the figures are printed,
for `fastconv/studies/chapter.py` to have beside fastconv's.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
import torch
from torch import nn

from fastconv import architectures
from fastconv.callbacks import EarlyStopping
from fastconv.datasets.opening import open_data_set
from fastconv.studies import runs, summary
from fastconv.studies.chapter import CHAPTER

from .contenders.torch_model import TorchModel, fastest_optimizer
from .spec import ModelTask, describe


def main() -> None:
    """Run what is not done yet, and print all."""
    options = _options()
    contender = TorchModel(threads=options.threads, channels_last=True, mode="train")
    data = open_data_set(options.data)
    runs.check_folder(options.output, data, options.epochs)
    results: dict[str, list[runs.Row]] = {}
    for seed in range(options.seeds):
        for name in options.only:
            run = runs.Run(CHAPTER[name], seed, options.epochs)
            rows = runs.read_rows(run, options.output)
            if rows is None:
                rows = train(run, data, contender)
                runs.write_rows(rows, runs.path_of(run, options.output))
            top = summary.best(rows)
            results.setdefault(name, []).append(top)
            seconds = np.median([row["seconds"] for row in rows])
            print(f"{run.name}: {top['val_accuracy']:.4f} in epoch {top['epoch']:.0f} of "
                  f"{len(rows)}, {seconds:.1f}s an epoch", flush=True)  # fmt: skip
    print(f"\nPyTorch {torch.__version__}, (accuracy, epoch) of seeds 0, 1, ...")
    for name, tops in results.items():
        pairs = ", ".join(f"({top['val_accuracy']:.4f}, {top['epoch']:.0f})" for top in tops)
        print(f"{name}: {pairs}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m bench.experiments_torch", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--data", required=True, help="folder or zip of the photos")
    parser.add_argument("--output", default="torch", help="folder for the runs (default: torch)")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each (default: 3)")
    parser.add_argument("--epochs", type=int, default=30, help="epochs at most (default: 30)")
    parser.add_argument("--only", nargs="+", choices=tuple(CHAPTER), default=tuple(CHAPTER))
    parser.add_argument("--threads", type=int, default=1, help="of PyTorch (default: 1)")
    return parser.parse_args()


def train(run: runs.Run, data: Any, contender: TorchModel) -> list[runs.Row]:
    """Train a run's network in PyTorch and return its rows."""
    model, training, validation = runs.prepare(run, data)
    recipe = architectures.get(run.experiment.architecture).recipe
    x, y = validation[0]
    contender.build(
        ModelTask(
            run.name, describe(model), tuple(model.get_weights()), x, y, recipe.optimizer,
            recipe.learning_rate,
        )
    )  # fmt: skip
    torch.manual_seed(run.seed)
    module = contender.module
    optimizer, _ = fastest_optimizer(
        list(module.parameters()), recipe.optimizer, recipe.learning_rate
    )
    rows: list[runs.Row] = []
    stopping = _Patience(recipe.patience)
    for epoch in range(run.epochs):
        start = time.perf_counter()
        training.set_epoch(epoch)
        loss, accuracy = _pass(module, training, optimizer)
        validation.set_epoch(epoch)
        val_loss, val_accuracy = _pass(module, validation, None)
        rows.append(
            {"epoch": epoch + 1.0, "loss": loss, "accuracy": accuracy, "val_loss": val_loss,
             "val_accuracy": val_accuracy, "seconds": time.perf_counter() - start}
        )  # fmt: skip
        if stopping.ends(val_loss):
            break
    return rows


class _Patience:
    """The rule of fastconv's `EarlyStopping`, without its model."""

    def __init__(self, patience: int | None) -> None:
        self._callback = None if patience is None else EarlyStopping(patience=patience)
        self.stop_training = False
        if self._callback is not None:
            self._callback.set_model(self)
            self._callback.on_train_begin()
        self._epoch = 0

    def ends(self, val_loss: float) -> bool:
        """Note an epoch's loss, and return whether it was the last epoch."""
        if self._callback is not None:
            self._callback.on_epoch_end(self._epoch, {"val_loss": val_loss})
            self._epoch += 1
        return self.stop_training


def _pass(module: nn.Module, batches: Any, optimizer: Any) -> tuple[float, float]:
    """Go over all batches once, training where there is an optimizer; return loss and accuracy."""
    criterion = nn.BCEWithLogitsLoss(reduction="sum")
    module.train(optimizer is not None)
    total, right, count = 0.0, 0, 0
    for step in range(len(batches)):
        x, y = batches[step]
        images = torch.from_numpy(np.ascontiguousarray(x)).permute(0, 3, 1, 2)
        labels = torch.from_numpy(np.asarray(y, np.float32)).reshape(-1, 1)
        with torch.set_grad_enabled(optimizer is not None):
            logits = module(images)
            loss = criterion(logits, labels)
        if optimizer is not None:
            optimizer.zero_grad(set_to_none=True)
            (loss / len(labels)).backward()
            optimizer.step()
        total += loss.item()
        right += int(((logits > 0) == (labels > 0.5)).sum())
        count += len(labels)
    return total / count, right / count


if __name__ == "__main__":
    main()
