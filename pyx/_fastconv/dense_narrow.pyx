"""Dense layers of few outputs, less than fill some vectors: W transposed, (outputs, inputs).

Vectors run along the inputs.  Output: four samples and a part of the inputs at a time (parallel)
as dot products, the parts' sums added in order.  Gradients, a part of the samples and BLOCK inputs
at a time (parallel): dkernel in rows of sums that stay in L1 while the samples pass by, four at a
time; dx as sums of rows of W, right after x was read: in x's place it costs no memory traffic of
its own but the writing, which is half of that of an array apart.  Parts of the samples have sums
of their own, added in order: so a thread meets the samples that it made in the layer before, and
that memory traffic is small beside theirs.
"""

from cython.parallel cimport parallel, threadid
from libc.stddef cimport ptrdiff_t
from libc.string cimport memcpy, memset

from _fastconv._dense cimport add_parts, bias_gradient
from _fastconv._tiles cimport (
    DOT_COLUMNS, DOT_ROWS, dot_tile, float_mode, flush_denormals, real, restore_denormals, widest,
)
from _fastconv._work cimport Work, join_team, next_task, run, share_work, wait_for_all

join_team()

cdef enum:
    BLOCK = 2048          # inputs of a gradient task
    SAMPLES = 4           # that a sum takes in at a time


BLOCK_INPUTS = BLOCK


cdef void transpose_rows(const real* kernel, real* transposed, ptrdiff_t inputs,
                         ptrdiff_t outputs, ptrdiff_t first, ptrdiff_t last) noexcept nogil:
    cdef ptrdiff_t i, t
    for i in range(first, last):
        for t in range(outputs):
            transposed[t * inputs + i] = kernel[i * outputs + t]


cdef const real* transposed_weights(const real* kernel, real* transposed, ptrdiff_t inputs,
                                ptrdiff_t outputs, int num_threads):
    """Return W as (outputs, inputs)."""
    cdef ptrdiff_t block
    cdef Work work
    if outputs == 1:
        return kernel
    share_work(&work, (inputs + BLOCK - 1) // BLOCK, num_threads)
    with nogil, parallel(num_threads=num_threads):
        while (block := next_task(&work, threadid())) >= 0:
            transpose_rows(kernel, transposed, inputs, outputs, block * BLOCK,
                           min((block + 1) * BLOCK, inputs))
    return transposed


cdef void dots(int samples, const real* x, const real* weights, real* sums,
                      ptrdiff_t inputs, ptrdiff_t outputs, ptrdiff_t length) noexcept nogil:
    cdef ptrdiff_t t = 0
    while t < outputs:
        dot_tile(samples, <int> min(DOT_COLUMNS, outputs - t), x, inputs, weights + t * inputs,
                 inputs, length, sums + t, outputs, 1, 0)
        t += DOT_COLUMNS


cdef struct Call:         # what `output` runs
    const void* inputs[2]
    const void* kernel
    const void* bias
    void* y
    void* sums
    void* transposed
    ptrdiff_t sums_row
    ptrdiff_t batch
    ptrdiff_t inner       # inputs of a sample
    ptrdiff_t outputs
    ptrdiff_t parts
    Work works[3]


cdef void output_tasks(Call* c, int thread, const real* kernel) noexcept nogil:
    cdef const real* x = <const real*> c.inputs[0]
    cdef const real* weights = kernel if c.outputs == 1 else <const real*> c.transposed
    cdef real* sums = <real*> c.sums
    cdef ptrdiff_t task, first, last, sample
    while (task := next_task(c.works, thread)) >= 0:
        transpose_rows(kernel, <real*> c.transposed, c.inner, c.outputs, task * BLOCK,
                       min((task + 1) * BLOCK, c.inner))
    wait_for_all()
    while (task := next_task(c.works + 1, thread)) >= 0:
        sample = task // c.parts * DOT_ROWS
        first = task % c.parts * c.inner // c.parts
        last = (task % c.parts + 1) * c.inner // c.parts
        dots(<int> min(DOT_ROWS, c.batch - sample), x + sample * c.inner + first, weights + first,
             sums + task % c.parts * c.sums_row + sample * c.outputs, c.inner, c.outputs,
             last - first)
    wait_for_all()
    while (sample := next_task(c.works + 2, thread)) >= 0:
        add_parts(c.outputs, sums + sample * c.outputs, c.parts, c.sums_row,
                  <const real*> c.bias, <real*> c.y + sample * c.outputs)


cdef void output_f32(void* context, int thread) noexcept nogil:
    output_tasks(<Call*> context, thread, <const float*> (<Call*> context).kernel)


cdef void output_f64(void* context, int thread) noexcept nogil:
    output_tasks(<Call*> context, thread, <const widest*> (<Call*> context).kernel)


def output(const real[:, ::1] x,      # IN (batch, inputs)
                  const real[:, ::1] kernel, # IN (inputs, outputs)
                  const real[::1] bias,      # IN (outputs,) or None
                  real[:, ::1] y,            # OUT (batch, outputs)
                  real[:, ::1] sums,         # SCRATCH (parts, batch * outputs)
                  real[::1] transposed,      # SCRATCH (outputs * inputs)
                  int parts, int num_threads, /):
    """y = x kernel + bias: samples by four - parts of the inputs."""
    cdef Call c
    c.inputs[0], c.inputs[1] = &x[0, 0], NULL
    c.kernel, c.bias, c.y = &kernel[0, 0], NULL if bias is None else &bias[0], &y[0, 0]
    c.batch, c.inner, c.outputs, c.parts = x.shape[0], x.shape[1], y.shape[1], parts
    c.transposed, c.sums, c.sums_row = &transposed[0], &sums[0, 0], sums.shape[1]
    share_work(c.works, (c.inner + BLOCK - 1) // BLOCK if c.outputs > 1 else 0, num_threads)
    share_work(c.works + 1, (c.batch + DOT_ROWS - 1) // DOT_ROWS * parts, num_threads)
    share_work(c.works + 2, c.batch, num_threads)
    run(output_f32 if real is float else output_f64, &c, c.works, 3, num_threads)


cdef void add_products(const real* dy, const real* x, ptrdiff_t inputs, ptrdiff_t outputs,
                       int samples, real* sums, ptrdiff_t sums_step,
                       ptrdiff_t length) noexcept nogil:
    """sums[t] += x' dy of up to four samples, for every output t."""
    cdef ptrdiff_t i, t
    cdef int sample
    cdef real a, b, c, d
    cdef const real* p = x
    cdef const real* q = p + inputs
    cdef const real* r = q + inputs
    cdef const real* s = r + inputs
    for t in range(outputs):
        if samples == SAMPLES:
            a = dy[t]
            b = dy[outputs + t]
            c = dy[2 * outputs + t]
            d = dy[3 * outputs + t]
            for i in range(length):
                sums[i] = sums[i] + a * p[i] + b * q[i] + c * r[i] + d * s[i]
        else:
            for sample in range(samples):
                a = dy[sample * outputs + t]
                p = x + sample * inputs
                for i in range(length):
                    sums[i] = sums[i] + a * p[i]
        sums += sums_step


cdef void input_gradient_run(const real* dy, const real* weights, ptrdiff_t inputs,
                             ptrdiff_t outputs, real* dx, ptrdiff_t length) noexcept nogil:
    """dx = W dy of one sample."""
    cdef ptrdiff_t i, t
    cdef real factor = dy[0]
    for i in range(length):
        dx[i] = factor * weights[i]
    for t in range(1, outputs):
        weights += inputs
        factor = dy[t]
        for i in range(length):
            dx[i] += factor * weights[i]


cdef void gradients_block(const real* dy, const real* x, const real* weights, real* dx,
                          real* sums, ptrdiff_t sums_step, ptrdiff_t samples, ptrdiff_t inputs,
                          ptrdiff_t outputs, ptrdiff_t length) noexcept nogil:
    cdef ptrdiff_t sample = 0, last, t
    for t in range(outputs):
        memset(sums + t * sums_step, 0, <size_t> length * sizeof(real))
    while sample < samples:
        last = min(sample + SAMPLES, samples)
        add_products(dy + sample * outputs, x + sample * inputs, inputs, outputs,
                     <int> (last - sample), sums, sums_step, length)
        while sample < last:
            if dx != NULL:
                input_gradient_run(dy + sample * outputs, weights, inputs, outputs,
                                   dx + sample * inputs, length)
            sample += 1


cdef void add_sums(real* sums, ptrdiff_t parts, ptrdiff_t part_size, ptrdiff_t sums_step,
                   ptrdiff_t outputs, ptrdiff_t length, real* dkernel) noexcept nogil:
    """dkernel (length, outputs) = the parts' sums, added in order to those of the first."""
    cdef ptrdiff_t part, i, t
    cdef real* total = sums
    cdef const real* other
    for t in range(outputs):
        for part in range(1, parts):
            other = total + part * part_size
            for i in range(length):
                total[i] += other[i]
        if outputs == 1:
            memcpy(dkernel, total, <size_t> length * sizeof(real))
            return
        for i in range(length):
            dkernel[i * outputs + t] = total[i]
        total += sums_step


def gradients(const real[:, ::1] dy,     # IN (batch, outputs)
              const real[:, ::1] x,      # IN (batch, inputs)
              const real[:, ::1] kernel, # IN (inputs, outputs)
              real[:, ::1] dx,           # OUT (batch, inputs) or None; may be x
              real[:, ::1] dkernel,      # OUT (inputs, outputs)
              real[::1] dbias,           # OUT (outputs,) or None
              real[::1] transposed,      # SCRATCH (outputs * inputs)
              real[:, ::1] sums,         # SCRATCH (parts, outputs * inputs), or of a single part
                                         # (threads, outputs * BLOCK)
              ptrdiff_t parts, int num_threads, /):
    """dx, dkernel and dbias: parts of the samples - blocks of inputs - samples by four - outputs -
    inputs."""
    cdef ptrdiff_t batch = x.shape[0], inputs = x.shape[1], outputs = dy.shape[1]
    cdef ptrdiff_t blocks = (inputs + BLOCK - 1) // BLOCK
    cdef const real* weights = NULL
    cdef real* input_gradient
    cdef ptrdiff_t task, block, part, first, length, sample
    cdef Work work, adding
    cdef float_mode mode = 0
    if dbias is not None:
        bias_gradient(&dy[0, 0], &dbias[0], batch, outputs)
    if dx is not None:
        weights = transposed_weights(&kernel[0, 0], &transposed[0], inputs, outputs, num_threads)
    share_work(&work, parts * blocks, num_threads)
    share_work(&adding, blocks, num_threads)
    with nogil, parallel(num_threads=num_threads):
        mode = flush_denormals()
        while (task := next_task(&work, threadid())) >= 0:
            part = task // blocks
            first = task % blocks * BLOCK
            length = min(BLOCK, inputs - first)
            sample = part * batch // parts
            input_gradient = NULL if dx is None else &dx[sample, first]
            if parts > 1:
                gradients_block(&dy[sample, 0], &x[sample, first], weights + first,
                                input_gradient, &sums[part, first], inputs,
                                (part + 1) * batch // parts - sample, inputs, outputs, length)
                continue
            gradients_block(&dy[0, 0], &x[0, first], weights + first, input_gradient,
                            &sums[threadid(), 0], BLOCK, batch, inputs, outputs, length)
            add_sums(&sums[threadid(), 0], 1, 0, BLOCK, outputs, length, &dkernel[first, 0])
        if parts > 1:
            wait_for_all()
            while (block := next_task(&adding, threadid())) >= 0:
                add_sums(&sums[0, block * BLOCK], parts, sums.shape[1], inputs, outputs,
                         min(BLOCK, inputs - block * BLOCK), &dkernel[block * BLOCK, 0])
        restore_denormals(mode)
