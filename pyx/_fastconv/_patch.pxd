"""Kernel gradient of a convolution with few filters, or few a group: vectors along the patch.

In NHWC a row of the patch (or, with dilation or groups, each of its taps) is contiguous in x, so
that vectors of it are loaded where they lie; a run's last vector overlaps the one before it.
A register tile is up to FC_FILTERS filters of dY, broadcast, by as many vectors of the patch as
registers hold.  Loops, outermost first: parts (private sums) x splits of the pieces (parallel) -
blocks of rows of an image, copied with their padding - groups - pieces of a few
vectors - tiles of filters - lines - pixels.
Parts are added in order, so that results do not depend on the threads.
"""

from libc.stddef cimport ptrdiff_t
from libc.string cimport memset

from _fastconv._tiles cimport add_filters, copy_pixels, lanes, patch_tile, real
from _fastconv._window cimport load_rows
from _fastconv.structs cimport GradientPatch, PaddedImage

cdef inline int patch_pieces(const GradientPatch* g) noexcept nogil:
    return (g.vectors + g.most - 1) // g.most


cdef inline int tile_count(const GradientPatch* g) noexcept nogil:
    return (g.target_group + g.width - 1) // g.width


cdef inline void pack_tiles(const GradientPatch* g, const real* dy, int pixels, real* to,
                            real* bias_sums) noexcept nogil:
    """All tiles of one group's filters, one after the other; add them to `bias_sums`."""
    cdef int start = 0, count
    while start < g.target_group:
        count = min(g.width, g.target_group - start)
        copy_pixels(dy + start, g.filters, pixels, count, to, count)
        if bias_sums != NULL:
            add_filters(to, count, pixels, bias_sums + start)
        to += <ptrdiff_t> pixels * count
        start += count


cdef inline void multiply_vectors(const GradientPatch* g, const real* x, const ptrdiff_t* offset,
                                  ptrdiff_t line, ptrdiff_t step, int vectors, const real* filters,
                                  int rows, real* sums, int accumulate) noexcept nogil:
    """sums (+)= some vectors of the patch times all filters of a group."""
    cdef int start = 0, count
    while start < g.target_group:
        count = min(g.width, g.target_group - start)
        patch_tile(count, vectors, x, offset, step, line, filters, rows, g.columns, sums,
                   accumulate)
        filters += <ptrdiff_t> rows * g.columns * count
        sums += <ptrdiff_t> g.width * g.most * lanes(x)
        start += count


cdef inline void patch_part(const GradientPatch* g, const PaddedImage* s, const real* x,
                            const real* dy, const ptrdiff_t* offset, ptrdiff_t first,
                            ptrdiff_t last, int first_piece, int last_piece, real* sums,
                            real* bias_sums, real* copy, real* filters) noexcept nogil:
    """Sums of pieces [first_piece, last_piece), counted over all groups, over some blocks."""
    cdef int blocks = (g.rows + g.block_rows - 1) // g.block_rows, pieces = patch_pieces(g)
    cdef int row, rows, piece, group, packed, at
    cdef ptrdiff_t block, image, size = <ptrdiff_t> tile_count(g) * g.width * g.most * lanes(x)
    cdef const real* base
    cdef real* bias
    for block in range(first, last):
        image = block // blocks
        row = <int> (block % blocks) * g.block_rows
        rows = min(g.block_rows, g.rows - row)
        base = load_rows(s, x + image * s.height * s.width * s.channels, row * g.row_stride,
                          (rows - 1) * g.row_stride + g.reach, copy)
        packed = -1
        for piece in range(first_piece, last_piece):
            group = piece // pieces
            at = piece % pieces * g.most
            if group != packed:
                # Whoever has a group's first piece sums its bias.
                bias = bias_sums + group * g.target_group if at == 0 else NULL
                if bias != NULL and block == first:
                    memset(bias, 0, g.target_group * sizeof(real))
                pack_tiles(g, dy + ((image * g.rows + row) * g.columns * g.filters
                                      + group * g.target_group), rows * g.columns, filters, bias)
                packed = group
            multiply_vectors(g, base + group * g.source_group, offset + at,
                           g.row_stride * s.row_step, <ptrdiff_t> g.column_stride * s.channels,
                           min(g.most, g.vectors - at), filters, rows, sums + piece * size,
                           block != first)


cdef inline void reduce_vector(const GradientPatch* g, const real* sums, ptrdiff_t parts,
                               ptrdiff_t part_size, int group, int vector, int row, int begin,
                               int count, real* dkernel) noexcept nogil:
    """Rows [row, row + count) of dkernel = the parts' sums of a vector's lanes, in order."""
    cdef int vectors = min(g.most, g.vectors - vector // g.most * g.most)
    cdef ptrdiff_t tile = <ptrdiff_t> g.width * g.most * lanes(sums), part
    cdef const real* piece = sums + (
        (group * patch_pieces(g) + vector // g.most) * tile_count(g) * tile)
    cdef int k, j
    cdef const real* source
    cdef real* target
    for k in range(g.target_group):
        source = piece + k // g.width * tile + (
            (k % g.width * vectors + vector % g.most) * lanes(sums) + begin)
        target = dkernel + <ptrdiff_t> row * g.filters + group * g.target_group + k
        for j in range(count):
            target[<ptrdiff_t> j * g.filters] = source[j]
        for part in range(1, parts):
            for j in range(count):
                target[<ptrdiff_t> j * g.filters] += source[part * part_size + j]
