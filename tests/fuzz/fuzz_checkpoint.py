"""Fuzz the reader of checkpoints: `python tests/fuzz/fuzz_checkpoint.py CORPUS [OPTIONS]`.

`OPTIONS` are libFuzzer's, such as `-runs=100000 -max_len=16384`.
Whatever bytes a file holds, it is loaded or it is a CheckpointError, and a
model that was to take it is left as it was. An input is one of two things:

- a file as it is (it begins with "PK"), whose checksums are put right, so that
  changes of its members come through;
- the members' contents, with SEPARATOR between them: the JSON of `config` and of
  `state` in UTF-8, then .npy files for the weights and the optimizer's slots.
"""

from __future__ import annotations

import io
import json
import os
import random
import sys
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

SEPARATOR = b"\n--\n"
MEMBERS = (
    "weights/dense/kernel",
    "weights/dense/bias",
    "optimizer/iterations",
    "optimizer/learning_rate",
    "optimizer/0/momentum",
    "optimizer/1/momentum",
)

# What may stand in the place of any value of a configuration or a state.
_VALUES = (
    None, True, False, 0, 1, -1, 2, 1.5, -0.0, 1e308, float("nan"), 10**6, 2**31, 10**30, 10**400,
    "", "x", "a/b", "\0", "\ud800", "same", "relu", "adam", "auc", "Conv2D", [], {}, [1], [[]],
    [None, 2], [3, 3], {"array": "weights/dense/kernel"}, {"array": "x"}, {"array": []},
    {"number": "NaN"}, {"number": 1}, {"object": 1}, {"items": [[[], 1]]}, {"x": {"y": [{}]}},
    {"class_name": "ReLU", "config": {}}, {"class_name": "Zeros"}, {"class_name": ["x"]},
)  # fmt: skip


class Target:
    """Tries files on a model of its own; raises AssertionError where a promise is broken."""

    def __init__(self, folder: str) -> None:
        import fastconv
        from fastconv import layers, models
        from fastconv._core import random as random_state
        from fastconv.callbacks import EarlyStopping
        from fastconv.saving.npz import CheckpointError

        self.path = os.path.join(folder, "m.npz")
        self._random, self._load, self._error = random_state, models.load_model, CheckpointError
        self._stopping = EarlyStopping("loss", patience=5, restore_best_weights=True)
        self._model = models.Sequential([layers.Dense(1, input_shape=(3,), name="dense")])
        self._model.compile(fastconv.optimizers.SGD(0.1, momentum=0.5), "mse", metrics=["auc"])
        self._data = np.ones((4, 3), np.float32), np.ones(4, np.float32)
        self._fit(epochs=1)
        self._model.save(self.path)

    def _fit(self, **options: object) -> None:
        x, y = self._data
        self._model.fit(x, y, verbose=0, callbacks=[self._stopping], **options)

    def _state(self) -> object:
        model = self._model
        return (
            [weight.tobytes() for weight in model.get_weights()],
            {k: np.asarray(v).tobytes() for k, v in model.optimizer.get_state().items()},
            (model.epochs_done, self._random.get_state(), repr(self._stopping.get_state())),
        )

    def __call__(self, data: bytes) -> bool:
        """Try an input; return whether it was taken as a checkpoint."""
        content = with_right_checksums(data) if data[:2] == b"PK" else archive_of(data)
        with open(self.path, "wb") as file:
            file.write(content)
        drawn = self._random.get_state()
        try:
            self._load(self.path)
            taken = True
        except self._error as error:
            assert self.path in str(error)
            taken = False
        assert self._random.get_state() == drawn
        before = self._state()
        try:
            self._fit(epochs=0, resume_from=self.path)
        except self._error:
            assert self._state() == before
        return taken


def with_another_value(data: bytes, draw: random.Random) -> bytes:
    """Return an input of members with one value of their JSON replaced, removed or moved."""
    config, state, *members = [*data.split(SEPARATOR), b""]
    texts = [config, state]
    chosen = draw.randrange(2)
    try:
        tree = json.loads(texts[chosen])
        places = list(_places(tree))
    except (ValueError, RecursionError):
        return data
    if not places:
        return data
    holder, key = draw.choice(places)
    change = draw.randrange(5)
    if change == 0:
        del holder[key]
    elif change == 1:
        other, other_key = draw.choice(places)
        holder[key] = json.loads(json.dumps(other[other_key]))
    else:
        holder[key] = draw.choice(_VALUES)
    texts[chosen] = json.dumps(tree).encode()
    return SEPARATOR.join([*texts, *members])


def _places(tree: object) -> Iterator[tuple[Any, Any]]:
    """Yield (list or dict, index or key) of every value in a tree of JSON."""
    if isinstance(tree, (dict, list)):
        for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield tree, key
            yield from _places(value)


def archive_of(data: bytes) -> bytes:
    """Return an archive of the members whose contents `data` has, one after the other."""
    config, state, *members = [*data.split(SEPARATOR), b""][: 2 + len(MEMBERS)]
    texts = {"format": b"fastconv/1", "config": config, "state": state}
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, text in texts.items():
            buffer = io.BytesIO()
            np.save(buffer, np.array(text.decode("utf-8", "replace")))
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), buffer.getvalue())
        for name, content in zip(MEMBERS, members, strict=False):
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), content)
    return stream.getvalue()


def with_right_checksums(data: bytes) -> bytes:
    """Return a zip's bytes with the checksums that its stored members have."""
    mended = bytearray(data)
    try:
        members = zipfile.ZipFile(io.BytesIO(data)).infolist()
    except Exception:
        return data
    place = data.find(b"PK\1\2")
    for info in members:
        name_size, extra_size = (
            int.from_bytes(data[info.header_offset + at :][:2], "little") for at in (26, 28)
        )
        start = info.header_offset + 30 + name_size + extra_size
        checksum = zlib.crc32(data[start : start + info.compress_size]).to_bytes(4, "little")
        for at, sign in ((info.header_offset + 14, b"PK\3\4"), (place + 16, b"PK\1\2")):
            begin = at - (14 if sign == b"PK\3\4" else 16)
            if data[begin : begin + 4] == sign:
                mended[at : at + 4] = checksum
        place = data.find(b"PK\1\2", place + 4)
    return bytes(mended)


def main() -> None:
    import atheris

    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as here:
        with atheris.instrument_imports(include=["fastconv", "zipfile", "json"]):
            target = Target(here)

        def mutate(data: bytes, max_size: int, seed: int) -> bytes:
            draw = random.Random(seed)
            if data[:2] == b"PK" or draw.random() < 0.5:
                return atheris.Mutate(data, max_size)
            return with_another_value(data, draw)[:max_size]

        atheris.Setup(sys.argv, lambda data: target(data) and None, custom_mutator=mutate)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
