import numpy as np

def sigmoid_cross_entropy(
    logits: np.ndarray,
    targets: np.ndarray,
    losses: np.ndarray,
    gradient: np.ndarray,
    num_threads: int,
    /,
) -> None: ...
def softmax_cross_entropy(
    logits: np.ndarray,
    targets: np.ndarray,
    losses: np.ndarray,
    gradient: np.ndarray,
    num_threads: int,
    /,
) -> None: ...
def extremes(values: np.ndarray, /) -> tuple[float, float]: ...
def mean_loss(
    losses: np.ndarray,
    weights: np.ndarray | None,
    gradients: np.ndarray,
    gradient: np.ndarray,
    num_threads: int,
    /,
) -> float: ...
