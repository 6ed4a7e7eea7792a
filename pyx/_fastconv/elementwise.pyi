from typing import Protocol, type_check_only

import numpy as np

# A type and not a module's functions: float64 may have another such module than float32.
@type_check_only
class Elementwise(Protocol):
    def same_bytes(self, first: np.ndarray, second: np.ndarray, num_threads: int, /) -> bool: ...
    def relu(self, x: np.ndarray, limit: float, y: np.ndarray, num_threads: int, /) -> None: ...
    def relu_gradient(
        self, dy: np.ndarray, y: np.ndarray, limit: float, dx: np.ndarray, num_threads: int, /
    ) -> None: ...
    def add(
        self, a: np.ndarray, b: np.ndarray, limit: float, y: np.ndarray, num_threads: int, /
    ) -> None: ...
    def dropout(
        self,
        x: np.ndarray,
        seed: int,
        threshold: int,
        scale: float,
        y: np.ndarray,
        num_threads: int,
        /,
    ) -> None: ...
    def sigmoid(self, x: np.ndarray, y: np.ndarray, num_threads: int, /) -> None: ...
    def softmax(self, x: np.ndarray, y: np.ndarray, num_threads: int, /) -> None: ...
    def place(self, x: np.ndarray, y: np.ndarray, column: int, num_threads: int, /) -> None: ...
