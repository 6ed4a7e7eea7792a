"""3x3 convolution of stride 1 and its kernel gradient by Winograd's F(4x4, 3x3), float32, where a
pixel has few channels.

The same sums as in `winograd`, in the order that suits three channels: a task takes rows of
tiles, and of each row the input transform, then panel by panel of 1-2 vectors of filters tile
after tile: 36 products summed over the channels in registers, the output transform, bias, ReLU,
pooling.
    V[tile][four channels][xi][channel]      U[panel][row of xi][channel][column of xi][lane]
A row's V and a panel's U fit the L1 cache together; M never exists.  The last row and column of
tiles may be short, as in `winograd`.  Tiles of which some pixels or filters do not exist go through
a tile of scratch.

The kernel gradient dg = G' [ sum over tiles V[xi]' Z[xi] ] G, Z = A dy A', walks V as the output
does: of a handful of tiles a panel's Z, then their part of dU[panel][xi][channel][lane].  Fixed
parts of the rows of tiles each have a dU; these are added in their order.
"""

from cython.parallel cimport parallel, threadid
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport uint8_t
from libc.string cimport memcpy, memset

from _fastconv._tiles cimport LANES_F32, float_mode, flush_denormals, restore_denormals
from _fastconv._window cimport padded_channels, panel_count, panel_vectors
from _fastconv._winograd cimport POINTS, SKEW, image_rows, is_short_row, load_lines
from _fastconv._work cimport Work, join_team, next_task, run, share_work, wait_for_all
from _fastconv.structs cimport PaddedImage, Tiles, load_struct

join_team()

cdef extern from "simd/winograd_narrow.h" nogil:
    ctypedef struct Panel "fc_narrow_panel":
        int channels
        int vectors
        int pooled
        float limit
        const float* u
        const float* bias
        ptrdiff_t y_row
        ptrdiff_t y_pixel

    void fc_narrow_input_rows(const float*, ptrdiff_t, int, int, int, int, float*) noexcept
    void fc_narrow_tiles(const Panel*, int, int, int, const float*, float*, uint8_t*) noexcept
    void fc_narrow_kernel(const float*, ptrdiff_t, int, int, int, float*) noexcept


cdef extern from "simd/winograd_narrow_gradient.h" nogil:
    const int HANDFUL "FC_HANDFUL"
    void fc_narrow_gradient_tiles(int, int, const float*, ptrdiff_t, ptrdiff_t, float*,
                                  float*) noexcept
    void fc_narrow_outer(int, int, int, const float*, const float*, float*) noexcept
    void fc_kernel_gradient_tile(const float*, ptrdiff_t, int, float*, ptrdiff_t, int) noexcept

HANDFUL_TILES = HANDFUL


cdef inline int whole_fours(int channels) noexcept nogil:
    return (channels + 3) // 4 * 4


cdef void input_row(const Tiles* t, const PaddedImage* s, const float* image, int row,
                    float* lines, float* v) noexcept nogil:
    """V of one row of tiles of an image."""
    cdef const float* rows[6]
    # A vector of four may be read past a line's last channel: the skew has room for it.
    cdef ptrdiff_t step = (4 * t.columns + 2) * <ptrdiff_t> t.channels + SKEW
    cdef bint short_row = is_short_row(t, row)
    image_rows(s, image, 4 * row, 1, rows)
    load_lines(s, rows, -s.left, 4 * t.columns + 2, 4, short_row, lines, step)
    fc_narrow_input_rows(lines, step, t.columns, t.channels, short_row, t.short_column, v)


cdef void part_of_tile(const Panel* panel, int rows, int columns, int channels, bint short_row,
                       bint short_column, const float* v, float* y,
                       uint8_t* argmax) noexcept nogil:
    """One tile of which only some rows, columns or filters exist."""
    cdef float whole[16 * 2 * 16]
    cdef uint8_t whole_argmax[4 * 2 * 16]
    cdef int side = 2 if panel.pooled else 4, row, column, width = panel.vectors * LANES_F32
    cdef ptrdiff_t to, at
    cdef Panel scratch = panel[0]
    scratch.y_row, scratch.y_pixel = side * width, width
    fc_narrow_tiles(&scratch, 1, short_row, short_column, v, whole,
                    NULL if argmax == NULL else whole_argmax)
    for row in range(rows):
        for column in range(columns):
            at = (row * side + column) * width
            to = row * panel.y_row + column * panel.y_pixel
            memcpy(y + to, whole + at, channels * sizeof(float))
            if argmax != NULL:
                memcpy(argmax + to, whole_argmax + at, channels)


cdef void output_panel(const Tiles* t, int row, const Panel* panel, int channels, const float* v,
                       float* y, uint8_t* argmax) noexcept nogil:
    """Some filters of one row of tiles, at y and argmax."""
    cdef int side = 2 if t.pooled else 4, whole = 0, column, columns
    cdef bint short_row = is_short_row(t, row), short_column
    cdef int rows = min(side, t.out_rows - row * side)
    cdef bint all_there = (channels == panel.vectors * LANES_F32
                           and rows == (side // 2 if short_row else side))
    cdef ptrdiff_t tile_size = POINTS * whole_fours(t.channels), at
    if all_there:
        whole = t.out_columns // side
        fc_narrow_tiles(panel, whole, short_row, 0, v, y, argmax)
    for column in range(whole, t.columns):
        short_column = t.short_column and column == t.columns - 1
        columns = min(side, t.out_columns - column * side)
        at = <ptrdiff_t> column * side * t.filters
        if all_there and columns == (side // 2 if short_column else side):
            fc_narrow_tiles(panel, 1, short_row, short_column, v + column * tile_size, y + at,
                            NULL if argmax == NULL else argmax + at)
        else:
            part_of_tile(panel, rows, columns, channels, short_row, short_column,
                         v + column * tile_size, y + at,
                         NULL if argmax == NULL else argmax + at)


cdef void output_row(const Tiles* t, int row, const float* v, const float* u, const float* bias,
                     float* y, uint8_t* argmax) noexcept nogil:
    """All filters of one row of tiles; y and argmax are the image's."""
    cdef int side = 2 if t.pooled else 4, start = 0
    cdef ptrdiff_t at
    cdef Panel panel
    panel.channels, panel.pooled, panel.limit = t.channels, t.pooled, t.limit
    panel.y_row, panel.y_pixel = <ptrdiff_t> t.out_columns * t.filters, t.filters
    panel.u = u
    while start < t.filters:
        panel.vectors = panel_vectors(t.filters - start, v)
        panel.bias = bias + start
        at = row * side * panel.y_row + start
        output_panel(t, row, &panel, min(panel.vectors * LANES_F32, t.filters - start), v, y + at,
                     NULL if argmax == NULL else argmax + at)
        panel.u += <ptrdiff_t> POINTS * t.channels * panel.vectors * LANES_F32
        start += panel.vectors * LANES_F32


cdef struct Call:         # what `forward` runs
    const void* inputs[2]
    const float* u
    const float* bias
    float* y
    uint8_t* argmax
    float* lines
    float* v
    ptrdiff_t lines_row
    ptrdiff_t v_row
    ptrdiff_t rows        # of tiles, of all images
    ptrdiff_t block_rows
    Tiles tiles
    PaddedImage image
    Work works[1]


cdef void forward_tasks(void* context, int thread) noexcept nogil:
    cdef Call* c = <Call*> context
    cdef const Tiles* t = &c.tiles
    cdef const float* x = <const float*> c.inputs[0]
    cdef float* v = c.v + thread * c.v_row
    cdef ptrdiff_t x_size = <ptrdiff_t> c.image.height * c.image.width * c.image.channels
    cdef ptrdiff_t y_size = <ptrdiff_t> t.out_rows * t.out_columns * t.filters, task, row, image
    while (task := next_task(c.works, thread)) >= 0:
        for row in range(task * c.block_rows, min((task + 1) * c.block_rows, c.rows)):
            image = row // t.rows
            input_row(t, &c.image, x + image * x_size, <int> (row % t.rows),
                      c.lines + thread * c.lines_row, v)
            output_row(t, <int> (row % t.rows), v, c.u, c.bias, c.y + image * y_size,
                       NULL if c.argmax == NULL else c.argmax + image * y_size)


def forward(const float[:, :, :, ::1] x,        # IN
            const float[::1] u,                 # IN transformed kernel
            const float[::1] bias,              # IN (padded filters)
            float[:, :, :, ::1] y,              # OUT
            uint8_t[:, :, :, ::1] argmax,      # OUT or None
            bytes padded_image, bytes tiling, int block_rows,
            float[:, ::1] lines,                # SCRATCH one row a thread
            float[:, ::1] v,                    # SCRATCH one row a thread
            int num_threads, /):
    """y = [clipped or pooled] conv(x) + bias, `block_rows` rows of tiles a task."""
    cdef Call c
    load_struct(tiling, &c.tiles, sizeof(c.tiles))
    load_struct(padded_image, &c.image, sizeof(c.image))
    c.inputs[0], c.inputs[1] = &x[0, 0, 0, 0], NULL
    c.u, c.bias, c.y = &u[0], &bias[0], &y[0, 0, 0, 0]
    c.argmax = NULL if argmax is None else &argmax[0, 0, 0, 0]
    c.rows, c.block_rows = x.shape[0] * c.tiles.rows, block_rows
    c.lines, c.lines_row, c.v, c.v_row = &lines[0, 0], lines.shape[1], &v[0, 0], v.shape[1]
    share_work(c.works, (c.rows + block_rows - 1) // block_rows, num_threads)
    run(forward_tasks, &c, c.works, 1, num_threads)


def transform_kernel(const float[:, :, :, ::1] kernel,  # IN (3, 3, channels, filters)
                     float[::1] u, /):                     # OUT
    """u = G g G', as `forward` reads it."""
    cdef int channels = kernel.shape[2], filters = kernel.shape[3], channel, start = 0, vectors, k
    cdef ptrdiff_t tap_size = <ptrdiff_t> channels * filters
    cdef float* panel = &u[0]
    with nogil:
        while start < filters:
            vectors = panel_vectors(filters - start, panel)
            for channel in range(channels):
                for k in range(vectors):
                    fc_narrow_kernel(&kernel[0, 0, channel, start + k * LANES_F32], tap_size,
                                     filters - start - k * LANES_F32, channels, vectors,
                                     panel + (channel * 6 * vectors + k) * LANES_F32)
            start += vectors * LANES_F32
            panel += <ptrdiff_t> POINTS * channels * vectors * LANES_F32


cdef void part_of_dy(const Tiles* t, int rows, int columns, int channels, const float* dy,
                     int vectors, float* z, float* sums) noexcept nogil:
    """Z of a tile of whose dy only some rows, columns or filters exist."""
    cdef float whole[16 * 2 * 16]
    cdef int row, column, width = vectors * LANES_F32
    memset(whole, 0, sizeof(whole))
    for row in range(rows):
        for column in range(columns):
            memcpy(whole + (row * 4 + column) * width,
                   dy + (<ptrdiff_t> row * t.out_columns + column) * t.filters,
                   channels * sizeof(float))
    fc_narrow_gradient_tiles(1, vectors, whole, 4 * width, width, z, sums)


cdef void gradient_row(const Tiles* t, int row, const float* v, const float* dy, float* z,
                       float* du, float* sums) noexcept nogil:
    """Add one row of tiles to all of dU and the sums of dy, whose row of the image it is."""
    cdef int panel, start, vectors, channels, whole, first, tile, tiles, count
    cdef int rows = min(4, t.out_rows - row * 4)
    cdef ptrdiff_t line = <ptrdiff_t> t.out_columns * t.filters
    cdef ptrdiff_t tile_size = POINTS * whole_fours(t.channels)
    cdef const float* at
    for panel in range(panel_count(t.filters, v)):
        start = panel * 2 * LANES_F32
        vectors = panel_vectors(t.filters - start, v)
        channels = min(vectors * LANES_F32, t.filters - start)
        whole = 0
        if rows == 4 and channels == vectors * LANES_F32:
            whole = t.out_columns // 4
        first = 0
        while first < t.columns:
            tiles = min(HANDFUL, t.columns - first)
            count = max(0, min(tiles, whole - first))
            at = dy + 4 * (row * line + <ptrdiff_t> first * t.filters) + start
            fc_narrow_gradient_tiles(count, vectors, at, line, t.filters, z, sums + start)
            for tile in range(count, tiles):
                part_of_dy(t, rows, min(4, t.out_columns - (first + tile) * 4), channels,
                           at + tile * 4 * t.filters, vectors, z + tile * vectors * LANES_F32,
                           sums + start)
            fc_narrow_outer(tiles, vectors, t.channels, v + first * tile_size, z, du)
            first += HANDFUL
        du += <ptrdiff_t> POINTS * t.channels * vectors * LANES_F32


cdef void finish(const Tiles* t, const float* du, ptrdiff_t parts, ptrdiff_t step, int channel,
                 int vector, float* dkernel) noexcept nogil:
    """dg of one channel and one vector of filters, from the parts' dU."""
    cdef float total[36 * 16]
    cdef int start = vector // 2 * 2 * LANES_F32, xi, lane
    cdef int vectors = panel_vectors(t.filters - start, du)
    cdef ptrdiff_t part, width = vectors * LANES_F32, at
    memset(total, 0, sizeof(total))
    du += <ptrdiff_t> POINTS * t.channels * start + channel * width + vector % 2 * LANES_F32
    for part in range(parts):
        for xi in range(POINTS):
            at = part * step + xi * t.channels * width
            for lane in range(LANES_F32):
                total[xi * LANES_F32 + lane] += du[at + lane]
    fc_kernel_gradient_tile(total, LANES_F32, 3,
                            dkernel + <ptrdiff_t> channel * t.filters + vector * LANES_F32,
                            <ptrdiff_t> t.channels * t.filters, t.filters - vector * LANES_F32)


def kernel_gradient(const float[:, :, :, ::1] x,        # IN
                    const float[:, :, :, ::1] dy,       # IN at the output, not pooled
                    bytes padded_image, bytes tiling,
                    float[:, ::1] lines,                # SCRATCH one row a thread
                    float[:, ::1] v,                    # SCRATCH one row a thread
                    float[:, ::1] z,                    # SCRATCH one row a thread
                    float[:, ::1] du,                   # SCRATCH one row a part
                    float[:, ::1] sums,                 # SCRATCH one row a part
                    float[:, :, :, ::1] dkernel,        # OUT
                    float[::1] dbias,                   # OUT or None
                    int parts, int num_threads, /):
    """dkernel and dbias; each part of the rows of tiles has sums of its own, added in order."""
    cdef Tiles t
    load_struct(tiling, &t, sizeof(t))
    cdef PaddedImage s
    load_struct(padded_image, &s, sizeof(s))
    cdef ptrdiff_t rows = x.shape[0] * t.rows, task, row, image
    cdef ptrdiff_t x_size = <ptrdiff_t> s.height * s.width * s.channels
    cdef ptrdiff_t y_size = <ptrdiff_t> t.out_rows * t.out_columns * t.filters
    cdef ptrdiff_t padded = padded_channels(t.filters, &x[0, 0, 0, 0]), piece
    cdef Work work, pieces
    cdef float_mode mode = 0
    cdef int filter
    t.short_row = t.short_column = 0        # Z has all points
    share_work(&work, parts, num_threads)
    share_work(&pieces, t.channels * (padded // LANES_F32), num_threads)
    with nogil, parallel(num_threads=num_threads):
        mode = flush_denormals()
        while (task := next_task(&work, threadid())) >= 0:
            memset(&du[task, 0], 0, POINTS * t.channels * padded * sizeof(float))
            memset(&sums[task, 0], 0, padded * sizeof(float))
            for row in range(task * rows // parts, (task + 1) * rows // parts):
                image = row // t.rows
                input_row(&t, &s, &x[0, 0, 0, 0] + image * x_size, <int> (row % t.rows),
                          &lines[threadid(), 0], &v[threadid(), 0])
                gradient_row(&t, <int> (row % t.rows), &v[threadid(), 0],
                             &dy[0, 0, 0, 0] + image * y_size, &z[threadid(), 0],
                             &du[task, 0], &sums[task, 0])
        wait_for_all()
        while (piece := next_task(&pieces, threadid())) >= 0:
            finish(&t, &du[0, 0], parts, du.shape[1], <int> (piece % t.channels),
                   <int> (piece // t.channels), &dkernel[0, 0, 0, 0])
        restore_denormals(mode)
    if dbias is not None:
        for filter in range(t.filters):
            dbias[filter] = 0
            for task in range(parts):
                dbias[filter] += sums[task, filter]
