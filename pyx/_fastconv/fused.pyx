"""Convolution + bias + ReLU + 2x2 max pooling as one kernel: the forward pass.

As `conv.direct`, but a tile's pixels are the four of each of one or more pool windows,
and only their maximum is written, with a byte that says which of the four won (4: none is
above 0).  The full-size activation never exists.  `sparse` has the backward pass.

Loops, outermost first: row_blocks of rows of windows of each image (parallel) - panels of 1-2
vectors of filters - rows of windows - windows.  The leaf takes a whole row of windows.
"""

from cython.parallel cimport parallel, threadid
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport uint8_t

from _fastconv._tiles cimport (
    conv_pool_row, float_mode, flush_denormals, lanes, real, restore_denormals,
)
from _fastconv._window cimport load_rows, panel_count, panel_vectors
from _fastconv._work cimport Work, join_team, next_task, share_work
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
    cdef PaddedImage s
    load_struct(padded_image, &s, sizeof(s))
    cdef ConvPool b
    load_struct(pooled, &b, sizeof(b))
    cdef int row_blocks = (b.rows + block_rows - 1) // block_rows
    cdef ptrdiff_t task, size = <ptrdiff_t> b.rows * b.columns * b.filters
    cdef uint8_t* argmax_at = NULL if argmax is None else &argmax[0, 0, 0, 0]
    cdef Work work
    cdef float_mode mode = 0
    share_work(&work, x.shape[0] * row_blocks, num_threads)
    with nogil, parallel(num_threads=num_threads):
        mode = flush_denormals()
        while (task := next_task(&work, threadid())) >= 0:
            forward_block(&b, &s, &x[task // row_blocks, 0, 0, 0], &packed[0], &bias[0],
                          &y[task // row_blocks, 0, 0, 0],
                          NULL if argmax_at == NULL else argmax_at + (task // row_blocks) * size,
                          &run_offset[0], <int> run_offset.shape[0], run_length,
                          (task % row_blocks) * block_rows,
                          min((task % row_blocks + 1) * block_rows, b.rows),
                          &scratch[threadid(), 0])
        restore_denormals(mode)
