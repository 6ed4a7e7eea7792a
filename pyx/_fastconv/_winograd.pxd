"""What Winograd's kernels share: the tiles of an image, the points, the lines of B' d."""

from libc.stddef cimport ptrdiff_t
from libc.string cimport memset

from _fastconv._window cimport Strip

cdef extern from "simd/winograd_axis.h" nogil:
    void fc_input_lines(const float* const*, ptrdiff_t, ptrdiff_t, int, float*, ptrdiff_t) noexcept
    void fc_input_tile(const float*, ptrdiff_t, ptrdiff_t, float*, ptrdiff_t) noexcept

cdef enum:
    POINTS = 36
    REACH = 6             # points of an axis: a tile reads as many rows, and columns
    SKEW = 16             # floats between points: a power of two would put all 36 in one cache set

cdef struct Tiles:
    int side              # outputs of a tile along an axis: 4, or 2 under kernels of 5x5
    int rows              # of tiles in one image
    int columns
    int out_rows          # of the output, pooled if it is
    int out_columns
    int channels
    int filters
    int pooled
    int relu
    int band              # tiles side by side whose lines are made at a time
    int short_row         # whether the last row of tiles is short, and the last column
    int short_column


cdef inline Tiles tiles_of(const int[::1] fields):
    cdef Tiles t
    t.side = fields[11]
    t.rows, t.columns, t.out_rows, t.out_columns = fields[0], fields[1], fields[2], fields[3]
    t.channels, t.filters, t.pooled, t.relu = fields[4], fields[5], fields[6], fields[7]
    t.band, t.short_row, t.short_column = fields[8], fields[9], fields[10]
    return t


cdef inline int taps_of(const Tiles* t) noexcept nogil:
    """Of the kernel, along an axis."""
    return REACH + 1 - t.side


cdef inline bint is_short_row(const Tiles* t, ptrdiff_t row) noexcept nogil:
    """Of one row of tiles, counted over all images."""
    return t.short_row and row % t.rows == t.rows - 1


cdef inline void image_rows(const Strip* s, const float* image, int top,
                            const float** rows) noexcept nogil:
    """The six rows that a row of tiles reads, the output's row `top` its first; NULL: no such."""
    cdef int i, row
    for i in range(6):
        row = top - s.top + i
        rows[i] = NULL
        if 0 <= row < s.height:
            rows[i] = image + <ptrdiff_t> row * s.width * s.channels


cdef inline void load_lines(const Strip* s, const float* const* rows, int begin, int count,
                            int side, bint is_short, float* lines,
                            ptrdiff_t step) noexcept nogil:
    """B' d of pixels [begin, begin + count), of which some may lie outside the image; the row of
    tiles below starts `side` rows further on."""
    cdef const float* inside[6]
    cdef ptrdiff_t first = max(0, min(count, -begin)), i
    cdef ptrdiff_t last = max(first, min(count, s.width - begin))
    for i in range(6):
        inside[i] = NULL
        if rows[i] != NULL:
            inside[i] = rows[i] + (begin + first) * s.channels
        memset(lines + i * step, 0, first * s.channels * sizeof(float))
        memset(lines + i * step + last * s.channels, 0,
               <size_t> (count - last) * s.channels * sizeof(float))
    fc_input_lines(inside, (last - first) * s.channels, side * <ptrdiff_t> s.width * s.channels,
                   is_short, lines + first * s.channels, step)
