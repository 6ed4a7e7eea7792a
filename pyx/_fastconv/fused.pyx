"""Convolution + bias + ReLU + 2x2 max pooling as one kernel: the forward pass.

As `conv.direct`, but a tile's pixels are the four of each of one or more pool windows,
and only their maximum is written, with a byte that says which of the four won (4: none is
above 0).  The full-size activation never exists.  `sparse` has the backward pass.

Loops, outermost first: row_blocks of rows of windows of each image (parallel) - panels of 1-2
vectors of filters - rows of windows - windows.  The leaf takes a whole row of windows.
"""

from libc.stddef cimport ptrdiff_t
from libc.stdint cimport uint8_t

from _fastconv._tiles cimport conv_pool_row, lanes, real, widest
from _fastconv._window cimport load_rows, panel_count, panel_vectors
from _fastconv._work cimport Work, join_team, next_task, run, share_work
from _fastconv.structs cimport ConvPool, PaddedImage, load_struct

join_team()


cdef void forward_block(const ConvPool* b, const PaddedImage* s, const real* image,
                        const real* packed, const real* bias, real* y, uint8_t* argmax,
                        const ptrdiff_t* run_offset, int runs, int run_length, int first, int last,
                        real* scratch) noexcept nogil:
    cdef int panel, start, vectors, row
    cdef ptrdiff_t line = 2 * b.row_stride * s.row_step
    cdef ptrdiff_t right = <ptrdiff_t> b.column_stride * s.channels
    cdef ptrdiff_t depth = <ptrdiff_t> runs * run_length
    cdef ptrdiff_t at
    cdef const real* base = load_rows(
        s, image, 2 * first * b.row_stride,
        (2 * (last - first) - 1) * b.row_stride + b.kernel_rows, scratch)
    for panel in range(panel_count(b.filters, packed)):
        start = panel * 2 * lanes(packed)
        vectors = panel_vectors(b.filters - start, packed)
        for row in range(last - first):
            at = <ptrdiff_t> (first + row) * b.columns * b.filters + start
            conv_pool_row(b.columns, vectors, base + row * line, 2 * right, right,
                          b.row_stride * s.row_step, y + at,
                          NULL if argmax == NULL else argmax + at, b.filters, run_offset, runs,
                          run_length, packed + start * depth, bias + start, b.filters - start)


cdef struct Call:         # what `forward` runs
    const void* inputs[2]
    const void* packed
    const void* bias
    void* y
    uint8_t* argmax
    const ptrdiff_t* run_offset
    void* scratch
    ptrdiff_t x_image
    ptrdiff_t scratch_row
    int runs
    int run_length
    int block_rows
    PaddedImage image
    ConvPool pooled
    Work works[1]


cdef void forward_tasks(Call* c, int thread, const real* packed) noexcept nogil:
    cdef const ConvPool* b = &c.pooled
    cdef const real* x = <const real*> c.inputs[0]
    cdef int row_blocks = (b.rows + c.block_rows - 1) // c.block_rows, first
    cdef ptrdiff_t task, image, size = <ptrdiff_t> b.rows * b.columns * b.filters
    while (task := next_task(c.works, thread)) >= 0:
        image = task // row_blocks
        first = <int> (task % row_blocks) * c.block_rows
        forward_block(b, &c.image, x + image * c.x_image, packed, <const real*> c.bias,
                      <real*> c.y + image * size,
                      NULL if c.argmax == NULL else c.argmax + image * size, c.run_offset, c.runs,
                      c.run_length, first, min(first + c.block_rows, b.rows),
                      <real*> c.scratch + thread * c.scratch_row)


cdef void forward_f32(void* context, int thread) noexcept nogil:
    forward_tasks(<Call*> context, thread, <const float*> (<Call*> context).packed)


cdef void forward_f64(void* context, int thread) noexcept nogil:
    forward_tasks(<Call*> context, thread, <const widest*> (<Call*> context).packed)


def forward(const real[:, :, :, ::1] x,             # IN
            const real[::1] packed,                 # IN packed weights
            const real[::1] bias,                   # IN (padded filters)
            real[:, :, :, ::1] y,                   # OUT pooled
            uint8_t[:, :, :, ::1] argmax,          # OUT pooled, or None
            const ptrdiff_t[::1] run_offset, bytes padded_image, bytes pooled,
            int run_length, int block_rows,
            real[:, ::1] scratch,                   # SCRATCH one row a thread
            int num_threads, /):
    """y = max over 2x2 windows of relu(conv(x) + bias); argmax says which pixel it was."""
    cdef Call c
    load_struct(padded_image, &c.image, sizeof(c.image))
    load_struct(pooled, &c.pooled, sizeof(c.pooled))
    c.inputs[0], c.inputs[1] = &x[0, 0, 0, 0], NULL
    c.packed, c.bias, c.y = &packed[0], &bias[0], &y[0, 0, 0, 0]
    c.argmax = NULL if argmax is None else &argmax[0, 0, 0, 0]
    c.x_image = x.shape[1] * x.shape[2] * x.shape[3]
    c.run_offset, c.runs, c.run_length = &run_offset[0], <int> run_offset.shape[0], run_length
    c.block_rows = block_rows
    c.scratch, c.scratch_row = &scratch[0, 0], scratch.shape[1]
    share_work(c.works, x.shape[0] * ((c.pooled.rows + block_rows - 1) // block_rows), num_threads)
    run(forward_f32 if real is float else forward_f64, &c, c.works, 1, num_threads)
