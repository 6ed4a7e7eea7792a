from typing import Protocol, type_check_only

import numpy as np

# A type and not a module's functions: float64 may have another such module than float32.
@type_check_only
class Sparse(Protocol):
    WEIGHT_BLOCK: int
    ROLL: int
    INACTIVE: int
    MASK_FILTERS: int
    LIST_ROOM: int

    def kernel_gradient(
        self,
        x: np.ndarray,
        dy: np.ndarray,
        argmax: np.ndarray,
        origin: np.ndarray,
        shift: np.ndarray,
        sums: np.ndarray,
        bias_sums: np.ndarray,
        padded_image: bytes,
        pooled: bytes,
        filter_block: int,
        block_rows: int,
        scratch: np.ndarray,
        offsets: np.ndarray,
        gradients: np.ndarray,
        dkernel: np.ndarray,
        dbias: np.ndarray | None,
        num_threads: int,
        /,
    ) -> None: ...
    def input_gradient(
        self,
        dy: np.ndarray,
        argmax: np.ndarray,
        kernel: np.ndarray,
        dx: np.ndarray,
        packed: np.ndarray,
        padded_image: bytes,
        pooled: bytes,
        walked: bytes,
        filter_block: int,
        block_rows: int,
        scratch: np.ndarray,
        masks: np.ndarray,
        num_threads: int,
        /,
    ) -> None: ...
