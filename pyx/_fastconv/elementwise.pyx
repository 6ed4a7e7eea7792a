"""Activations, dropout and comparisons: each value by itself, or each row.

One sweep over memory.  Loops: fixed chunks of CHUNK values (parallel) - values.
"""

from cython.parallel cimport parallel, threadid
from libc.math cimport INFINITY
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from _fastconv._tiles cimport float_mode, flush_denormals, real, restore_denormals, widest
from _fastconv._work cimport Body, Work, join_team, next_task, raise_flag, run, share_work

join_team()

cdef extern from "simd/dropout.h" nogil:
    void fc_dropout(const float*, int, uint64_t, uint64_t, uint32_t, float, float*) noexcept

cdef extern from "simd/exponential.h" nogil:
    void fc_sigmoid(const float*, ptrdiff_t, float*) noexcept
    void fc_softmax(const float*, ptrdiff_t, float*) noexcept

cdef enum:
    CHUNK = 8192          # values: 32 KB of each array, to share evenly
    ROWS = 256            # that are placed in a task


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


cdef struct Call:         # what the passes below run, a chunk or a row of softmax a task
    const void* inputs[2]
    void* y
    ptrdiff_t count
    ptrdiff_t width       # of a row
    ptrdiff_t step        # from a row of y to the next
    float limit
    Work works[1]


cdef void run_chunks(Body body, Call* c, const void* first, const void* second, void* y,
                     ptrdiff_t count, int num_threads):
    c.inputs[0], c.inputs[1], c.y, c.count = first, second, y, count
    share_work(c.works, (count + CHUNK - 1) // CHUNK, num_threads)
    run(body, c, c.works, 1, num_threads)


cdef void relu_tasks(Call* c, int thread, real* y) noexcept nogil:
    cdef const real* x = <const real*> c.inputs[0]
    cdef ptrdiff_t chunk, i
    while (chunk := next_task(c.works, thread)) >= 0:
        for i in range(chunk * CHUNK, min((chunk + 1) * CHUNK, c.count)):
            y[i] = <real> 0 if x[i] < 0 else <real> c.limit if x[i] > c.limit else x[i]


cdef void relu_f32(void* context, int thread) noexcept nogil:
    relu_tasks(<Call*> context, thread, <float*> (<Call*> context).y)


cdef void relu_f64(void* context, int thread) noexcept nogil:
    relu_tasks(<Call*> context, thread, <widest*> (<Call*> context).y)


def relu(const real[::1] x, float limit, real[::1] y, int num_threads, /):
    """y = x clipped to 0 ... limit; a NaN stays one.  y may be x."""
    cdef Call c
    c.limit = limit
    run_chunks(relu_f32 if real is float else relu_f64, &c, &x[0], NULL, &y[0], x.shape[0],
               num_threads)


cdef void relu_gradient_chunk(const real* dy, const real* y, float limit, real* dx,
                              ptrdiff_t count) noexcept nogil:
    cdef ptrdiff_t i
    for i in range(count):
        dx[i] = dy[i] if (y[i] > 0) & (y[i] < limit) else <real> 0


def relu_gradient(const real[::1] dy, const real[::1] y, float limit, real[::1] dx,
                  int num_threads, /):
    """dx = dy where y is above 0 and below `limit`, else 0.  dx may be dy."""
    cdef ptrdiff_t count = dy.shape[0], chunk
    cdef Work work
    share_work(&work, (count + CHUNK - 1) // CHUNK, num_threads)
    with nogil, parallel(num_threads=num_threads):
        while (chunk := next_task(&work, threadid())) >= 0:
            relu_gradient_chunk(&dy[chunk * CHUNK], &y[chunk * CHUNK], limit, &dx[chunk * CHUNK],
                                min(CHUNK, count - chunk * CHUNK))


cdef void add_tasks(void* context, int thread) noexcept nogil:
    cdef Call* c = <Call*> context
    cdef const float* a = <const float*> c.inputs[0]
    cdef const float* b = <const float*> c.inputs[1]
    cdef float* y = <float*> c.y
    cdef float least = 0 if c.limit > 0 else -INFINITY, total
    cdef float most = c.limit if c.limit > 0 else INFINITY
    cdef ptrdiff_t chunk, i
    while (chunk := next_task(c.works, thread)) >= 0:
        for i in range(chunk * CHUNK, min((chunk + 1) * CHUNK, c.count)):
            total = a[i] + b[i]
            y[i] = least if total < least else most if total > most else total


def add(const float[::1] a, const float[::1] b, float limit, float[::1] y, int num_threads, /):
    """y = a + b, clipped to 0 ... limit where that is above 0; a NaN stays one.  y may be a or b."""
    cdef Call c
    c.limit = limit
    run_chunks(add_tasks, &c, &a[0], &b[0], &y[0], a.shape[0], num_threads)


cdef void place_tasks(void* context, int thread) noexcept nogil:
    cdef Call* c = <Call*> context
    cdef const float* x = <const float*> c.inputs[0]
    cdef float* y = <float*> c.y
    cdef ptrdiff_t chunk, row
    while (chunk := next_task(c.works, thread)) >= 0:
        for row in range(chunk * ROWS, min((chunk + 1) * ROWS, c.count)):
            memcpy(y + row * c.step, x + row * c.width, <size_t> c.width * sizeof(float))


def place(const float[:, ::1] x, float[:, ::1] y, ptrdiff_t column, int num_threads, /):
    """y[:, column : column + x.shape[1]] = x."""
    cdef Call c
    c.inputs[0], c.inputs[1], c.y, c.count = &x[0, 0], NULL, &y[0, column], x.shape[0]
    c.width, c.step = x.shape[1], y.shape[1]
    share_work(c.works, (c.count + ROWS - 1) // ROWS, num_threads)
    run(place_tasks, &c, c.works, 1, num_threads)


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


cdef void sigmoid_tasks(void* context, int thread) noexcept nogil:
    cdef Call* c = <Call*> context
    cdef const float* x = <const float*> c.inputs[0]
    cdef ptrdiff_t chunk
    while (chunk := next_task(c.works, thread)) >= 0:
        fc_sigmoid(x + chunk * CHUNK, min(CHUNK, c.count - chunk * CHUNK),
                   <float*> c.y + chunk * CHUNK)


def sigmoid(const float[::1] x, float[::1] y, int num_threads, /):
    """y = 1 / (1 + exp(-x)); y may be x."""
    cdef Call c
    run_chunks(sigmoid_tasks, &c, &x[0], NULL, &y[0], x.shape[0], num_threads)


cdef void softmax_tasks(void* context, int thread) noexcept nogil:
    cdef Call* c = <Call*> context
    cdef const float* x = <const float*> c.inputs[0]
    cdef ptrdiff_t row
    while (row := next_task(c.works, thread)) >= 0:
        fc_softmax(x + row * c.width, c.width, <float*> c.y + row * c.width)


def softmax(const float[:, ::1] x, float[:, ::1] y, int num_threads, /):
    """y = exp(x) / sum(exp(x)) along each row; y may be x."""
    cdef Call c
    c.inputs[0], c.inputs[1], c.y, c.width = &x[0, 0], NULL, &y[0, 0], x.shape[1]
    share_work(c.works, x.shape[0], num_threads)
    run(softmax_tasks, &c, c.works, 1, num_threads)
