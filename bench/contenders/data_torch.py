"""PyTorch in the data benches: affine transforms in a DataLoader, decoded photos kept."""

from __future__ import annotations

import math
import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from ..data import EPOCH, DataTask


class Photos(Dataset):
    """Decoded photos, each changed at random by one affine map when it is asked for."""

    def __init__(self, folder: str, size: int, threads: int, augmented: bool) -> None:
        names, labels = [], []
        for label, name in enumerate(sorted(os.listdir(folder))):
            files = sorted(os.listdir(os.path.join(folder, name)))
            names += [os.path.join(folder, name, file) for file in files]
            labels += [label] * len(files)
        self.labels = torch.tensor(labels, dtype=torch.float32).reshape(-1, 1)
        self.augmented = augmented

        def decode(name: str) -> torch.Tensor:
            import numpy as np
            from PIL import Image

            with Image.open(name) as image:
                pixels = image.convert("RGB").resize((size, size), Image.Resampling.NEAREST)
            return torch.from_numpy(np.array(pixels)).permute(2, 0, 1)

        with ThreadPoolExecutor(threads) as pool:
            self.pixels = torch.stack(list(pool.map(decode, names)))

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        image = self.pixels[index].float() / 255
        if self.augmented:
            image = _change(image)
        return image, self.labels[index]


def _change(image: torch.Tensor) -> torch.Tensor:
    """Turn, slant, zoom, shift and flip by one matrix, linearly, edges continued."""
    draw = (torch.rand(6) * 2 - 1).tolist()
    angle, slant = math.radians(40 * draw[0]), math.atan(0.2 * draw[1])
    zoom_x, zoom_y = 1 + 0.2 * draw[2], 1 + 0.2 * draw[3]
    if torch.rand(()) < 0.5:
        zoom_x = -zoom_x
    cosine, sine = math.cos(angle), math.sin(angle)
    a, b = cosine * zoom_x, -(cosine * math.sin(slant) + sine * math.cos(slant)) * zoom_y
    c, d = sine * zoom_x, (cosine * math.cos(slant) - sine * math.sin(slant)) * zoom_y
    matrix = torch.tensor([[[a, b, 0.4 * draw[4]], [c, d, 0.4 * draw[5]]]])
    grid = functional.affine_grid(matrix, [1, *image.shape], align_corners=False)
    return functional.grid_sample(
        image[None], grid, mode="bilinear", padding_mode="border", align_corners=False
    )[0]


class TorchEpochs:
    """The standard training loop and a validation pass; `workers` processes prepare batches."""

    def __init__(self, *, threads: int, workers: int) -> None:
        torch.set_num_threads(threads)
        self.threads, self.workers = threads, workers

    def prepare(self, task: DataTask) -> dict[str, Any]:
        """Return the "first" epoch's seconds, decoding included."""
        torch.manual_seed(0)
        started = time.perf_counter()
        train, validation = (
            DataLoader(
                Photos(os.path.join(task.folder, part), task.size, self.threads, augmented),
                task.batch,
                shuffle=augmented,
                num_workers=self.workers,
                persistent_workers=self.workers > 0,
            )
            for part, augmented in (("train", True), ("validation", False))
        )
        side = ((task.size - 2) // 2 - 2) // 2
        # What PyTorch advises for convolutions on CPUs, and a fifth faster than contiguous here.
        layout = torch.channels_last
        model = nn.Sequential(
            nn.Conv2d(3, 32, 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 32, 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(32 * side * side, 1),
        ).to(memory_format=layout)
        optimizer = torch.optim.Adam(model.parameters(), eps=1e-7)
        criterion = nn.BCEWithLogitsLoss()

        def epoch() -> None:
            model.train()
            for x, y in train:
                optimizer.zero_grad(set_to_none=True)
                loss = criterion(model(x.contiguous(memory_format=layout)), y)
                loss.backward()
                optimizer.step()
            model.eval()
            with torch.inference_mode():
                for x, y in validation:
                    criterion(model(x.contiguous(memory_format=layout)), y).item()

        self.operations = {EPOCH: epoch}
        epoch()
        return {"first": time.perf_counter() - started}

    def restore(self) -> None:
        """Nothing to undo."""
