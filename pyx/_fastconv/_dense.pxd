"""Shared by the dense layers' kernels: simd/dense.h's leaves, one name for both types; panels and
groups; sums of parts and samples."""

from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t
from libc.string cimport memset

from _fastconv._tiles cimport TILE_ROWS, conv_tile, lanes, real

cdef extern from "simd/dense.h" nogil:
    enum:
        PANEL_VECTORS "FC_PANEL_VECTORS"
        BLOCK "FC_BLOCK_INPUTS"
    void fc_fill_compress_table() noexcept
    int fc_list_inputs_f32(const float*, int, int32_t*, float*) noexcept
    int fc_list_rest_f64(const double*, int, int, int, int32_t*, double*) noexcept
    void fc_list_samples_f32(const float*, ptrdiff_t, int, int, int32_t*, int32_t*,
                             float*) noexcept
    void fc_list_samples_rest_f64(const double*, ptrdiff_t, int, int, int, int, int32_t*,
                                  int32_t*, double*) noexcept
    void find_active "fc_find_active"(...) noexcept
    void pack_row "fc_pack_row"(...) noexcept
    void sum_rows "fc_sum_rows"(...) noexcept
    void pass_rows "fc_pass_rows"(...) noexcept
    void dot_list "fc_dot_list"(...) noexcept


cdef inline int list_inputs(const real* x, int length, int32_t* rows,
                            real* factors) noexcept nogil:
    if real is float:
        return fc_list_inputs_f32(x, length, rows, factors)
    else:
        return fc_list_rest_f64(x, 0, length, 0, rows, factors)


cdef inline void list_samples(const real* x, ptrdiff_t step, int batch, int length,
                              int32_t* counts, int32_t* samples, real* factors) noexcept nogil:
    memset(counts, 0, <size_t> length * sizeof(int32_t))
    if real is float:
        fc_list_samples_f32(x, step, batch, length, counts, samples, factors)
    else:
        fc_list_samples_rest_f64(x, step, 0, 0, batch, length, counts, samples, factors)


cdef struct Dense:
    ptrdiff_t batch
    ptrdiff_t inputs
    ptrdiff_t outputs
    int vectors           # of a panel
    ptrdiff_t width       # of a panel, in values
    ptrdiff_t group       # outputs of a group, whole panels
    ptrdiff_t groups
    ptrdiff_t padded      # outputs rounded up to whole panels


cdef inline Dense dense_of(ptrdiff_t batch, ptrdiff_t inputs, ptrdiff_t outputs, int vectors,
                    int panels, const real* kind):
    cdef Dense d
    d.batch = batch
    d.inputs = inputs
    d.outputs = outputs
    d.vectors = vectors
    d.width = vectors * lanes(kind)
    d.group = panels * d.width
    d.groups = (outputs + d.group - 1) // d.group
    d.padded = (outputs + d.width - 1) // d.width * d.width
    return d


cdef inline ptrdiff_t group_outputs(const Dense* d, ptrdiff_t group) noexcept nogil:
    return min(d.group, d.outputs - group * d.group)


cdef inline ptrdiff_t group_padded(const Dense* d, ptrdiff_t group) noexcept nogil:
    return min(d.group, d.padded - group * d.group)


cdef inline void add_parts(ptrdiff_t outputs, const real* sums, ptrdiff_t parts,
                           ptrdiff_t part_size, const real* bias, real* y) noexcept nogil:
    """y (outputs,) = the parts' sums, in order, and the bias."""
    cdef ptrdiff_t part, o
    for o in range(outputs):
        y[o] = sums[o]
    for part in range(1, parts):
        sums += part_size
        for o in range(outputs):
            y[o] += sums[o]
    if bias != NULL:
        for o in range(outputs):
            y[o] += bias[o]


cdef inline void bias_gradient(const real* dy, real* dbias, ptrdiff_t batch,
                               ptrdiff_t outputs) noexcept nogil:
    cdef ptrdiff_t sample, o
    memset(dbias, 0, <size_t> outputs * sizeof(real))
    for sample in range(batch):
        for o in range(outputs):
            dbias[o] += dy[sample * outputs + o]


cdef inline void tile_rows(const Dense* d, const real* factors, ptrdiff_t factors_step,
                           ptrdiff_t rows, const real* panel, ptrdiff_t length, real* sums,
                           ptrdiff_t sums_step, bint accumulate) noexcept nogil:
    """sums (rows, width of a panel) (+)= factors (rows, length) panel, zeros and all."""
    cdef ptrdiff_t row = 0, no_offset = 0
    cdef int vector, vectors, i, count
    cdef const real* pixel[16]
    cdef real* out[16]
    while row < rows:
        count = <int> min(TILE_ROWS, rows - row)
        for i in range(count):
            pixel[i] = factors + (row + i) * factors_step
        vector = 0
        while vector < d.vectors:
            vectors = min(2, d.vectors - vector)
            for i in range(count):
                out[i] = sums + (row + i) * sums_step + vector * lanes(panel)
            conv_tile(count, vectors, pixel, out, &no_offset, 1, <int> length,
                      panel + vector * lanes(panel), d.width, 0, <const real*> NULL, accumulate,
                      vectors * lanes(panel), 0)
            vector += 2
        row += count


cdef inline void output_pass(const Dense* d, const real* x, const real* kernel, real* sums,
                             ptrdiff_t first, ptrdiff_t last, ptrdiff_t group, int32_t* rows,
                             real* factors) noexcept nogil:
    """The same sums, in the same order, for a single sample."""
    cdef ptrdiff_t column = group * d.group
    cdef int count = list_inputs(x + first, <int> (last - first), rows, factors)
    memset(sums + column, 0, <size_t> group_padded(d, group) * sizeof(real))
    pass_rows(kernel + first * d.outputs + column, d.outputs, rows, factors, count,
              group_outputs(d, group), sums + column)
