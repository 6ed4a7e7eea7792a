"""Shared by the dense layers' kernels: simd/dense.h's leaves, one name for both types; panels and
groups; sums of parts and samples."""

from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t
from libc.string cimport memset

from _fastconv._tiles cimport lanes, real

cdef extern from "simd/dense.h" nogil:
    enum:
        PANEL_VECTORS "FC_PANEL_VECTORS"
        BLOCK "FC_BLOCK_INPUTS"
    void fc_fill_compress_table() noexcept
    int fc_list_inputs_f32(const float*, int, int32_t*, float*) noexcept
    int fc_list_rest_f64(const double*, int, int, int, int32_t*, double*) noexcept
    void fc_find_active_f32(const float*, ptrdiff_t, ptrdiff_t, int, int32_t*) noexcept
    void fc_find_active_f64(const double*, ptrdiff_t, ptrdiff_t, int, int32_t*) noexcept
    void fc_list_samples_f32(const float*, ptrdiff_t, int, int, int32_t*, int32_t*,
                             float*) noexcept
    void fc_list_samples_rest_f64(const double*, ptrdiff_t, int, int, int, int, int32_t*,
                                  int32_t*, double*) noexcept
    void fc_pack_row_f32(const float*, ptrdiff_t, int, float*, ptrdiff_t) noexcept
    void fc_pack_row_f64(const double*, ptrdiff_t, int, double*, ptrdiff_t) noexcept
    void fc_sum_rows_f32(int, const float*, const int32_t*, const float*, int, float*,
                         int) noexcept
    void fc_sum_rows_f64(int, const double*, const int32_t*, const double*, int, double*,
                         int) noexcept
    void fc_pass_rows_f32(const float*, ptrdiff_t, const int32_t*, const float*, int, ptrdiff_t,
                          float*) noexcept
    void fc_pass_rows_f64(const double*, ptrdiff_t, const int32_t*, const double*, int,
                          ptrdiff_t, double*) noexcept
    void fc_dot_list_f32(int, const float*, const float*, ptrdiff_t, const int32_t*, ptrdiff_t,
                         float*, ptrdiff_t) noexcept
    void fc_dot_list_f64(int, const double*, const double*, ptrdiff_t, const int32_t*, ptrdiff_t,
                         double*, ptrdiff_t) noexcept


cdef inline int list_inputs(const real* x, int length, int32_t* rows,
                            real* factors) noexcept nogil:
    if real is float:
        return fc_list_inputs_f32(x, length, rows, factors)
    else:
        return fc_list_rest_f64(x, 0, length, 0, rows, factors)


cdef inline void find_active(const real* x, ptrdiff_t step, ptrdiff_t batch, int length,
                             int32_t* active) noexcept nogil:
    if real is float:
        fc_find_active_f32(x, step, batch, length, active)
    else:
        fc_find_active_f64(x, step, batch, length, active)


cdef inline void list_samples(const real* x, ptrdiff_t step, int batch, int length,
                              int32_t* counts, int32_t* samples, real* factors) noexcept nogil:
    memset(counts, 0, <size_t> length * sizeof(int32_t))
    if real is float:
        fc_list_samples_f32(x, step, batch, length, counts, samples, factors)
    else:
        fc_list_samples_rest_f64(x, step, 0, 0, batch, length, counts, samples, factors)


cdef inline void pack_row(const real* row, ptrdiff_t width, int vectors, real* panel,
                          ptrdiff_t panel_step) noexcept nogil:
    if real is float:
        fc_pack_row_f32(row, width, vectors, panel, panel_step)
    else:
        fc_pack_row_f64(row, width, vectors, panel, panel_step)


cdef inline void sum_rows(int vectors, const real* panel, const int32_t* rows, const real* factors,
                          int count, real* sums, int accumulate) noexcept nogil:
    if real is float:
        fc_sum_rows_f32(vectors, panel, rows, factors, count, sums, accumulate)
    else:
        fc_sum_rows_f64(vectors, panel, rows, factors, count, sums, accumulate)


cdef inline void pass_rows(const real* weights, ptrdiff_t step, const int32_t* rows,
                           const real* factors, int count, ptrdiff_t width,
                           real* sums) noexcept nogil:
    if real is float:
        fc_pass_rows_f32(weights, step, rows, factors, count, width, sums)
    else:
        fc_pass_rows_f64(weights, step, rows, factors, count, width, sums)


cdef inline void dot_list(int count, const real* weights, const real* dy, ptrdiff_t dy_step,
                          const int32_t* samples, ptrdiff_t length, real* out,
                          ptrdiff_t out_step) noexcept nogil:
    if real is float:
        fc_dot_list_f32(count, weights, dy, dy_step, samples, length, out, out_step)
    else:
        fc_dot_list_f64(count, weights, dy, dy_step, samples, length, out, out_step)


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
