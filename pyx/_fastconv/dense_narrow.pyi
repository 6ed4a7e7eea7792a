from typing import Protocol, type_check_only

import numpy as np

# A type and not a module's functions: float64 may have another such module than float32.
@type_check_only
class DenseNarrow(Protocol):
    BLOCK_INPUTS: int

    def output(
        self,
        x: np.ndarray,
        kernel: np.ndarray,
        bias: np.ndarray | None,
        y: np.ndarray,
        sums: np.ndarray,
        transposed: np.ndarray,
        parts: int,
        num_threads: int,
        /,
    ) -> None: ...
    def gradients(
        self,
        dy: np.ndarray,
        x: np.ndarray,
        kernel: np.ndarray,
        dx: np.ndarray | None,
        dkernel: np.ndarray,
        dbias: np.ndarray | None,
        transposed: np.ndarray,
        sums: np.ndarray,
        parts: int,
        num_threads: int,
        /,
    ) -> None: ...
