import numpy as np

SLAB: int
DEAD: int

def forward(
    x: np.ndarray,
    packed: np.ndarray,
    bias: np.ndarray,
    y: np.ndarray,
    winners: np.ndarray | None,
    run_offset: np.ndarray,
    strip: np.ndarray,
    block: np.ndarray,
    run_length: int,
    strip_rows: int,
    scratch: np.ndarray,
    num_threads: int,
) -> None: ...
def kernel_gradient(
    x: np.ndarray,
    dy: np.ndarray,
    winners: np.ndarray,
    sums: np.ndarray,
    bias_sums: np.ndarray,
    strip: np.ndarray,
    block: np.ndarray,
    scratch: np.ndarray,
    offsets: np.ndarray,
    gradients: np.ndarray,
    dkernel: np.ndarray,
    dbias: np.ndarray | None,
    num_threads: int,
) -> None: ...
def input_gradient(
    dy: np.ndarray,
    winners: np.ndarray,
    kernel: np.ndarray,
    dx: np.ndarray,
    packed: np.ndarray,
    strip: np.ndarray,
    block: np.ndarray,
    filter_block: int,
    scratch: np.ndarray,
    filters: np.ndarray,
    gradients: np.ndarray,
    num_threads: int,
) -> None: ...
