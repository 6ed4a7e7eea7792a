"""The register tiles of simd/tile.h for Cython, one name for both types."""

from libc.stddef cimport ptrdiff_t
from libc.stdint cimport uint8_t

ctypedef fused real:
    float
    double

cdef extern from "simd/denormals.h" nogil:
    ctypedef unsigned int float_mode "fc_float_mode"
    float_mode flush_denormals "fc_flush_denormals"() noexcept
    void restore_denormals "fc_restore_denormals"(float_mode mode) noexcept

cdef extern from "simd/tile.h" nogil:
    const int LANES_F32 "FC_LANES_F32"
    const int LANES_F64 "FC_LANES_F64"
    const int TILE_ROWS "FC_TILE_ROWS"
    const int NARROW_TILE_ROWS "FC_NARROW_TILE_ROWS"
    const int TILE_FILTERS "FC_TILE_FILTERS"
    const int MOST_PATCH_VECTORS "FC_MOST_PATCH_VECTORS"
    const int MOST_PATCH_SUMS "FC_MOST_PATCH_SUMS"
    const int DOT_ROWS "FC_DOT_ROWS"
    const int DOT_COLUMNS "FC_DOT_COLUMNS"

    void fc_prefetch_f32(const float*, ptrdiff_t) noexcept
    void fc_prefetch_f64(const double*, ptrdiff_t) noexcept
    void fc_conv_tile_f32(int, int, const float**, float**, const ptrdiff_t*, int, int,
                          const float*, ptrdiff_t, ptrdiff_t, const float*, int, int,
                          int) noexcept
    void fc_conv_tile_f64(int, int, const double**, double**, const ptrdiff_t*, int, int,
                          const double*, ptrdiff_t, ptrdiff_t, const double*, int, int,
                          int) noexcept
    void fc_conv_pool_row_f32(int, int, const float*, ptrdiff_t, ptrdiff_t, ptrdiff_t, float*,
                              uint8_t*, ptrdiff_t, const ptrdiff_t*, int, int, const float*,
                              const float*, int) noexcept
    void fc_conv_pool_row_f64(int, int, const double*, ptrdiff_t, ptrdiff_t, ptrdiff_t, double*,
                              uint8_t*, ptrdiff_t, const ptrdiff_t*, int, int, const double*,
                              const double*, int) noexcept
    void fc_gradient_tile_f32(int, int, const float*, ptrdiff_t, const float*,
                              const ptrdiff_t*, int, float*, int) noexcept
    void fc_gradient_tile_f64(int, int, const double*, ptrdiff_t, const double*,
                              const ptrdiff_t*, int, double*, int) noexcept
    void fc_patch_tile_f32(int, int, const float*, const ptrdiff_t*, ptrdiff_t, ptrdiff_t,
                           const float*, int, int, float*, int) noexcept
    void fc_patch_tile_f64(int, int, const double*, const ptrdiff_t*, ptrdiff_t, ptrdiff_t,
                           const double*, int, int, double*, int) noexcept
    void fc_add_filters_f32(const float*, int, int, float*) noexcept
    void fc_add_filters_f64(const double*, int, int, double*) noexcept
    void fc_conv_dots_f32(int, int, const float*, ptrdiff_t, const ptrdiff_t*, int, int,
                          const float*, const float*, int, float*, ptrdiff_t) noexcept
    void fc_conv_dots_f64(int, int, const double*, ptrdiff_t, const ptrdiff_t*, int, int,
                          const double*, const double*, int, double*, ptrdiff_t) noexcept
    void fc_overlap_add_f32(const float*, int, ptrdiff_t, int, int, int, int, int, int, int,
                            float*) noexcept
    void fc_overlap_add_f64(const double*, int, ptrdiff_t, int, int, int, int, int, int, int,
                            double*) noexcept
    void fc_copy_pixels_f32(const float*, ptrdiff_t, int, int, float*, int) noexcept
    void fc_copy_pixels_f64(const double*, ptrdiff_t, int, int, double*, int) noexcept
    void fc_transpose_f32(const float*, ptrdiff_t, int, int, float*, ptrdiff_t) noexcept
    void fc_transpose_f64(const double*, ptrdiff_t, int, int, double*, ptrdiff_t) noexcept
    void fc_zero_pixels_f32(float*, int, int, int) noexcept
    void fc_zero_pixels_f64(double*, int, int, int) noexcept
    void fc_add_pixels_f32(const float*, int, int, float*, int) noexcept
    void fc_add_pixels_f64(const double*, int, int, double*, int) noexcept
    void fc_dot_tile_f32(int, int, const float*, ptrdiff_t, const float*, ptrdiff_t, ptrdiff_t,
                         float*, ptrdiff_t, ptrdiff_t, int) noexcept
    void fc_dot_tile_f64(int, int, const double*, ptrdiff_t, const double*, ptrdiff_t, ptrdiff_t,
                         double*, ptrdiff_t, ptrdiff_t, int) noexcept


cdef inline int lanes(const real* _) noexcept nogil:
    return LANES_F32 if real is float else LANES_F64


cdef inline void prefetch(const real* start, ptrdiff_t count) noexcept nogil:
    if real is float:
        fc_prefetch_f32(start, count)
    else:
        fc_prefetch_f64(start, count)


cdef inline void conv_tile(int rows, int vectors, const real** pixel, real** out,
                           const ptrdiff_t* run_offset, int runs, int length, const real* weights,
                           ptrdiff_t weights_step, ptrdiff_t run_step, const real* start,
                           int accumulate, int channels, int relu) noexcept nogil:
    if real is float:
        fc_conv_tile_f32(rows, vectors, pixel, out, run_offset, runs, length, weights,
                         weights_step, run_step, start, accumulate, channels, relu)
    else:
        fc_conv_tile_f64(rows, vectors, pixel, out, run_offset, runs, length, weights,
                         weights_step, run_step, start, accumulate, channels, relu)


cdef inline void conv_pool_row(int windows, int vectors, const real* corner, ptrdiff_t step,
                               ptrdiff_t right, ptrdiff_t down, real* out, uint8_t* argmax,
                               ptrdiff_t out_step, const ptrdiff_t* run_offset, int runs,
                               int length, const real* weights, const real* bias,
                               int channels) noexcept nogil:
    if real is float:
        fc_conv_pool_row_f32(windows, vectors, corner, step, right, down, out, argmax, out_step,
                             run_offset, runs, length, weights, bias, channels)
    else:
        fc_conv_pool_row_f64(windows, vectors, corner, step, right, down, out, argmax, out_step,
                             run_offset, runs, length, weights, bias, channels)


cdef inline void gradient_tile(int rows, int vectors, const real* x, ptrdiff_t x_step,
                               const real* dy, const ptrdiff_t* stretch, int stretches, real* sums,
                               int accumulate) noexcept nogil:
    if real is float:
        fc_gradient_tile_f32(rows, vectors, x, x_step, dy, stretch, stretches, sums, accumulate)
    else:
        fc_gradient_tile_f64(rows, vectors, x, x_step, dy, stretch, stretches, sums, accumulate)


cdef inline void patch_tile(int filters, int vectors, const real* x, const ptrdiff_t* offset,
                            ptrdiff_t x_step, ptrdiff_t x_line, const real* dy, int lines,
                            int pixels, real* sums, int accumulate) noexcept nogil:
    if real is float:
        fc_patch_tile_f32(filters, vectors, x, offset, x_step, x_line, dy, lines, pixels, sums,
                          accumulate)
    else:
        fc_patch_tile_f64(filters, vectors, x, offset, x_step, x_line, dy, lines, pixels, sums,
                          accumulate)


cdef inline void add_filters(const real* source, int count, int pixels,
                             real* sums) noexcept nogil:
    if real is float:
        fc_add_filters_f32(source, count, pixels, sums)
    else:
        fc_add_filters_f64(source, count, pixels, sums)


cdef inline void conv_dots(int rows, int columns, const real* pixel, ptrdiff_t step,
                           const ptrdiff_t* run_offset, int runs, int length,
                           const real* weights, const real* bias, int relu, real* out,
                           ptrdiff_t out_step) noexcept nogil:
    if real is float:
        fc_conv_dots_f32(rows, columns, pixel, step, run_offset, runs, length, weights, bias, relu,
                         out, out_step)
    else:
        fc_conv_dots_f64(rows, columns, pixel, step, run_offset, runs, length, weights, bias, relu,
                         out, out_step)


cdef inline void transpose(const real* source, ptrdiff_t source_step, int rows, int columns,
                           real* to, ptrdiff_t to_step) noexcept nogil:
    if real is float:
        fc_transpose_f32(source, source_step, rows, columns, to, to_step)
    else:
        fc_transpose_f64(source, source_step, rows, columns, to, to_step)


cdef inline void copy_pixels(const real* source, ptrdiff_t step, int pixels, int count,
                             real* to, int pitch) noexcept nogil:
    if real is float:
        fc_copy_pixels_f32(source, step, pixels, count, to, pitch)
    else:
        fc_copy_pixels_f64(source, step, pixels, count, to, pitch)


cdef inline void zero_pixels(real* to, int pitch, int pixels, int count) noexcept nogil:
    if real is float:
        fc_zero_pixels_f32(to, pitch, pixels, count)
    else:
        fc_zero_pixels_f64(to, pitch, pixels, count)


cdef inline void add_pixels(const real* source, int vectors, int pixels, real* sums,
                            int count) noexcept nogil:
    if real is float:
        fc_add_pixels_f32(source, vectors, pixels, sums, count)
    else:
        fc_add_pixels_f64(source, vectors, pixels, sums, count)


cdef inline void dot_tile(int rows, int columns, const real* a, ptrdiff_t a_step, const real* b,
                          ptrdiff_t b_step, ptrdiff_t length, real* out, ptrdiff_t out_row,
                          ptrdiff_t out_column, int accumulate) noexcept nogil:
    if real is float:
        fc_dot_tile_f32(rows, columns, a, a_step, b, b_step, length, out, out_row, out_column,
                        accumulate)
    else:
        fc_dot_tile_f64(rows, columns, a, a_step, b, b_step, length, out, out_row, out_column,
                        accumulate)


cdef inline void overlap_add(const real* sums, int columns, ptrdiff_t pixel, int groups,
                             int channels, int kernel_columns, int stride, int column,
                             int kernel_column, int width, real* out) noexcept nogil:
    if real is float:
        fc_overlap_add_f32(sums, columns, pixel, groups, channels, kernel_columns, stride, column,
                           kernel_column, width, out)
    else:
        fc_overlap_add_f64(sums, columns, pixel, groups, channels, kernel_columns, stride, column,
                           kernel_column, width, out)
