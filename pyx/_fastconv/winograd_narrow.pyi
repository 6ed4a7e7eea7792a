import numpy as np

HANDFUL_TILES: int

def forward(
    x: np.ndarray,
    u: np.ndarray,
    bias: np.ndarray,
    y: np.ndarray,
    winners: np.ndarray | None,
    strip: np.ndarray,
    fields: np.ndarray,
    block_rows: int,
    lines: np.ndarray,
    v: np.ndarray,
    num_threads: int,
) -> None: ...
def transform_kernel(kernel: np.ndarray, u: np.ndarray) -> None: ...
def kernel_gradient(
    x: np.ndarray,
    dy: np.ndarray,
    strip: np.ndarray,
    fields: np.ndarray,
    lines: np.ndarray,
    v: np.ndarray,
    z: np.ndarray,
    du: np.ndarray,
    sums: np.ndarray,
    dkernel: np.ndarray,
    dbias: np.ndarray | None,
    parts: int,
    num_threads: int,
) -> None: ...
