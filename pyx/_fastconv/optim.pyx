"""Optimizers' update rules, elementwise passes, cross-entropies and batch normalization's.

Each is one sweep over memory.  Loops: fixed chunks of CHUNK values (parallel) -
values.  Every value is its own sum, so results do not depend on the number of
threads; `sum_of_squares` adds its chunks in order.  The update rules themselves
are in simd/rules.h, shared with `dense.update`, which makes the gradient on the way.

Batch normalization works on rows of *lanes*, which are the channels, or as many
pixels' channels as fill whole vectors.  `moments` takes blocks of rows that
stay in the L1 cache: their mean, then the squares about it, so that one pass
over memory is as exact as two.  Parts of blocks are fixed, each with sums in
double precision, which the caller puts together in order.
"""

from cython.parallel cimport parallel, prange, threadid
from libc.math cimport exp, fabs, log, log1p
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp

from _fastconv._rules cimport RULE_SLOTS, Rule, apply_rule, rule_from, slots_from
from _fastconv._tiles cimport float_mode, flush_denormals, real, restore_denormals
from _fastconv._work cimport Work, next_task, share_work

cdef extern from "simd/normalize.h" nogil:
    ctypedef struct Affine "fc_affine":
        const float* center
        const float* scale
        const float* shift
        int relu

    void fc_moments(const float*, int, int, float*, float*) noexcept
    void fc_affine_sums(const float*, const float*, int, int, const Affine*, float*,
                        float*) noexcept
    void fc_affine_rows(const float*, int, int, const Affine*, float*) noexcept
    void fc_affine_gradient_rows(const float*, const float*, int, int, const Affine*,
                                 const float*, const float*, const float*, float*) noexcept

cdef extern from "simd/dropout.h" nogil:
    void fc_dropout(const float*, int, uint64_t, uint64_t, uint32_t, float, float*) noexcept

cdef extern from "simd/exponential.h" nogil:
    void fc_sigmoid(const float*, ptrdiff_t, float*) noexcept
    void fc_softmax(const float*, ptrdiff_t, float*) noexcept

cdef enum:
    CHUNK = 8192          # values, whole blocks of a rule: 32 KB of each array, to share evenly
    SUM_VALUES = 128      # losses that are added one after another
    BLOCK = 4096          # values of x that batch normalization sums before it rounds to double

CHUNK_VALUES = CHUNK


def same_bytes(const uint8_t[::1] first, const uint8_t[::1] second, int num_threads):
    """Return whether two arrays of the same length hold the same bytes."""
    cdef ptrdiff_t chunk, count = first.shape[0]
    cdef int differences = 0
    for chunk in prange((count + CHUNK - 1) // CHUNK, schedule="static", num_threads=num_threads,
                        nogil=True):
        differences += memcmp(&first[chunk * CHUNK], &second[chunk * CHUNK],
                              <size_t> min(CHUNK, count - chunk * CHUNK)) != 0
    return differences == 0


def update(dict rule,                     # IN the fields of simd/rules.h's fc_rule
           float[::1] value,              # INOUT
           tuple slots,                   # INOUT three arrays or None, as the rule wants them
           const float[::1] gradient,     # IN
           int num_threads):
    """One step of an optimizer."""
    cdef ptrdiff_t count = value.shape[0], chunk
    cdef Rule fields = rule_from(rule)
    cdef float* kept[RULE_SLOTS]
    cdef float_mode mode = 0
    slots_from(slots, count, kept)
    if gradient.shape[0] != count:
        raise ValueError(f"the gradient has {gradient.shape[0]} values; there are {count}")
    with nogil, parallel(num_threads=num_threads):
        mode = flush_denormals()
        for chunk in prange((count + CHUNK - 1) // CHUNK, schedule="static"):
            apply_rule(&fields, &value[0], kept, chunk * CHUNK, &gradient[chunk * CHUNK],
                       min(CHUNK, count - chunk * CHUNK))
        restore_denormals(mode)


cdef double squares_chunk(const float* values, ptrdiff_t count) noexcept nogil:
    cdef double total = 0
    cdef ptrdiff_t i
    for i in range(count):
        total += <double> values[i] * values[i]
    return total


def sum_of_squares(const float[::1] values, double[::1] partial, int num_threads):
    """Return the sum of squares in double; `partial` is scratch, one number a chunk."""
    cdef ptrdiff_t count = values.shape[0], chunk
    cdef double total = 0
    with nogil:
        for chunk in prange((count + CHUNK - 1) // CHUNK, schedule="static",
                            num_threads=num_threads):
            partial[chunk] = squares_chunk(&values[chunk * CHUNK],
                                           min(CHUNK, count - chunk * CHUNK))
    for chunk in range((count + CHUNK - 1) // CHUNK):
        total += partial[chunk]
    return total


cdef void relu_chunk(const real* x, real* y, ptrdiff_t count) noexcept nogil:
    cdef ptrdiff_t i
    for i in range(count):
        y[i] = <real> 0 if x[i] < 0 else x[i]


cdef void relu_gradient_chunk(const real* dy, const real* y, real* dx,
                              ptrdiff_t count) noexcept nogil:
    cdef ptrdiff_t i
    for i in range(count):
        dx[i] = dy[i] if y[i] > 0 else <real> 0


def relu(const real[::1] x, real[::1] y, int num_threads):
    """y = max(x, 0); a NaN stays one.  y may be x."""
    cdef ptrdiff_t count = x.shape[0], chunk
    with nogil:
        for chunk in prange((count + CHUNK - 1) // CHUNK, schedule="static",
                            num_threads=num_threads):
            relu_chunk(&x[chunk * CHUNK], &y[chunk * CHUNK], min(CHUNK, count - chunk * CHUNK))


def relu_gradient(const real[::1] dy, const real[::1] y, real[::1] dx, int num_threads):
    """dx = dy where y is positive, else 0.  dx may be dy."""
    cdef ptrdiff_t count = dy.shape[0], chunk
    with nogil:
        for chunk in prange((count + CHUNK - 1) // CHUNK, schedule="static",
                            num_threads=num_threads):
            relu_gradient_chunk(&dy[chunk * CHUNK], &y[chunk * CHUNK], &dx[chunk * CHUNK],
                                min(CHUNK, count - chunk * CHUNK))


def dropout(const float[::1] x, uint64_t seed, uint32_t threshold, float scale, float[::1] y,
            int num_threads):
    """y = x * scale, or 0 for a share of threshold / 2^32, chosen by `seed`; y may be x."""
    cdef ptrdiff_t count = x.shape[0], chunk
    cdef float_mode mode = 0
    with nogil, parallel(num_threads=num_threads):
        mode = flush_denormals()
        for chunk in prange((count + CHUNK - 1) // CHUNK, schedule="static"):
            fc_dropout(&x[chunk * CHUNK], <int> min(CHUNK, count - chunk * CHUNK), seed, chunk,
                       threshold, scale, &y[chunk * CHUNK])
        restore_denormals(mode)


def sigmoid(const float[::1] x, float[::1] y, int num_threads):
    """y = 1 / (1 + exp(-x)); y may be x."""
    cdef ptrdiff_t count = x.shape[0], chunk
    cdef float_mode mode = 0
    with nogil, parallel(num_threads=num_threads):
        mode = flush_denormals()
        for chunk in prange((count + CHUNK - 1) // CHUNK, schedule="static"):
            fc_sigmoid(&x[chunk * CHUNK], min(CHUNK, count - chunk * CHUNK), &y[chunk * CHUNK])
        restore_denormals(mode)


def softmax(const float[:, ::1] x, float[:, ::1] y, int num_threads):
    """y = exp(x) / sum(exp(x)) along each row; y may be x."""
    cdef ptrdiff_t row
    cdef float_mode mode = 0
    with nogil, parallel(num_threads=num_threads):
        mode = flush_denormals()
        for row in prange(x.shape[0], schedule="static"):
            fc_softmax(&x[row, 0], x.shape[1], &y[row, 0])
        restore_denormals(mode)


cdef double sigmoid_cross_entropy_row(const double* logits, const double* targets,
                                     ptrdiff_t outputs, double* gradient) noexcept nogil:
    cdef double total = 0, logit, small
    cdef ptrdiff_t o
    for o in range(outputs):
        logit = logits[o]
        small = exp(-fabs(logit))
        total += (logit if logit > 0 else 0) - logit * targets[o] + log1p(small)
        gradient[o] = ((1 if logit >= 0 else small) / (1 + small) - targets[o]) / outputs
    return total / outputs


def sigmoid_cross_entropy(const double[:, ::1] logits,   # IN (rows, outputs)
                         const double[:, ::1] targets,  # IN the same, from 0 to 1
                         double[::1] losses,            # OUT (rows,)
                         double[:, ::1] gradient,       # OUT (rows, outputs)
                         int num_threads):
    """Means along the rows of -t log p - (1 - t) log(1 - p), p a sigmoid, and their gradients."""
    cdef ptrdiff_t row
    with nogil:
        for row in prange(logits.shape[0], schedule="static", num_threads=num_threads):
            losses[row] = sigmoid_cross_entropy_row(&logits[row, 0], &targets[row, 0],
                                                   logits.shape[1], &gradient[row, 0])


cdef double softmax_cross_entropy_row(const double* logits, const double* targets,
                                      ptrdiff_t classes, double* gradient) noexcept nogil:
    cdef double top = logits[0], total = 0, pull = 0, loss = 0, log_total
    cdef ptrdiff_t c
    for c in range(1, classes):
        top = max(top, logits[c])
    for c in range(classes):
        gradient[c] = exp(logits[c] - top)
        total += gradient[c]
        pull += targets[c]
    log_total = log(total)
    for c in range(classes):
        loss -= targets[c] * (logits[c] - top - log_total)
        gradient[c] = gradient[c] / total * pull - targets[c]
    return loss


def softmax_cross_entropy(const double[:, ::1] logits,   # IN (rows, classes)
                          const double[:, ::1] targets,  # IN the same
                          double[::1] losses,            # OUT (rows,)
                          double[:, ::1] gradient,       # OUT (rows, classes)
                          int num_threads):
    """-sum(t log p) along the rows, p a softmax of the logits, and their gradients."""
    cdef ptrdiff_t row
    with nogil:
        for row in prange(logits.shape[0], schedule="static", num_threads=num_threads):
            losses[row] = softmax_cross_entropy_row(&logits[row, 0], &targets[row, 0],
                                                    logits.shape[1], &gradient[row, 0])


def extremes(const double[::1] values):
    """Return the least and the largest value, both NaN if one is."""
    cdef double least = values[0], largest = values[0], value
    cdef ptrdiff_t i
    with nogil:
        for i in range(1, values.shape[0]):
            value = values[i]
            if value != value:
                least = largest = value
                break
            least = min(least, value)
            largest = max(largest, value)
    return least, largest


cdef double weighted_sum(const double* losses, const double* weights, ptrdiff_t first,
                         ptrdiff_t last) noexcept nogil:
    """Add pairs of halves, so that the error does not grow with the number of values."""
    cdef double total = 0
    cdef ptrdiff_t i
    if last - first > SUM_VALUES:
        i = (first + last) // 2
        return (weighted_sum(losses, weights, first, i)
                + weighted_sum(losses, weights, i, last))
    for i in range(first, last):
        total += losses[i] if weights == NULL else losses[i] * weights[i]
    return total


def mean_loss(const double[::1] losses,        # IN (rows,)
              const double[::1] weights,       # IN (rows,) or None
              const double[:, ::1] gradients,  # IN (rows, outputs), each of its row's loss
              float[:, ::1] gradient,          # OUT the same, of the mean
              int num_threads):
    """Return the weighted sum of losses over their number."""
    cdef ptrdiff_t rows = losses.shape[0], outputs = gradient.shape[1], row, o
    cdef const double* factors = NULL if weights is None else &weights[0]
    cdef double total
    with nogil:
        total = weighted_sum(&losses[0], factors, 0, rows)
        for row in prange(rows, schedule="static", num_threads=num_threads):
            for o in range(outputs):
                gradient[row, o] = <float> (
                    gradients[row, o] * (1.0 if factors == NULL else factors[row]) / rows)
    return total / rows


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
            int num_threads):
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
                bint relu,
                double[:, ::1] total,           # OUT (parts, lanes)
                double[:, ::1] along,           # OUT (parts, lanes)
                float[:, ::1] block,            # SCRATCH (threads, 2 * lanes)
                int num_threads):
    """Each part's sums of the gradient before the ReLU and of it times (x - center)."""
    cdef ptrdiff_t rows = x.shape[0], parts = total.shape[0], part
    cdef int lanes = <int> x.shape[1]
    cdef Affine a = Affine(&affine[0, 0], &affine[1, 0], &affine[2, 0], relu)
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


def affine(const float[:, ::1] x, const float[:, ::1] affine, bint relu, float[:, ::1] y,
           int num_threads):
    """y = [relu]((x - center) * scale + shift), of each lane."""
    cdef ptrdiff_t rows = x.shape[0], chunk
    cdef int lanes = <int> x.shape[1], step = block_of(lanes)
    cdef Affine a = Affine(&affine[0, 0], &affine[1, 0], &affine[2, 0], relu)
    cdef float_mode mode = 0
    with nogil, parallel(num_threads=num_threads):
        mode = flush_denormals()
        for chunk in prange((rows + step - 1) // step, schedule="static"):
            fc_affine_rows(&x[chunk * step, 0], <int> min(step, rows - chunk * step), lanes, &a,
                           &y[chunk * step, 0])
        restore_denormals(mode)


def affine_gradient(const float[:, ::1] dy, const float[:, ::1] x, const float[:, ::1] affine,
                    bint relu,
                    const float[:, ::1] factors,    # IN of dy, of (x - center), and a constant
                    float[:, ::1] dx, int num_threads):
    """dx = factors[0] * (dy before the ReLU) + factors[1] * (x - center) + factors[2]."""
    cdef ptrdiff_t rows = x.shape[0], chunk
    cdef int lanes = <int> x.shape[1], step = block_of(lanes)
    cdef Affine a = Affine(&affine[0, 0], &affine[1, 0], &affine[2, 0], relu)
    cdef float_mode mode = 0
    with nogil, parallel(num_threads=num_threads):
        mode = flush_denormals()
        for chunk in prange((rows + step - 1) // step, schedule="static"):
            fc_affine_gradient_rows(
                &dy[chunk * step, 0], &x[chunk * step, 0], <int> min(step, rows - chunk * step),
                lanes, &a, &factors[0, 0], &factors[1, 0], &factors[2, 0], &dx[chunk * step, 0])
        restore_denormals(mode)
