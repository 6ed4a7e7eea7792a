"""Kernel gradient by Winograd's algorithm, float32; see winograd.pyx and, for sub-kernels,
_winograd.pxd.

It is dg = G' [ sum over tiles V[xi]' Z[xi] ] G with Z = A dy A'.  V lies as
[xi][group][vector of a sub-kernel's channels][tile][lane] and Z as
[xi][group][panel of up to three vectors][tile][lane], so that a product walks both without strides
and a tile's transform stores whole vectors.  Passes over tile rows: their V and Z are made, then the
36 products added to dU, in blocks of tiles of which a panel of Z fits the L1 cache.  Where there are
few tiles (*together*) a task takes a panel and some channels through all 36 products into a dU of its
own, and on to dg: a large dU never exists.  In either order every value of dU is one sum, tiles in
their order.
"""

from cython.parallel cimport parallel, threadid
from libc.stddef cimport ptrdiff_t
from libc.string cimport memcpy, memset

from _fastconv._tiles cimport LANES_F32, float_mode, flush_denormals, restore_denormals
from _fastconv._window cimport load_rows
from _fastconv._winograd cimport (
    MOST_LANES, MOST_TAPS, POINTS, SKEW, fc_input_tile, span_of, taps_of,
)
from _fastconv._work cimport Work, join_team, next_task, share_work, wait_for_all
from _fastconv.structs cimport PaddedImage, Tiles, load_struct

join_team()

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

cdef struct Kernel:       # dkernel of (side, side, channels, filters)
    float* values
    int side
    int channels


cdef void gradient_row(const Tiles* t, const PaddedImage* s, const float* x, const float* dy,
                       ptrdiff_t row, float* v, float* z, ptrdiff_t tiles, ptrdiff_t tile,
                       float* sums, float* scratch) noexcept nogil:
    """V and Z of one tile row, counted over all images, whose first tile is `tile` of the pass's
    `tiles`; `sums` takes its sum of dy."""
    cdef ptrdiff_t image = row // t.rows
    cdef int top = <int> (row % t.rows) * t.m, group
    cdef ptrdiff_t pixel = <ptrdiff_t> t.groups * t.filters
    cdef const float* padded = load_rows(s, x + image * s.height * s.width * s.channels,
                                         t.stride * top, span_of(t, 1), scratch)
    dy += (image * t.out_rows + top) * t.out_columns * pixel
    memset(sums, 0, t.groups * vector_count(t.filters) * LANES_F32 * sizeof(float))
    for group in range(t.groups):
        input_tiles(t, s, padded + group * t.channels, tiles, tile,
                    v + group * input_vectors(t) * tiles * LANES_F32)
        output_tiles(t, dy + group * t.filters, pixel, min(t.m, t.out_rows - top), tiles, tile,
                     z + group * vector_count(t.filters) * tiles * LANES_F32,
                     sums + group * vector_count(t.filters) * LANES_F32)


cdef void input_tiles(const Tiles* t, const PaddedImage* s, const float* padded, ptrdiff_t tiles,
                      ptrdiff_t tile, float* v) noexcept nogil:
    """V of one group of one tile row."""
    cdef ptrdiff_t step = points_step(tiles, t.groups * input_vectors(t)), down, right
    cdef ptrdiff_t pixel = t.stride * <ptrdiff_t> s.channels
    cdef int part, vector, column
    for part in range(t.row_kernels * t.column_kernels):
        down = t.offset * (part // t.column_kernels) * s.row_step
        right = t.offset * (part % t.column_kernels) * <ptrdiff_t> s.channels
        for vector in range(vector_count(t.channels)):
            for column in range(t.columns):
                fc_input_tile(padded + down + right + vector * LANES_F32 + t.m * column * pixel,
                              t.stride * s.row_step, pixel, v + (tile + column) * LANES_F32, step)
            v += tiles * LANES_F32


cdef void output_tiles(const Tiles* t, const float* dy, ptrdiff_t pixel, int rows, ptrdiff_t tiles,
                       ptrdiff_t tile, float* z, float* sums) noexcept nogil:
    """Z of one group of one tile row, of which so many rows exist, and the sum of its dy."""
    cdef int vectors = vector_count(t.filters), side = t.m, column, columns, channel
    cdef ptrdiff_t line = t.out_columns * pixel, panel, start, end, vector
    cdef ptrdiff_t step = points_step(tiles, t.groups * vectors)
    cdef const float* source
    cdef float* to
    for panel in range(outer_panels(vectors)):
        start, end = outer_start(panel, vectors), outer_start(panel + 1, vectors)
        to = z + (start * tiles + tile * (end - start)) * LANES_F32
        for column in range(t.columns):
            columns = min(side, t.out_columns - side * column)
            for vector in range(start, end):
                channel = <int> vector * LANES_F32
                source = dy + side * column * pixel + channel
                if rows == side and columns == side and channel + LANES_F32 <= t.filters:
                    fc_gradient_tile_transform(source, line, pixel, side, to, step, sums + channel)
                else:
                    fc_gradient_edge_transform(source, line, pixel, side, rows, columns,
                                               t.filters - channel, to, step, sums + channel)
                to += LANES_F32


cdef inline int vector_count(int channels) noexcept nogil:
    return (channels + LANES_F32 - 1) // LANES_F32


cdef inline int input_vectors(const Tiles* t) noexcept nogil:
    """Of all parts' channels of a group, those of each padded."""
    return t.row_kernels * t.column_kernels * vector_count(t.channels)


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
                        int accumulate) noexcept nogil:
    """du (channels, panel) (+)= v' z for one xi over tiles [first, last) of so many, for vectors
    [start, end) of the channels."""
    cdef ptrdiff_t vector
    cdef int row
    for vector in range(start, end):
        row = 0
        while row < LANES_F32:
            fc_outer_tile(vectors, v + (vector * tiles + first) * LANES_F32 + row,
                          z + first * vectors * LANES_F32, last - first, du, accumulate)
            du += OUTER_ROWS * vectors * LANES_F32
            row += OUTER_ROWS


cdef void outer_point(const Tiles* t, const float* v, const float* z, float* du, ptrdiff_t tiles,
                      ptrdiff_t block, ptrdiff_t first_panel, ptrdiff_t last_panel,
                      int accumulate) noexcept nogil:
    """Add the pass's tiles to some panels of one xi of one group."""
    cdef int channels = input_vectors(t), filters = vector_count(t.filters)
    cdef ptrdiff_t pieces = (tiles + block - 1) // block, piece, panel, start
    for piece in range(pieces):
        for panel in range(first_panel, last_panel):
            start = outer_start(panel, filters) * LANES_F32
            outer_product(v, z + start * tiles, tiles, piece * tiles // pieces,
                          (piece + 1) * tiles // pieces, 0, channels,
                          <int> (outer_start(panel + 1, filters) - outer_start(panel, filters)),
                          du + start * channels * LANES_F32, accumulate or piece > 0)


cdef void outer_split(const Tiles* t, const float* v, const float* z, float* du, ptrdiff_t tiles,
                      ptrdiff_t block, ptrdiff_t task, ptrdiff_t splits,
                      int accumulate) noexcept nogil:
    """Add the pass's tiles to one share of the panels of one xi of one group."""
    cdef int channels = input_vectors(t), filters = vector_count(t.filters)
    cdef ptrdiff_t panels = outer_panels(filters), split = task % splits
    cdef ptrdiff_t xi = task // splits % POINTS, group = task // splits // POINTS
    outer_point(t, v + xi * points_step(tiles, t.groups * channels)
                + group * channels * tiles * LANES_F32,
                z + xi * points_step(tiles, t.groups * filters)
                + group * filters * tiles * LANES_F32,
                du + xi * points_step(t.groups * channels * LANES_F32, filters)
                + group * channels * LANES_F32 * filters * LANES_F32, tiles, block,
                split * panels // splits, (split + 1) * panels // splits, accumulate)


cdef void outer_panel(const Tiles* t, const float* v, const float* z, float* du, ptrdiff_t tiles,
                      int piece, ptrdiff_t task, int group, const Kernel* dkernel) noexcept nogil:
    """dg of one panel and up to `piece` vectors of a group's channels, all points together."""
    cdef int channels = input_vectors(t), filters = vector_count(t.filters), vectors
    cdef ptrdiff_t pieces = (channels + piece - 1) // piece, panel = task // pieces, xi
    cdef ptrdiff_t first = task % pieces * channels // pieces
    cdef ptrdiff_t last = (task % pieces + 1) * channels // pieces
    cdef ptrdiff_t start = outer_start(panel, filters) * LANES_F32, step
    vectors = <int> (outer_start(panel + 1, filters) - outer_start(panel, filters))
    step = points_step((last - first) * LANES_F32, vectors)
    v += group * channels * tiles * LANES_F32
    z += group * filters * tiles * LANES_F32 + start * tiles
    for xi in range(POINTS):
        outer_product(v + xi * points_step(tiles, t.groups * channels),
                      z + xi * points_step(tiles, t.groups * filters), tiles, 0, tiles, first,
                      last, vectors, du + xi * step, 0)
    kernel_gradient_panel(t, du, step, first * LANES_F32, last * LANES_F32, start, vectors, group,
                          dkernel)


cdef void kernel_gradient_panel(const Tiles* t, const float* du, ptrdiff_t step, ptrdiff_t first,
                                ptrdiff_t last, ptrdiff_t start, int vectors, int group,
                                const Kernel* dkernel) noexcept nogil:
    """dg of lanes [first, last) of a group's channels and the panel of filters from `start` on."""
    cdef int padded = vector_count(t.channels) * LANES_F32
    cdef ptrdiff_t lane, filter, filters = <ptrdiff_t> t.groups * t.filters
    cdef float* values = dkernel.values + group * t.filters
    cdef int k
    for lane in range(first, last):
        for k in range(vectors):
            filter = start + k * LANES_F32
            if lane % padded >= t.channels:
                pass
            elif t.row_kernels == 1:
                fc_kernel_gradient_tile(du, step, taps_of(t),
                                        values + lane * filters + filter,
                                        t.channels * filters, <int> (t.filters - filter))
            else:
                part_gradient(t, du, step, <int> (lane // padded), <int> (lane % padded), filter,
                              values, dkernel)
            du += LANES_F32


cdef void part_gradient(const Tiles* t, const float* du, ptrdiff_t step, int part, int channel,
                        ptrdiff_t filter, float* values, const Kernel* dkernel) noexcept nogil:
    """dg of a channel of a part and one vector of filters, those taps that the kernel has."""
    cdef int taps = taps_of(t), inputs = dkernel.channels, tap
    # Where a part's channels are those of pixels side by side, these are its column.
    cdef int top = part // t.column_kernels * t.offset
    cdef int left = (part % t.column_kernels + channel // inputs) * t.offset, row, column
    cdef int some = <int> min(<ptrdiff_t> LANES_F32, t.filters - filter)
    cdef float tile[MOST_TAPS * MOST_LANES]
    fc_kernel_gradient_tile(du, step, taps, tile, LANES_F32, LANES_F32)
    for tap in range(taps * taps):
        row = top + tap // taps * t.stride
        column = left + tap % taps * t.stride
        if row < dkernel.side and column < dkernel.side:
            memcpy(values + ((row * dkernel.side + column) * <ptrdiff_t> inputs + channel % inputs)
                   * t.groups * t.filters + filter, tile + tap * LANES_F32,
                   <size_t> some * sizeof(float))


cdef void kernel_gradient_lane(const Tiles* t, const float* du, ptrdiff_t lane,
                               const Kernel* dkernel) noexcept nogil:
    """dg of one lane of all groups' channels and its group's filters."""
    cdef int channels = input_vectors(t), filters = vector_count(t.filters), vectors
    cdef int group = <int> (lane // (channels * LANES_F32))
    cdef ptrdiff_t panel, start, step = points_step(t.groups * channels * LANES_F32, filters)
    lane -= group * channels * LANES_F32
    du += group * channels * LANES_F32 * filters * LANES_F32
    for panel in range(outer_panels(filters)):
        start = outer_start(panel, filters) * LANES_F32
        vectors = <int> (outer_start(panel + 1, filters) - outer_start(panel, filters))
        kernel_gradient_panel(t, du + start * channels * LANES_F32 + lane * vectors * LANES_F32,
                              step, lane, lane + 1, start, vectors, group, dkernel)


def kernel_gradient(const float[:, :, :, ::1] x,    # IN
                    const float[:, :, :, ::1] dy,   # IN
                    bytes padded_image, bytes tiling,
                    int block_rows,                 # tile rows of one pass
                    int block_tiles,                # tiles of which a panel of Z fits the L1 cache
                    int together,                   # vectors of channels of a task, 0: by points
                    float[::1] v,                   # SCRATCH 36 points of a pass's tiles
                    float[::1] z,                   # SCRATCH the same
                    float[:, ::1] du,               # SCRATCH one row, or with `together` one a thread
                    float[:, ::1] sums,             # SCRATCH (tile rows of all images, padded filters)
                    float[:, ::1] scratch,          # SCRATCH one row a thread
                    float[:, :, :, ::1] dkernel,    # OUT
                    float[::1] dbias,               # OUT or None
                    int num_threads, /):
    """dkernel and dbias, the pixels' sum of dy; with `together` there is one pass."""
    cdef Tiles t
    load_struct(tiling, &t, sizeof(t))
    cdef PaddedImage s
    load_struct(padded_image, &s, sizeof(s))
    cdef ptrdiff_t rows = x.shape[0] * t.rows, first = 0, last, task, tiles, splits, lane
    cdef int channels = input_vectors(&t), filters = vector_count(t.filters), k
    cdef ptrdiff_t panels = outer_panels(filters), pieces = 1
    cdef Kernel gradient
    cdef Work work, products, lanes
    cdef float_mode mode = 0
    gradient.values, gradient.side = &dkernel[0, 0, 0, 0], <int> dkernel.shape[0]
    gradient.channels = <int> dkernel.shape[2]
    # A value of dU is one sum whoever adds to it: the tasks may follow the threads.
    splits = min(panels, (4 * num_threads + POINTS - 1) // POINTS)
    if together:
        pieces = panels * ((channels + together - 1) // together)
    while first < rows:
        last = min(first + block_rows, rows)
        tiles = (last - first) * t.columns
        share_work(&work, last - first, num_threads)
        share_work(&lanes, t.groups * channels * LANES_F32, num_threads)
        share_work(&products, t.groups * (pieces if together else POINTS * splits), num_threads)
        with nogil, parallel(num_threads=num_threads):
            mode = flush_denormals()
            while (task := next_task(&work, threadid())) >= 0:
                gradient_row(&t, &s, &x[0, 0, 0, 0], &dy[0, 0, 0, 0], first + task,
                             &v[0], &z[0], tiles, task * t.columns,
                             &sums[first + task, 0], &scratch[threadid(), 0])
            wait_for_all()
            while (task := next_task(&products, threadid())) >= 0:
                if together:
                    outer_panel(&t, &v[0], &z[0], &du[threadid(), 0], tiles, together,
                                task % pieces, <int> (task // pieces), &gradient)
                else:
                    outer_split(&t, &v[0], &z[0], &du[0, 0], tiles, block_tiles, task, splits,
                                first != 0)
            if last == rows and not together:
                wait_for_all()
                while (lane := next_task(&lanes, threadid())) >= 0:
                    kernel_gradient_lane(&t, &du[0, 0], lane, &gradient)
            restore_denormals(mode)
        first = last
    if dbias is not None:
        for k in range(t.groups * t.filters):
            dbias[k] = 0
        for task in range(rows):
            for k in range(t.groups * t.filters):
                dbias[k] += sums[task, k // t.filters * filters * LANES_F32 + k % t.filters]
