"""Optimizers' update rules, and the sum of squares that clips gradients by their norm.

One sweep over memory.  Loops: fixed chunks of CHUNK values (parallel) - values.  Every value is its
own sum, so results do not depend on the number of threads; `sum_of_squares` adds its chunks in
order.  The rules themselves are in simd/rules.h, shared with `dense.update`, which makes the
gradient on the way.
"""

from cython.parallel cimport parallel, threadid
from libc.stddef cimport ptrdiff_t

from _fastconv._rules cimport RULE_SLOTS, Rule, apply_rule, rule_from, slots_from
from _fastconv._tiles cimport float_mode, flush_denormals, restore_denormals
from _fastconv._work cimport Work, join_team, next_task, share_work

join_team()

cdef enum:
    CHUNK = 8192          # values, whole blocks of a rule: 32 KB of each array, to share evenly

CHUNK_VALUES = CHUNK


def update(dict rule,                     # IN the fields of simd/rules.h's fc_rule
           float[::1] value,              # INOUT
           tuple slots,                   # INOUT three arrays or None, as the rule wants them
           const float[::1] gradient,     # IN
           int num_threads, /):
    """One step of an optimizer."""
    cdef ptrdiff_t count = value.shape[0], chunk
    cdef Rule fields = rule_from(rule)
    cdef float* kept[RULE_SLOTS]
    cdef Work work
    cdef float_mode mode = 0
    slots_from(slots, count, kept)
    if gradient.shape[0] != count:
        raise ValueError(f"the gradient has {gradient.shape[0]} values; there are {count}")
    share_work(&work, (count + CHUNK - 1) // CHUNK, num_threads)
    with nogil, parallel(num_threads=num_threads):
        mode = flush_denormals()
        while (chunk := next_task(&work, threadid())) >= 0:
            apply_rule(&fields, &value[0], kept, chunk * CHUNK, &gradient[chunk * CHUNK],
                       min(CHUNK, count - chunk * CHUNK))
        restore_denormals(mode)


cdef double squares_chunk(const float* values, ptrdiff_t count) noexcept nogil:
    cdef double total = 0
    cdef ptrdiff_t i
    for i in range(count):
        total += <double> values[i] * values[i]
    return total


def sum_of_squares(const float[::1] values, double[::1] partial, int num_threads, /):
    """Return the sum of squares in double; `partial` is scratch, one number a chunk."""
    cdef ptrdiff_t count = values.shape[0], chunk
    cdef double total = 0
    cdef Work work
    share_work(&work, (count + CHUNK - 1) // CHUNK, num_threads)
    with nogil, parallel(num_threads=num_threads):
        while (chunk := next_task(&work, threadid())) >= 0:
            partial[chunk] = squares_chunk(&values[chunk * CHUNK],
                                           min(CHUNK, count - chunk * CHUNK))
    for chunk in range((count + CHUNK - 1) // CHUNK):
        total += partial[chunk]
    return total
