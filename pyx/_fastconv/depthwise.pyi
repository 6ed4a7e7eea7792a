from typing import Protocol, type_check_only

import numpy as np

# A type and not a module's functions: float64 may have another such module than float32.
@type_check_only
class Depthwise(Protocol):
    def output(
        self,
        source: np.ndarray,
        weights: np.ndarray,
        bias: np.ndarray,
        target: np.ndarray,
        row_tables: np.ndarray,
        column_tables: np.ndarray,
        index: np.ndarray,
        layout: bytes,
        block_rows: int,
        scratch: np.ndarray,
        whole_row: np.ndarray,
        num_threads: int,
        /,
    ) -> None: ...
    def kernel_gradient(
        self,
        x: np.ndarray,
        dy: np.ndarray,
        sums: np.ndarray,
        bias_sums: np.ndarray,
        row_tables: np.ndarray,
        column_tables: np.ndarray,
        index: np.ndarray,
        layout: bytes,
        parts: int,
        block_rows: int,
        taps: np.ndarray,
        scratch: np.ndarray,
        whole_rows: np.ndarray,
        num_threads: int,
        /,
    ) -> None: ...
