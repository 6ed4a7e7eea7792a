"""What Winograd's kernels share: the tiles of an image, the points, the lines of B' d.

A kernel that has no transform of its own is cut into *parts* of t x t taps, its inputs with it, and
the sums over the parts are sums over more channels:

    stride s            part (p, q) has the taps s i + p, s j + q and reads the pixels of that phase:
                        of neighbours along a row the channels lie side by side, as of one pixel,
                        unless they are in groups
    5 taps and more     part (p, q) has the taps t p + i, t q + j and reads pixels as much further on

The input gradient of a stride writes phases instead: it has *targets*, one set of filters for each
pixel of s x s; and so has each group of channels sets of its own.
"""

from libc.stddef cimport ptrdiff_t
from libc.string cimport memset

from _fastconv._window cimport Strip

cdef extern from "simd/winograd_axis.h" nogil:
    void fc_input_lines(const float* const*, ptrdiff_t, ptrdiff_t, int, float*, ptrdiff_t) noexcept
    void fc_input_tile(const float*, ptrdiff_t, ptrdiff_t, float*, ptrdiff_t) noexcept

cdef enum:
    POINTS = 36
    REACH = 6             # points of an axis: a tile reads as many rows, and columns
    MOST_TAPS = 25        # of a part, and lanes of a vector
    MOST_LANES = 16
    SKEW = 16             # floats between points: a power of two would put all 36 in one cache set

cdef struct Tiles:
    int rows              # of tiles in one image
    int columns
    int out_rows          # of the output, pooled if it is
    int out_columns
    int channels          # of a part of a group; of all parts of a row that lie side by side
    int filters           # of a group
    int pooled
    int relu
    int band              # tiles side by side whose lines are made at a time
    int short_row         # whether the last row of tiles is short, and the last column
    int short_column
    int side              # outputs of a tile along an axis
    int stride            # rows, and pixels, between two inputs of a tile
    int parts             # of the kernel from top to bottom
    int column_parts      # and from left to right, but for those that lie side by side
    int offset            # rows, and pixels, between two parts
    int targets           # outputs of a point of the grid along an axis, the distance of two points
    int groups


cdef inline Tiles tiles_of(const int[::1] fields):
    cdef Tiles t
    t.rows, t.columns, t.out_rows, t.out_columns = fields[0], fields[1], fields[2], fields[3]
    t.channels, t.filters, t.pooled, t.relu = fields[4], fields[5], fields[6], fields[7]
    t.band, t.short_row, t.short_column, t.side = fields[8], fields[9], fields[10], fields[11]
    t.stride, t.parts, t.column_parts = fields[12], fields[13], fields[14]
    t.offset, t.targets, t.groups = fields[15], fields[16], fields[17]
    return t


cdef inline int taps_of(const Tiles* t) noexcept nogil:
    """Of a part, along an axis."""
    return REACH + 1 - t.side


cdef inline int depth_of(const Tiles* t) noexcept nogil:
    """Channels of all parts of a group."""
    return t.parts * t.column_parts * t.channels


cdef inline int span_of(const Tiles* t, int tiles) noexcept nogil:
    """Rows, or pixels, that some tiles read one after the other."""
    return t.stride * (t.side * tiles + REACH - t.side - 1) + 1 + t.offset * (t.parts - 1)


cdef inline bint is_short_row(const Tiles* t, ptrdiff_t row) noexcept nogil:
    """Of one row of tiles, counted over all images."""
    return t.short_row and row % t.rows == t.rows - 1


cdef inline void image_rows(const Strip* s, const float* image, int top, int stride,
                            const float** rows) noexcept nogil:
    """The six rows that a row of tiles reads, the padded image's row `top` its first; NULL: no
    such."""
    cdef int i, row
    for i in range(REACH):
        row = top - s.top + i * stride
        rows[i] = NULL
        if 0 <= row < s.height:
            rows[i] = image + <ptrdiff_t> row * s.width * s.channels


cdef inline void load_lines(const Strip* s, const float* const* rows, int begin, int count,
                            int down, bint is_short, float* lines, ptrdiff_t step) noexcept nogil:
    """B' d of pixels [begin, begin + count), of which some may lie outside the image; the next row
    of tiles starts `down` rows below."""
    cdef const float* inside[REACH]
    cdef ptrdiff_t first = max(0, min(count, -begin)), i
    cdef ptrdiff_t last = max(first, min(count, s.width - begin))
    for i in range(REACH):
        inside[i] = NULL
        if rows[i] != NULL and last > first:
            inside[i] = rows[i] + (begin + first) * s.channels
        memset(lines + i * step, 0, first * s.channels * sizeof(float))
        memset(lines + i * step + last * s.channels, 0,
               <size_t> (count - last) * s.channels * sizeof(float))
    fc_input_lines(inside, (last - first) * s.channels, down * <ptrdiff_t> s.width * s.channels,
                   is_short, lines + first * s.channels, step)
