"""Kernel gradient by Winograd's algorithm, float32; see winograd.pyx and, for the parts of a kernel,
_winograd.pxd.

It is dg = G' [ sum over tiles V[xi]' Z[xi] ] G with Z = A dy A'.  V lies as
[xi][vector of a part's channels][tile][lane] and Z as [xi][panel of up to three vectors][tile][lane], so
that a product walks both without strides and a tile's transform stores whole vectors.  Stages
of tile rows: their V and Z are made, then the 36 products added to dU, in blocks of tiles of
which a panel of Z fits the L1 cache.  Where there are few tiles (*together*) a task takes a
panel and some channels through all 36 products into a dU of its own, and on to dg: a large dU
never exists.  In either order every value of dU is one sum, tiles in their order.
"""

from cython.parallel cimport parallel, prange, threadid
from libc.stddef cimport ptrdiff_t
from libc.string cimport memcpy, memset

from _fastconv._tiles cimport (
    LANES_F32, float_mode, flush_denormals, restore_denormals,
)
from _fastconv._window cimport Strip, load_strip, strip_of
from _fastconv._winograd cimport (
    POINTS, SKEW, Tiles, fc_input_tile, span_of, taps_of, tiles_of,
)
from _fastconv._work cimport Work, next_task, share_work, wait_for_all

cdef extern from "simd/winograd_gradient.h" nogil:
    const int OUTER_ROWS "FC_WINOGRAD_OUTER_ROWS"
    const int OUTER_VECTORS "FC_WINOGRAD_OUTER_VECTORS"
    void fc_gradient_tile_transform(const float*, ptrdiff_t, ptrdiff_t, int, float*, ptrdiff_t,
                                    float*) noexcept
    void fc_gradient_edge_transform(const float*, ptrdiff_t, ptrdiff_t, int, int, int, int, float*,
                                    ptrdiff_t, float*) noexcept
    void fc_outer_tile(int, const float*, const float*, ptrdiff_t, float*, int) noexcept
    void fc_kernel_gradient_tile(const float*, ptrdiff_t, int, float*, ptrdiff_t, int) noexcept

OUTER = OUTER_VECTORS
cdef enum:
    MOST_TAPS = 25
    MOST_LANES = 16

cdef struct Kernel:       # dkernel of (side, side, channels, filters)
    float* values
    int side
    int channels


cdef void gradient_row(const Tiles* t, const Strip* s, const float* x, const float* dy,
                       ptrdiff_t row, float* v, float* z, ptrdiff_t tiles, ptrdiff_t tile,
                       float* sums, float* scratch) noexcept nogil:
    """V and Z of one tile row, counted over all images, whose first tile is `tile` of the stage's
    `tiles`; `sums` takes its sum of dy."""
    cdef ptrdiff_t image = row // t.rows, panel, start, end, step, vector
    cdef int side = t.side, top = <int> (row % t.rows) * side
    cdef int rows = min(side, t.out_rows - top), column, columns, part
    cdef int channel, vectors = vector_count(t.filters)
    cdef ptrdiff_t line = <ptrdiff_t> t.out_columns * t.filters
    cdef const float* strip = load_strip(s, x + image * s.height * s.width * s.channels,
                                         t.stride * top, span_of(t, 1), scratch)
    cdef const float* source
    cdef float* to
    step = points_step(tiles, input_vectors(t))
    for part in range(t.parts * t.column_parts):
        source = strip + t.offset * (part // t.column_parts * s.row_step
                                     + part % t.column_parts * <ptrdiff_t> s.channels)
        for vector in range(vector_count(t.channels)):
            for column in range(t.columns):
                fc_input_tile(source + t.stride * side * column * <ptrdiff_t> s.channels,
                              t.stride * s.row_step, t.stride * <ptrdiff_t> s.channels,
                              v + (tile + column) * LANES_F32, step)
            source += LANES_F32
            v += tiles * LANES_F32
    dy += (image * t.out_rows + top) * line
    step = points_step(tiles, vectors)
    memset(sums, 0, vectors * LANES_F32 * sizeof(float))
    for panel in range(outer_panels(vectors)):
        start, end = outer_start(panel, vectors), outer_start(panel + 1, vectors)
        to = z + (start * tiles + tile * (end - start)) * LANES_F32
        for column in range(t.columns):
            columns = min(side, t.out_columns - side * column)
            for vector in range(start, end):
                channel = <int> vector * LANES_F32
                source = dy + side * column * t.filters + channel
                if rows == side and columns == side and channel + LANES_F32 <= t.filters:
                    fc_gradient_tile_transform(source, line, t.filters, side, to, step,
                                               sums + channel)
                else:
                    fc_gradient_edge_transform(source, line, t.filters, side, rows, columns,
                                               t.filters - channel, to, step, sums + channel)
                to += LANES_F32


cdef inline int vector_count(int channels) noexcept nogil:
    return (channels + LANES_F32 - 1) // LANES_F32


cdef inline int input_vectors(const Tiles* t) noexcept nogil:
    """Of all parts' channels, those of each padded."""
    return t.parts * t.column_parts * vector_count(t.channels)


cdef inline ptrdiff_t points_step(ptrdiff_t count, int vectors) noexcept nogil:
    """Floats between two points: `count` rows of so many vectors."""
    return count * vectors * LANES_F32 + SKEW


cdef inline int outer_panels(int vectors) noexcept nogil:
    return (vectors + OUTER_VECTORS - 1) // OUTER_VECTORS


cdef inline ptrdiff_t outer_start(ptrdiff_t panel, int vectors) noexcept nogil:
    """The first vector of a panel: they are of almost equal width, since one vector is slow."""
    return panel * vectors // outer_panels(vectors)


cdef void outer_product(const float* v, const float* z, ptrdiff_t tiles, ptrdiff_t first,
                        ptrdiff_t last, ptrdiff_t start, ptrdiff_t end, int vectors, float* du,
                        int fresh) noexcept nogil:
    """du (channels, panel) (+)= v' z for one xi over tiles [first, last) of so many, for vectors
    [start, end) of the channels."""
    cdef ptrdiff_t vector
    cdef int row
    for vector in range(start, end):
        row = 0
        while row < LANES_F32:
            fc_outer_tile(vectors, v + (vector * tiles + first) * LANES_F32 + row,
                          z + first * vectors * LANES_F32, last - first, du, fresh)
            du += OUTER_ROWS * vectors * LANES_F32
            row += OUTER_ROWS


cdef void outer_point(const Tiles* t, const float* v, const float* z, float* du, ptrdiff_t tiles,
                      ptrdiff_t block, ptrdiff_t first_panel, ptrdiff_t last_panel,
                      int fresh) noexcept nogil:
    """Add the stage's tiles to some panels of one xi."""
    cdef int channels = input_vectors(t), filters = vector_count(t.filters)
    cdef ptrdiff_t pieces = (tiles + block - 1) // block, piece, panel, start
    for piece in range(pieces):
        for panel in range(first_panel, last_panel):
            start = outer_start(panel, filters) * LANES_F32
            outer_product(v, z + start * tiles, tiles, piece * tiles // pieces,
                          (piece + 1) * tiles // pieces, 0, channels,
                          <int> (outer_start(panel + 1, filters) - outer_start(panel, filters)),
                          du + start * channels * LANES_F32, fresh and piece == 0)


cdef void outer_panel(const Tiles* t, const float* v, const float* z, float* du, ptrdiff_t tiles,
                      int group, ptrdiff_t task, const Kernel* dkernel) noexcept nogil:
    """dg of one panel and one group of channels' vectors, all points together."""
    cdef int channels = input_vectors(t), filters = vector_count(t.filters), vectors
    cdef ptrdiff_t groups = (channels + group - 1) // group, panel = task // groups, xi
    cdef ptrdiff_t first = task % groups * channels // groups
    cdef ptrdiff_t last = (task % groups + 1) * channels // groups
    cdef ptrdiff_t start = outer_start(panel, filters) * LANES_F32, step
    vectors = <int> (outer_start(panel + 1, filters) - outer_start(panel, filters))
    step = points_step((last - first) * LANES_F32, vectors)
    for xi in range(POINTS):
        outer_product(v + xi * points_step(tiles, channels),
                      z + xi * points_step(tiles, filters) + start * tiles, tiles, 0, tiles,
                      first, last, vectors, du + xi * step, 1)
    kernel_gradient_panel(t, du, step, first * LANES_F32, last * LANES_F32, start, vectors,
                          dkernel)


cdef void kernel_gradient_panel(const Tiles* t, const float* du, ptrdiff_t step, ptrdiff_t first,
                                ptrdiff_t last, ptrdiff_t start, int vectors,
                                const Kernel* dkernel) noexcept nogil:
    """dg of lanes [first, last) of the channels and the panel of filters that starts at `start`."""
    cdef int padded = vector_count(t.channels) * LANES_F32
    cdef ptrdiff_t lane, filter
    cdef int k
    for lane in range(first, last):
        for k in range(vectors):
            filter = start + k * LANES_F32
            if lane % padded >= t.channels:
                pass
            elif t.parts == 1:
                fc_kernel_gradient_tile(du, step, taps_of(t),
                                        dkernel.values + lane * t.filters + filter,
                                        <ptrdiff_t> t.channels * t.filters,
                                        <int> (t.filters - filter))
            else:
                part_gradient(t, du, step, <int> (lane // padded), <int> (lane % padded), filter,
                              dkernel)
            du += LANES_F32


cdef void part_gradient(const Tiles* t, const float* du, ptrdiff_t step, int part, int channel,
                        ptrdiff_t filter, const Kernel* dkernel) noexcept nogil:
    """dg of a channel of a part and one vector of filters, those taps that the kernel has."""
    cdef int taps = taps_of(t), inputs = dkernel.channels, tap
    # Where a part's channels are those of pixels side by side, these are its column.
    cdef int top = part // t.column_parts * t.offset
    cdef int left = (part % t.column_parts + channel // inputs) * t.offset, row, column
    cdef int some = <int> min(<ptrdiff_t> LANES_F32, t.filters - filter)
    cdef float tile[MOST_TAPS * MOST_LANES]
    fc_kernel_gradient_tile(du, step, taps, tile, LANES_F32, LANES_F32)
    for tap in range(taps * taps):
        row = top + tap // taps * t.stride
        column = left + tap % taps * t.stride
        if row < dkernel.side and column < dkernel.side:
            memcpy(dkernel.values
                   + ((row * dkernel.side + column) * <ptrdiff_t> inputs + channel % inputs)
                   * t.filters + filter, tile + tap * LANES_F32,
                   <size_t> some * sizeof(float))


cdef void kernel_gradient_lane(const Tiles* t, const float* du, ptrdiff_t lane,
                               const Kernel* dkernel) noexcept nogil:
    """dg of one lane of the channels, all filters."""
    cdef int channels = input_vectors(t), filters = vector_count(t.filters), vectors
    cdef ptrdiff_t panel, start
    for panel in range(outer_panels(filters)):
        start = outer_start(panel, filters) * LANES_F32
        vectors = <int> (outer_start(panel + 1, filters) - outer_start(panel, filters))
        kernel_gradient_panel(t, du + start * channels * LANES_F32 + lane * vectors * LANES_F32,
                              points_step(channels * LANES_F32, filters), lane, lane + 1, start,
                              vectors, dkernel)


def kernel_gradient(const float[:, :, :, ::1] x,    # IN
                    const float[:, :, :, ::1] dy,   # IN
                    const int[::1] strip, const int[::1] fields,
                    int block_rows,                 # tile rows of one stage
                    int block_tiles,                # tiles of which a panel of Z fits the L1 cache
                    int group,                      # vectors of channels of a task, 0: by points
                    float[::1] v,                   # SCRATCH 36 points of a stage's tiles
                    float[::1] z,                   # SCRATCH the same
                    float[:, ::1] du,               # SCRATCH one row, or with `group` one a thread
                    float[:, ::1] sums,             # SCRATCH (tile rows of all images, filters)
                    float[:, ::1] scratch,          # SCRATCH one row a thread
                    float[:, :, :, ::1] dkernel,    # OUT
                    float[::1] dbias,               # OUT or None
                    int num_threads):
    """dkernel and dbias, the pixels' sum of dy; with `group` there is one stage."""
    cdef Tiles t = tiles_of(fields)
    cdef Strip s = strip_of(strip)
    cdef ptrdiff_t rows = x.shape[0] * t.rows, first = 0, last, task, tiles, splits, xi, split
    cdef ptrdiff_t lane
    cdef Kernel gradient
    cdef int channels = input_vectors(&t), filters = vector_count(t.filters), k
    cdef ptrdiff_t panels = outer_panels(filters)
    cdef Work work, products
    cdef float_mode mode = 0
    gradient.values, gradient.side = &dkernel[0, 0, 0, 0], <int> dkernel.shape[0]
    gradient.channels = <int> dkernel.shape[2]
    # A value of dU is one sum whoever adds to it: the tasks may follow the threads.
    splits = min(panels, (4 * num_threads + POINTS - 1) // POINTS)
    while first < rows:
        last = min(first + block_rows, rows)
        tiles = (last - first) * t.columns
        share_work(&work, last - first, num_threads)
        share_work(&products, panels * ((channels + group - 1) // group) if group
                   else POINTS * splits, num_threads)
        with nogil, parallel(num_threads=num_threads):
            mode = flush_denormals()
            while (task := next_task(&work, threadid())) >= 0:
                gradient_row(&t, &s, &x[0, 0, 0, 0], &dy[0, 0, 0, 0], first + task,
                             &v[0], &z[0], tiles, task * t.columns,
                             &sums[first + task, 0], &scratch[threadid(), 0])
            wait_for_all()
            if group:
                while (task := next_task(&products, threadid())) >= 0:
                    outer_panel(&t, &v[0], &z[0], &du[threadid(), 0], tiles, group, task,
                                &gradient)
            else:
                while (task := next_task(&products, threadid())) >= 0:
                    xi = task // splits
                    split = task % splits
                    outer_point(&t, &v[xi * points_step(tiles, channels)],
                                &z[xi * points_step(tiles, filters)],
                                &du[0, xi * points_step(channels * LANES_F32, filters)], tiles,
                                block_tiles, split * panels // splits,
                                (split + 1) * panels // splits, first == 0)
                if last == rows:
                    wait_for_all()
                    for lane in prange(channels * LANES_F32, schedule="static"):
                        kernel_gradient_lane(&t, &du[0, 0], lane, &gradient)
            restore_denormals(mode)
        first = last
    if dbias is not None:
        for k in range(t.filters):
            dbias[k] = 0
        for task in range(rows):
            for k in range(t.filters):
                dbias[k] += sums[task, k]
