from typing import Any

import numpy as np

CHUNK_VALUES: int

def same_bytes(first: np.ndarray, second: np.ndarray, num_threads: int) -> bool: ...
def update(
    rule: dict[str, Any],
    value: np.ndarray,
    slots: tuple[np.ndarray | None, ...],
    gradient: np.ndarray,
    num_threads: int,
) -> None: ...
def sum_of_squares(values: np.ndarray, partial: np.ndarray, num_threads: int) -> float: ...
def relu(x: np.ndarray, y: np.ndarray, num_threads: int) -> None: ...
def relu_gradient(dy: np.ndarray, y: np.ndarray, dx: np.ndarray, num_threads: int) -> None: ...
def dropout(
    x: np.ndarray, seed: int, threshold: int, scale: float, y: np.ndarray, num_threads: int
) -> None: ...
def sigmoid(x: np.ndarray, y: np.ndarray, num_threads: int) -> None: ...
def softmax(x: np.ndarray, y: np.ndarray, num_threads: int) -> None: ...
def sigmoid_cross_entropy(
    logits: np.ndarray,
    targets: np.ndarray,
    losses: np.ndarray,
    gradient: np.ndarray,
    num_threads: int,
) -> None: ...
def softmax_cross_entropy(
    logits: np.ndarray,
    targets: np.ndarray,
    losses: np.ndarray,
    gradient: np.ndarray,
    num_threads: int,
) -> None: ...
def extremes(values: np.ndarray) -> tuple[float, float]: ...
def mean_loss(
    losses: np.ndarray,
    weights: np.ndarray | None,
    gradients: np.ndarray,
    gradient: np.ndarray,
    num_threads: int,
) -> float: ...
def moments(
    x: np.ndarray,
    mean: np.ndarray,
    squares: np.ndarray,
    block: np.ndarray,
    num_threads: int,
) -> None: ...
def affine_sums(
    dy: np.ndarray,
    x: np.ndarray,
    affine: np.ndarray,
    relu: bool,
    total: np.ndarray,
    along: np.ndarray,
    block: np.ndarray,
    num_threads: int,
) -> None: ...
def affine(
    x: np.ndarray, affine: np.ndarray, relu: bool, y: np.ndarray, num_threads: int
) -> None: ...
def affine_gradient(
    dy: np.ndarray,
    x: np.ndarray,
    affine: np.ndarray,
    relu: bool,
    factors: np.ndarray,
    dx: np.ndarray,
    num_threads: int,
) -> None: ...
