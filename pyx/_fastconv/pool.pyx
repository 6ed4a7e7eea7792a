"""Max, average and L2 pooling and their gradients for any window, NHWC.

Loops, outermost first: rows of all images (parallel) - columns - vectors of
channels - window.  A row of the output, and of the input gradient, is computed
from what surrounds it and written once, so that rows are independent.

Max pooling notes each maximum's place in its window (row by row, uint8) when
the gradient will be asked for; the gradient of an input pixel is then the sum of
dy over the windows that cover it and whose maximum it is.  Average and L2 pooling
first divide dy by the number of pixels or by the norm, once a window.  Windows
are clipped to the image: padding is never read, and an average counts the
pixels that are there.  `max_scatter` serves windows of more places than a byte
has numbers.
"""

from cython.parallel cimport parallel, threadid
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport uint8_t

from _fastconv._tiles cimport float_mode, flush_denormals, lanes, real, restore_denormals, widest
from _fastconv._work cimport Work, join_team, next_task, raise_flag, run, share_work
from _fastconv.structs cimport Pool, load_struct

join_team()

cdef extern from "simd/pool.h" nogil:
    const int MAX "FC_MAX"
    const int AVERAGE "FC_AVERAGE"
    const int L2 "FC_L2"
    const int L2_APART "FC_L2_APART"
    const int NO_ARGMAX "FC_NO_ARGMAX"

    void fc_pool_row_f32(const Pool*, const float*, float*, uint8_t*, int) noexcept
    void fc_pool_row_f64(const Pool*, const double*, double*, uint8_t*, int) noexcept
    void fc_pool_gradient_row_f32(const Pool*, const float*, const uint8_t*, const float*,
                                  const float*, float*, int) noexcept
    void fc_pool_gradient_row_f64(const Pool*, const double*, const uint8_t*, const double*,
                                  const double*, double*, int) noexcept
    void fc_pool_scatter_f32(const Pool*, const float*, const uint8_t*, float*, int,
                             int) noexcept
    void fc_pool_scatter_f64(const Pool*, const double*, const uint8_t*, double*, int,
                             int) noexcept
    int fc_pool_share_row_f32(const Pool*, const float*, const float*, float*, int) noexcept
    int fc_pool_share_row_f64(const Pool*, const double*, const double*, double*, int) noexcept

cdef enum:
    CHANNELS = 64         # of one task of max_scatter
    TASKS = 16            # a thread's, so that none waits long for another


KINDS = {"max": MAX, "average": AVERAGE, "l2": L2}
MOST_ARGMAX = NO_ARGMAX


cdef inline int chunk_of(ptrdiff_t rows, int num_threads) noexcept nogil:
    return <int> max(1, rows // (TASKS * num_threads))


cdef inline void pool_row(const Pool* p, const real* x, real* y, uint8_t* argmax,
                          int row) noexcept nogil:
    if real is float:
        fc_pool_row_f32(p, x, y, argmax, row)
    else:
        fc_pool_row_f64(p, x, y, argmax, row)


cdef inline int share_row(const Pool* p, const real* dy, const real* y, real* shares,
                          int row) noexcept nogil:
    if real is float:
        return fc_pool_share_row_f32(p, dy, y, shares, row)
    else:
        return fc_pool_share_row_f64(p, dy, y, shares, row)


cdef struct Call:         # what `pool` runs
    const void* inputs[2]
    void* y
    uint8_t* argmax
    ptrdiff_t x_image
    ptrdiff_t rows
    int chunk
    Pool pool
    Work works[1]


cdef void pool_tasks(Call* c, int thread, real* y) noexcept nogil:
    cdef const Pool* p = &c.pool
    cdef const real* x = <const real*> c.inputs[0]
    cdef ptrdiff_t line = <ptrdiff_t> p.columns * p.channels, row, task
    while (task := next_task(c.works, thread)) >= 0:
        for row in range(task * c.chunk, min((task + 1) * c.chunk, c.rows)):
            pool_row(p, x + row // p.rows * c.x_image, y + row * line,
                     NULL if c.argmax == NULL else c.argmax + row * line, row % p.rows)


cdef void pool_f32(void* context, int thread) noexcept nogil:
    pool_tasks(<Call*> context, thread, <float*> (<Call*> context).y)


cdef void pool_f64(void* context, int thread) noexcept nogil:
    pool_tasks(<Call*> context, thread, <widest*> (<Call*> context).y)


def pool(const real[:, :, :, ::1] x,        # IN
         real[:, :, :, ::1] y,              # OUT
         uint8_t[:, :, :, ::1] argmax,     # OUT like y, or None; max pooling alone
         bytes fields,                      # IN Pool
         int num_threads, /):
    """y = x pooled over each window."""
    cdef Call c
    load_struct(fields, &c.pool, sizeof(c.pool))
    c.inputs[0], c.inputs[1] = &x[0, 0, 0, 0], NULL
    c.y, c.argmax = &y[0, 0, 0, 0], NULL if argmax is None else &argmax[0, 0, 0, 0]
    c.x_image = x.shape[1] * x.shape[2] * x.shape[3]
    c.rows = x.shape[0] * c.pool.rows
    c.chunk = chunk_of(c.rows, num_threads)
    share_work(c.works, (c.rows + c.chunk - 1) // c.chunk, num_threads)
    run(pool_f32 if real is float else pool_f64, &c, c.works, 1, num_threads)


cdef void gradient_rows(const Pool* p, const real* dy, const uint8_t* argmax, const real* norm,
                        const real* x, real* dx, int first, int last) noexcept nogil:
    """Rows [first, last) of one image's dx."""
    cdef ptrdiff_t line = <ptrdiff_t> p.width * p.channels
    cdef int row
    if p.kind == MAX and p.channels < lanes(dy):
        if real is float:
            fc_pool_scatter_f32(p, dy, argmax, dx, first, last)
        else:
            fc_pool_scatter_f64(p, dy, argmax, dx, first, last)
        return
    for row in range(first, last):
        if real is float:
            fc_pool_gradient_row_f32(p, dy, argmax, norm, x + row * line, dx + row * line, row)
        else:
            fc_pool_gradient_row_f64(p, dy, argmax, norm, x + row * line, dx + row * line, row)


def pool_gradient(const real[:, :, :, ::1] dy,          # IN; but for max: the result of `shares`
                  const uint8_t[:, :, :, ::1] argmax,  # IN like dy; max pooling alone
                  const real[:, :, :, ::1] norm,        # IN like dy, which is no result of
                                                        # `shares` then, or None; L2 pooling alone
                  const real[:, :, :, ::1] x,           # IN; L2 pooling alone
                  real[:, :, :, ::1] dx,                # OUT
                  bytes fields,                         # IN Pool
                  int num_threads, /):
    """dx = gradient of the pooled sum weighted with dy."""
    cdef Pool p
    load_struct(fields, &p, sizeof(p))
    cdef const real* norms = &dy[0, 0, 0, 0] if norm is None else &norm[0, 0, 0, 0]
    cdef const uint8_t* kept = NULL if argmax is None else &argmax[0, 0, 0, 0]
    cdef const real* source = &dx[0, 0, 0, 0] if x is None else &x[0, 0, 0, 0]
    cdef ptrdiff_t x_size = <ptrdiff_t> p.height * p.width * p.channels
    cdef ptrdiff_t size = <ptrdiff_t> p.rows * p.columns * p.channels
    cdef ptrdiff_t image, task
    # Bands of rows, of whole windows at least: enough for all threads.
    cdef int band = min(p.height, max(p.window_rows, chunk_of(dx.shape[0] * p.height,
                                                              num_threads)))
    cdef int bands = (p.height + band - 1) // band
    cdef Work work
    cdef float_mode mode = 0
    if norm is not None:
        p.kind = L2_APART
    share_work(&work, dx.shape[0] * bands, num_threads)
    with nogil, parallel(num_threads=num_threads):
        mode = flush_denormals()
        while (task := next_task(&work, threadid())) >= 0:
            image = task // bands
            gradient_rows(&p, &dy[0, 0, 0, 0] + image * size,
                          NULL if kept == NULL else kept + image * size, norms + image * size,
                          source + image * x_size, &dx[0, 0, 0, 0] + image * x_size,
                          (task % bands) * band, min((task % bands + 1) * band, p.height))
        restore_denormals(mode)


def shares(const real[:, :, :, ::1] dy,       # IN
           const real[:, :, :, ::1] y,        # IN; L2 pooling alone
           real[:, :, :, ::1] out,            # OUT
           bytes fields,                      # IN Pool
           int num_threads, /):
    """out = dy / pixels of the window (average), or dy / y, 0 where y is (L2).

    Return whether all of these are in the range of their type, as dy and y are.
    """
    cdef Pool p
    load_struct(fields, &p, sizeof(p))
    cdef ptrdiff_t line = <ptrdiff_t> p.columns * p.channels
    cdef ptrdiff_t rows = dy.shape[0] * p.rows, row, task
    cdef const real* norm = &dy[0, 0, 0, 0] if y is None else &y[0, 0, 0, 0]
    cdef int chunk = chunk_of(rows, num_threads)
    cdef int strayed = 0
    cdef int* flag = &strayed
    cdef Work work
    cdef float_mode mode = 0
    share_work(&work, (rows + chunk - 1) // chunk, num_threads)
    with nogil, parallel(num_threads=num_threads):
        mode = flush_denormals()
        while (task := next_task(&work, threadid())) >= 0:
            for row in range(task * chunk, min((task + 1) * chunk, rows)):
                if share_row(&p, &dy[0, 0, 0, 0] + row * line, norm + row * line,
                             &out[0, 0, 0, 0] + row * line, row % p.rows):
                    raise_flag(flag)
        restore_denormals(mode)
    return strayed == 0


cdef void scatter_window(const Pool* p, const real* x, const real* dy, real* dx, int row,
                         int column, int channels) noexcept nogil:
    cdef real best[CHANNELS]
    cdef ptrdiff_t where[CHANNELS]
    cdef int top = max(row * p.row_stride - p.top, 0)
    cdef int left = max(column * p.column_stride - p.left, 0)
    cdef int bottom = min(row * p.row_stride - p.top + p.window_rows, p.height)
    cdef int right = min(column * p.column_stride - p.left + p.window_columns, p.width)
    cdef int i, j, c
    cdef ptrdiff_t at = (<ptrdiff_t> top * p.width + left) * p.channels
    cdef const real* v
    for c in range(channels):
        best[c] = x[at + c]
        where[c] = at
    for i in range(top, bottom):
        for j in range(left, right):
            at = (<ptrdiff_t> i * p.width + j) * p.channels
            v = x + at
            for c in range(channels):
                # A NaN compares false, so "not smaller" lets it in and keeps it.
                if not (best[c] >= v[c] or best[c] != best[c]):
                    best[c] = v[c]
                    where[c] = at
    for c in range(channels):
        if not p.relu_input or best[c] > 0:
            dx[where[c] + c] += dy[c]


cdef void scatter_task(const Pool* p, const real* x, const real* dy, real* dx,
                       int channels) noexcept nogil:
    cdef int row, column, c
    cdef ptrdiff_t pixel
    for pixel in range(<ptrdiff_t> p.height * p.width):
        for c in range(channels):
            dx[pixel * p.channels + c] = 0
    for row in range(p.rows):
        for column in range(p.columns):
            scatter_window(p, x, dy + (<ptrdiff_t> row * p.columns + column) * p.channels, dx,
                           row, column, channels)


def max_scatter(const real[:, :, :, ::1] dy,    # IN
                const real[:, :, :, ::1] x,     # IN
                real[:, :, :, ::1] dx,          # OUT
                bytes fields,                   # IN Pool
                int num_threads, /):
    """dx = gradient of max pooling over windows of any size; a task owns its channels."""
    cdef Pool p
    load_struct(fields, &p, sizeof(p))
    cdef int blocks = (p.channels + CHANNELS - 1) // CHANNELS
    cdef ptrdiff_t task
    cdef int start
    cdef Work work
    cdef float_mode mode = 0
    share_work(&work, x.shape[0] * blocks, num_threads)
    with nogil, parallel(num_threads=num_threads):
        mode = flush_denormals()
        while (task := next_task(&work, threadid())) >= 0:
            start = (task % blocks) * CHANNELS
            scatter_task(
                &p, &x[task // blocks, 0, 0, start], &dy[task // blocks, 0, 0, start],
                &dx[task // blocks, 0, 0, start], min(CHANNELS, p.channels - start))
        restore_denormals(mode)
