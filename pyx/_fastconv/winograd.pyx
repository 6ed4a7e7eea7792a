"""Convolution and its input gradient by Winograd's algorithm, float32.

Kernels of r x r taps, r from 2 to 5, have a transform F(m x m, r x r), m + r - 1 = alpha = 6: they
read the same 6x6 tiles at the same points, and differ in how far a tile is from the next, m, and in
the kernel's and the output's transform.  Others, and some of these, are decomposed into sub-kernels
that have one: see _winograd.pxd.

Three steps, with `xi` one of the 36 points of the transformed domain:
    V[xi][tile][channel] = B' d B        6x6 input tiles: B' d in lines along the image, for all
                                         tiles side by side, then the columns of each tile; group
                                         by group the sub-kernels' channels lie behind each other
    M[xi][tile][filter]  = V[xi] U[xi]   36 small matrix products, register tiles as conv's
    y                    = A' M A        with bias, ReLU and, fused, the 2x2 max pool: an output
                                         tile is exactly four pool windows, or one

Two loop orders.  *Blocked* (small kernels): a task takes some rows of tiles through all
three steps, panel by panel of filters, so that V and M stay in its L2 cache and U is
streamed once a block.  *In passes* (U larger than a cache): all tiles go through each step
before the next, and the products are shared out by (xi, panel), so that each U is read
once.  Every output is one fixed sum in either order, whatever the number of threads.

A tile of whose four rows (columns) the output has at most two is short and lacks two points of six
along that axis.  Tiles lie in V and M in the order of `Order`, in which those that have a point
are neighbours: its product walks them and no others.

The input gradient is the same convolution of dy with the kernel rotated; with a stride, or in
groups, there are several *sets* of filters, (target, group), with a U each.  V, M and U hold
their points SKEW floats more than a power of two apart: the transforms walk all 36 at once.
"""

from cython.parallel cimport parallel, threadid
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport uint8_t

from _fastconv._tiles cimport LANES_F32, float_mode, flush_denormals, restore_denormals
from _fastconv._window cimport padded_channels, panel_count, panel_vectors
from _fastconv._winograd cimport (
    ALPHA, POINTS, SKEW, depth_of, image_rows, is_short_row, load_lines, span_of,
)
from _fastconv._winograd_kernel cimport transform_channels
from _fastconv._work cimport Work, join_team, next_task, run, share_work, wait_for_all
from _fastconv.structs cimport KernelDecomposition, PaddedImage, Tiles, load_struct

join_team()

cdef extern from "simd/winograd.h" nogil:
    int fc_lacking(int, int) noexcept
    void fc_input_columns(const float*, ptrdiff_t, ptrdiff_t, int, int, int, float*,
                          ptrdiff_t) noexcept
    void fc_points_product(ptrdiff_t, int, const float*, ptrdiff_t, int, const float*, float*,
                           ptrdiff_t) noexcept

cdef extern from "simd/winograd_output.h" nogil:
    void fc_output_tiles(const float*, ptrdiff_t, ptrdiff_t, const float*, float, float*, ptrdiff_t,
                         ptrdiff_t, int, int, int, int, int, int) noexcept
    void fc_output_pool_tiles(const float*, ptrdiff_t, ptrdiff_t, const float*, float*, uint8_t*,
                              ptrdiff_t, ptrdiff_t, int, int, int, int) noexcept


SKEWED = SKEW

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


cdef inline ptrdiff_t group_values(const Tiles* t) noexcept nogil:
    """Of a group in a tile of V: the parts' channels, and room for the last one's last vector."""
    cdef const float* kind = NULL
    return padded_channels(depth_of(t) - t.channels + <int> padded_channels(t.channels, kind), kind)


cdef inline ptrdiff_t tile_values(const Tiles* t) noexcept nogil:
    return t.groups * group_values(t)


cdef inline int sets_of(const Tiles* t) noexcept nogil:
    """Sets of filters, (target, group)."""
    return t.targets * t.targets * t.groups


cdef void input_row(const Tiles* t, const Order* o, const PaddedImage* s, const float* x,
                    ptrdiff_t row, float* v, ptrdiff_t v_step, float* lines) noexcept nogil:
    """V of one row of tiles, counted over all images."""
    cdef ptrdiff_t v_tile = tile_values(t)
    cdef ptrdiff_t line_step = span_of(t, t.band) * <ptrdiff_t> s.channels + SKEW
    cdef ptrdiff_t image_size = <ptrdiff_t> s.height * s.width * s.channels
    cdef int step = t.stride * t.m, column, tile, part
    cdef const float* rows[ALPHA]
    # From left to right and from top to bottom: a part's last vector ends in the next part.
    for part in range(t.row_kernels):
        image_rows(s, x + row // t.rows * image_size,
                   <int> (row % t.rows) * step + part * t.offset, t.stride, rows)
        column = 0
        while column < t.columns:
            load_lines(s, rows, step * column - s.left,
                       span_of(t, min(t.band, t.columns - column)), step, is_short_row(t, row),
                       lines, line_step)
            for tile in range(min(t.band, t.columns - column)):
                input_tile(t, s, lines + step * tile * <ptrdiff_t> s.channels, line_step, part,
                           is_short_row(t, row), column + tile >= o.columns,
                           v + place(t, o, row, column + tile) * v_tile, v_step)
            column += t.band


cdef inline void input_tile(const Tiles* t, const PaddedImage* s, const float* lines,
                            ptrdiff_t line_step, int part, bint short_row, bint short_column,
                            float* v, ptrdiff_t v_step) noexcept nogil:
    """V of one tile, one row of parts."""
    cdef int column, group
    for group in range(t.groups):
        for column in range(t.column_kernels):
            fc_input_columns(lines + column * t.offset * <ptrdiff_t> s.channels
                             + group * t.channels, line_step, t.stride * <ptrdiff_t> s.channels,
                             t.channels, short_row, short_column, v + group * group_values(t)
                             + (part * t.column_kernels + column) * <ptrdiff_t> t.channels, v_step)


cdef void output_tiles(const Tiles* t, const float* m, ptrdiff_t m_step, ptrdiff_t m_tile,
                       const float* bias, float* y, uint8_t* argmax, ptrdiff_t row, int column,
                       int count, int which, int start, int channels) noexcept nogil:
    """Write the outputs of some tiles of one row, counted over all images, for some channels of a
    set of filters."""
    cdef int target = which // t.groups
    cdef int side = t.m // 2 if t.pooled else t.m
    cdef int down = target // t.targets, right = target % t.targets
    # Points of the grid: of its outputs, as many as lie in the image, the first ones.
    cdef int top = <int> (row % t.rows) * side, left = column * side
    cdef int rows = min(side, (t.out_rows - down + t.targets - 1) // t.targets - top)
    cdef int columns = min(count * side,
                           (t.out_columns - right + t.targets - 1) // t.targets - left)
    cdef ptrdiff_t pixel = <ptrdiff_t> t.groups * t.filters, line = t.out_columns * pixel
    cdef ptrdiff_t at = ((row // t.rows * t.out_rows + t.targets * top + down) * line
                         + (t.targets * left + right) * pixel)
    start += which % t.groups * t.filters
    at += start
    if t.pooled:
        fc_output_pool_tiles(m, m_step, m_tile, bias + start, y + at,
                             NULL if argmax == NULL else argmax + at, line, pixel, t.m,
                             rows, columns, channels)
    elif rows > 0:
        fc_output_tiles(m, m_step, m_tile, bias + start, t.limit, y + at, t.targets * line,
                        t.targets * pixel, t.m, is_short_row(t, row),
                        t.short_column and column == t.columns - 1, rows, columns, channels)


cdef inline ptrdiff_t kernel_step(const Tiles* t) noexcept nogil:
    """Floats between two points of U."""
    return padded_channels(t.filters, <const float*> NULL) * depth_of(t) + SKEW


cdef void block(const Tiles* t, const PaddedImage* s, const float* x, const float* u,
                const float* bias, float* y, uint8_t* argmax, ptrdiff_t first, ptrdiff_t last,
                float* v, float* m, float* scratch) noexcept nogil:
    """All three steps for tile rows [first, last)."""
    cdef Order o = order_of(t, first, last)
    cdef ptrdiff_t v_tile = tile_values(t), v_step = o.tiles * v_tile + SKEW, row, width, m_step
    cdef int panels = panel_count(t.filters, x), task, start, vectors, xi
    cdef const float* kernel
    cdef const float* channels
    for row in range(first, last):
        input_row(t, &o, s, x, row, v, v_step, scratch)
    for task in range(sets_of(t) * panels):
        kernel = u + task // panels * POINTS * kernel_step(t)
        channels = v + task // panels % t.groups * group_values(t)
        start = task % panels * 2 * LANES_F32
        vectors = panel_vectors(t.filters - start, x)
        width = vectors * LANES_F32
        m_step = o.tiles * width + SKEW
        for xi in range(POINTS):
            points_product(&o, xi, vectors, channels + xi * v_step, v_tile, depth_of(t),
                           kernel + xi * kernel_step(t) + <ptrdiff_t> start * depth_of(t),
                           m + xi * m_step, width)
        for row in range(first, last):
            output_row(t, &o, m, m_step, width, bias, y, argmax, row, task // panels, start,
                       min(<int> width, t.filters - start))


cdef void output_row(const Tiles* t, const Order* o, const float* m, ptrdiff_t m_step,
                     ptrdiff_t m_tile, const float* bias, float* y, uint8_t* argmax, ptrdiff_t row,
                     int which, int start, int channels) noexcept nogil:
    """Write the outputs of one row of tiles for some channels."""
    if o.columns:
        output_tiles(t, m + place(t, o, row, 0) * m_tile, m_step, m_tile, bias, y, argmax, row,
                     0, o.columns, which, start, channels)
    if t.short_column:
        output_tiles(t, m + place(t, o, row, o.columns) * m_tile, m_step, m_tile, bias, y,
                     argmax, row, o.columns, 1, which, start, channels)


cdef struct Call:         # what `blocked` runs, or `in_passes` for some rows of tiles
    const void* inputs[2]
    const float* u
    const float* bias
    float* y
    uint8_t* argmax
    float* v
    float* m
    float* scratch
    ptrdiff_t v_row
    ptrdiff_t m_row
    ptrdiff_t scratch_row
    ptrdiff_t rows        # of tiles, of all images
    ptrdiff_t first
    ptrdiff_t last
    ptrdiff_t block_rows
    Tiles tiles
    PaddedImage image
    Work works[3]


cdef int set_call(Call* c, const float[:, :, :, ::1] x, const float[::1] u,
                  const float[::1] bias, float[:, :, :, ::1] y, uint8_t[:, :, :, ::1] argmax,
                  bytes padded_image, bytes tiling) except -1:
    load_struct(tiling, &c.tiles, sizeof(c.tiles))
    load_struct(padded_image, &c.image, sizeof(c.image))
    c.inputs[0], c.inputs[1] = &x[0, 0, 0, 0], NULL
    c.u, c.bias, c.y = &u[0], &bias[0], &y[0, 0, 0, 0]
    c.argmax = NULL if argmax is None else &argmax[0, 0, 0, 0]
    c.rows = x.shape[0] * c.tiles.rows
    return 0


cdef void blocked_tasks(void* context, int thread) noexcept nogil:
    cdef Call* c = <Call*> context
    cdef ptrdiff_t task
    while (task := next_task(c.works, thread)) >= 0:
        block(&c.tiles, &c.image, <const float*> c.inputs[0], c.u, c.bias, c.y, c.argmax,
              task * c.block_rows, min((task + 1) * c.block_rows, c.rows),
              c.v + thread * c.v_row, c.m + thread * c.m_row, c.scratch + thread * c.scratch_row)


def blocked(const float[:, :, :, ::1] x,        # IN
            const float[::1] u,                 # IN transformed kernel
            const float[::1] bias,              # IN (padded filters)
            float[:, :, :, ::1] y,              # OUT
            uint8_t[:, :, :, ::1] argmax,      # OUT or None
            bytes padded_image, bytes tiling, int block_rows,
            float[:, ::1] v,                    # SCRATCH one row a thread
            float[:, ::1] m,                    # SCRATCH one row a thread
            float[:, ::1] scratch,              # SCRATCH one row a thread
            int num_threads, /):
    """y = [clipped or pooled] conv(x) + bias, blocks of tile rows in parallel."""
    cdef Call c
    set_call(&c, x, u, bias, y, argmax, padded_image, tiling)
    c.block_rows = block_rows
    c.v, c.v_row, c.m, c.m_row = &v[0, 0], v.shape[1], &m[0, 0], m.shape[1]
    c.scratch, c.scratch_row = &scratch[0, 0], scratch.shape[1]
    share_work(c.works, (c.rows + block_rows - 1) // block_rows, num_threads)
    run(blocked_tasks, &c, c.works, 1, num_threads)


cdef void pass_tasks(void* context, int thread) noexcept nogil:
    cdef Call* c = <Call*> context
    cdef const Tiles* t = &c.tiles
    cdef int panels = sets_of(t) * panel_count(t.filters, c.v)
    cdef Order o = order_of(t, c.first, c.last)
    cdef ptrdiff_t task
    while (task := next_task(c.works, thread)) >= 0:
        input_row(t, &o, &c.image, <const float*> c.inputs[0], c.first + task, c.v,
                  o.tiles * tile_values(t) + SKEW, c.scratch + thread * c.scratch_row)
    wait_for_all()
    while (task := next_task(c.works + 1, thread)) >= 0:
        staged_product(t, &o, c.v, c.u, c.m, <int> (task // panels), <int> (task % panels))
    wait_for_all()
    while (task := next_task(c.works + 2, thread)) >= 0:
        staged_output(t, &o, c.m, c.bias, c.y, c.argmax, c.first + task // t.columns,
                      <int> (task % t.columns))


def in_passes(const float[:, :, :, ::1] x,         # IN
           const float[::1] u,                  # IN transformed kernel
           const float[::1] bias,               # IN (padded filters)
           float[:, :, :, ::1] y,               # OUT
           uint8_t[:, :, :, ::1] argmax,       # OUT or None
           bytes padded_image, bytes tiling, int block_rows,
           float[::1] v,                        # SCRATCH POINTS * (tiles * tile values + SKEW)
           float[::1] m,                        # SCRATCH the same, of all sets' padded filters
           float[:, ::1] scratch,               # SCRATCH one row a thread
           int num_threads, /):
    """The same, `block_rows` tile rows at a time through each step."""
    cdef Call c
    set_call(&c, x, u, bias, y, argmax, padded_image, tiling)
    cdef int panels = sets_of(&c.tiles) * panel_count(c.tiles.filters, &v[0])
    c.v, c.m = &v[0], &m[0]
    c.scratch, c.scratch_row = &scratch[0, 0], scratch.shape[1]
    c.first = 0
    while c.first < c.rows:
        c.last = min(c.first + block_rows, c.rows)
        share_work(c.works, c.last - c.first, num_threads)
        share_work(c.works + 1, POINTS * panels, num_threads)
        share_work(c.works + 2, (c.last - c.first) * c.tiles.columns, num_threads)
        run(pass_tasks, &c, c.works, 3, num_threads)
        c.first = c.last


cdef inline ptrdiff_t staged_values(const Tiles* t) noexcept nogil:
    """Of a tile in M: the filters of all sets, those of each padded."""
    return sets_of(t) * padded_channels(t.filters, <const float*> NULL)


cdef void staged_product(const Tiles* t, const Order* o, const float* v, const float* u, float* m,
                         int xi, int panel) noexcept nogil:
    """The product of one point and one panel of one set."""
    cdef int panels = panel_count(t.filters, v), which = panel // panels
    cdef int start = panel % panels * 2 * LANES_F32
    cdef ptrdiff_t filters = padded_channels(t.filters, v), m_tile = staged_values(t)
    points_product(o, xi, panel_vectors(t.filters - start, v),
                   v + xi * (o.tiles * tile_values(t) + SKEW)
                   + which % t.groups * group_values(t), tile_values(t), depth_of(t),
                   u + (which * POINTS + xi) * kernel_step(t) + <ptrdiff_t> start * depth_of(t),
                   m + xi * (o.tiles * m_tile + SKEW) + which * filters + start, m_tile)


cdef void staged_output(const Tiles* t, const Order* o, const float* m, const float* bias,
                        float* y, uint8_t* argmax, ptrdiff_t row, int column) noexcept nogil:
    cdef ptrdiff_t m_tile = staged_values(t)
    cdef int which
    for which in range(sets_of(t)):
        output_tiles(t, m + place(t, o, row, column) * m_tile
                     + which * padded_channels(t.filters, m), o.tiles * m_tile + SKEW, m_tile,
                     bias, y, argmax, row, column, 1, which, 0, t.filters)


def transform_kernel(const float[:, :, :, ::1] kernel,  # IN (rows, columns, channels, filters)
                     float[::1] u,                      # OUT [set][xi][panel][channel][lane]
                     bytes kernels,                     # IN KernelDecomposition
                     int num_threads, /):
    """u = G g G' of all parts."""
    cdef KernelDecomposition c
    load_struct(kernels, &c, sizeof(c))
    cdef int blocks = (c.channels + LANES_F32 - 1) // LANES_F32
    cdef ptrdiff_t task
    cdef Work work
    share_work(&work, <ptrdiff_t> c.kernels * c.kernels * c.groups * blocks, num_threads)
    with nogil, parallel(num_threads=num_threads):
        while (task := next_task(&work, threadid())) >= 0:
            transform_channels(&c, &kernel[0, 0, 0, 0], &u[0], <int> (task // blocks),
                               <int> (task % blocks) * LANES_F32)
