"""Max, average and L2 pooling and their gradients for any window, NHWC.

Loops, outermost first: images and blocks of channels (parallel) - rows -
columns - window - channels.  Channels are innermost, so the compiler's vectors
run along contiguous memory.  A task owns its image's channels, so that
overlapping windows add to the input gradient in one fixed order.
Windows are clipped to the image: padding is never read, and an average counts
the pixels that are there.
"""

from cython.parallel cimport parallel, prange
from libc.math cimport sqrt
from libc.stddef cimport ptrdiff_t

from _fastconv._tiles cimport float_mode, flush_denormals, real, restore_denormals

cdef enum:
    MAX = 0
    AVERAGE = 1
    L2 = 2
    CHANNELS = 64         # of one task: a few cache lines, and enough tasks for a batch of 1

KINDS = {"max": MAX, "average": AVERAGE, "l2": L2}

cdef struct Pool:
    int kind
    int height
    int width
    int channels
    int rows
    int columns
    int window_rows
    int window_columns
    int row_stride
    int column_stride
    int top
    int left


cdef inline void clip(int start, int window, int size, int* first, int* last) noexcept nogil:
    first[0] = max(start, 0)
    last[0] = min(start + window, size)


cdef void pool_window(const Pool* p, const real* x, real* y, int row, int column,
                      int channels) noexcept nogil:
    cdef int top, bottom, left, right, i, j, c
    cdef const real* v
    cdef real scale
    clip(row * p.row_stride - p.top, p.window_rows, p.height, &top, &bottom)
    clip(column * p.column_stride - p.left, p.window_columns, p.width, &left, &right)
    v = x + (<ptrdiff_t> top * p.width + left) * p.channels
    if p.kind == MAX:
        for c in range(channels):
            y[c] = v[c]
    else:
        for c in range(channels):
            y[c] = 0
    for i in range(top, bottom):
        for j in range(left, right):
            v = x + (<ptrdiff_t> i * p.width + j) * p.channels
            if p.kind == MAX:
                for c in range(channels):
                    # A NaN compares false, so "not smaller" lets it in and keeps it.
                    y[c] = y[c] if y[c] >= v[c] or y[c] != y[c] else v[c]
            elif p.kind == AVERAGE:
                for c in range(channels):
                    y[c] += v[c]
            else:
                for c in range(channels):
                    y[c] += v[c] * v[c]
    if p.kind == AVERAGE:
        scale = <real> 1 / ((bottom - top) * (right - left))
        for c in range(channels):
            y[c] *= scale
    elif p.kind == L2:
        for c in range(channels):
            y[c] = <real> sqrt(y[c])


cdef void max_gradient(const Pool* p, const real* x, const real* dy, real* dx, int top,
                       int bottom, int left, int right, int channels) noexcept nogil:
    cdef real best[CHANNELS]
    cdef int where[CHANNELS]
    cdef int i, j, c, at
    cdef const real* v
    at = (top * p.width + left) * p.channels
    for c in range(channels):
        best[c] = x[at + c]
        where[c] = at
    for i in range(top, bottom):
        for j in range(left, right):
            at = (i * p.width + j) * p.channels
            v = x + at
            for c in range(channels):
                if not (best[c] >= v[c] or best[c] != best[c]):
                    best[c] = v[c]
                    where[c] = at
    for c in range(channels):
        dx[where[c] + c] += dy[c]


cdef void pool_gradient_window(const Pool* p, const real* x, const real* dy, real* dx, int row,
                               int column, int channels) noexcept nogil:
    cdef int top, bottom, left, right, i, j, c
    cdef ptrdiff_t at
    cdef real scale
    cdef real factor[CHANNELS]
    clip(row * p.row_stride - p.top, p.window_rows, p.height, &top, &bottom)
    clip(column * p.column_stride - p.left, p.window_columns, p.width, &left, &right)
    if p.kind == MAX:
        max_gradient(p, x, dy, dx, top, bottom, left, right, channels)
        return
    if p.kind == AVERAGE:
        scale = <real> 1 / ((bottom - top) * (right - left))
        for c in range(channels):
            factor[c] = dy[c] * scale
    else:
        pool_window(p, x, factor, row, column, channels)
        for c in range(channels):
            factor[c] = dy[c] / factor[c] if factor[c] != 0 else <real> 0
    for i in range(top, bottom):
        for j in range(left, right):
            at = (<ptrdiff_t> i * p.width + j) * p.channels
            if p.kind == AVERAGE:
                for c in range(channels):
                    dx[at + c] += factor[c]
            else:
                for c in range(channels):
                    dx[at + c] += factor[c] * x[at + c]


cdef void pool_task(const Pool* p, const real* x, real* y, int channels) noexcept nogil:
    cdef int row, column
    for row in range(p.rows):
        for column in range(p.columns):
            pool_window(p, x, y + (<ptrdiff_t> row * p.columns + column) * p.channels, row,
                        column, channels)


cdef void pool_gradient_task(const Pool* p, const real* x, const real* dy, real* dx,
                             int channels) noexcept nogil:
    cdef int row, column, c
    cdef ptrdiff_t pixel
    for pixel in range(<ptrdiff_t> p.height * p.width):
        for c in range(channels):
            dx[pixel * p.channels + c] = 0
    for row in range(p.rows):
        for column in range(p.columns):
            pool_gradient_window(p, x, dy + (<ptrdiff_t> row * p.columns + column) * p.channels,
                                 dx, row, column, channels)


def pool(const real[:, :, :, ::1] x,        # IN
         real[:, :, :, ::1] y,              # OUT
         const int[::1] fields,             # IN the fields of Pool
         int num_threads):
    """y = x pooled over each window."""
    cdef Pool p = pool_of(fields)
    cdef int blocks = (p.channels + CHANNELS - 1) // CHANNELS
    cdef ptrdiff_t task
    cdef int start
    cdef float_mode mode = 0
    with nogil, parallel(num_threads=num_threads):
        mode = flush_denormals()
        for task in prange(x.shape[0] * blocks, schedule="dynamic"):
            start = (task % blocks) * CHANNELS
            pool_task(&p, &x[task // blocks, 0, 0, start], &y[task // blocks, 0, 0, start],
                      min(CHANNELS, p.channels - start))
        restore_denormals(mode)


def pool_gradient(const real[:, :, :, ::1] dy,    # IN
                  const real[:, :, :, ::1] x,     # IN
                  real[:, :, :, ::1] dx,          # OUT
                  const int[::1] fields,          # IN the fields of Pool
                  int num_threads):
    """dx = gradient of the pooled sum weighted with dy; ties go to the first pixel."""
    cdef Pool p = pool_of(fields)
    cdef int blocks = (p.channels + CHANNELS - 1) // CHANNELS
    cdef ptrdiff_t task
    cdef int start
    cdef float_mode mode = 0
    with nogil, parallel(num_threads=num_threads):
        mode = flush_denormals()
        for task in prange(x.shape[0] * blocks, schedule="dynamic"):
            start = (task % blocks) * CHANNELS
            pool_gradient_task(
                &p, &x[task // blocks, 0, 0, start], &dy[task // blocks, 0, 0, start],
                &dx[task // blocks, 0, 0, start], min(CHANNELS, p.channels - start))
        restore_denormals(mode)


cdef Pool pool_of(const int[::1] fields):
    cdef Pool p
    p.kind, p.height, p.width, p.channels = fields[0], fields[1], fields[2], fields[3]
    p.rows, p.columns, p.window_rows, p.window_columns = (
        fields[4], fields[5], fields[6], fields[7])
    p.row_stride, p.column_stride, p.top, p.left = fields[8], fields[9], fields[10], fields[11]
    return p
