from typing import Protocol, type_check_only

import numpy as np

# A type and not a module's functions: float64 may have another such module than float32.
@type_check_only
class Fused(Protocol):
    def forward(
        self,
        x: np.ndarray,
        packed: np.ndarray,
        bias: np.ndarray,
        y: np.ndarray,
        argmax: np.ndarray | None,
        run_offset: np.ndarray,
        padded_image: bytes,
        pooled: bytes,
        run_length: int,
        block_rows: int,
        scratch: np.ndarray,
        num_threads: int,
        /,
    ) -> None: ...
