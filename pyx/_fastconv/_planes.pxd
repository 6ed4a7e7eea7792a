"""Planes of the channels that a depthwise kernel multiplies alike, shared by its directions.

Plane i holds, for every output channel, the i-th input channel of its group.  A block of rows
is copied with its zeros into the thread's scratch, a row as [plane][phase][pixel][channel]:
with a stride s, phase p holds every s-th pixel from the p-th.
"""

from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t
from libc.string cimport memcpy, memset

from _fastconv._tiles cimport real
from _fastconv.structs cimport DepthwiseLayout

cdef extern from "simd/depthwise.h" nogil:
    ctypedef struct Taps "fc_taps":
        const ptrdiff_t* row_offset
        const ptrdiff_t* row_place
        const ptrdiff_t* column_offset
        const ptrdiff_t* column_place
        int row_begin
        int row_end
        int column_begin
        int column_end
    ctypedef struct Area "fc_area":
        ptrdiff_t x_step
        ptrdiff_t x_line
        ptrdiff_t dy_step
        ptrdiff_t dy_line
        int lines
        int pixels

    void load_plane_row "fc_load_plane_row"(...) noexcept

cdef struct Tables:
    # Of row taps and of column taps: source row or column, from an output's (clipping).
    Taps taps
    ptrdiff_t row_step    # from one row tap to the next, if all are as far apart; else 0
    const ptrdiff_t* row_source
    const ptrdiff_t* column_source
    const int32_t* index


cdef inline ptrdiff_t plane_size(const DepthwiseLayout* g) noexcept nogil:
    return <ptrdiff_t> g.phases * g.phase_width * g.channels


cdef inline void clear_edges(const DepthwiseLayout* g, real* row, int width) noexcept nogil:
    """Write the zeros left and right of `width` pixels of one row, in every plane and phase."""
    cdef int plane, phase
    cdef ptrdiff_t before, after
    cdef real* target
    for plane in range(g.planes):
        for phase in range(g.phases):
            target = row + plane * plane_size(g) + <ptrdiff_t> phase * g.phase_width * g.channels
            # Pixels of this phase among the first `left`, and among the first `left + width`.
            before = (g.left - phase + g.phases - 1) // g.phases if g.left > phase else 0
            after = (g.left + width - phase + g.phases - 1) // g.phases
            after = max(after, before) if g.left + width > phase else before
            memset(target, 0, <size_t> before * g.channels * sizeof(real))
            memset(target + after * g.channels, 0,
                   <size_t> (g.phase_width - after) * g.channels * sizeof(real))


cdef inline const real* load_planes(const DepthwiseLayout* g, const Tables* t, const real* image,
                                    int first, int count, real* scratch) noexcept nogil:
    """Copy padded rows [first, first + count) into `scratch`, over planes and phases."""
    cdef ptrdiff_t line = g.planes * plane_size(g)
    cdef int width = max(0, min(g.width, g.padded_width - g.left))
    cdef int row, source
    cdef ptrdiff_t readable, begin, end
    cdef const real* from_row
    cdef real* target
    for row in range(count):
        source = first + row - g.top
        target = scratch + row * line
        if source < 0 or source >= g.height or width == 0:
            memset(target, 0, line * sizeof(real))
            continue
        if g.planes == 1 and g.phases == 1 and g.channels == g.source_channels:
            begin = <ptrdiff_t> g.left * g.channels
            end = begin + <ptrdiff_t> width * g.channels
            memset(target, 0, begin * sizeof(real))
            memcpy(target + begin, image + <ptrdiff_t> source * g.width * g.channels,
                   <size_t> (end - begin) * sizeof(real))
            memset(target + end, 0, <size_t> (line - end) * sizeof(real))
            continue
        from_row = image + <ptrdiff_t> source * g.width * g.source_channels
        # Vectors may end in the next rows.
        readable = <ptrdiff_t> (g.height - source) * g.width * g.source_channels
        load_plane_row(from_row, readable, width, g.source_channels, t.index, g.channels, g.planes,
                       g.together, target, plane_size(g), <ptrdiff_t> g.phase_width * g.channels,
                       g.phases, g.left, g.shuffled)
        clear_edges(g, target, width)
    return scratch


cdef inline int piece_of(int units, int most) noexcept nogil:
    """Return how many of some units are the next piece's, `most` or fewer.

    Of almost equal size: a last one of a single unit would wait for its own sums.
    """
    cdef int pieces = (units + most - 1) // most
    return (units + pieces - 1) // pieces


cdef inline void clip(int at, int size, const ptrdiff_t* source, int* begin,
                      int* end) noexcept nogil:
    """Narrow [begin, end), whose sources ascend, to those inside an axis of `size`."""
    while begin[0] < end[0] and at + source[begin[0]] < 0:
        begin[0] += 1
    while end[0] > begin[0] and at + source[end[0] - 1] >= size:
        end[0] -= 1


cdef inline int taps_width(const DepthwiseLayout* g) noexcept nogil:
    """Return how many pixels of the source an output's taps span."""
    return g.padded_width - (g.columns - 1) * g.column_stride


cdef inline bint is_whole(const DepthwiseLayout* g, const Tables* t, int row) noexcept nogil:
    """Whether all of a row's taps are inside the image."""
    return (row * g.row_stride + t.row_source[0] >= 0
            and row * g.row_stride + t.row_source[g.row_taps - 1] < g.height)


cdef inline Tables tables_of(const DepthwiseLayout* g, const ptrdiff_t[:, ::1] rows,
                             const ptrdiff_t[:, ::1] columns, const int32_t[::1] index):
    """Take apart tables whose lines are: offset, place of the weights, source row or column."""
    cdef Tables t
    t.taps.row_offset, t.taps.row_place, t.row_source = &rows[0, 0], &rows[1, 0], &rows[2, 0]
    t.taps.column_offset, t.taps.column_place = &columns[0, 0], &columns[1, 0]
    t.column_source = &columns[2, 0]
    t.taps.row_begin = t.taps.column_begin = 0
    t.taps.row_end, t.taps.column_end = g.row_taps, g.column_taps
    t.index = &index[0]
    cdef int row
    t.row_step = rows[0, 1] - rows[0, 0] if g.row_taps > 1 else 0
    for row in range(2, g.row_taps):
        if rows[0, row] - rows[0, row - 1] != t.row_step:
            t.row_step = 0
    return t
