"""Batch normalization's sums and passes, over rows of *lanes*.

Lanes are the channels, or as many pixels' channels as fill whole vectors.  `moments` takes blocks
of rows that stay in the L1 cache: their mean, then the squares about it, so that one pass over
memory is as exact as two.  Split-k parts of blocks are fixed, each with partial sums in double
precision, which the caller puts together in order.
"""

from cython.parallel cimport parallel, threadid
from libc.stddef cimport ptrdiff_t

from _fastconv._tiles cimport float_mode, flush_denormals, restore_denormals
from _fastconv._work cimport Work, join_team, next_task, run, share_work

join_team()

cdef extern from "simd/normalize.h" nogil:
    ctypedef struct Affine "fc_affine":
        const float* center
        const float* scale
        const float* shift
        float limit

    void fc_moments(const float*, int, int, float*, float*) noexcept
    void fc_affine_sums(const float*, const float*, int, int, const Affine*, float*,
                        float*) noexcept
    void fc_affine_rows(const float*, const float*, int, int, const Affine*, float*) noexcept
    void fc_affine_gradient_rows(const float*, const float*, int, int, const Affine*,
                                 const float*, const float*, const float*, float*) noexcept


cdef enum:
    BLOCK = 4096          # values of x that are summed before they are rounded to double


cdef inline int block_of(int lanes) noexcept nogil:
    """Return the rows of a block: 8 at least, so that a double is not added for each value."""
    return max(8, BLOCK // lanes)


cdef void moments_part(const float* x, ptrdiff_t first, ptrdiff_t last, int lanes, double* mean,
                       double* squares, float* block) noexcept nogil:
    cdef ptrdiff_t row = first
    cdef double difference, share
    cdef int rows, lane
    for lane in range(lanes):
        mean[lane] = 0
        squares[lane] = 0
    while row < last:
        rows = <int> min(block_of(lanes), last - row)
        fc_moments(x + row * lanes, rows, lanes, block, block + lanes)
        # Chan, Golub and LeVeque's rule for joining two samples.
        share = <double> rows / <double> (row - first + rows)
        for lane in range(lanes):
            difference = block[lane] - mean[lane]
            mean[lane] += difference * share
            squares[lane] += (block[lanes + lane]
                              + difference * difference * share * <double> (row - first))
        row += rows


def moments(const float[:, ::1] x,          # IN (rows, lanes)
            double[:, ::1] mean,            # OUT (parts, lanes)
            double[:, ::1] squares,         # OUT (parts, lanes)
            float[:, ::1] block,            # SCRATCH (threads, 2 * lanes)
            int num_threads, /):
    """Means of each part's rows, and sums of squared differences from them.

    Part p has rows p * rows // parts to (p + 1) * rows // parts.
    """
    cdef ptrdiff_t rows = x.shape[0], parts = mean.shape[0], part
    cdef int lanes = <int> x.shape[1]
    cdef Work work
    cdef float_mode mode = 0
    share_work(&work, parts, num_threads)
    with nogil, parallel(num_threads=num_threads):
        mode = flush_denormals()
        while (part := next_task(&work, threadid())) >= 0:
            moments_part(&x[0, 0], part * rows // parts, (part + 1) * rows // parts, lanes,
                         &mean[part, 0], &squares[part, 0], &block[threadid(), 0])
        restore_denormals(mode)


cdef void affine_sums_part(const float* dy, const float* x, ptrdiff_t first, ptrdiff_t last,
                           int lanes, const Affine* affine, double* total, double* along,
                           float* block) noexcept nogil:
    cdef ptrdiff_t row = first
    cdef int rows, lane
    for lane in range(lanes):
        total[lane] = 0
        along[lane] = 0
    while row < last:
        rows = <int> min(block_of(lanes), last - row)
        fc_affine_sums(dy + row * lanes, x + row * lanes, rows, lanes, affine, block,
                       block + lanes)
        for lane in range(lanes):
            total[lane] += block[lane]
            along[lane] += block[lanes + lane]
        row += rows


def affine_sums(const float[:, ::1] dy, const float[:, ::1] x,       # IN (rows, lanes)
                const float[:, ::1] affine,     # IN center, scale and shift of each lane
                float limit,
                double[:, ::1] total,           # OUT (parts, lanes)
                double[:, ::1] along,           # OUT (parts, lanes)
                float[:, ::1] block,            # SCRATCH (threads, 2 * lanes)
                int num_threads, /):
    """Each part's sums of the gradient before the ReLU and of it times (x - center)."""
    cdef ptrdiff_t rows = x.shape[0], parts = total.shape[0], part
    cdef int lanes = <int> x.shape[1]
    cdef Affine a = Affine(&affine[0, 0], &affine[1, 0], &affine[2, 0], limit)
    cdef Work work
    cdef float_mode mode = 0
    share_work(&work, parts, num_threads)
    with nogil, parallel(num_threads=num_threads):
        mode = flush_denormals()
        while (part := next_task(&work, threadid())) >= 0:
            affine_sums_part(&dy[0, 0], &x[0, 0], part * rows // parts,
                             (part + 1) * rows // parts, lanes, &a, &total[part, 0],
                             &along[part, 0], &block[threadid(), 0])
        restore_denormals(mode)


cdef struct Call:         # what `affine` runs
    const void* inputs[2]
    float* y
    ptrdiff_t rows
    int lanes
    Affine affine
    Work works[1]


cdef void affine_tasks(void* context, int thread) noexcept nogil:
    cdef Call* c = <Call*> context
    cdef const float* x = <const float*> c.inputs[0]
    cdef const float* residual = <const float*> c.inputs[1]
    cdef int step = block_of(c.lanes)
    cdef ptrdiff_t chunk, at
    while (chunk := next_task(c.works, thread)) >= 0:
        at = chunk * step * c.lanes
        fc_affine_rows(x + at, NULL if residual == NULL else residual + at,
                       <int> min(step, c.rows - chunk * step), c.lanes, &c.affine, c.y + at)


def affine(const float[:, ::1] x, const float[:, ::1] affine,
           const float[:, ::1] residual,        # IN like x, or None
           float limit, float[:, ::1] y, int num_threads, /):
    """y = [clipped]((x - center) * scale + shift + residual), of each lane."""
    cdef Call c
    c.inputs[0], c.inputs[1] = &x[0, 0], NULL if residual is None else &residual[0, 0]
    c.affine = Affine(&affine[0, 0], &affine[1, 0], &affine[2, 0], limit)
    c.y, c.rows, c.lanes = &y[0, 0], x.shape[0], <int> x.shape[1]
    share_work(c.works, (c.rows + block_of(c.lanes) - 1) // block_of(c.lanes), num_threads)
    run(affine_tasks, &c, c.works, 1, num_threads)


def affine_gradient(const float[:, ::1] dy, const float[:, ::1] x, const float[:, ::1] affine,
                    float limit,
                    const float[:, ::1] factors,    # IN of dy, of (x - center), and a constant
                    float[:, ::1] dx, int num_threads, /):
    """dx = factors[0] * (dy before the ReLU) + factors[1] * (x - center) + factors[2]."""
    cdef ptrdiff_t rows = x.shape[0], chunk
    cdef int lanes = <int> x.shape[1], step = block_of(lanes)
    cdef Affine a = Affine(&affine[0, 0], &affine[1, 0], &affine[2, 0], limit)
    cdef Work work
    cdef float_mode mode = 0
    share_work(&work, (rows + step - 1) // step, num_threads)
    with nogil, parallel(num_threads=num_threads):
        mode = flush_denormals()
        while (chunk := next_task(&work, threadid())) >= 0:
            fc_affine_gradient_rows(
                &dy[chunk * step, 0], &x[chunk * step, 0], <int> min(step, rows - chunk * step),
                lanes, &a, &factors[0, 0], &factors[1, 0], &factors[2, 0], &dx[chunk * step, 0])
        restore_denormals(mode)
