from typing import Protocol, type_check_only

import numpy as np

# A type and not a module's functions: there is one such module for each width of vectors.
@type_check_only
class ConvGradient(Protocol):
    PATCH_FILTERS: int
    PATCH_VECTORS: int
    PATCH_SUMS: int

    def kernel_gradient(
        self,
        x: np.ndarray,
        dy: np.ndarray,
        runs: np.ndarray,
        product: bytes,
        block_rows: int,
        splits: int,
        sums: np.ndarray,
        bias_sums: np.ndarray,
        patch: np.ndarray,
        filters: np.ndarray,
        stretches: np.ndarray,
        dkernel: np.ndarray,
        dbias: np.ndarray | None,
        num_threads: int,
        /,
    ) -> None: ...
    def patch_gradient(
        self,
        x: np.ndarray,
        dy: np.ndarray,
        offset: np.ndarray,
        places: np.ndarray,
        padded_image: bytes,
        tiles: bytes,
        splits: int,
        sums: np.ndarray,
        bias_sums: np.ndarray,
        copies: np.ndarray,
        filters: np.ndarray,
        dkernel: np.ndarray,
        dbias: np.ndarray | None,
        parts: int,
        num_threads: int,
        /,
    ) -> None: ...
