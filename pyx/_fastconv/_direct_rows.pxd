"""Rows of direct sums that `conv` computes in other ways than by panels over all pixels: without
taps that are nothing but padding, as dot products of few outputs, and what no tap reaches."""

from libc.stddef cimport ptrdiff_t
from libc.string cimport memset

from _fastconv._direct cimport direct_tiles
from _fastconv._tiles cimport DOT_COLUMNS, DOT_ROWS, conv_dots, lanes, prefetch, real
from _fastconv._window cimport padded_channels
from _fastconv.structs cimport Grid, PaddedImage


cdef inline void direct_clipped(const Grid* g, const PaddedImage* s, const real* base,
                                const real* weights, int vectors, const real* bias, int channels,
                                real* out_base, const ptrdiff_t* run_offset, const int* run_row,
                                int first, int last) noexcept nogil:
    """The same row by row, each without the runs that are nothing but padding there."""
    cdef int row, begin, end, source
    cdef ptrdiff_t target_line = <ptrdiff_t> g.target_row_step * g.target_width * g.target_channels
    cdef ptrdiff_t target_step = <ptrdiff_t> g.target_column_step * g.target_channels
    for row in range(first, last):
        source = row * g.row_stride - s.top
        begin = 0
        while begin < g.runs and source + run_row[begin] < 0:
            begin += 1
        end = begin
        while end < g.runs and source + run_row[end] < s.height:
            end += 1
        direct_tiles(g, s, base + (row - first) * g.row_stride * s.row_step,
                     weights + <ptrdiff_t> begin * g.run_length * vectors * lanes(weights),
                     vectors, bias, channels, out_base + (row - first) * target_line,
                     target_line, target_step, run_offset + begin, end - begin, 0, g.columns, 0)


cdef inline void direct_dots(const Grid* g, const PaddedImage* s, const real* base, const real* weights,
                             const real* bias, real* out_base, const ptrdiff_t* run_offset,
                             int count) noexcept nogil:
    """Few outputs of a pixel and group, as dot products: vectors run along the reduction.

    Those of a 1x1 kernel read each value once: the next pixels are fetched meanwhile, a share with
    each tile of filters, for the CPU's own prefetching does not get far within a pixel.
    """
    cdef ptrdiff_t step = <ptrdiff_t> g.column_stride * s.channels
    cdef ptrdiff_t target_line = <ptrdiff_t> g.target_row_step * g.target_width * g.target_channels
    cdef ptrdiff_t target_step = <ptrdiff_t> g.target_column_step * g.target_channels
    cdef ptrdiff_t depth = <ptrdiff_t> g.runs * g.run_length
    cdef ptrdiff_t padded = padded_channels(g.target_group, weights)
    # Tiles of almost equal width: that of one filter has too few sums to hide the latency.
    cdef int tiles = (g.target_group + DOT_COLUMNS - 1) // DOT_COLUMNS
    cdef int width = (g.target_group + tiles - 1) // tiles, row, column, group, k, some, pixels
    cdef bint fetches = g.runs == 1 and step == g.run_length
    cdef ptrdiff_t ahead
    cdef const real* pixel
    for row in range(count):
        column = 0
        while column < g.columns:
            pixels = min(DOT_ROWS, g.columns - column)
            ahead = pixels * step
            for group in range(g.groups):
                k = 0
                pixel = (base + row * g.row_stride * s.row_step + column * step
                         + group * g.source_group)
                while k < g.target_group:
                    some = min(width, g.target_group - k)
                    if fetches:
                        prefetch(pixel + ahead + ahead * k // g.target_group,
                                 ahead * some // g.target_group)
                    conv_dots(pixels, some, pixel, step, run_offset,
                              g.runs, g.run_length, weights + (group * g.target_group + k) * depth,
                              bias + group * padded + k, g.limit,
                              out_base + row * target_line + column * target_step
                              + group * g.target_group + k, target_step)
                    k += some
            column += DOT_ROWS


cdef inline void clear_rows(const Grid* g, real* target, int first, int last) noexcept nogil:
    """Set the target's rows that belong to rows [first, last) of the grid to 0."""
    cdef ptrdiff_t line = <ptrdiff_t> g.target_width * g.target_channels
    cdef ptrdiff_t begin = <ptrdiff_t> first * g.target_row_step
    cdef ptrdiff_t end = g.cleared if last == g.rows else <ptrdiff_t> last * g.target_row_step
    memset(target + begin * line, 0, <size_t> ((end - begin) * line) * sizeof(real))
