"""The register tiles of simd/tile.h for Cython, one name for a level's types."""

include "types.pxi"

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

    # By the type of what they point to, whose parameters are checked in C: see FC_TYPED.
    void prefetch "fc_prefetch"(...) noexcept
    void conv_tile "fc_conv_tile"(...) noexcept
    void conv_pool_row "fc_conv_pool_row"(...) noexcept
    void gradient_tile "fc_gradient_tile"(...) noexcept
    void patch_tile "fc_patch_tile"(...) noexcept
    void add_filters "fc_add_filters"(...) noexcept
    void conv_dots "fc_conv_dots"(...) noexcept
    void overlap_add "fc_overlap_add"(...) noexcept
    void copy_pixels "fc_copy_pixels"(...) noexcept
    void transpose "fc_transpose"(...) noexcept
    void zero_pixels "fc_zero_pixels"(...) noexcept
    void add_pixels "fc_add_pixels"(...) noexcept
    void dot_tile "fc_dot_tile"(...) noexcept


cdef inline int lanes(const real* _) noexcept nogil:
    return LANES_F32 if real is float else LANES_F64
