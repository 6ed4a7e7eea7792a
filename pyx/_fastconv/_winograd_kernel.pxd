"""The kernel's transform of Winograd's algorithm: U, part by part."""

from libc.stddef cimport ptrdiff_t

from _fastconv._tiles cimport LANES_F32, turn
from _fastconv._window cimport padded_channels, panel_vectors
from _fastconv._winograd cimport MOST_LANES, MOST_TAPS, POINTS, SKEW

cdef extern from "simd/winograd.h" nogil:
    void fc_kernel_tile(const float*, ptrdiff_t, int, float*, ptrdiff_t) noexcept
    void fc_copy_tap(const float*, ptrdiff_t, int, int, float*, ptrdiff_t) noexcept

cdef struct Cut:          # of a kernel of (rows, columns, inputs, outputs of all groups) into parts:
    int rows
    int columns
    int inputs
    int outputs
    int groups
    int turned            # it is the input gradient's: inputs and outputs are exchanged
    int taps              # of a part, along an axis
    int parts             # along an axis
    int first_row         # tap that is the first of the first part
    int first_column
    int part_step         # from a part to the next
    int tap_step          # from a tap of a part to the next
    int targets           # whether the parts are targets
    int channels          # of a group, that are summed over
    int filters           # of a group


cdef inline Cut cut_of(const int[::1] fields, const Py_ssize_t* shape):
    """fields: turned, taps, parts, first row and column, part step, tap step, targets, groups."""
    cdef Cut c
    c.rows, c.columns, c.inputs, c.outputs = (
        <int> shape[0], <int> shape[1], <int> shape[2], <int> shape[3])
    c.turned, c.taps, c.parts, c.first_row = fields[0], fields[1], fields[2], fields[3]
    c.first_column, c.part_step, c.tap_step = fields[4], fields[5], fields[6]
    c.targets, c.groups = fields[7], fields[8]
    c.channels = c.outputs // c.groups if c.turned else c.inputs
    c.filters = c.inputs if c.turned else c.outputs // c.groups
    return c


cdef inline void transform_channels(const Cut* c, const float* kernel, float* u, int task,
                                    int first) noexcept nogil:
    """U of a part of a group, a vector's count of channels: as many are contiguous in a turned
    kernel."""
    cdef int part = task // c.groups, group = task % c.groups
    cdef int depth = c.channels if c.targets else c.parts * c.parts * c.channels
    cdef ptrdiff_t step = padded_channels(c.filters, kernel) * depth + SKEW
    cdef int vectors, panel, start = 0, channel, count = c.taps * c.taps
    cdef int before = 0 if c.targets else part * c.channels
    cdef float taps[MOST_LANES * MOST_TAPS * MOST_LANES]
    u += (task if c.targets else group) * POINTS * step
    while start < c.filters:
        panel = start // (2 * LANES_F32) * 2 * LANES_F32
        vectors = panel_vectors(c.filters - panel, kernel)
        load_taps(c, kernel, part, group, first, start, taps)
        for channel in range(min(LANES_F32, c.channels - first)):
            fc_kernel_tile(taps + channel * count * LANES_F32, LANES_F32, c.taps,
                           u + <ptrdiff_t> panel * depth
                           + (before + first + channel) * vectors * LANES_F32 + start - panel,
                           step)
        start += LANES_F32


cdef inline void load_taps(const Cut* c, const float* kernel, int part, int group, int first,
                           int start, float* taps) noexcept nogil:
    """taps [channel][tap][lane] of a part: a vector of channels by a vector of filters; 0 where
    the kernel has none."""
    cdef int count = c.taps * c.taps, row, column, tap
    cdef int channels = min(LANES_F32, c.channels - first)
    cdef int filters = min(LANES_F32, c.filters - start)
    cdef const float* source
    for tap in range(count):
        row = c.first_row + part // c.parts * c.part_step + tap // c.taps * c.tap_step
        column = c.first_column + part % c.parts * c.part_step + tap % c.taps * c.tap_step
        source = NULL
        if 0 <= row < c.rows and 0 <= column < c.columns:
            source = kernel + (row * c.columns + column) * <ptrdiff_t> c.inputs * c.outputs
            source += group * (c.channels if c.turned else c.filters)
        if c.turned and source != NULL:
            turn(source + <ptrdiff_t> start * c.outputs + first, c.outputs, filters, channels,
                 taps + tap * LANES_F32, <ptrdiff_t> count * LANES_F32)
            continue
        if source != NULL:
            source += <ptrdiff_t> first * c.outputs + start
        fc_copy_tap(source, c.outputs, channels, filters, taps + tap * LANES_F32,
                    <ptrdiff_t> count * LANES_F32)
