import numpy as np

CHUNK_VALUES: int

def sgd(
    value: np.ndarray,
    gradient: np.ndarray,
    velocity: np.ndarray | None,
    learning_rate: float,
    momentum: float,
    nesterov: bool,
    scale: float,
    clip: float,
    decay: float,
    num_threads: int,
) -> None: ...
def adam(
    value: np.ndarray,
    gradient: np.ndarray,
    m: np.ndarray,
    v: np.ndarray,
    rate: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    scale: float,
    clip: float,
    decay: float,
    num_threads: int,
) -> None: ...
def rmsprop(
    value: np.ndarray,
    gradient: np.ndarray,
    square: np.ndarray,
    velocity: np.ndarray | None,
    mean: np.ndarray | None,
    learning_rate: float,
    rho: float,
    momentum: float,
    epsilon: float,
    scale: float,
    clip: float,
    decay: float,
    num_threads: int,
) -> None: ...
def sum_of_squares(values: np.ndarray, partial: np.ndarray, num_threads: int) -> float: ...
def relu(x: np.ndarray, y: np.ndarray, num_threads: int) -> None: ...
def relu_gradient(dy: np.ndarray, y: np.ndarray, dx: np.ndarray, num_threads: int) -> None: ...
