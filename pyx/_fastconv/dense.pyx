"""Dense layers: y = x W + b and its gradients, W as (inputs, outputs) row-major.

What is 0 is skipped: behind a ReLU or a dropout most of x is, and a product with
0 changes no bit of a sum (a NaN or infinity in W or dy aside, which a 0 in x hides).
Outputs and kernel gradient are sums over lists of the rest, see simd/dense_template.h,
on *panels*: stretches of rows a few vectors wide, copied into an array of their own
because rows of 2 KB, where they lie, would all fall into the same few sets of L1.
*Groups* of panels keep a task's working set inside L2 however many outputs there are.

Output: the inputs are cut into a fixed number of parts (parallel, times groups); a part
walks its rows of W once, BLOCK inputs at a time: list each sample's inputs, pack the rows that
any of them needs to panels, then panels - samples - inputs.  One sample has no use for panels: the
rows of W it needs pass by once.  The parts' private sums are then added in order.
Gradients, ROWS inputs at a time (parallel): list the samples of each input; dx are dots
of a row of W with dy, all of them or the listed ones, or, where samples fill vectors and
less than 60 % of x is 0, tiles of W's values and dy transposed, samples as lanes.  Lists and
dy are kept: from them `kernel_gradient` makes dkernel, group by group in scratch, and
`update` makes the same without writing it: an optimizer's rule takes it from L2.
Layers of few outputs are `dense_narrow`'s.
"""

from cython.parallel cimport parallel, threadid
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t
from libc.string cimport memcpy, memmove, memset

from _fastconv._dense cimport (
    BLOCK, PANEL_VECTORS, Dense, add_parts, bias_gradient, pack_row, dense_of, dot_list,
    fc_fill_compress_table, find_active, group_outputs, group_padded, list_inputs, list_samples,
    output_pass, sum_rows, tile_rows,
)
from _fastconv._rules cimport RULE_SLOTS, Rule, apply_rule, rule_from, slots_from
from _fastconv._tiles cimport (
    DOT_COLUMNS, DOT_ROWS, dot_tile, float_mode, flush_denormals, lanes, prefetch, real,
    restore_denormals, transpose, widest,
)
from _fastconv._work cimport Work, join_team, next_task, run, share_work, wait_for_all

join_team()

cdef enum:
    PANEL_ROWS = BLOCK + 1  # rows of the panels 16 KB apart would fall into one set of L1
    LIST = BLOCK + 1      # numbers of a list with its length
    ROWS = 32             # inputs of a gradient task: with 512 outputs 64 KB of scratch
    SAMPLES = 128            # outputs that are transposed at a time


BLOCK_INPUTS = BLOCK
PACKED_ROWS = PANEL_ROWS
GRADIENT_ROWS = ROWS
MOST_PANEL_VECTORS = PANEL_VECTORS

fc_fill_compress_table()


cdef void output_part(const Dense* d, const real* x, const real* kernel, real* sums,
                      ptrdiff_t first, ptrdiff_t last, ptrdiff_t group, real* packed,
                      int32_t* rows, real* factors) noexcept nogil:
    """sums (batch, padded) = x[:, first:last] W[first:last], the columns of one group."""
    cdef ptrdiff_t block = first, length, following, ahead, sample, i, start, listed
    cdef ptrdiff_t column = group * d.group, width = group_padded(d, group)
    cdef bint few = d.vectors < 4, tiled
    cdef const real* panel
    cdef const real* following_rows
    cdef int32_t* list
    cdef int32_t active[BLOCK]  # whether a row of W is needed at all
    for sample in range(d.batch):
        memset(sums + sample * d.padded + column, 0, <size_t> width * sizeof(real))
    memset(active, 1, sizeof(active))
    if not few:
        find_active(x + block, d.inputs, d.batch, <int> min(BLOCK, last - block), active)
    while block < last:
        length = min(BLOCK, last - block)
        # Few outputs are summed in less time than it takes to list what they are sums of.
        listed = length * d.batch if few else 0
        for sample in range(0 if few else d.batch):
            list = rows + sample * LIST  # its length first
            list[0] = list_inputs(x + sample * d.inputs + block, <int> length, list + 1,
                                  factors + sample * BLOCK)
            listed += list[0]
        # A tile shares each load of W between samples: no slower than lists this long.
        tiled = 4 * listed > 3 * length * d.batch
        for i in range(length):
            if tiled or active[i]:
                pack_row(kernel + (block + i) * d.outputs + column, group_outputs(d, group),
                         d.vectors, packed + i * d.width, PANEL_ROWS * d.width)
        following = min(BLOCK, last - block - length)
        if not few:
            find_active(x + block + length, d.inputs, d.batch, <int> following, active)
        start = 0
        while start < width:
            panel = packed + start * PANEL_ROWS
            following_rows = kernel + (block + length) * d.outputs + column + start
            if tiled:
                for i in range(following):
                    if active[i]:
                        prefetch(following_rows + i * d.outputs, d.width)
                tile_rows(d, x + block, d.inputs, d.batch, panel, length, sums + column + start,
                          d.padded, 1)
                start += d.width
                continue
            ahead = 0
            for sample in range(d.batch):
                # Each sample's share of the rows that come next; a division here would be felt.
                while ahead * d.batch < (sample + 1) * following:
                    if active[ahead]:
                        prefetch(following_rows + ahead * d.outputs, d.width)
                    ahead += 1
                list = rows + sample * LIST
                sum_rows(d.vectors, panel, list + 1, factors + sample * BLOCK, list[0],
                         sums + sample * d.padded + column + start, 1)
            start += d.width
        block += length


cdef struct Call:         # what `output` runs
    const void* inputs[2]
    const void* kernel
    const void* bias
    void* y
    void* sums
    void* packed
    int32_t* rows
    void* factors
    ptrdiff_t sums_row
    ptrdiff_t packed_row
    ptrdiff_t rows_row
    ptrdiff_t factors_row
    ptrdiff_t parts
    Dense dense
    Work works[2]


cdef void output_tasks(Call* c, int thread, const real* kernel) noexcept nogil:
    cdef const Dense* d = &c.dense
    cdef const real* x = <const real*> c.inputs[0]
    cdef real* sums = <real*> c.sums
    cdef real* factors = <real*> c.factors + thread * c.factors_row
    cdef int32_t* rows = c.rows + thread * c.rows_row
    cdef ptrdiff_t task, part, first, last, sample
    while (task := next_task(c.works, thread)) >= 0:
        part = task // d.groups
        first, last = part * d.inputs // c.parts, (part + 1) * d.inputs // c.parts
        if d.batch == 1:
            output_pass(d, x, kernel, sums + part * c.sums_row, first, last, task % d.groups, rows,
                        factors)
        else:
            output_part(d, x, kernel, sums + part * c.sums_row, first, last, task % d.groups,
                        <real*> c.packed + thread * c.packed_row, rows, factors)
    wait_for_all()
    while (sample := next_task(c.works + 1, thread)) >= 0:
        add_parts(d.outputs, sums + sample * d.padded, c.parts, c.sums_row, <const real*> c.bias,
                  <real*> c.y + sample * d.outputs)


cdef void output_f32(void* context, int thread) noexcept nogil:
    output_tasks(<Call*> context, thread, <const float*> (<Call*> context).kernel)


cdef void output_f64(void* context, int thread) noexcept nogil:
    output_tasks(<Call*> context, thread, <const widest*> (<Call*> context).kernel)


def output(const real[:, ::1] x,             # IN (batch, inputs)
           const real[:, ::1] kernel,        # IN (inputs, outputs)
           const real[::1] bias,             # IN (outputs,) or None
           real[:, ::1] y,                   # OUT (batch, outputs)
           real[:, ::1] sums,                # SCRATCH (parts, batch * padded outputs)
           real[:, ::1] packed,              # SCRATCH (threads, PANEL_ROWS * group outputs)
           int32_t[:, ::1] rows,             # SCRATCH (threads, batch * LIST; one: a part's inputs)
           real[:, ::1] factors,             # SCRATCH (threads, batch * BLOCK; one: the same)
           int parts, int vectors, int panels, int num_threads, /):
    """y = x kernel + bias, in groups of `panels` panels of `vectors` vectors."""
    cdef Call c
    c.dense = dense_of(x.shape[0], x.shape[1], y.shape[1], vectors, panels, &y[0, 0])
    c.inputs[0], c.inputs[1] = &x[0, 0], NULL
    c.kernel, c.bias, c.y = &kernel[0, 0], NULL if bias is None else &bias[0], &y[0, 0]
    c.sums, c.sums_row, c.parts = &sums[0, 0], sums.shape[1], parts
    c.packed, c.packed_row = &packed[0, 0], packed.shape[1]
    c.rows, c.rows_row = &rows[0, 0], rows.shape[1]
    c.factors, c.factors_row = &factors[0, 0], factors.shape[1]
    share_work(c.works, parts * c.dense.groups, num_threads)
    share_work(c.works + 1, c.dense.batch, num_threads)
    run(output_f32 if real is float else output_f64, &c, c.works, 2, num_threads)


cdef ptrdiff_t active_count(const int32_t* counts, ptrdiff_t length) noexcept nogil:
    """Return how many values are listed for some inputs."""
    cdef ptrdiff_t i, total = 0
    for i in range(length):
        total += counts[i]
    return total


cdef void kernel_gradient_rows(const Dense* d, const real* panels, const int32_t* counts,
                               const int32_t* samples, const real* factors, ptrdiff_t length,
                               ptrdiff_t group, real* out) noexcept nogil:
    """out (length, padded group) = the kernel gradient of one group, from the inputs' lists."""
    cdef ptrdiff_t start = 0, i, width = group_padded(d, group)
    cdef bint all = active_count(counts, length) == length * d.batch
    cdef const real* panel
    while start < width:
        panel = panels + (group * d.group + start) * d.batch
        if all:
            tile_rows(d, factors, d.batch, length, panel, d.batch, out + start, width, 0)
        else:
            for i in range(length):
                sum_rows(d.vectors, panel, samples + i * d.batch, factors + i * d.batch,
                         counts[i], out + i * width + start, 0)
        start += d.width


cdef void input_gradient_rows(const Dense* d, const real* dy, const real* kernel, real* dx,
                              ptrdiff_t first, ptrdiff_t length) noexcept nogil:
    """A few rows of W stay in L1 while the samples pass by."""
    cdef ptrdiff_t sample, i = 0
    while i < length:
        sample = 0
        while sample < d.batch:
            dot_tile(<int> min(DOT_ROWS, d.batch - sample), <int> min(DOT_COLUMNS, length - i),
                     dy + sample * d.outputs, d.outputs, kernel + (first + i) * d.outputs,
                     d.outputs, d.outputs, dx + sample * d.inputs + first + i, d.inputs, 1, 0)
            sample += DOT_ROWS
        i += DOT_COLUMNS


cdef void transposed_input_gradient_rows(const Dense* d, const Dense* by_sample,
                                         const real* transposed, const real* kernel, real* dx,
                                         ptrdiff_t first, ptrdiff_t length,
                                         real* columns) noexcept nogil:
    """The same with samples as lanes: a tile of W's values times rows of dy transposed."""
    cdef ptrdiff_t sample, width = by_sample.width
    tile_rows(by_sample, kernel + first * d.outputs, d.outputs, length, transposed, d.outputs,
              columns, width, 0)
    transpose(columns, width, <int> length, <int> d.batch, columns + ROWS * width, ROWS)
    for sample in range(d.batch):
        memcpy(dx + sample * d.inputs + first, columns + (ROWS * width + sample * ROWS),
               <size_t> length * sizeof(real))


cdef void listed_input_gradient_rows(const Dense* d, const real* dy, const real* kernel, real* dx,
                                     ptrdiff_t first, ptrdiff_t length, const int32_t* counts,
                                     const int32_t* samples, real* columns) noexcept nogil:
    """The same where x is not 0, and 0 elsewhere; `columns` is scratch, (batch, ROWS)."""
    cdef ptrdiff_t sample, i
    memset(columns, 0, <size_t> (d.batch * ROWS) * sizeof(real))
    for i in range(length):
        prefetch(kernel + (first + i + 2) * d.outputs, d.outputs)
        dot_list(counts[i], kernel + (first + i) * d.outputs, dy, d.outputs,
                 samples + i * d.batch, d.outputs, columns + i, ROWS)
    for sample in range(d.batch):
        memcpy(dx + sample * d.inputs + first, columns + sample * ROWS,
               <size_t> length * sizeof(real))


def gradients(const real[:, ::1] dy,         # IN (batch, outputs)
              const real[:, ::1] x,          # IN (batch, inputs)
              const real[:, ::1] kernel,     # IN (inputs, outputs)
              real[:, ::1] dx,               # OUT (batch, inputs) or None
              real[::1] dbias,               # OUT (outputs,) or None
              int32_t[:, ::1] counts,        # OUT (blocks, ROWS): the samples of each input,
              int32_t[:, ::1] samples,       # OUT (blocks, ROWS * batch), ... which they are,
              real[:, ::1] factors,          # OUT the same: ... and its values in them
              real[::1] packed_dy,               # OUT (padded outputs * batch): dy as panels
              real[::1] transposed,          # SCRATCH (outputs * whole vectors of samples), None
              real[:, ::1] scratch,          # SCRATCH (threads, ROWS * batch; transposed: twice that,
                                             # of whole vectors of samples)
              bint at_zeros, int vectors, int panels, int num_threads, /):
    """dx = dy kernel', dbias = the samples' sum of dy, and what makes the kernel's gradient.

    Without `at_zeros` dx may be 0 where x is.  With `transposed` samples may be lanes.
    """
    cdef Dense d = dense_of(x.shape[0], x.shape[1], dy.shape[1], vectors, panels, &packed_dy[0])
    cdef int step = lanes(&packed_dy[0])
    cdef Dense by_sample = dense_of(x.shape[0], x.shape[1], dy.shape[1],
                                    <int> (x.shape[0] + step - 1) // step, 1, &packed_dy[0])
    cdef real* input_gradient = NULL if dx is None else &dx[0, 0]
    cdef bint transposes = transposed is not None and dx is not None
    cdef ptrdiff_t task, first, length, active, sample, block
    cdef Work work, packing, transposing
    cdef float_mode mode = 0
    if dbias is not None:
        bias_gradient(&dy[0, 0], &dbias[0], d.batch, d.outputs)
    share_work(&packing, d.batch, num_threads)
    share_work(&transposing, (d.outputs + SAMPLES - 1) // SAMPLES if transposes else 0,
               num_threads)
    share_work(&work, (d.inputs + ROWS - 1) // ROWS, num_threads)
    with nogil, parallel(num_threads=num_threads):
        mode = flush_denormals()
        while (sample := next_task(&packing, threadid())) >= 0:
            pack_row(&dy[sample, 0], d.outputs, d.vectors, &packed_dy[sample * d.width],
                     d.batch * d.width)
        while (block := next_task(&transposing, threadid())) >= 0:
            transpose(&dy[0, block * SAMPLES], d.outputs, <int> d.batch,
                      <int> min(SAMPLES, d.outputs - block * SAMPLES),
                      &transposed[block * SAMPLES * by_sample.width], by_sample.width)
        wait_for_all()
        while (task := next_task(&work, threadid())) >= 0:
            first = task * ROWS
            length = min(ROWS, d.inputs - first)
            list_samples(&x[0, first], d.inputs, <int> d.batch, <int> length, &counts[task, 0],
                         &samples[task, 0], &factors[task, 0])
            if input_gradient == NULL:
                continue
            active = active_count(&counts[task, 0], length)
            # Dots one by one cost half as much again as in tiles, and twice the transposed tiles or
            # more.  Whether they are transposed must not depend on `at_zeros`, which changes no bits.
            if transposes and 5 * active > 2 * length * d.batch:
                transposed_input_gradient_rows(&d, &by_sample, &transposed[0], &kernel[0, 0],
                                           input_gradient, first, length, &scratch[threadid(), 0])
            elif not at_zeros and 3 * active <= 2 * length * d.batch:
                listed_input_gradient_rows(&d, &dy[0, 0], &kernel[0, 0], input_gradient, first,
                                           length, &counts[task, 0], &samples[task, 0],
                                           &scratch[threadid(), 0])
            else:
                input_gradient_rows(&d, &dy[0, 0], &kernel[0, 0], input_gradient, first, length)
        restore_denormals(mode)


def kernel_gradient(real[:, ::1] dkernel,          # OUT (inputs, outputs)
                    const int32_t[:, ::1] counts,  # IN what `gradients` wrote
                    const int32_t[:, ::1] samples, # IN
                    const real[:, ::1] factors,    # IN
                    const real[::1] packed_dy,         # IN
                    real[:, ::1] scratch,          # SCRATCH (threads, ROWS * group outputs)
                    ptrdiff_t batch, int vectors, int panels, int num_threads, /):
    """dkernel = x' dy."""
    cdef Dense d = dense_of(batch, dkernel.shape[0], dkernel.shape[1], vectors, panels,
                            &packed_dy[0])
    cdef ptrdiff_t task, group, first, length, i
    cdef Work work
    cdef float_mode mode = 0
    share_work(&work, (d.inputs + ROWS - 1) // ROWS, num_threads)
    with nogil, parallel(num_threads=num_threads):
        mode = flush_denormals()
        while (task := next_task(&work, threadid())) >= 0:
            first = task * ROWS
            length = min(ROWS, d.inputs - first)
            for group in range(d.groups):
                kernel_gradient_rows(&d, &packed_dy[0], &counts[task, 0], &samples[task, 0],
                                     &factors[task, 0], length, group, &scratch[threadid(), 0])
                for i in range(length):
                    memcpy(&dkernel[first + i, group * d.group],
                           &scratch[threadid(), i * group_padded(&d, group)],
                           <size_t> group_outputs(&d, group) * sizeof(real))
        restore_denormals(mode)


cdef void update_rows(const Dense* d, const Rule* rule, float* value, float** slots,
                      ptrdiff_t first, ptrdiff_t length, ptrdiff_t group,
                      float* gradient) noexcept nogil:
    """Apply a rule to one group of some rows of W."""
    cdef ptrdiff_t i, width = group_padded(d, group)
    if d.groups > 1:
        for i in range(length):
            apply_rule(rule, value, slots, (first + i) * d.outputs + group * d.group,
                       gradient + i * width, group_outputs(d, group))
        return
    if width > d.outputs:
        for i in range(1, length):
            memmove(gradient + i * d.outputs, gradient + i * width,
                    <size_t> d.outputs * sizeof(float))
    apply_rule(rule, value, slots, first * d.outputs, gradient, length * d.outputs)


def update(dict rule,                        # IN as for optim.update
           float[:, ::1] value,              # INOUT (inputs, outputs)
           tuple slots,                      # INOUT flat, as for optim.update
           const int32_t[:, ::1] counts,     # IN what `gradients` wrote
           const int32_t[:, ::1] samples,    # IN
           const float[:, ::1] factors,      # IN
           const float[::1] packed_dy,           # IN
           float[:, ::1] scratch,            # SCRATCH (threads, ROWS * group outputs)
           ptrdiff_t batch, int vectors, int panels, int num_threads, /):
    """One step of an optimizer by the gradient that `kernel_gradient` would write."""
    cdef Dense d = dense_of(batch, value.shape[0], value.shape[1], vectors, panels, &packed_dy[0])
    cdef Rule fields = rule_from(rule)
    cdef float* kept[RULE_SLOTS]
    cdef ptrdiff_t task, group, first, length
    cdef Work work
    cdef float_mode mode = 0
    slots_from(slots, d.inputs * d.outputs, kept)
    share_work(&work, (d.inputs + ROWS - 1) // ROWS, num_threads)
    with nogil, parallel(num_threads=num_threads):
        mode = flush_denormals()
        while (task := next_task(&work, threadid())) >= 0:
            first = task * ROWS
            length = min(ROWS, d.inputs - first)
            for group in range(d.groups):
                kernel_gradient_rows(&d, &packed_dy[0], &counts[task, 0], &samples[task, 0],
                                     &factors[task, 0], length, group, &scratch[threadid(), 0])
                update_rows(&d, &fields, &value[0, 0], kept, first, length, group,
                            &scratch[threadid(), 0])
        restore_denormals(mode)
