"""The kernel's transform of Winograd's algorithm: U, part by part."""

from libc.stddef cimport ptrdiff_t

from _fastconv._tiles cimport LANES_F32, transpose
from _fastconv._window cimport padded_channels, panel_vectors
from _fastconv._winograd cimport MOST_LANES, MOST_TAPS, POINTS, SKEW
from _fastconv.structs cimport KernelDecomposition

cdef extern from "simd/winograd.h" nogil:
    void fc_kernel_tile(const float*, ptrdiff_t, int, float*, ptrdiff_t) noexcept
    void fc_copy_tap(const float*, ptrdiff_t, int, int, float*, ptrdiff_t) noexcept


cdef inline void transform_channels(const KernelDecomposition* c, const float* kernel, float* u,
                                    int task, int first) noexcept nogil:
    """U of a sub-kernel of a group, a vector's count of channels: as many are contiguous in a
    rotated kernel."""
    cdef int part = task // c.groups, group = task % c.groups
    cdef int depth = c.channels if c.targets else c.kernels * c.kernels * c.channels
    cdef ptrdiff_t step = padded_channels(c.filters, kernel) * depth + SKEW
    cdef int vectors, panel, start = 0, channel, count = c.r * c.r
    cdef int before = 0 if c.targets else part * c.channels
    cdef float taps[MOST_LANES * MOST_TAPS * MOST_LANES]
    u += (task if c.targets else group) * POINTS * step
    while start < c.filters:
        panel = start // (2 * LANES_F32) * 2 * LANES_F32
        vectors = panel_vectors(c.filters - panel, kernel)
        load_taps(c, kernel, part, group, first, start, taps)
        for channel in range(min(LANES_F32, c.channels - first)):
            fc_kernel_tile(taps + channel * count * LANES_F32, LANES_F32, c.r,
                           u + <ptrdiff_t> panel * depth
                           + (before + first + channel) * vectors * LANES_F32 + start - panel,
                           step)
        start += LANES_F32


cdef inline void load_taps(const KernelDecomposition* c, const float* kernel, int part, int group,
                           int first, int start, float* taps) noexcept nogil:
    """taps [channel][tap][lane] of a part: a vector of channels by a vector of filters; 0 where
    the kernel has none."""
    cdef int count = c.r * c.r, row, column, tap
    cdef int channels = min(LANES_F32, c.channels - first)
    cdef int filters = min(LANES_F32, c.filters - start)
    cdef const float* source
    for tap in range(count):
        row = c.first_row + part // c.kernels * c.kernel_step + tap // c.r * c.tap_step
        column = c.first_column + part % c.kernels * c.kernel_step + tap % c.r * c.tap_step
        source = NULL
        if 0 <= row < c.rows and 0 <= column < c.columns:
            source = kernel + (row * c.columns + column) * <ptrdiff_t> c.inputs * c.outputs
            source += group * (c.channels if c.transposed else c.filters)
        if c.transposed and source != NULL:
            transpose(source + <ptrdiff_t> start * c.outputs + first, c.outputs, filters, channels,
                 taps + tap * LANES_F32, <ptrdiff_t> count * LANES_F32)
            continue
        if source != NULL:
            source += <ptrdiff_t> first * c.outputs + start
        fc_copy_tap(source, c.outputs, channels, filters, taps + tap * LANES_F32,
                    <ptrdiff_t> count * LANES_F32)
