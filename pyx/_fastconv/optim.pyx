"""Optimizers' update rules and elementwise passes: one sweep over memory each.

Loops: fixed chunks of CHUNK values (parallel) - values.  Every value is its own
sum, so results do not depend on the number of threads; `sum_of_squares` adds
its chunks in order.  The rules themselves are in simd/rules.h, shared with
`dense.update`, which makes the gradient on the way.
"""

from cython.parallel cimport parallel, prange
from libc.stddef cimport ptrdiff_t

from _fastconv._rules cimport RULE_SLOTS, Rule, apply_rule, rule_from, slots_from
from _fastconv._tiles cimport float_mode, flush_denormals, real, restore_denormals

cdef enum:
    CHUNK = 8192          # values, whole blocks of a rule: 32 KB of each array, to share evenly

CHUNK_VALUES = CHUNK


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
