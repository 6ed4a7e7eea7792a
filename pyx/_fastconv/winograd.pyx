"""3x3 and 5x5 convolution of stride 1 and their input gradients by Winograd's algorithm, float32.

F(4x4, 3x3) and F(2x2, 5x5) read the same 6x6 tiles at the same points: they differ in how far a tile
is from the next, its *side* of four outputs or two, and in the kernel's and the output's transform.

Three steps, with `xi` one of the 36 points of the transformed domain:
    V[xi][tile][channel] = B' d B        6x6 input tiles: B' d in lines along the image, for all
                                         tiles side by side, then the columns of each tile
    M[xi][tile][filter]  = V[xi] U[xi]   36 small matrix products, register tiles as conv's
    y                    = A' M A        with bias, ReLU and, fused, the 2x2 max pool: an output
                                         tile is exactly four pool windows, or one

Two loop orders.  *Blocked* (small kernels): a task takes some rows of tiles through all
three steps, panel by panel of filters, so that V and M stay in its L2 cache and U is
streamed once a block.  *Staged* (U larger than a cache): all tiles go through each step
before the next, and the products are shared out by (xi, panel), so that each U is read
once.  Every output is one fixed sum in either order, whatever the number of threads.

A tile of whose four rows (columns) the output has at most two is short and lacks two points of six
along that axis.  Tiles lie in V and M in the order of `Order`, in which those that have a point
are neighbours: its product walks them and no others.

The input gradient is the same convolution of dy with the kernel turned round.  V, M and U hold
their points SKEW floats more than a power of two apart: the transforms walk all 36 at once.
"""

from cython.parallel cimport parallel, prange, threadid
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport uint8_t

from _fastconv._tiles cimport (
    LANES_F32, float_mode, flush_denormals, restore_denormals,
)
from _fastconv._window cimport (
    Strip, padded_channels, panel_count, panel_vectors, strip_of,
)
from _fastconv._winograd cimport (
    POINTS, REACH, SKEW, Tiles, image_rows, is_short_row, load_lines, taps_of, tiles_of,
)
from _fastconv._work cimport Work, next_task, share_work, wait_for_all

cdef extern from "simd/winograd.h" nogil:
    int fc_lacking(int, int) noexcept
    void fc_input_columns(const float*, ptrdiff_t, int, int, int, float*, ptrdiff_t) noexcept
    void fc_points_product(ptrdiff_t, int, const float*, ptrdiff_t, int, const float*, float*,
                           ptrdiff_t) noexcept
    void fc_kernel_tile(const float*, ptrdiff_t, int, float*, ptrdiff_t) noexcept
    void fc_turned_taps(const float*, ptrdiff_t, ptrdiff_t, int, int, int, float*) noexcept
    void fc_some_taps(const float*, ptrdiff_t, int, int, float*) noexcept
    void fc_output_tiles(const float*, ptrdiff_t, ptrdiff_t, const float*, int, float*, ptrdiff_t,
                         ptrdiff_t, int, int, int, int) noexcept
    void fc_output_pool_tiles(const float*, ptrdiff_t, ptrdiff_t, const float*, float*, uint8_t*,
                              ptrdiff_t, ptrdiff_t, int, int, int, int) noexcept

SKEWED = SKEW
cdef enum:
    MOST_TAPS = 25
    MOST_LANES = 16


cdef struct Order:        # of the tiles of some rows of tiles, as they lie in V and M:
    ptrdiff_t first       # row of these
    int columns           # whole ones of a row
    ptrdiff_t whole       # before it the short last tiles of the whole rows; then their whole ones
    ptrdiff_t wide        # then the whole tiles of the short rows
    ptrdiff_t corners     # then the short last tiles of the short rows
    ptrdiff_t tiles       # and the end


cdef Order order_of(const Tiles* t, ptrdiff_t first, ptrdiff_t last) noexcept nogil:
    cdef ptrdiff_t short_rows = (last // t.rows - first // t.rows) * t.short_row
    cdef ptrdiff_t whole_rows = last - first - short_rows
    cdef Order o
    o.first, o.columns = first, t.columns - t.short_column
    o.whole = whole_rows * t.short_column
    o.wide = o.whole + whole_rows * o.columns
    o.corners = o.wide + short_rows * o.columns
    o.tiles = o.corners + short_rows * t.short_column
    return o


cdef inline ptrdiff_t place(const Tiles* t, const Order* o, ptrdiff_t row,
                            int column) noexcept nogil:
    """Where a tile lies; a row's whole tiles are neighbours."""
    cdef ptrdiff_t short_before = (row // t.rows - o.first // t.rows) * t.short_row
    cdef ptrdiff_t before = row - o.first - short_before
    if is_short_row(t, row):
        return (o.wide + short_before * o.columns + column if column < o.columns
                else o.corners + short_before)
    return o.whole + before * o.columns + column if column < o.columns else before


cdef void points_product(const Order* o, int xi, int vectors, const float* v, ptrdiff_t v_tile,
                         int channels, const float* u, float* m, ptrdiff_t m_tile) noexcept nogil:
    """The product of one point for the tiles that have it."""
    cdef ptrdiff_t first = o.whole if fc_lacking(1, xi % 6) else 0
    cdef ptrdiff_t last = o.corners if fc_lacking(1, xi % 6) else o.tiles
    if fc_lacking(1, xi // 6):
        last = o.wide
    fc_points_product(last - first, vectors, v + first * v_tile, v_tile, channels, u,
                      m + first * m_tile, m_tile)


cdef void input_row(const Tiles* t, const Order* o, const Strip* s, const float* x, ptrdiff_t row,
                    float* v, ptrdiff_t v_step, float* lines) noexcept nogil:
    """V of one row of tiles, counted over all images."""
    cdef ptrdiff_t padded = padded_channels(t.channels, x)
    cdef int side = t.side, overlap = REACH - t.side
    cdef ptrdiff_t line_step = (side * t.band + overlap) * <ptrdiff_t> t.channels + SKEW
    cdef ptrdiff_t image_size = <ptrdiff_t> s.height * s.width * s.channels
    cdef bint short_row = is_short_row(t, row)
    cdef int column = 0, tiles, tile
    cdef const float* rows[REACH]
    image_rows(s, x + row // t.rows * image_size, <int> (row % t.rows) * side, rows)
    while column < t.columns:
        tiles = min(t.band, t.columns - column)
        load_lines(s, rows, side * column - s.left, side * tiles + overlap, side, short_row, lines,
                   line_step)
        for tile in range(tiles):
            fc_input_columns(lines + side * tile * t.channels, line_step, t.channels, short_row,
                             column + tile >= o.columns,
                             v + place(t, o, row, column + tile) * padded, v_step)
        column += t.band


cdef void output_tiles(const Tiles* t, const float* m, ptrdiff_t m_step, ptrdiff_t m_tile,
                       const float* bias, float* y, uint8_t* winners, ptrdiff_t row, int column,
                       int count, int start, int channels) noexcept nogil:
    """Write the outputs of some tiles of one row, counted over all images, for some channels."""
    cdef int side = t.side // 2 if t.pooled else t.side
    cdef int top = <int> (row % t.rows) * side, left = column * side
    cdef int rows = min(side, t.out_rows - top), columns = min(count * side, t.out_columns - left)
    cdef ptrdiff_t line = <ptrdiff_t> t.out_columns * t.filters
    cdef ptrdiff_t at = ((row // t.rows * t.out_rows + top) * line
                         + <ptrdiff_t> left * t.filters + start)
    if t.pooled:
        fc_output_pool_tiles(m, m_step, m_tile, bias + start, y + at,
                             NULL if winners == NULL else winners + at, line, t.filters, t.side,
                             rows, columns, channels)
    else:
        fc_output_tiles(m, m_step, m_tile, bias + start, t.relu, y + at, line, t.filters, t.side,
                        rows, columns, channels)


cdef void block(const Tiles* t, const Strip* s, const float* x, const float* u,
                const float* bias, float* y, uint8_t* winners, ptrdiff_t first, ptrdiff_t last,
                float* v, float* m, float* scratch) noexcept nogil:
    """All three steps for tile rows [first, last)."""
    cdef Order o = order_of(t, first, last)
    cdef ptrdiff_t padded = padded_channels(t.channels, x), row
    cdef ptrdiff_t u_step = padded_channels(t.filters, x) * t.channels + SKEW
    cdef int panel, start, vectors, xi
    cdef ptrdiff_t width, v_step = o.tiles * padded + SKEW, m_step
    for row in range(first, last):
        input_row(t, &o, s, x, row, v, v_step, scratch)
    for panel in range(panel_count(t.filters, x)):
        start = panel * 2 * LANES_F32
        vectors = panel_vectors(t.filters - start, x)
        width = vectors * LANES_F32
        m_step = o.tiles * width + SKEW
        for xi in range(POINTS):
            points_product(&o, xi, vectors, v + xi * v_step, padded, t.channels,
                           u + xi * u_step + start * t.channels, m + xi * m_step, width)
        for row in range(first, last):
            output_row(t, &o, m, m_step, width, bias, y, winners, row, start,
                       min(<int> width, t.filters - start))


cdef void output_row(const Tiles* t, const Order* o, const float* m, ptrdiff_t m_step,
                     ptrdiff_t m_tile, const float* bias, float* y, uint8_t* winners,
                     ptrdiff_t row, int start, int channels) noexcept nogil:
    """Write the outputs of one row of tiles for some channels."""
    if o.columns:
        output_tiles(t, m + place(t, o, row, 0) * m_tile, m_step, m_tile, bias, y, winners, row,
                     0, o.columns, start, channels)
    if t.short_column:
        output_tiles(t, m + place(t, o, row, o.columns) * m_tile, m_step, m_tile, bias, y,
                     winners, row, o.columns, 1, start, channels)


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
    cdef Work work
    cdef float_mode mode = 0
    share_work(&work, (rows + block_rows - 1) // block_rows, num_threads)
    with nogil, parallel(num_threads=num_threads):
        mode = flush_denormals()
        while (task := next_task(&work, threadid())) >= 0:
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
    cdef ptrdiff_t rows = x.shape[0] * t.rows, first = 0, last, task, tile
    cdef int panels = panel_count(t.filters, &v[0])
    cdef ptrdiff_t filters = padded_channels(t.filters, &v[0])
    cdef ptrdiff_t padded = padded_channels(t.channels, &v[0])
    cdef uint8_t* winner = NULL if winners is None else &winners[0, 0, 0, 0]
    cdef Order o
    cdef Work work, products
    cdef float_mode mode = 0
    while first < rows:
        last = min(first + block_rows, rows)
        o = order_of(&t, first, last)
        share_work(&work, last - first, num_threads)
        share_work(&products, POINTS * panels, num_threads)
        with nogil, parallel(num_threads=num_threads):
            mode = flush_denormals()
            while (task := next_task(&work, threadid())) >= 0:
                input_row(&t, &o, &s, &x[0, 0, 0, 0], first + task, &v[0],
                          o.tiles * padded + SKEW, &scratch[threadid(), 0])
            wait_for_all()
            while (task := next_task(&products, threadid())) >= 0:
                staged_product(&t, &o, &v[0], &u[0], &m[0], filters, padded,
                               <int> (task // panels), <int> (task % panels))
            wait_for_all()
            for tile in prange(o.tiles, schedule="static"):
                staged_output(&t, &o, &m[0], &bias[0], &y[0, 0, 0, 0], winner, filters,
                              first + tile // t.columns, <int> (tile % t.columns))
            restore_denormals(mode)
        first = last


cdef void staged_product(const Tiles* t, const Order* o, const float* v, const float* u, float* m,
                         ptrdiff_t filters, ptrdiff_t padded, int xi, int panel) noexcept nogil:
    cdef int start = panel * 2 * LANES_F32
    points_product(o, xi, panel_vectors(t.filters - start, v), v + xi * (o.tiles * padded + SKEW),
                   padded, t.channels, u + xi * (filters * t.channels + SKEW) + start * t.channels,
                   m + xi * (o.tiles * filters + SKEW) + start, filters)


cdef void staged_output(const Tiles* t, const Order* o, const float* m, const float* bias,
                        float* y, uint8_t* winners, ptrdiff_t filters, ptrdiff_t row,
                        int column) noexcept nogil:
    output_tiles(t, m + place(t, o, row, column) * filters, o.tiles * filters + SKEW, filters,
                 bias, y, winners, row, column, 1, 0, t.filters)


def transform_kernel(const float[:, :, :, ::1] kernel,  # IN (taps, taps, channels, filters)
                     float[::1] u,                      # OUT [xi][panel][channel][lane]
                     bint transposed, int num_threads):
    """u = G g G'; `transposed` turns the kernel round and swaps channels and filters."""
    cdef int channels = kernel.shape[3] if transposed else kernel.shape[2]
    cdef int filters = kernel.shape[2] if transposed else kernel.shape[3]
    cdef int block
    with nogil:
        for block in prange((channels + LANES_F32 - 1) // LANES_F32, schedule="static",
                            num_threads=num_threads):
            transform_channels(&kernel[0, 0, 0, 0], <int> kernel.shape[0], &u[0],
                               block * LANES_F32, channels, filters, transposed)


cdef void transform_channels(const float* kernel, int side, float* u, int first, int channels,
                             int filters, bint transposed) noexcept nogil:
    """A vector's count of channels: as many are contiguous where the kernel is turned."""
    cdef ptrdiff_t tap_size = <ptrdiff_t> channels * filters
    cdef ptrdiff_t step = padded_channels(filters, kernel) * channels + SKEW
    cdef int vectors, panel, start, channel, last = min(channels, first + LANES_F32)
    cdef int count = side * side
    cdef const float* source
    cdef float* to
    cdef float taps[MOST_LANES * MOST_TAPS * MOST_LANES]
    start = 0
    while start < filters:
        panel = start // (2 * LANES_F32) * 2 * LANES_F32
        vectors = panel_vectors(filters - panel, kernel)
        if transposed:
            fc_turned_taps(kernel + <ptrdiff_t> start * channels + first, tap_size, channels,
                           last - first, filters - start, count, taps)
        for channel in range(first, last):
            to = u + <ptrdiff_t> panel * channels + channel * vectors * LANES_F32 + start - panel
            source = kernel + <ptrdiff_t> channel * filters + start
            if transposed:
                fc_kernel_tile(taps + (channel - first) * count * LANES_F32, LANES_F32, side, to,
                               step)
            elif filters - start >= LANES_F32:
                fc_kernel_tile(source, tap_size, side, to, step)
            else:
                fc_some_taps(source, tap_size, filters - start, count, taps)
                fc_kernel_tile(taps, LANES_F32, side, to, step)
        start += LANES_F32
