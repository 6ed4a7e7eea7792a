from typing import Protocol, type_check_only

import numpy as np

# A type and not a module's functions: float64 may have another such module than float32.
@type_check_only
class Pool(Protocol):
    KINDS: dict[str, int]
    MOST_ARGMAX: int

    def pool(
        self,
        x: np.ndarray,
        y: np.ndarray,
        argmax: np.ndarray | None,
        fields: bytes,
        num_threads: int,
        /,
    ) -> None: ...
    def pool_gradient(
        self,
        dy: np.ndarray,
        argmax: np.ndarray | None,
        norm: np.ndarray | None,
        x: np.ndarray | None,
        dx: np.ndarray,
        fields: bytes,
        num_threads: int,
        /,
    ) -> None: ...
    def shares(
        self,
        dy: np.ndarray,
        y: np.ndarray | None,
        out: np.ndarray,
        fields: bytes,
        num_threads: int,
        /,
    ) -> bool: ...
    def max_scatter(
        self, dy: np.ndarray, x: np.ndarray, dx: np.ndarray, fields: bytes, num_threads: int, /
    ) -> None: ...
