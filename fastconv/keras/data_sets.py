"""Keras's small data sets of images, out of the files that Keras keeps."""

from __future__ import annotations

import gzip
import os
import pickletools
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from . import cache

Parts = tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
_STORE = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
_TORONTO = "https://www.cs.toronto.edu/~kriz/"
#: SHA-256 of the published files.
MNIST = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"
CIFAR10 = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
CIFAR100 = "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7"
_FASHION = (
    *("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
    *("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
)
#: No file here needs more.
_MOST_BYTES = 1 << 28


def load_mnist(path: str = "mnist.npz") -> Parts:
    """Return (x_train, y_train), (x_test, y_test): (n, 28, 28) uint8, and digits.

    `path` is a file's name in Keras's folder, or a path of its own.
    """
    file = Path(path)
    if not (file.is_absolute() and file.is_file()):
        file = cache.fetched(_name(path, "mnist"), f"{_STORE}mnist.npz", MNIST)
    with _readable(file), np.load(file, allow_pickle=False) as arrays:
        return (arrays["x_train"], arrays["y_train"]), (arrays["x_test"], arrays["y_test"])


def load_fashion_mnist() -> Parts:
    """Return (x_train, y_train), (x_test, y_test): (n, 28, 28) uint8, and classes 0-9."""
    arrays = []
    for name in _FASHION:
        file = cache.fetched(os.path.join("fashion-mnist", name), _STORE + name)
        with _readable(file), gzip.open(file) as stream:
            arrays.append(_idx(stream.read(_MOST_BYTES)))
    return (arrays[0], arrays[1]), (arrays[2], arrays[3])


def load_cifar10() -> Parts:
    """Return (x_train, y_train), (x_test, y_test): (n, 32, 32, 3) uint8, and classes (n, 1)."""
    return _cifar(
        "cifar-10-python.tar.gz",
        CIFAR10,
        [f"data_batch_{i}" for i in range(1, 6)],
        "test_batch",
        "labels",
    )


def load_cifar100(label_mode: str = "fine") -> Parts:
    """Return (x_train, y_train), (x_test, y_test): (n, 32, 32, 3) uint8, and classes (n, 1)."""
    if label_mode not in ("fine", "coarse"):
        raise ValueError(f"cifar100: label_mode is {label_mode!r}; it must be 'fine' or 'coarse'")
    return _cifar("cifar-100-python.tar.gz", CIFAR100, ["train"], "test", f"{label_mode}_labels")


def _name(path: str, owner: str) -> str:
    if os.path.basename(path) != path:
        raise ValueError(
            f"{owner}: path is {path!r}; it must be a file's name, or an absolute path"
        )
    return path


class _readable:
    """Turns what a damaged file raises into a ValueError that names it."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __enter__(self) -> None:
        """Nothing has happened yet."""

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if isinstance(error, Exception):
            raise ValueError(f"{self._file} is no such data set: {error!r}") from error


def _idx(content: bytes) -> np.ndarray:
    """Return the array of an IDX file of bytes: a magic number, sizes, values."""
    if content[:3] != b"\0\0\x08":
        raise ValueError("it is no IDX file of bytes")
    sizes = np.frombuffer(content, ">u4", content[3], 4)
    return np.frombuffer(content, np.uint8, offset=4 + sizes.nbytes).reshape(sizes).copy()


def _cifar(name: str, sha256: str, train: list[str], test: str, labels: str) -> Parts:
    file = cache.fetched(name, _TORONTO + name, sha256)
    found = {}
    with _readable(file), tarfile.open(file) as archive:
        for member in archive:
            part = os.path.basename(member.name)
            stream = archive.extractfile(member) if part in (*train, test) else None
            if stream is not None:
                found[part] = _batch(stream, labels)
        rows = [found[part] for part in train]
        x, y = (np.concatenate(arrays) for arrays in zip(*rows, strict=True))
        return (x, y), found[test]


def _batch(stream: IO[bytes], labels: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the images and labels that a batch's pickle holds, which is read and never run."""
    content = stream.read(_MOST_BYTES)
    pixels, numbers = b"", None
    for key, value in _values(content):
        if isinstance(value, bytes) and len(value) > len(pixels):
            pixels = value
        elif key == labels and isinstance(value, list):
            numbers = value
    if numbers is None or not pixels or len(pixels) != 3072 * len(numbers):
        raise ValueError(f"it has no images with {labels!r}")
    images = np.frombuffer(pixels, np.uint8).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    classes = np.array(numbers, np.uint8).reshape(-1, 1)
    return np.ascontiguousarray(images), classes


def _values(content: bytes) -> Iterator[tuple[str, Any]]:
    """Yield byte strings, and lists of whole numbers with the last short text before them."""
    last = ""
    numbers: list[int] = []
    for code, argument, _ in pickletools.genops(content):
        if isinstance(argument, (str, bytes)):
            value = argument.encode("latin-1") if isinstance(argument, str) else argument
            if len(value) < 32 and value != b"latin1":  # by which Python 3 spells bytes
                last = value.decode("latin-1")
            yield last, value
        elif code.name in ("EMPTY_LIST", "LIST"):
            numbers = []
        elif code.name == "APPENDS":  # a long list is written in parts
            yield last, list(numbers)
        elif isinstance(argument, int) and "INT" in code.name:
            numbers.append(argument)
