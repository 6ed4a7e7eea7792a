"""Activations, dropout and comparisons: each value by itself, or each row.

One sweep over memory.  Loops: fixed chunks of CHUNK values (parallel) - values.
"""

from cython.parallel cimport parallel, threadid
from libc.math cimport INFINITY
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp

from _fastconv._tiles cimport float_mode, flush_denormals, real, restore_denormals
from _fastconv._work cimport Work, join_team, next_task, raise_flag, share_work

join_team()

cdef extern from "simd/dropout.h" nogil:
    void fc_dropout(const float*, int, uint64_t, uint64_t, uint32_t, float, float*) noexcept

cdef extern from "simd/exponential.h" nogil:
    void fc_sigmoid(const float*, ptrdiff_t, float*) noexcept
    void fc_softmax(const float*, ptrdiff_t, float*) noexcept

cdef enum:
    CHUNK = 8192          # values: 32 KB of each array, to share evenly


def same_bytes(const uint8_t[::1] first, const uint8_t[::1] second, int num_threads, /):
    """Return whether two arrays of the same length hold the same bytes."""
    cdef ptrdiff_t chunk, count = first.shape[0]
    cdef int differ = 0
    cdef int* flag = &differ
    cdef Work work
    share_work(&work, (count + CHUNK - 1) // CHUNK, num_threads)
    with nogil, parallel(num_threads=num_threads):
        while (chunk := next_task(&work, threadid())) >= 0:
            if memcmp(&first[chunk * CHUNK], &second[chunk * CHUNK],
                      <size_t> min(CHUNK, count - chunk * CHUNK)) != 0:
                raise_flag(flag)
    return differ == 0


cdef void relu_chunk(const real* x, real* y, ptrdiff_t count) noexcept nogil:
    cdef ptrdiff_t i
    for i in range(count):
        y[i] = <real> 0 if x[i] < 0 else x[i]


cdef void relu_gradient_chunk(const real* dy, const real* y, real* dx,
                              ptrdiff_t count) noexcept nogil:
    cdef ptrdiff_t i
    for i in range(count):
        dx[i] = dy[i] if y[i] > 0 else <real> 0


def relu(const real[::1] x, real[::1] y, int num_threads, /):
    """y = max(x, 0); a NaN stays one.  y may be x."""
    cdef ptrdiff_t count = x.shape[0], chunk
    cdef Work work
    share_work(&work, (count + CHUNK - 1) // CHUNK, num_threads)
    with nogil, parallel(num_threads=num_threads):
        while (chunk := next_task(&work, threadid())) >= 0:
            relu_chunk(&x[chunk * CHUNK], &y[chunk * CHUNK], min(CHUNK, count - chunk * CHUNK))


def relu_gradient(const real[::1] dy, const real[::1] y, real[::1] dx, int num_threads, /):
    """dx = dy where y is positive, else 0.  dx may be dy."""
    cdef ptrdiff_t count = dy.shape[0], chunk
    cdef Work work
    share_work(&work, (count + CHUNK - 1) // CHUNK, num_threads)
    with nogil, parallel(num_threads=num_threads):
        while (chunk := next_task(&work, threadid())) >= 0:
            relu_gradient_chunk(&dy[chunk * CHUNK], &y[chunk * CHUNK], &dx[chunk * CHUNK],
                                min(CHUNK, count - chunk * CHUNK))


cdef void add_chunk(const float* a, const float* b, bint relu, float* y,
                    ptrdiff_t count) noexcept nogil:
    cdef ptrdiff_t i
    cdef float least = 0 if relu else -INFINITY
    for i in range(count):
        y[i] = least if a[i] + b[i] < least else a[i] + b[i]


def add(const float[::1] a, const float[::1] b, bint relu, float[::1] y, int num_threads, /):
    """y = a + b, or max(a + b, 0); a NaN stays one.  y may be a or b."""
    cdef ptrdiff_t count = a.shape[0], chunk
    cdef Work work
    share_work(&work, (count + CHUNK - 1) // CHUNK, num_threads)
    with nogil, parallel(num_threads=num_threads):
        while (chunk := next_task(&work, threadid())) >= 0:
            add_chunk(&a[chunk * CHUNK], &b[chunk * CHUNK], relu, &y[chunk * CHUNK],
                      min(CHUNK, count - chunk * CHUNK))


def dropout(const float[::1] x, uint64_t seed, uint32_t threshold, float scale, float[::1] y,
            int num_threads, /):
    """y = x * scale, or 0 for a share of threshold / 2^32, chosen by `seed`; y may be x."""
    cdef ptrdiff_t count = x.shape[0], chunk
    cdef Work work
    cdef float_mode mode = 0
    share_work(&work, (count + CHUNK - 1) // CHUNK, num_threads)
    with nogil, parallel(num_threads=num_threads):
        mode = flush_denormals()
        while (chunk := next_task(&work, threadid())) >= 0:
            fc_dropout(&x[chunk * CHUNK], <int> min(CHUNK, count - chunk * CHUNK), seed, chunk,
                       threshold, scale, &y[chunk * CHUNK])
        restore_denormals(mode)


def sigmoid(const float[::1] x, float[::1] y, int num_threads, /):
    """y = 1 / (1 + exp(-x)); y may be x."""
    cdef ptrdiff_t count = x.shape[0], chunk
    cdef Work work
    cdef float_mode mode = 0
    share_work(&work, (count + CHUNK - 1) // CHUNK, num_threads)
    with nogil, parallel(num_threads=num_threads):
        mode = flush_denormals()
        while (chunk := next_task(&work, threadid())) >= 0:
            fc_sigmoid(&x[chunk * CHUNK], min(CHUNK, count - chunk * CHUNK), &y[chunk * CHUNK])
        restore_denormals(mode)


def softmax(const float[:, ::1] x, float[:, ::1] y, int num_threads, /):
    """y = exp(x) / sum(exp(x)) along each row; y may be x."""
    cdef ptrdiff_t row
    cdef Work work
    cdef float_mode mode = 0
    share_work(&work, x.shape[0], num_threads)
    with nogil, parallel(num_threads=num_threads):
        mode = flush_denormals()
        while (row := next_task(&work, threadid())) >= 0:
            fc_softmax(&x[row, 0], x.shape[1], &y[row, 0])
        restore_denormals(mode)
