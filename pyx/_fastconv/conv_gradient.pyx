"""Kernel gradient of a convolution: a matrix product over all output pixels.

dkernel = X' dY, where a row of X is an output pixel's patch (kernel rows x columns x
channels) and a row of dY its filters; X never exists as a whole.  Loops, outermost first:
parts (private sums) x splits of the patch (parallel) - blocks of output pixels - groups -
pieces of the patch - pieces of the filters - stretches of pixels - pixels.

Per block all pieces of dY are packed once; a block may span images.  A piece of X is some values of
one tap ("by_tap"), and the taps of the same channels follow each other, so that they find their
pixels of x in L1.  A tap's outputs that read padding are left out: the others are stretches of dY's
pixels.  With few pieces of dY, X is read where it lies ("in_place"); many share the packing of a
piece, which stays in L1 and frees the product from strides that would put all pixels in a few cache
sets.  Of very few channels pieces run on over the taps, and padding is zeros.

A register tile is up to TILE values of the patch, broadcast, by up to two vectors of filters.
With few filters `patch_gradient` is faster, whose loops are in _patch.pxd.  Parts are added in
order, so that results do not depend on the threads.
"""

from cython.parallel cimport parallel, threadid
from libc.stddef cimport ptrdiff_t
from libc.string cimport memset

from _fastconv._patch cimport patch_part, patch_pieces, reduce_vector
from _fastconv._tiles cimport (
    MOST_PATCH_SUMS, MOST_PATCH_VECTORS, TILE_FILTERS, add_pixels, copy_pixels,
    float_mode, flush_denormals, gradient_tile, lanes, real, restore_denormals, zero_pixels,
)
from _fastconv._work cimport Work, join_team, next_task, share_work, wait_for_all
from _fastconv.structs cimport GradientPatch, GradientProduct, PaddedImage, load_struct

join_team()

PATCH_FILTERS = TILE_FILTERS
PATCH_VECTORS = MOST_PATCH_VECTORS
PATCH_SUMS = MOST_PATCH_SUMS

cdef int SHARED_FILTERS = 64  # of a row of dkernel, added up by one task: some cache lines

cdef inline int filter_width(const real* kind) noexcept nogil:
    """Filters in one piece of dY."""
    return 2 * lanes(kind)


cdef inline int vector_pitch(int count, const real* kind) noexcept nogil:
    """`count` values of the side of vectors, rounded up to one or two of them."""
    return lanes(kind) if count <= lanes(kind) else 2 * lanes(kind)


cdef struct Columns:      # of the outputs for which a tap lies in the image's columns
    int begin
    int end


cdef inline Columns columns_of(const GradientProduct* g, int column_offset) noexcept nogil:
    cdef Columns c
    c.begin, c.end = 0, g.columns
    if column_offset < 0:
        c.begin = min(g.columns, (g.column_stride - 1 - column_offset) // g.column_stride)
    if column_offset >= g.width:
        c.end = c.begin
    else:
        c.end = max(c.begin, min(g.columns,
                                 (g.width - 1 - column_offset) // g.column_stride + 1))
    return c


cdef inline int source_row(const GradientProduct* g, ptrdiff_t row, int row_offset) noexcept nogil:
    """Return the image's row where an output row's tap lies, or -1."""
    cdef int source = <int> (row % g.rows) * g.row_stride + row_offset
    return source if source < g.height else -1


cdef void pack_run(const GradientProduct* g, const real* x, int row_offset, int column_offset,
                   int channel, ptrdiff_t first, ptrdiff_t last, int count, real* to,
                   int pitch) noexcept nogil:
    """`count` values of one run, for output rows [first, last) counted over all images.

    Padding is left out where pieces are of one tap; elsewhere it is zeros.
    """
    cdef Columns c = columns_of(g, column_offset)
    cdef ptrdiff_t row, step = <ptrdiff_t> g.column_stride * g.channels
    cdef int source, before = 0 if g.by_tap else c.begin
    cdef int after = 0 if g.by_tap else g.columns - c.end
    for row in range(first, last):
        source = source_row(g, row, row_offset)
        if source < 0 or c.begin == c.end:
            if not g.by_tap:
                zero_pixels(to, pitch, g.columns, count)
                to += <ptrdiff_t> g.columns * pitch
            continue
        zero_pixels(to, pitch, before, count)
        to += <ptrdiff_t> before * pitch
        copy_pixels(x + ((row // g.rows * g.height + source) * g.width
                         + c.begin * g.column_stride + column_offset) * g.channels + channel,
                    step, c.end - c.begin, count, to, pitch)
        to += <ptrdiff_t> (c.end - c.begin) * pitch
        zero_pixels(to, pitch, after, count)
        to += <ptrdiff_t> after * pitch


cdef int tap_stretches(const GradientProduct* g, int row_offset, int column_offset, int channel,
                       int count, ptrdiff_t first, ptrdiff_t last,
                       ptrdiff_t* stretch) noexcept nogil:
    """Write the stretches of a block's pixels that a tap finds in the image; return how many.

    Each is what a tile takes: the first of dY's pixels, their number, and where x's values begin,
    which are those of the image or packed ones, `count` a pixel.
    """
    cdef Columns c = columns_of(g, column_offset)
    cdef int stretches = 0, source
    cdef ptrdiff_t row, start, width = c.end - c.begin, packed = 0
    if width == 0:
        return 0
    for row in range(first, last):
        source = source_row(g, row, row_offset)
        if source < 0:
            continue
        start = (row - first) * g.columns + c.begin
        if not g.in_place and stretches and stretch[0] + stretch[1] == start:
            stretch[1] += width
        else:
            stretch += 3 * (stretches > 0)
            stretch[0], stretch[1], stretch[2] = start, width, packed
            if g.in_place:
                stretch[2] = ((row // g.rows * g.height + source) * g.width
                              + c.begin * g.column_stride + column_offset) * g.channels + channel
            stretches += 1
        packed += width * count
    return stretches


cdef inline ptrdiff_t piece_count(const GradientProduct* g) noexcept nogil:
    if g.by_tap:
        return <ptrdiff_t> (g.run_length + g.piece - 1) // g.piece * g.runs
    return (g.runs * g.run_length + g.piece - 1) // g.piece


cdef inline int piece_start(const GradientProduct* g, ptrdiff_t piece, int* count) noexcept nogil:
    """Return the first value of a piece, and how many it has."""
    cdef int start
    if g.by_tap:
        start = <int> (piece // g.runs) * g.piece
        count[0] = min(g.piece, g.run_length - start)
        return <int> (piece % g.runs) * g.run_length + start
    start = <int> piece * g.piece
    count[0] = min(g.piece, g.runs * g.run_length - start)
    return start


cdef void pack_patch(const GradientProduct* g, const real* x, const int* runs, int group,
                     ptrdiff_t first, ptrdiff_t last, int start, int count,
                     real* to) noexcept nogil:
    """Values [start, start + count) of the patch, pixel by pixel."""
    cdef int at = 0, run, value, some
    while at < count:
        run = (start + at) // g.run_length
        value = (start + at) % g.run_length
        some = min(count - at, g.run_length - value)
        pack_run(g, x, runs[2 * run], runs[2 * run + 1], group * g.source_group + value, first,
                 last, some, to + at, count)
        at += some


cdef void pack_filters(const GradientProduct* g, const real* dy, int group, ptrdiff_t first,
                       ptrdiff_t last, real* to, real* bias_sums) noexcept nogil:
    """All pieces of dY of one group, one after the other; add them to `bias_sums`."""
    cdef int pixels = <int> (last - first) * g.columns
    cdef int start = 0, count, pitch
    cdef const real* values = (
        dy + first * g.columns * g.filters + <ptrdiff_t> group * g.target_group)
    while start < g.target_group:
        count = min(filter_width(dy), g.target_group - start)
        pitch = vector_pitch(count, dy)
        copy_pixels(values + start, g.filters, pixels, count, to, pitch)
        if count < pitch:
            zero_pixels(to + count, pitch, pixels, pitch - count)
        if bias_sums != NULL:
            add_pixels(to, pitch // lanes(dy), pixels, bias_sums + group * g.target_group + start,
                       count)
        to += <ptrdiff_t> pixels * pitch
        start += count


cdef void multiply_piece(const GradientProduct* g, const real* patch, int patch_count,
                         ptrdiff_t patch_step, const real* filters, int pixels,
                         const ptrdiff_t* stretch, int stretches, real* sums,
                         int accumulate) noexcept nogil:
    """sums (+)= one piece of the patch times all pieces of dY, a tile of sums for each."""
    cdef int start = 0, pitch
    while start < g.target_group:
        pitch = vector_pitch(g.target_group - start, patch)
        gradient_tile(patch_count, pitch // lanes(patch), patch, patch_step, filters, stretch,
                      stretches, sums, accumulate)
        filters += <ptrdiff_t> pixels * pitch
        sums += g.piece * filter_width(patch)
        start += filter_width(patch)


cdef void gradient_part(const GradientProduct* g, const real* x, const real* dy, const int* runs,
                        ptrdiff_t first, ptrdiff_t last, int block_rows, int first_piece,
                        int last_piece, real* sums, real* bias_sums, real* patch, real* filters,
                        ptrdiff_t* stretch) noexcept nogil:
    """Sums of pieces [first_piece, last_piece) over output rows [first, last)."""
    cdef int group, piece, start, count, run, pixels, stretches
    cdef ptrdiff_t step = <ptrdiff_t> g.column_stride * g.channels
    cdef ptrdiff_t row = first, end
    cdef ptrdiff_t pieces = piece_count(g)
    cdef ptrdiff_t tiles = (g.target_group + filter_width(x) - 1) // filter_width(x)
    cdef ptrdiff_t tile = g.piece * 2 * lanes(x)
    if bias_sums != NULL:
        memset(bias_sums, 0, g.filters * sizeof(real))
    while row < last:
        end = min(row + block_rows, last)
        pixels = <int> (end - row) * g.columns
        for group in range(g.groups):
            pack_filters(g, dy, group, row, end, filters, bias_sums)
            for piece in range(first_piece, last_piece):
                start = piece_start(g, piece, &count)
                stretch[0], stretch[1], stretch[2], stretches = 0, pixels, 0, 1
                if g.by_tap:
                    run = start // g.run_length
                    stretches = tap_stretches(
                        g, runs[2 * run], runs[2 * run + 1],
                        group * g.source_group + start % g.run_length, count, row, end, stretch)
                if not g.in_place:
                    pack_patch(g, x, runs, group, row, end, start, count, patch)
                multiply_piece(g, x if g.in_place else patch, count, step if g.in_place else count,
                               filters, pixels, stretch, stretches,
                               sums + (group * pieces + piece) * tiles * tile, row != first)
        row = end


cdef void reduce_row(const GradientProduct* g, const real* sums, ptrdiff_t parts,
                     ptrdiff_t part_size, int row, real* target) noexcept nogil:
    """target (filters) = the parts' sums for one value of the patch, in order."""
    cdef int wide = filter_width(sums), group, k, start, filters, offset, value = row
    cdef ptrdiff_t pieces = piece_count(g), piece, part
    cdef ptrdiff_t tiles = (g.target_group + wide - 1) // wide
    cdef ptrdiff_t tile = g.piece * 2 * lanes(sums)
    cdef const real* source
    piece = row // g.piece
    if g.by_tap:
        value = row % g.run_length
        piece = <ptrdiff_t> (value // g.piece) * g.runs + row // g.run_length
    for group in range(g.groups):
        source = sums + (group * pieces + piece) * tiles * tile
        start = 0
        while start < g.target_group:
            filters = min(wide, g.target_group - start)
            offset = value % g.piece * vector_pitch(filters, sums)
            for k in range(filters):
                target[k] = source[offset + k]
            for part in range(1, parts):
                for k in range(filters):
                    target[k] += source[part * part_size + offset + k]
            source += tile
            target += filters
            start += filters


def kernel_gradient(const real[:, :, :, ::1] x,     # IN
                    const real[:, :, :, ::1] dy,    # IN (images, rows, columns, filters)
                    const int[:, ::1] runs,         # IN (runs, 2): row and column of x's pixel
                    bytes product,                  # IN GradientProduct
                    int block_rows, int splits,
                    real[:, ::1] sums,              # SCRATCH (parts, tiles)
                    real[:, ::1] bias_sums,         # SCRATCH (parts, filters)
                    real[:, ::1] patch,             # SCRATCH one row a thread
                    real[:, ::1] filters,           # SCRATCH one row a thread
                    ptrdiff_t[:, ::1] stretches,    # SCRATCH one row a thread, 3 * block_rows
                    real[:, :, :, ::1] dkernel,     # OUT
                    real[::1] dbias,                # OUT or None
                    int num_threads, /):
    """dkernel = X' dY and dbias = the pixels' sum of dY."""
    cdef GradientProduct g
    load_struct(product, &g, sizeof(g))
    cdef ptrdiff_t parts = sums.shape[0], rows = x.shape[0] * g.rows, task, part, split
    cdef int depth = g.runs * g.run_length
    cdef ptrdiff_t pieces = piece_count(&g), row
    cdef Work work, rows_of_sums
    cdef float_mode mode = 0
    cdef int k
    share_work(&work, parts * splits, num_threads)
    share_work(&rows_of_sums, depth, num_threads)
    with nogil, parallel(num_threads=num_threads):
        mode = flush_denormals()
        while (task := next_task(&work, threadid())) >= 0:
            part = task // splits
            split = task % splits
            gradient_part(&g, &x[0, 0, 0, 0], &dy[0, 0, 0, 0], &runs[0, 0],
                          part * rows // parts, (part + 1) * rows // parts, block_rows,
                          <int> (split * pieces // splits), <int> ((split + 1) * pieces // splits),
                          &sums[part, 0], &bias_sums[part, 0] if split == 0 else NULL,
                          &patch[threadid(), 0], &filters[threadid(), 0],
                          &stretches[threadid(), 0])
        wait_for_all()
        while (row := next_task(&rows_of_sums, threadid())) >= 0:
            reduce_row(&g, &sums[0, 0], parts, sums.shape[1], <int> row,
                       &dkernel[0, 0, 0, 0] + row * g.filters)
        restore_denormals(mode)
    if dbias is not None:
        for k in range(g.filters):
            dbias[k] = bias_sums[0, k]
            for part in range(1, parts):
                dbias[k] += bias_sums[part, k]


def patch_gradient(const real[:, :, :, ::1] x,     # IN
                   const real[:, :, :, ::1] dy,    # IN (images, rows, columns, filters)
                   const ptrdiff_t[::1] offset,    # IN (vectors,), in values from an output's base
                   const int[:, ::1] places,       # IN (vectors, 3): row of dkernel, first lane
                                                   # that counts, lanes that do
                   bytes padded_image,             # IN PaddedImage
                   bytes tiles,                    # IN GradientPatch
                   int splits,                     # of the pieces
                   real[:, ::1] sums,              # SCRATCH (parts, tiles)
                   real[:, ::1] bias_sums,         # SCRATCH (parts, filters)
                   real[:, ::1] copies,            # SCRATCH one row a thread, a vector longer
                   real[:, ::1] filters,           # SCRATCH one row a thread
                   real[:, :, :, ::1] dkernel,     # OUT
                   real[::1] dbias,                # OUT or None
                   int parts, int num_threads, /):
    """dkernel = X' dY and dbias = the pixels' sum of dY."""
    cdef GradientPatch g
    load_struct(tiles, &g, sizeof(g))
    cdef PaddedImage s
    load_struct(padded_image, &s, sizeof(s))
    cdef ptrdiff_t blocks = x.shape[0] * ((g.rows + g.block_rows - 1) // g.block_rows)
    cdef ptrdiff_t pieces = <ptrdiff_t> patch_pieces(&g) * g.groups, task, part, split, vector
    cdef ptrdiff_t shares = max(1, min(g.groups, g.filters // SHARED_FILTERS)), block
    cdef Work work, vectors
    cdef float_mode mode = 0
    cdef int k, group
    share_work(&work, <ptrdiff_t> parts * splits, num_threads)
    share_work(&vectors, g.vectors * shares, num_threads)
    with nogil, parallel(num_threads=num_threads):
        mode = flush_denormals()
        while (task := next_task(&work, threadid())) >= 0:
            part = task // splits
            split = task % splits
            patch_part(&g, &s, &x[0, 0, 0, 0], &dy[0, 0, 0, 0], &offset[0],
                       part * blocks // parts, (part + 1) * blocks // parts,
                       <int> (split * pieces // splits), <int> ((split + 1) * pieces // splits),
                       &sums[part, 0], &bias_sums[part, 0], &copies[threadid(), 0],
                       &filters[threadid(), 0])
        wait_for_all()
        # Groups share cache lines of dkernel, which threads would take from each other.
        while (block := next_task(&vectors, threadid())) >= 0:
            vector = block // shares
            for group in range(<int> (block % shares * g.groups // shares),
                               <int> ((block % shares + 1) * g.groups // shares)):
                reduce_vector(&g, &sums[0, 0], parts, sums.shape[1], group, <int> vector,
                              places[vector, 0], places[vector, 1], places[vector, 2],
                              &dkernel[0, 0, 0, 0])
        restore_denormals(mode)
    if dbias is not None:
        for k in range(g.filters):
            dbias[k] = bias_sums[0, k]
            for part in range(1, parts):
                dbias[k] += bias_sums[part, k]
