"""Dense layers: y = x W + b and its gradients, W as (inputs, outputs) row-major.

Outputs are split in two.  The *wide* part, a whole number of vectors, runs on
register tiles of samples by outputs.  The *tail*, the
outputs left over (all of them for a layer of one output), runs on a transposed
copy whose rows are contiguous along the inputs.

Output: the inputs are cut into a fixed number of parts (parallel); a part walks
its rows of W once, in blocks of BLOCK inputs that are copied panel by panel into
L2 while they stream in and stay there while all samples pass by - where they lie,
rows of 2 KB would all fall into the same few sets of L1.  The parts' private sums
are then added in order.
Gradients: blocks of BLOCK inputs (parallel), each of which owns its rows of
dkernel and its columns of dx.
"""

from cython.parallel cimport parallel, prange, threadid
from libc.stddef cimport ptrdiff_t
from libc.string cimport memcpy

from _fastconv._tiles cimport (
    DOT_COLUMNS, DOT_ROWS, TILE_ROWS, conv_tile, dot_tile, float_mode, flush_denormals,
    gradient_tile, lanes, real, restore_denormals,
)

cdef enum:
    BLOCK = 96            # inputs: with 512 outputs 192 KB of weights; a multiple of TILE_ROWS

BLOCK_INPUTS = BLOCK

cdef struct Dense:
    ptrdiff_t batch
    ptrdiff_t inputs
    ptrdiff_t outputs
    ptrdiff_t wide
    ptrdiff_t tail


cdef void pack_block(const Dense* d, const real* kernel, real* packed, ptrdiff_t length,
                     ptrdiff_t outputs) noexcept nogil:
    """Copy `length` rows of W, `outputs` wide, as panels of two vectors (the last may be one)."""
    cdef ptrdiff_t row, start, width = 2 * lanes(kernel)
    for row in range(length):
        start = 0
        while start < outputs:
            memcpy(packed + start * length + row * min(width, outputs - start),
                   kernel + row * d.outputs + start,
                   <size_t> min(width, outputs - start) * sizeof(real))
            start += width


cdef void output_part(const Dense* d, const real* x, const real* kernel, real* sums,
                      ptrdiff_t first, ptrdiff_t last, ptrdiff_t from_output,
                      ptrdiff_t to_output, real* packed) noexcept nogil:
    """sums (batch, wide) = x[:, first:last] W[first:last, from_output:to_output]."""
    cdef ptrdiff_t block = first, start, sample, length, width
    cdef int i, rows
    cdef ptrdiff_t no_offset = 0
    cdef const real* pixel[16]
    cdef real* out[16]
    while block < last:
        length = min(BLOCK, last - block)
        pack_block(d, kernel + block * d.outputs + from_output, packed, length,
                   to_output - from_output)
        start = from_output
        while start < to_output:
            width = min(2 * lanes(x), to_output - start)
            sample = 0
            while sample < d.batch:
                rows = <int> min(TILE_ROWS, d.batch - sample)
                for i in range(rows):
                    pixel[i] = x + (sample + i) * d.inputs + block
                    out[i] = sums + (sample + i) * d.wide + start
                conv_tile(rows, <int> (width // lanes(x)), pixel, out, &no_offset, 1,
                          <int> length, packed + (start - from_output) * length, width,
                          <const real*> NULL, block > first, <int> width, 0)
                sample += rows
            start += width
        block += length


cdef void output_sample(const Dense* d, const real* sums, ptrdiff_t parts,
                        ptrdiff_t part_size, const real* bias, real* y,
                        ptrdiff_t sample) noexcept nogil:
    cdef ptrdiff_t part, o
    cdef real* target = y + sample * d.outputs
    cdef const real* source = sums + sample * d.wide
    for o in range(d.wide):
        target[o] = source[o]
    for part in range(1, parts):
        source += part_size
        for o in range(d.wide):
            target[o] += source[o]
    if bias != NULL:
        for o in range(d.outputs):
            target[o] += bias[o]


cdef void output_tail(const Dense* d, const real* x, const real* tail_kernel, real* y,
                      ptrdiff_t sample) noexcept nogil:
    cdef ptrdiff_t t = 0
    cdef int rows = <int> min(DOT_ROWS, d.batch - sample)
    while t < d.tail:
        dot_tile(rows, <int> min(DOT_COLUMNS, d.tail - t), x + sample * d.inputs, d.inputs,
                 tail_kernel + t * d.inputs, d.inputs, d.inputs,
                 y + sample * d.outputs + d.wide + t, d.outputs, 1, 0)
        t += DOT_COLUMNS


cdef void transpose_tail(const Dense* d, const real* kernel, real* tail_kernel,
                         ptrdiff_t first, ptrdiff_t last) noexcept nogil:
    cdef ptrdiff_t i, t
    for i in range(first, last):
        for t in range(d.tail):
            tail_kernel[t * d.inputs + i] = kernel[i * d.outputs + d.wide + t]


def output(const real[:, ::1] x,             # IN (batch, inputs)
           const real[:, ::1] kernel,        # IN (inputs, outputs)
           const real[::1] bias,             # IN (outputs,) or None
           real[:, ::1] y,                   # OUT (batch, outputs)
           real[:, ::1] sums,                # SCRATCH (parts, batch * wide or more)
           real[::1] tail_kernel,            # SCRATCH (tail * inputs)
           real[:, ::1] packed,              # SCRATCH (threads, BLOCK * wide)
           int parts, int num_threads):
    """y = x kernel + bias."""
    cdef Dense d = dense_of(x.shape[0], x.shape[1], y.shape[1], &y[0, 0])
    cdef ptrdiff_t columns = 2 * lanes(&y[0, 0])
    cdef ptrdiff_t splits = 1 if parts > 1 else max((d.wide + columns - 1) // columns, 1)
    cdef ptrdiff_t task, part, split
    cdef const real* offsets = NULL if bias is None else &bias[0]
    cdef const real* tail = tail_weights(&d, &kernel[0, 0], &tail_kernel[0], num_threads)
    cdef float_mode mode = 0
    with nogil, parallel(num_threads=num_threads):
        mode = flush_denormals()
        if d.wide:
            for task in prange(parts * splits, schedule="dynamic"):
                part = task // splits
                split = task % splits
                output_part(&d, &x[0, 0], &kernel[0, 0], &sums[part, 0],
                            part * d.inputs // parts, (part + 1) * d.inputs // parts,
                            split * columns if splits > 1 else 0,
                            min((split + 1) * columns, d.wide) if splits > 1 else d.wide,
                            &packed[threadid(), 0])
        if d.tail:
            for task in prange((d.batch + DOT_ROWS - 1) // DOT_ROWS, schedule="dynamic"):
                output_tail(&d, &x[0, 0], tail, &y[0, 0], task * DOT_ROWS)
        for task in prange(d.batch, schedule="static"):
            output_sample(&d, &sums[0, 0], parts, sums.shape[1], offsets, &y[0, 0], task)
        restore_denormals(mode)


cdef void kernel_gradient_block(const Dense* d, const real* x, const real* dy, real* dkernel,
                                ptrdiff_t first, ptrdiff_t last) noexcept nogil:
    cdef ptrdiff_t start = 0, i, t, sample
    cdef int vectors
    cdef real factor
    cdef real sums[BLOCK]
    while start < d.wide:
        vectors = 2 if d.wide - start > lanes(x) else 1
        i = first
        while i < last:
            gradient_tile(<int> min(TILE_ROWS, last - i), vectors, x + i, d.inputs, 0, dy + start,
                          d.outputs, 1, <int> d.batch, dkernel + i * d.outputs + start,
                          d.outputs, 1)
            i += TILE_ROWS
        start += vectors * lanes(x)
    for t in range(d.wide, d.outputs):
        for i in range(last - first):
            sums[i] = 0
        for sample in range(d.batch):
            factor = dy[sample * d.outputs + t]
            for i in range(last - first):
                sums[i] += factor * x[sample * d.inputs + first + i]
        for i in range(last - first):
            dkernel[(first + i) * d.outputs + t] = sums[i]


cdef void input_gradient_block(const Dense* d, const real* dy, const real* kernel,
                               const real* tail_kernel, real* dx, ptrdiff_t first,
                               ptrdiff_t last) noexcept nogil:
    cdef ptrdiff_t sample, i, t
    cdef real factor
    cdef real* target
    if d.wide:
        # A few rows of W stay in L1 while the samples pass by.
        i = first
        while i < last:
            sample = 0
            while sample < d.batch:
                dot_tile(<int> min(DOT_ROWS, d.batch - sample),
                         <int> min(DOT_COLUMNS, last - i), dy + sample * d.outputs, d.outputs,
                         kernel + i * d.outputs, d.outputs, d.wide, dx + sample * d.inputs + i,
                         d.inputs, 1, 0)
                sample += DOT_ROWS
            i += DOT_COLUMNS
    for sample in range(d.batch):
        target = dx + sample * d.inputs
        if not d.wide:
            for i in range(first, last):
                target[i] = 0
        for t in range(d.tail):
            factor = dy[sample * d.outputs + d.wide + t]
            for i in range(first, last):
                target[i] += factor * tail_kernel[t * d.inputs + i]


def gradients(const real[:, ::1] dy,         # IN (batch, outputs)
              const real[:, ::1] x,          # IN (batch, inputs)
              const real[:, ::1] kernel,     # IN (inputs, outputs)
              real[:, ::1] dx,               # OUT (batch, inputs) or None
              real[:, ::1] dkernel,          # OUT (inputs, outputs)
              real[::1] dbias,               # OUT (outputs,) or None
              real[::1] tail_kernel,         # SCRATCH (tail * inputs)
              int num_threads):
    """dkernel = x' dy, dx = dy kernel', dbias = the samples' sum of dy."""
    cdef Dense d = dense_of(x.shape[0], x.shape[1], dy.shape[1], &dkernel[0, 0])
    cdef real* input_gradient = NULL if dx is None else &dx[0, 0]
    cdef const real* tail = NULL
    cdef ptrdiff_t task, sample, o
    cdef float_mode mode = 0
    if input_gradient != NULL:
        tail = tail_weights(&d, &kernel[0, 0], &tail_kernel[0], num_threads)
    if dbias is not None:
        for o in range(d.outputs):
            dbias[o] = 0
        for sample in range(d.batch):
            for o in range(d.outputs):
                dbias[o] += dy[sample, o]
    with nogil, parallel(num_threads=num_threads):
        mode = flush_denormals()
        for task in prange((d.inputs + BLOCK - 1) // BLOCK, schedule="dynamic"):
            kernel_gradient_block(&d, &x[0, 0], &dy[0, 0], &dkernel[0, 0], task * BLOCK,
                                  min((task + 1) * BLOCK, d.inputs))
            if input_gradient != NULL:
                input_gradient_block(&d, &dy[0, 0], &kernel[0, 0], tail, input_gradient,
                                     task * BLOCK, min((task + 1) * BLOCK, d.inputs))
        restore_denormals(mode)


cdef const real* tail_weights(const Dense* d, const real* kernel, real* tail_kernel,
                              int num_threads):
    cdef ptrdiff_t block
    if d.outputs == 1:
        return kernel
    with nogil:
        for block in prange((d.inputs + BLOCK - 1) // BLOCK if d.tail else 0, schedule="static",
                            num_threads=num_threads):
            transpose_tail(d, kernel, tail_kernel, block * BLOCK,
                           min((block + 1) * BLOCK, d.inputs))
    return tail_kernel


cdef Dense dense_of(ptrdiff_t batch, ptrdiff_t inputs, ptrdiff_t outputs, const real* kind):
    cdef Dense d
    d.batch = batch
    d.inputs = inputs
    d.outputs = outputs
    d.wide = outputs // lanes(kind) * lanes(kind)
    d.tail = outputs - d.wide
    return d
