from typing import Any, Protocol, type_check_only

import numpy as np

# A type and not a module's functions: float64 may have another such module than float32.
@type_check_only
class Dense(Protocol):
    BLOCK_INPUTS: int
    PACKED_ROWS: int
    GRADIENT_ROWS: int
    MOST_PANEL_VECTORS: int

    def output(
        self,
        x: np.ndarray,
        kernel: np.ndarray,
        bias: np.ndarray | None,
        y: np.ndarray,
        sums: np.ndarray,
        packed: np.ndarray,
        rows: np.ndarray,
        factors: np.ndarray,
        parts: int,
        vectors: int,
        panels: int,
        num_threads: int,
        /,
    ) -> None: ...
    def gradients(
        self,
        dy: np.ndarray,
        x: np.ndarray,
        kernel: np.ndarray,
        dx: np.ndarray | None,
        dbias: np.ndarray | None,
        counts: np.ndarray,
        samples: np.ndarray,
        factors: np.ndarray,
        packed_dy: np.ndarray,
        transposed: np.ndarray | None,
        scratch: np.ndarray,
        at_zeros: bool,
        vectors: int,
        panels: int,
        num_threads: int,
        /,
    ) -> None: ...
    def kernel_gradient(
        self,
        dkernel: np.ndarray,
        counts: np.ndarray,
        samples: np.ndarray,
        factors: np.ndarray,
        packed_dy: np.ndarray,
        scratch: np.ndarray,
        batch: int,
        vectors: int,
        panels: int,
        num_threads: int,
        /,
    ) -> None: ...
    def update(
        self,
        rule: dict[str, Any],
        value: np.ndarray,
        slots: tuple[np.ndarray | None, ...],
        counts: np.ndarray,
        samples: np.ndarray,
        factors: np.ndarray,
        packed_dy: np.ndarray,
        scratch: np.ndarray,
        batch: int,
        vectors: int,
        panels: int,
        num_threads: int,
        /,
    ) -> None: ...
