"""Optimizers' update rules and elementwise passes: one sweep over memory each.

Loops: fixed chunks of CHUNK values (parallel) - values.  Every value is its own
sum, so results do not depend on the number of threads; `sum_of_squares` adds
its chunks in order.  The rules are Keras 3's, in float32 as Keras computes them.
"""

from cython.parallel cimport parallel, prange
from libc.math cimport sqrtf
from libc.stddef cimport ptrdiff_t

from _fastconv._tiles cimport float_mode, flush_denormals, real, restore_denormals

cdef enum:
    CHUNK = 8192          # values: 32 KB of each array, small enough to share out evenly

CHUNK_VALUES = CHUNK

cdef struct Rule:
    # What all update rules share, applied in this order.
    float decay           # weight_decay * learning_rate
    float scale           # of the gradient
    float clip            # largest absolute gradient; 0 is no limit


cdef inline float prepared(float gradient, Rule rule) noexcept nogil:
    gradient = gradient * rule.scale
    if rule.clip > 0:
        gradient = min(max(gradient, -rule.clip), rule.clip)
    return gradient


cdef void sgd_chunk(float* w, const float* g, float* velocity, ptrdiff_t count, Rule rule,
                    float learning_rate, float momentum, bint nesterov) noexcept nogil:
    cdef ptrdiff_t i
    cdef float gradient, v
    if velocity == NULL:
        for i in range(count):
            w[i] = w[i] - w[i] * rule.decay - learning_rate * prepared(g[i], rule)
        return
    for i in range(count):
        gradient = prepared(g[i], rule)
        v = momentum * velocity[i] - learning_rate * gradient
        velocity[i] = v
        w[i] = w[i] - w[i] * rule.decay + (
            momentum * v - learning_rate * gradient if nesterov else v)


cdef void adam_chunk(float* w, const float* g, float* m, float* v, ptrdiff_t count, Rule rule,
                     float rate, float beta_1, float beta_2, float epsilon) noexcept nogil:
    cdef ptrdiff_t i
    cdef float gradient
    for i in range(count):
        gradient = prepared(g[i], rule)
        m[i] += (gradient - m[i]) * (1 - beta_1)
        v[i] += (gradient * gradient - v[i]) * (1 - beta_2)
        w[i] = w[i] - w[i] * rule.decay - m[i] * rate / (sqrtf(v[i]) + epsilon)


cdef void rmsprop_chunk(float* w, const float* g, float* square, float* velocity, float* mean,
                        ptrdiff_t count, Rule rule, float learning_rate, float rho,
                        float momentum, float epsilon) noexcept nogil:
    cdef ptrdiff_t i
    cdef float gradient, denominator, increment
    for i in range(count):
        gradient = prepared(g[i], rule)
        square[i] = rho * square[i] + (1 - rho) * gradient * gradient
        denominator = square[i]
        if mean != NULL:
            mean[i] = rho * mean[i] + (1 - rho) * gradient
            denominator = denominator - mean[i] * mean[i]
        # Epsilon last: added to the square first, it would be lost beside a large one.
        increment = learning_rate * gradient / sqrtf(denominator + epsilon)
        if velocity != NULL:
            velocity[i] = momentum * velocity[i] + increment
            increment = velocity[i]
        w[i] = w[i] - w[i] * rule.decay - increment


def sgd(float[::1] value, const float[::1] gradient, float[::1] velocity, float learning_rate,
        float momentum, bint nesterov, float scale, float clip, float decay, int num_threads):
    """One step of (Nesterov) momentum; `velocity` is None where momentum is 0."""
    cdef ptrdiff_t count = value.shape[0], chunk
    cdef float* slot = NULL if velocity is None else &velocity[0]
    cdef Rule rule = Rule(decay, scale, clip)
    cdef float_mode mode = 0
    with nogil, parallel(num_threads=num_threads):
        mode = flush_denormals()
        for chunk in prange((count + CHUNK - 1) // CHUNK, schedule="static"):
            sgd_chunk(&value[chunk * CHUNK], &gradient[chunk * CHUNK],
                      NULL if slot == NULL else slot + chunk * CHUNK,
                      min(CHUNK, count - chunk * CHUNK), rule, learning_rate, momentum, nesterov)
        restore_denormals(mode)


def adam(float[::1] value, const float[::1] gradient, float[::1] m, float[::1] v, float rate,
         float beta_1, float beta_2, float epsilon, float scale, float clip, float decay,
         int num_threads):
    """One step of Adam; `rate` is the learning rate with the bias correction in it."""
    cdef ptrdiff_t count = value.shape[0], chunk
    cdef Rule rule = Rule(decay, scale, clip)
    cdef float_mode mode = 0
    with nogil, parallel(num_threads=num_threads):
        mode = flush_denormals()
        for chunk in prange((count + CHUNK - 1) // CHUNK, schedule="static"):
            adam_chunk(&value[chunk * CHUNK], &gradient[chunk * CHUNK], &m[chunk * CHUNK],
                       &v[chunk * CHUNK], min(CHUNK, count - chunk * CHUNK), rule, rate, beta_1,
                       beta_2, epsilon)
        restore_denormals(mode)


def rmsprop(float[::1] value, const float[::1] gradient, float[::1] square, float[::1] velocity,
            float[::1] mean, float learning_rate, float rho, float momentum, float epsilon,
            float scale, float clip, float decay, int num_threads):
    """One step of RMSprop; `velocity` and `mean` are None where they are not used."""
    cdef ptrdiff_t count = value.shape[0], chunk
    cdef float* velocity_slot = NULL if velocity is None else &velocity[0]
    cdef float* mean_slot = NULL if mean is None else &mean[0]
    cdef Rule rule = Rule(decay, scale, clip)
    cdef float_mode mode = 0
    with nogil, parallel(num_threads=num_threads):
        mode = flush_denormals()
        for chunk in prange((count + CHUNK - 1) // CHUNK, schedule="static"):
            rmsprop_chunk(&value[chunk * CHUNK], &gradient[chunk * CHUNK], &square[chunk * CHUNK],
                          NULL if velocity_slot == NULL else velocity_slot + chunk * CHUNK,
                          NULL if mean_slot == NULL else mean_slot + chunk * CHUNK,
                          min(CHUNK, count - chunk * CHUNK), rule, learning_rate, rho, momentum,
                          epsilon)
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
