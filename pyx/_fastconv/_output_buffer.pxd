"""Outputs by way of the L1 cache, where their channels are no whole vectors.

A store that crosses a cache line waits for both, and of pixels that are no whole
vectors every second one does.  In the L1 cache it costs little: a block of outputs
is written there, and then copied where it belongs.
"""

from libc.stddef cimport ptrdiff_t
from libc.string cimport memcpy

from _fastconv._direct cimport direct_panels, direct_tiles
from _fastconv._tiles cimport lanes, prefetch, real
from _fastconv._window cimport panel_count, panel_vectors
from _fastconv.structs cimport Grid, PaddedImage


cdef inline void gather_block(const Grid* g, const PaddedImage* s, const real* base,
                              const real* packed, const real* bias, const ptrdiff_t* run_offset,
                              int column, int count, real* buffer) noexcept nogil:
    """All panels over `count` outputs from `column` of a row on.

    Without groups the last panel comes first.  It stores whole vectors, the end of one
    into the next pixel, which is written later: parts cost several times as much.
    """
    cdef int panels = g.groups * panel_count(g.target_group, packed), channels = g.target_channels
    cdef int whole_panels = panels, channel, vectors
    cdef ptrdiff_t line = <ptrdiff_t> g.columns * channels
    cdef real* pixels = buffer - <ptrdiff_t> column * channels
    if g.groups == 1:
        whole_panels = panels - 1
        channel = whole_panels * 2 * lanes(packed)
        vectors = panel_vectors(channels - channel, packed)
        direct_tiles(g, s, base, packed + <ptrdiff_t> channel * g.runs * g.run_length, vectors,
                     bias + channel, vectors * lanes(packed), pixels + channel, line, channels,
                     run_offset, g.runs, column, count, 0)
    direct_panels(g, s, base, packed, bias, pixels, line, channels, run_offset, 0, whole_panels,
                  column, count, False)


cdef inline void direct_buffered(const Grid* g, const PaddedImage* s, const real* base,
                                 const real* packed, const real* bias, real* out_base,
                                 ptrdiff_t target_line, ptrdiff_t target_step,
                                 const ptrdiff_t* run_offset, int rows, real* buffer,
                                 int buffer_pixels) noexcept nogil:
    """All panels over some rows, `buffer_pixels` outputs at a time."""
    cdef int channels = g.target_channels, left = rows * g.columns, row = 0, column = 0
    cdef int count, done, some
    cdef const real* source
    while left > 0:
        count = min(buffer_pixels, left)
        source = base + row * g.row_stride * s.row_step
        if g.groups > 1 and g.runs > 0:
            # The first of the groups to read a line would wait for each: they lie too far apart.
            prefetch(source + <ptrdiff_t> column * g.column_stride * s.channels
                     + run_offset[g.runs - 1],
                     <ptrdiff_t> count * g.column_stride * s.channels)
        gather_block(g, s, source, packed, bias, run_offset, column, count, buffer)
        done = 0
        while done < count:
            some = min(count - done, g.columns - column) if target_step == channels else 1
            memcpy(out_base + row * target_line + column * target_step,
                   buffer + <ptrdiff_t> done * channels,
                   <size_t> some * channels * sizeof(real))
            done += some
            column += some
            if column == g.columns:
                column = 0
                row += 1
        left -= count
