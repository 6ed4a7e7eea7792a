"""What Winograd's kernels share: the tiles of an image, the points, the lines of B' d.

A kernel that has no transform of its own is decomposed into *sub-kernels* of r x r taps, its inputs
with it, and the sums over these are sums over more channels:

    stride s            sub-kernel (p, q) has the taps s i + p, s j + q and reads the pixels of that
                        phase: of neighbours along a row the channels lie side by side, as of one
                        pixel, unless they are in groups
    5 taps and more     sub-kernel (p, q) has the taps r p + i, r q + j and reads pixels as much
                        further on

The input gradient of a stride writes phases instead: it has *targets*, one set of filters for each
pixel of s x s; and so has each group of channels sets of its own.
"""

from libc.stddef cimport ptrdiff_t
from libc.string cimport memset

from _fastconv.structs cimport PaddedImage, Tiles

cdef extern from "simd/winograd_axis.h" nogil:
    void fc_input_lines(const float* const*, ptrdiff_t, ptrdiff_t, int, float*, ptrdiff_t) noexcept
    void fc_input_tile(const float*, ptrdiff_t, ptrdiff_t, float*, ptrdiff_t) noexcept

cdef enum:
    POINTS = 36
    ALPHA = 6             # points of an axis: a tile reads as many rows, and columns
    MOST_TAPS = 25        # of a part, and lanes of a vector
    MOST_LANES = 16
    SKEW = 16             # floats between points: a power of two would put all 36 in one cache set


cdef inline int taps_of(const Tiles* t) noexcept nogil:
    """Of a part, along an axis."""
    return ALPHA + 1 - t.m


cdef inline int depth_of(const Tiles* t) noexcept nogil:
    """Channels of all parts of a group."""
    return t.row_kernels * t.column_kernels * t.channels


cdef inline int span_of(const Tiles* t, int tiles) noexcept nogil:
    """Rows, or pixels, that some tiles read one after the other."""
    return t.stride * (t.m * tiles + ALPHA - t.m - 1) + 1 + t.offset * (t.row_kernels - 1)


cdef inline bint is_short_row(const Tiles* t, ptrdiff_t row) noexcept nogil:
    """Of one row of tiles, counted over all images."""
    return t.short_row and row % t.rows == t.rows - 1


cdef inline void image_rows(const PaddedImage* s, const float* image, int top, int stride,
                            const float** rows) noexcept nogil:
    """The six rows that a row of tiles reads, the padded image's row `top` its first; NULL: no
    such."""
    cdef int i, row
    for i in range(ALPHA):
        row = top - s.top + i * stride
        rows[i] = NULL
        if 0 <= row < s.height:
            rows[i] = image + <ptrdiff_t> row * s.width * s.channels


cdef inline void load_lines(const PaddedImage* s, const float* const* rows, int begin, int count,
                            int down, bint is_short, float* lines, ptrdiff_t step) noexcept nogil:
    """B' d of pixels [begin, begin + count), of which some may lie outside the image; the next row
    of tiles starts `down` rows below."""
    cdef const float* inside[ALPHA]
    cdef ptrdiff_t first = max(0, min(count, -begin)), i
    cdef ptrdiff_t last = max(first, min(count, s.width - begin))
    for i in range(ALPHA):
        inside[i] = NULL
        if rows[i] != NULL and last > first:
            inside[i] = rows[i] + (begin + first) * s.channels
        memset(lines + i * step, 0, first * s.channels * sizeof(float))
        memset(lines + i * step + last * s.channels, 0,
               <size_t> (count - last) * s.channels * sizeof(float))
    fc_input_lines(inside, (last - first) * s.channels, down * <ptrdiff_t> s.width * s.channels,
                   is_short, lines + first * s.channels, step)
