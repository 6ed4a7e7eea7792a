"""Cross-entropies with their gradients, and means of losses, in double precision.

A row is one sum; rows are added in a fixed order, so results do not depend on the threads.
"""

from cython.parallel cimport parallel, threadid
from libc.math cimport exp, fabs, log, log1p
from libc.stddef cimport ptrdiff_t

from _fastconv._work cimport Work, join_team, next_task, share_work

join_team()

cdef enum:
    SUM_VALUES = 128      # losses that are added one after another


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
                         int num_threads, /):
    """Means along the rows of -t log p - (1 - t) log(1 - p), p a sigmoid, and their gradients."""
    cdef ptrdiff_t row
    cdef Work work
    share_work(&work, logits.shape[0], num_threads)
    with nogil, parallel(num_threads=num_threads):
        while (row := next_task(&work, threadid())) >= 0:
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
                          int num_threads, /):
    """-sum(t log p) along the rows, p a softmax of the logits, and their gradients."""
    cdef ptrdiff_t row
    cdef Work work
    share_work(&work, logits.shape[0], num_threads)
    with nogil, parallel(num_threads=num_threads):
        while (row := next_task(&work, threadid())) >= 0:
            losses[row] = softmax_cross_entropy_row(&logits[row, 0], &targets[row, 0],
                                                    logits.shape[1], &gradient[row, 0])


def extremes(const double[::1] values, /):
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
              int num_threads, /):
    """Return the weighted sum of losses over their number."""
    cdef ptrdiff_t rows = losses.shape[0], outputs = gradient.shape[1], row, o
    cdef const double* factors = NULL if weights is None else &weights[0]
    cdef double total
    cdef Work work
    share_work(&work, rows, num_threads)
    with nogil:
        total = weighted_sum(&losses[0], factors, 0, rows)
    with nogil, parallel(num_threads=num_threads):
        while (row := next_task(&work, threadid())) >= 0:
            for o in range(outputs):
                gradient[row, o] = <float> (
                    gradients[row, o] * (1.0 if factors == NULL else factors[row]) / rows)
    return total / rows
