from typing import Any

import numpy as np

CHUNK_VALUES: int

def update(
    rule: dict[str, Any],
    value: np.ndarray,
    slots: tuple[np.ndarray | None, ...],
    gradient: np.ndarray,
    num_threads: int,
    /,
) -> None: ...
def sum_of_squares(values: np.ndarray, partial: np.ndarray, num_threads: int, /) -> float: ...
