"""3x3 convolution of stride 1 and its gradients by Winograd's F(4x4, 3x3), float32.

Three steps, with `xi` one of the 36 points of the transformed domain:
    V[xi][tile][channel] = B' d B        one 6x6 input tile, a vector of channels at a time
    M[xi][tile][filter]  = V[xi] U[xi]   36 small matrix products, register tiles as conv's
    y                    = A' M A        with bias, ReLU and, fused, the 2x2 max pool: a 4x4
                                         output tile is exactly four pool windows

Two loop orders.  *Blocked* (small kernels): a task takes some rows of tiles through all
three steps, panel by panel of filters, so that V and M stay in its L2 cache and U is
streamed once a block.  *Staged* (U larger than a cache): all tiles go through each step
before the next, and the products are shared out by (xi, panel), so that each U is read
once.  Every output is one fixed sum in either order, whatever the number of threads.

The input gradient is the same convolution of dy with the kernel turned round.  V, M and U hold
their points SKEW floats more than a power of two apart: the transforms walk all 36 at once.

The kernel gradient is dg = G' [ sum over tiles V[xi]' Z[xi] ] G with Z = A dy A'.  V lies as
[xi][vector of channels][tile][lane] and Z as [xi][panel of up to three vectors][tile][lane], so
that a product walks both without strides and a tile's transform stores whole vectors.  Stages
of tile rows: their V and Z are made, then the 36 products added to dU, in blocks of tiles of
which a panel of Z fits the L1 cache.  Where there are few tiles (*together*) a task takes a
panel and some channels through all 36 products into a dU of its own, and on to dg: a large dU
never exists.  In either order every value of dU is one sum, tiles in their order.
"""

from cython.parallel cimport parallel, prange, threadid
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport uint8_t
from libc.string cimport memset

from _fastconv._tiles cimport (
    LANES_F32, float_mode, flush_denormals, restore_denormals,
)
from _fastconv._window cimport (
    Strip, load_strip, padded_channels, panel_count, panel_vectors, strip_of,
)

cdef extern from "simd/winograd.h" nogil:
    void fc_input_tile(const float*, ptrdiff_t, ptrdiff_t, float*, ptrdiff_t) noexcept
    const int OUTER_ROWS "FC_WINOGRAD_OUTER_ROWS"
    const int OUTER_VECTORS "FC_WINOGRAD_OUTER_VECTORS"
    void fc_gradient_tile_transform(const float*, ptrdiff_t, ptrdiff_t, float*, ptrdiff_t,
                                    float*) noexcept
    void fc_gradient_edge_transform(const float*, ptrdiff_t, ptrdiff_t, int, int, int, float*,
                                    ptrdiff_t, float*) noexcept
    void fc_outer_tile(int, const float*, const float*, ptrdiff_t, float*, int) noexcept
    void fc_points_product(ptrdiff_t, int, const float*, ptrdiff_t, int, const float*, float*,
                    ptrdiff_t) noexcept
    void fc_kernel_tile(const float*, ptrdiff_t, float*, ptrdiff_t) noexcept
    void fc_turned_taps(const float*, ptrdiff_t, ptrdiff_t, int, int, float*) noexcept
    void fc_some_taps(const float*, ptrdiff_t, int, float*) noexcept
    void fc_kernel_gradient_tile(const float*, ptrdiff_t, float*, ptrdiff_t, int) noexcept
    void fc_output_tile(const float*, ptrdiff_t, const float*, int, float*, ptrdiff_t, ptrdiff_t,
                        int, int, int) noexcept
    void fc_output_pool_tile(const float*, ptrdiff_t, const float*, float*, uint8_t*, ptrdiff_t,
                             ptrdiff_t, int, int, int) noexcept

cdef enum:
    POINTS = 36
    SKEW = 16             # floats between points: a power of two would put all 36 in one cache set

SKEWED = SKEW
OUTER = OUTER_VECTORS

cdef struct Tiles:
    int rows              # of tiles in one image
    int columns
    int out_rows          # of the output, pooled if it is
    int out_columns
    int channels
    int filters
    int pooled
    int relu


cdef void input_rows(const Tiles* t, const Strip* s, const float* x, float* v,
                     ptrdiff_t v_step, ptrdiff_t first, ptrdiff_t last,
                     float* scratch) noexcept nogil:
    """V of tile rows [first, last), counted over all images; row `first` goes to v[0]."""
    cdef ptrdiff_t row = first, image, padded = padded_channels(t.channels, x)
    cdef int begin, count, i, column, channel
    cdef const float* base
    while row < last:
        image = row // t.rows
        begin = row % t.rows
        count = <int> min(t.rows - begin, last - row)
        base = load_strip(s, x + image * s.height * s.width * s.channels, 4 * begin,
                          4 * count + 2, scratch)
        for i in range(count):
            for column in range(t.columns):
                channel = 0
                while channel < t.channels:
                    fc_input_tile(base + 4 * i * s.row_step + 4 * column * t.channels + channel,
                                  s.row_step, t.channels, v + channel, v_step)
                    channel += LANES_F32
                v += padded
        row += count


cdef void output_tile(const Tiles* t, const float* m, ptrdiff_t m_step, const float* bias,
                      float* y, uint8_t* winners, ptrdiff_t row, int column, int start,
                      int vectors) noexcept nogil:
    """Write one tile's outputs for one panel; `row` is counted over all images."""
    cdef int side = 2 if t.pooled else 4
    cdef int top = <int> (row % t.rows) * side, left = column * side, v
    cdef int rows = min(side, t.out_rows - top), columns = min(side, t.out_columns - left)
    cdef ptrdiff_t line = <ptrdiff_t> t.out_columns * t.filters
    cdef ptrdiff_t at = ((row // t.rows * t.out_rows + top) * line
                         + <ptrdiff_t> left * t.filters + start)
    for v in range(vectors):
        if t.pooled:
            fc_output_pool_tile(m, m_step, bias + start + v * LANES_F32, y + at,
                                NULL if winners == NULL else winners + at, line, t.filters, rows,
                                columns, t.filters - start - v * LANES_F32)
        else:
            fc_output_tile(m, m_step, bias + start + v * LANES_F32, t.relu, y + at, line,
                           t.filters, rows, columns, t.filters - start - v * LANES_F32)
        m += LANES_F32
        at += LANES_F32


cdef void block(const Tiles* t, const Strip* s, const float* x, const float* u,
                const float* bias, float* y, uint8_t* winners, ptrdiff_t first, ptrdiff_t last,
                float* v, float* m, float* scratch) noexcept nogil:
    """All three steps for tile rows [first, last)."""
    cdef ptrdiff_t tiles = (last - first) * t.columns, tile
    cdef ptrdiff_t padded = padded_channels(t.channels, x)
    cdef ptrdiff_t u_step = padded_channels(t.filters, x) * t.channels + SKEW
    cdef int panel, start, vectors, xi
    cdef ptrdiff_t width, v_step = tiles * padded + SKEW, m_step
    input_rows(t, s, x, v, v_step, first, last, scratch)
    for panel in range(panel_count(t.filters, x)):
        start = panel * 2 * LANES_F32
        vectors = panel_vectors(t.filters - start, x)
        width = vectors * LANES_F32
        m_step = tiles * width + SKEW
        for xi in range(POINTS):
            fc_points_product(tiles, vectors, v + xi * v_step, padded, t.channels,
                       u + xi * u_step + start * t.channels, m + xi * m_step, width)
        for tile in range(tiles):
            output_tile(t, m + tile * width, m_step, bias, y, winners,
                        first + tile // t.columns, <int> (tile % t.columns), start, vectors)


def blocked(const float[:, :, :, ::1] x,        # IN
            const float[::1] u,                 # IN transformed kernel
            const float[::1] bias,              # IN (padded filters)
            float[:, :, :, ::1] y,              # OUT
            uint8_t[:, :, :, ::1] winners,      # OUT or None
            const int[::1] strip, const int[::1] fields, int block_rows,
            float[:, ::1] v,                    # SCRATCH one row a thread
            float[:, ::1] m,                    # SCRATCH one row a thread
            float[:, ::1] scratch,              # SCRATCH one row a thread
            int num_threads):
    """y = [pooled relu of] conv(x) + bias, blocks of tile rows in parallel."""
    cdef Tiles t = tiles_of(fields)
    cdef Strip s = strip_of(strip)
    cdef ptrdiff_t rows = x.shape[0] * t.rows, task
    cdef uint8_t* winner = NULL if winners is None else &winners[0, 0, 0, 0]
    cdef float_mode mode = 0
    with nogil, parallel(num_threads=num_threads):
        mode = flush_denormals()
        for task in prange((rows + block_rows - 1) // block_rows, schedule="dynamic"):
            block(&t, &s, &x[0, 0, 0, 0], &u[0], &bias[0], &y[0, 0, 0, 0], winner,
                  task * block_rows, min((task + 1) * block_rows, rows), &v[threadid(), 0],
                  &m[threadid(), 0], &scratch[threadid(), 0])
        restore_denormals(mode)


def staged(const float[:, :, :, ::1] x,         # IN
           const float[::1] u,                  # IN transformed kernel
           const float[::1] bias,               # IN (padded filters)
           float[:, :, :, ::1] y,               # OUT
           uint8_t[:, :, :, ::1] winners,       # OUT or None
           const int[::1] strip, const int[::1] fields, int block_rows,
           float[::1] v,                        # SCRATCH POINTS * (tiles * padded channels + SKEW)
           float[::1] m,                        # SCRATCH POINTS * (tiles * padded filters + SKEW)
           float[:, ::1] scratch,               # SCRATCH one row a thread
           int num_threads):
    """The same, `block_rows` tile rows at a time through each step."""
    cdef Tiles t = tiles_of(fields)
    cdef Strip s = strip_of(strip)
    cdef ptrdiff_t rows = x.shape[0] * t.rows, first = 0, last, task
    cdef int panels = panel_count(t.filters, &v[0])
    cdef ptrdiff_t filters = padded_channels(t.filters, &v[0])
    cdef ptrdiff_t padded = padded_channels(t.channels, &v[0])
    cdef uint8_t* winner = NULL if winners is None else &winners[0, 0, 0, 0]
    cdef ptrdiff_t tiles
    cdef float_mode mode = 0
    while first < rows:
        last = min(first + block_rows, rows)
        tiles = (last - first) * t.columns
        with nogil, parallel(num_threads=num_threads):
            mode = flush_denormals()
            for task in prange(last - first, schedule="dynamic"):
                input_rows(&t, &s, &x[0, 0, 0, 0], &v[task * t.columns * padded],
                           tiles * padded + SKEW, first + task, first + task + 1,
                           &scratch[threadid(), 0])
            for task in prange(POINTS * panels, schedule="dynamic"):
                staged_product(&t, &v[0], &u[0], &m[0], tiles, filters, padded, task // panels,
                               <int> (task % panels))
            for task in prange(tiles, schedule="static"):
                staged_output(&t, &m[0], &bias[0], &y[0, 0, 0, 0], winner, tiles, filters, task,
                              first)
            restore_denormals(mode)
        first = last


cdef void staged_product(const Tiles* t, const float* v, const float* u, float* m,
                         ptrdiff_t tiles, ptrdiff_t filters, ptrdiff_t padded, ptrdiff_t xi,
                         int panel) noexcept nogil:
    cdef int start = panel * 2 * LANES_F32
    fc_points_product(tiles, panel_vectors(t.filters - start, v), v + xi * (tiles * padded + SKEW),
               padded, t.channels, u + xi * (filters * t.channels + SKEW) + start * t.channels,
               m + xi * (tiles * filters + SKEW) + start, filters)


cdef void staged_output(const Tiles* t, const float* m, const float* bias, float* y,
                        uint8_t* winners, ptrdiff_t tiles, ptrdiff_t filters, ptrdiff_t tile,
                        ptrdiff_t first) noexcept nogil:
    output_tile(t, m + tile * filters, tiles * filters + SKEW, bias, y, winners,
                first + tile // t.columns, <int> (tile % t.columns), 0,
                <int> (filters // LANES_F32))


def transform_kernel(const float[:, :, :, ::1] kernel,  # IN (3, 3, channels, filters)
                     float[::1] u,                      # OUT [xi][panel][channel][lane]
                     bint transposed, int num_threads):
    """u = G g G'; `transposed` turns the kernel round and swaps channels and filters."""
    cdef int channels = kernel.shape[3] if transposed else kernel.shape[2]
    cdef int filters = kernel.shape[2] if transposed else kernel.shape[3]
    cdef int block
    with nogil:
        for block in prange((channels + LANES_F32 - 1) // LANES_F32, schedule="static",
                            num_threads=num_threads):
            transform_channels(&kernel[0, 0, 0, 0], &u[0], block * LANES_F32, channels, filters,
                               transposed)


cdef void transform_channels(const float* kernel, float* u, int first, int channels, int filters,
                             bint transposed) noexcept nogil:
    """A vector's count of channels: as many are contiguous where the kernel is turned."""
    cdef ptrdiff_t tap_size = <ptrdiff_t> channels * filters
    cdef ptrdiff_t step = padded_channels(filters, kernel) * channels + SKEW
    cdef int vectors, panel, start, channel, last = min(channels, first + LANES_F32)
    cdef const float* source
    cdef float* to
    cdef float taps[16 * 9 * 16]
    start = 0
    while start < filters:
        panel = start // (2 * LANES_F32) * 2 * LANES_F32
        vectors = panel_vectors(filters - panel, kernel)
        if transposed:
            fc_turned_taps(kernel + <ptrdiff_t> start * channels + first, tap_size, channels,
                           last - first, filters - start, taps)
        for channel in range(first, last):
            to = u + <ptrdiff_t> panel * channels + channel * vectors * LANES_F32 + start - panel
            source = kernel + <ptrdiff_t> channel * filters + start
            if transposed:
                fc_kernel_tile(taps + (channel - first) * 9 * LANES_F32, LANES_F32, to, step)
            elif filters - start >= LANES_F32:
                fc_kernel_tile(source, tap_size, to, step)
            else:
                fc_some_taps(source, tap_size, filters - start, taps)
                fc_kernel_tile(taps, LANES_F32, to, step)
        start += LANES_F32


cdef void gradient_row(const Tiles* t, const Strip* s, const float* x, const float* dy,
                       ptrdiff_t row, float* v, float* z, ptrdiff_t tiles, ptrdiff_t tile,
                       float* sums, float* scratch) noexcept nogil:
    """V and Z of one tile row, counted over all images, whose first tile is `tile` of the stage's
    `tiles`; `sums` takes its sum of dy."""
    cdef ptrdiff_t image = row // t.rows, panel, start, end, step, vector
    cdef int top = <int> (row % t.rows) * 4, rows = min(4, t.out_rows - top), column, columns
    cdef int channel = 0, vectors = vector_count(t.filters)
    cdef ptrdiff_t line = <ptrdiff_t> t.out_columns * t.filters
    cdef const float* source = load_strip(s, x + image * s.height * s.width * s.channels, top, 6,
                                          scratch)
    cdef float* to
    step = points_step(tiles, vector_count(t.channels))
    while channel < t.channels:
        for column in range(t.columns):
            fc_input_tile(source + 4 * column * t.channels + channel, s.row_step, t.channels,
                          v + channel * tiles + (tile + column) * LANES_F32, step)
        channel += LANES_F32
    dy += (image * t.out_rows + top) * line
    step = points_step(tiles, vectors)
    memset(sums, 0, vectors * LANES_F32 * sizeof(float))
    for panel in range(outer_panels(vectors)):
        start, end = outer_start(panel, vectors), outer_start(panel + 1, vectors)
        to = z + (start * tiles + tile * (end - start)) * LANES_F32
        for column in range(t.columns):
            columns = min(4, t.out_columns - 4 * column)
            for vector in range(start, end):
                channel = <int> vector * LANES_F32
                source = dy + 4 * column * t.filters + channel
                if rows == 4 and columns == 4 and channel + LANES_F32 <= t.filters:
                    fc_gradient_tile_transform(source, line, t.filters, to, step, sums + channel)
                else:
                    fc_gradient_edge_transform(source, line, t.filters, rows, columns,
                                               t.filters - channel, to, step, sums + channel)
                to += LANES_F32


cdef inline int vector_count(int channels) noexcept nogil:
    return (channels + LANES_F32 - 1) // LANES_F32


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
    cdef int channels = vector_count(t.channels), filters = vector_count(t.filters)
    cdef ptrdiff_t pieces = (tiles + block - 1) // block, piece, panel, start
    for piece in range(pieces):
        for panel in range(first_panel, last_panel):
            start = outer_start(panel, filters) * LANES_F32
            outer_product(v, z + start * tiles, tiles, piece * tiles // pieces,
                          (piece + 1) * tiles // pieces, 0, channels,
                          <int> (outer_start(panel + 1, filters) - outer_start(panel, filters)),
                          du + start * channels * LANES_F32, fresh and piece == 0)


cdef void outer_panel(const Tiles* t, const float* v, const float* z, float* du, ptrdiff_t tiles,
                      int group, ptrdiff_t task, float* dkernel) noexcept nogil:
    """dg of one panel and one group of channels' vectors, all points together."""
    cdef int channels = vector_count(t.channels), filters = vector_count(t.filters), vectors
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
    kernel_gradient_panel(t, du, step, first * LANES_F32,
                          min(<ptrdiff_t> t.channels, last * LANES_F32), start, vectors, dkernel)


cdef void kernel_gradient_panel(const Tiles* t, const float* du, ptrdiff_t step, ptrdiff_t first,
                                ptrdiff_t last, ptrdiff_t start, int vectors,
                                float* dkernel) noexcept nogil:
    """dg of channels [first, last) and the panel of filters that starts at `start`."""
    cdef ptrdiff_t channel, k
    for channel in range(first, last):
        for k in range(vectors):
            fc_kernel_gradient_tile(du, step,
                                    dkernel + channel * t.filters + start + k * LANES_F32,
                                    <ptrdiff_t> t.channels * t.filters,
                                    <int> (t.filters - start - k * LANES_F32))
            du += LANES_F32


cdef void kernel_gradient_channel(const Tiles* t, const float* du, ptrdiff_t channel,
                                  float* dkernel) noexcept nogil:
    """dg of one channel, all filters."""
    cdef int channels = vector_count(t.channels), filters = vector_count(t.filters), vectors
    cdef ptrdiff_t panel, start
    for panel in range(outer_panels(filters)):
        start = outer_start(panel, filters) * LANES_F32
        vectors = <int> (outer_start(panel + 1, filters) - outer_start(panel, filters))
        kernel_gradient_panel(t, du + start * channels * LANES_F32 + channel * vectors * LANES_F32,
                              points_step(channels * LANES_F32, filters), channel, channel + 1,
                              start, vectors, dkernel)


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
    cdef int channels = vector_count(t.channels), filters = vector_count(t.filters), k
    cdef ptrdiff_t panels = outer_panels(filters)
    cdef float_mode mode = 0
    # A value of dU is one sum whoever adds to it: the tasks may follow the threads.
    splits = min(panels, (4 * num_threads + POINTS - 1) // POINTS)
    while first < rows:
        last = min(first + block_rows, rows)
        tiles = (last - first) * t.columns
        with nogil, parallel(num_threads=num_threads):
            mode = flush_denormals()
            for task in prange(last - first, schedule="dynamic"):
                gradient_row(&t, &s, &x[0, 0, 0, 0], &dy[0, 0, 0, 0], first + task,
                             &v[0], &z[0], tiles, task * t.columns,
                             &sums[first + task, 0], &scratch[threadid(), 0])
            if group:
                for task in prange(panels * ((channels + group - 1) // group),
                                   schedule="dynamic"):
                    outer_panel(&t, &v[0], &z[0], &du[threadid(), 0], tiles, group, task,
                                &dkernel[0, 0, 0, 0])
            else:
                for task in prange(POINTS * splits, schedule="dynamic"):
                    xi = task // splits
                    split = task % splits
                    outer_point(&t, &v[xi * points_step(tiles, channels)],
                                &z[xi * points_step(tiles, filters)],
                                &du[0, xi * points_step(channels * LANES_F32, filters)], tiles,
                                block_tiles, split * panels // splits,
                                (split + 1) * panels // splits, first == 0)
                if last == rows:
                    for task in prange(t.channels, schedule="static"):
                        kernel_gradient_channel(&t, &du[0, 0], task, &dkernel[0, 0, 0, 0])
            restore_denormals(mode)
        first = last
    if dbias is not None:
        for k in range(t.filters):
            dbias[k] = 0
        for task in range(rows):
            for k in range(t.filters):
                dbias[k] += sums[task, k]


cdef Tiles tiles_of(const int[::1] fields):
    cdef Tiles t
    t.rows, t.columns, t.out_rows, t.out_columns = fields[0], fields[1], fields[2], fields[3]
    t.channels, t.filters, t.pooled, t.relu = fields[4], fields[5], fields[6], fields[7]
    return t
