"""One panel over a stretch of outputs, and all panels: what convolutions share.
"""

from libc.stddef cimport ptrdiff_t

from _fastconv._tiles cimport NARROW_TILE_ROWS, TILE_ROWS, conv_tile, lanes, prefetch, real
from _fastconv.structs cimport Grid, PaddedImage
from _fastconv._window cimport padded_channels, panel_count, panel_vectors


cdef inline void direct_tiles(const Grid* g, const PaddedImage* s, const real* base,
                              const real* weights, int vectors, const real* bias, int channels,
                              real* out_base, ptrdiff_t target_line, ptrdiff_t target_step,
                              const ptrdiff_t* run_offset, int runs, int column, int count,
                              int fetched) noexcept nogil:
    """One panel over `count` outputs from `column` of a row on, tiles running on into the next.

    `fetched`: values of each of the next tile's pixels, side by side, that are fetched meanwhile.
    """
    cdef ptrdiff_t line = g.row_stride * s.row_step
    cdef ptrdiff_t step = <ptrdiff_t> g.column_stride * s.channels
    cdef ptrdiff_t run_step = <ptrdiff_t> g.run_length * vectors * lanes(weights)
    cdef int most = TILE_ROWS if vectors == 2 else NARROW_TILE_ROWS
    cdef int pieces = (count + most - 1) // most
    # Of almost equal height: a last one of a single row would run at a third.
    cdef int height = count // pieces if pieces else 0, higher = count - height * pieces
    cdef int row = 0, rows, piece, i
    cdef const real* source = base + column * step
    cdef real* target = out_base + column * target_step
    cdef const real* pixel[16]
    cdef real* out[16]
    for piece in range(pieces):
        rows = height + (piece < higher)
        # Shallow tiles take less time than a multiplication for each address would.
        for i in range(rows):
            pixel[i] = source
            out[i] = target
            source += step
            target += target_step
            column += 1
            if column == g.columns:
                column = 0
                row += 1
                source = base + row * line
                target = out_base + row * target_line
        if fetched:
            prefetch(target, <ptrdiff_t> rows * fetched)
        conv_tile(rows, vectors, pixel, out, run_offset, runs, g.run_length, weights,
                  vectors * lanes(weights), run_step, bias, 0, channels, g.limit)


cdef inline int first_channel(const Grid* g, int panel, const real* kind) noexcept nogil:
    """Return the channel of the target with which a panel, counted over all groups, begins."""
    cdef int panels = panel_count(g.target_group, kind)
    return panel // panels * g.target_group + panel % panels * 2 * lanes(kind)


cdef inline void direct_panels(const Grid* g, const PaddedImage* s, const real* base,
                               const real* packed, const real* bias, real* out_base,
                               ptrdiff_t target_line, ptrdiff_t target_step,
                               const ptrdiff_t* run_offset, int first_panel, int last_panel,
                               int column, int count, bint fetches) noexcept nogil:
    """The same for panels [first_panel, last_panel) of all groups.

    A panel may write whole vectors into the channels of those behind it, which come later.
    Each walks all pixels and writes a piece of them, too far apart for the CPU's own prefetching:
    if it `fetches`, the first panel fetches the pixels for all.
    """
    cdef int panels = panel_count(g.target_group, packed)
    cdef int end = first_channel(g, last_panel, packed)
    cdef ptrdiff_t depth = <ptrdiff_t> g.runs * g.run_length
    cdef ptrdiff_t padded = padded_channels(g.target_group, packed)
    cdef int index, group, start, channel
    for index in range(first_panel, last_panel):
        group = index // panels
        start = index % panels * 2 * lanes(packed)
        channel = first_channel(g, index, packed)
        direct_tiles(g, s, base + group * g.source_group,
                     packed + (group * padded + start) * depth,
                     panel_vectors(g.target_group - start, packed),
                     bias + group * padded + start, end - channel,
                     out_base + channel, target_line, target_step, run_offset, g.runs, column,
                     count, g.target_channels if fetches and index == first_panel else 0)
