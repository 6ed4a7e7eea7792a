import numpy as np

HANDFUL_TILES: int

def forward(
    x: np.ndarray,
    u: np.ndarray,
    bias: np.ndarray,
    y: np.ndarray,
    argmax: np.ndarray | None,
    padded_image: bytes,
    tiling: bytes,
    block_rows: int,
    lines: np.ndarray,
    v: np.ndarray,
    num_threads: int,
    /,
) -> None: ...
def transform_kernel(kernel: np.ndarray, u: np.ndarray, /) -> None: ...
def kernel_gradient(
    x: np.ndarray,
    dy: np.ndarray,
    padded_image: bytes,
    tiling: bytes,
    lines: np.ndarray,
    v: np.ndarray,
    z: np.ndarray,
    du: np.ndarray,
    sums: np.ndarray,
    dkernel: np.ndarray,
    dbias: np.ndarray | None,
    parts: int,
    num_threads: int,
    /,
) -> None: ...
