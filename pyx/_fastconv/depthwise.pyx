"""Convolution whose output channels each read few input channels, NHWC.

A depthwise layer multiplies like with like: output channel c of a tap is input
channel c times a weight, so vectors run along the channels and there is nothing
to broadcast.  A grouped layer becomes one of these when its input is laid out
over *planes*: plane i holds, for every output channel, the i-th input channel
of its group, so that a tap of a plane is a tap of a depthwise layer, and the
kernel (HWIO) already lies as [tap][plane][output channel].  The input gradient
is the same sum over dy with the kernel rotated.

Loops of the output, outermost first: row_blocks of output rows of each image
(parallel) - columns and channels whose lines of the source fit the L1 cache - rows,
downwards - tiles of pixels - one vector of channels - rows of taps.  A tile loads a
line's vectors once for all the outputs that read them.  Where `copied` is 0 the
image is read in place and a window that leaves it is clipped to the taps inside.
Columns at the image's edges are computed as rows are, downwards.  Else, or where
an image is little but edges, a row block is copied, over planes and the phases
of a stride (see _planes.pxd).  Fewer channels than a vector are read as one, padded
by the next pixel's; far fewer (`narrow`) count as one: neighbouring pixels are one
*unit* of several pixels' channels, since along a phase every tap is as far from its
output.

The kernel gradient keeps one vector of channels of up to FC_TAPS taps in
registers over a block of rows.  Blocks are packed_dy to a fixed number of parts,
each with private sums, which the caller adds in order.
"""

from cython.parallel cimport parallel, threadid
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t
from libc.string cimport memcpy, memset

from _fastconv._lines cimport Tile, tile_of
from _fastconv._planes cimport (
    Area, Tables, Taps, clip, is_whole, load_planes, piece_of, plane_size, tables_of, taps_width,
)
from _fastconv._tiles cimport (
    NARROW_TILE_ROWS, copy_pixels, float_mode, flush_denormals, lanes, real, restore_denormals,
    widest,
)
from _fastconv._work cimport Work, join_team, next_task, run, share_work
from _fastconv.structs cimport DepthwiseLayout, load_struct

join_team()

cdef extern from "simd/depthwise.h" nogil:
    const int PIXEL_VECTORS "FC_PIXEL_VECTORS"
    void depthwise "fc_depthwise"(...) noexcept
    void prefetch_pixels "fc_prefetch_pixels"(...) noexcept
    void depthwise_gradient "fc_depthwise_gradient"(...) noexcept


cdef void output_row(const DepthwiseLayout* g, const Taps* taps, const real* x,
                     const real* weights, const real* bias, real* out, ptrdiff_t out_step,
                     int units, int channels) noexcept nogil:
    cdef int unit = 0, count
    while unit < units:
        count = piece_of(units - unit, NARROW_TILE_ROWS)
        depthwise(count, x + <ptrdiff_t> unit * g.unit_step, g.unit_step, g.tap_step, taps,
                  weights, bias, out + unit * out_step, out_step, channels, g.limit)
        unit += count


cdef inline void prefetch_lines(const DepthwiseLayout* g, const Taps* taps, const real* x,
                                int columns, int channels) noexcept nogil:
    """Ask for those lines of an image that the next row of outputs reads and this one does not."""
    cdef int line, pixels = (columns - 1) * g.column_stride + taps_width(g)
    if taps.row_begin == taps.row_end or taps.column_begin == taps.column_end:
        return
    x = x + taps.row_offset[taps.row_end - 1] + taps.column_offset[taps.column_begin]
    for line in range(1, g.row_stride + 1):
        prefetch_pixels(x + <ptrdiff_t> line * g.width * g.channels, g.channels, pixels, channels)


cdef void output_columns(const DepthwiseLayout* g, const Tables* t, const real* x,
                         const real* weights, const real* bias, real* out, int first, int last,
                         int column, int columns, int most) noexcept nogil:
    """Some columns, `most` channels at a time, downwards: rows find what they share in L1."""
    cdef Taps taps = t.taps
    cdef ptrdiff_t out_step = <ptrdiff_t> g.target_column_step * g.channels
    cdef ptrdiff_t out_line = <ptrdiff_t> g.target_row_step * g.target_width * g.channels
    cdef ptrdiff_t line = g.row_stride * (
        g.planes * plane_size(g) if g.copied else <ptrdiff_t> g.width * g.channels)
    cdef int c = 0, row, some
    cdef const real* pixel
    while c < g.channels:
        # What is left in the end must fill a vector.
        some = most if g.channels - c >= most + lanes(x) else g.channels - c
        for row in range(first, last):
            pixel = x + row * line + <ptrdiff_t> column * g.unit_step + c
            taps.row_begin = 0
            taps.row_end = g.row_taps
            clip(row * g.row_stride, g.height, t.row_source, &taps.row_begin, &taps.row_end)
            if not g.copied:
                prefetch_lines(g, &taps, pixel, columns, some)
            output_row(g, &taps, pixel, weights + c, bias + c,
                       out + row * out_line + column * out_step + c, out_step, columns, some)
        c += some


cdef void output_edge(const DepthwiseLayout* g, const Tables* t, const real* x,
                      const real* weights, const real* bias, real* out, int first, int last,
                      int column) noexcept nogil:
    """A column whose window leaves the image: its outputs, one below the other, lack the same taps.

    They make a tile as a row's outputs do, rows and columns exchanged.  Those of a corner, which
    lack others, are computed one by one; few channels at a time, which stay in the L1 cache.
    """
    cdef Taps taps = t.taps, down
    cdef int c = 0, some
    clip(column * g.column_stride, g.width, t.column_source, &taps.column_begin, &taps.column_end)
    down.row_offset, down.row_place = taps.column_offset, taps.column_place
    down.row_begin, down.row_end = taps.column_begin, taps.column_end
    down.column_offset, down.column_place = taps.row_offset, taps.row_place
    x = x + <ptrdiff_t> column * g.unit_step
    out = out + <ptrdiff_t> column * g.target_column_step * g.channels
    while c < g.channels:
        # What is left in the end must fill a vector.
        some = PIXEL_VECTORS * lanes(x)
        if g.channels - c < some + lanes(x):
            some = g.channels - c
        output_down(g, t, &down, x + c, weights + c, bias + c, out + c, first, last, some)
        c += some


cdef void output_down(const DepthwiseLayout* g, const Tables* t, Taps* down, const real* x,
                      const real* weights, const real* bias, real* out, int first, int last,
                      int channels) noexcept nogil:
    """Some channels of one column; `down` has rows and columns exchanged."""
    cdef ptrdiff_t step = <ptrdiff_t> g.row_stride * g.width * g.channels, tap_step = 0
    cdef ptrdiff_t out_line = <ptrdiff_t> g.target_row_step * g.target_width * g.channels
    cdef int row = first, count, end
    if step == t.row_step or step == 2 * t.row_step:
        tap_step = t.row_step
    while row < last:
        end = row + 1
        while end < last and is_whole(g, t, row) and is_whole(g, t, end):
            end += 1
        count = piece_of(end - row, NARROW_TILE_ROWS)
        down.column_begin, down.column_end = 0, g.row_taps
        clip(row * g.row_stride, g.height, t.row_source, &down.column_begin, &down.column_end)
        depthwise(count, x + row * step, step, tap_step, down, weights, bias, out + row * out_line,
                  out_line, channels, g.limit)
        row += count


cdef void output_narrow(const DepthwiseLayout* g, const Tables* t, const real* x,
                        const real* weights, const real* bias, real* out, int first, int last,
                        real* whole_row) noexcept nogil:
    """Row by row: the last unit may end behind the last pixel."""
    cdef ptrdiff_t out_step = <ptrdiff_t> g.target_column_step * g.channels
    cdef ptrdiff_t line = g.row_stride * g.planes * plane_size(g)
    cdef int row
    cdef real* row_out
    for row in range(first, last):
        output_row(g, &t.taps, x + row * line, weights, bias, whole_row, g.unit_channels, g.units,
                   g.unit_channels)
        row_out = out + <ptrdiff_t> row * g.target_row_step * g.target_width * g.channels
        if g.target_column_step == 1:
            memcpy(row_out, whole_row, <size_t> g.columns * g.channels * sizeof(real))
        else:
            copy_pixels(whole_row, g.channels, g.columns, g.channels, row_out, <int> out_step)


cdef void output_block(const DepthwiseLayout* g, const Tables* t, const real* image,
                       const real* weights, const real* bias, real* target, int first, int last,
                       real* scratch, real* whole_row) noexcept nogil:
    cdef const real* x = image
    cdef real* out = target + (
        <ptrdiff_t> g.target_row * g.target_width + g.target_column) * g.channels
    cdef int begin = 0, end = g.columns, column = 0, count
    cdef Tile tile = tile_of(g, image)
    if g.copied:
        # As if the image began there.
        x = (load_planes(g, t, image, first * g.row_stride,
                         (last - first - 1) * g.row_stride + g.reach, scratch)
             - first * g.row_stride * g.planes * plane_size(g))
    else:
        begin, end = g.inner_begin, g.inner_end
    if g.narrow:
        output_narrow(g, t, x, weights, bias, out, first, last, whole_row)
        return
    while column < g.columns:
        if not begin <= column < end:
            output_edge(g, t, x, weights, bias, out, first, last, column)
            column += 1
            continue
        count = piece_of(end - column, tile.columns)
        output_columns(g, t, x, weights, bias, out, first, last, column, count, tile.channels)
        column += count


cdef struct Call:         # what `output` runs
    const void* inputs[2]
    const void* weights
    const void* bias
    void* target
    void* scratch
    void* whole_row
    ptrdiff_t source_image
    ptrdiff_t target_image
    ptrdiff_t scratch_row
    ptrdiff_t whole_row_row
    int block_rows
    DepthwiseLayout layout
    Tables tables
    Work works[1]


cdef void output_tasks(Call* c, int thread, const real* weights) noexcept nogil:
    cdef const DepthwiseLayout* g = &c.layout
    cdef const real* source = <const real*> c.inputs[0]
    cdef int row_blocks = (g.rows + c.block_rows - 1) // c.block_rows, first
    cdef ptrdiff_t task
    while (task := next_task(c.works, thread)) >= 0:
        first = <int> (task % row_blocks) * c.block_rows
        output_block(g, &c.tables, source + task // row_blocks * c.source_image, weights,
                     <const real*> c.bias, <real*> c.target + task // row_blocks * c.target_image,
                     first, min(first + c.block_rows, g.rows),
                     <real*> c.scratch + thread * c.scratch_row,
                     <real*> c.whole_row + thread * c.whole_row_row)


cdef void output_f32(void* context, int thread) noexcept nogil:
    output_tasks(<Call*> context, thread, <const float*> (<Call*> context).weights)


cdef void output_f64(void* context, int thread) noexcept nogil:
    output_tasks(<Call*> context, thread, <const widest*> (<Call*> context).weights)


def output(const real[:, :, :, ::1] source,     # IN (images, height, width, channels)
           const real[:, ::1] weights,          # IN (taps * planes, channels of a unit)
           const real[::1] bias,                # IN (channels of a unit)
           real[:, :, :, ::1] target,           # OUT
           const ptrdiff_t[:, ::1] row_tables, const ptrdiff_t[:, ::1] column_tables,
           const int32_t[::1] index,            # IN source channel of each channel of plane 0
           bytes layout,                        # IN DepthwiseLayout
           int block_rows,
           real[:, ::1] scratch,                # SCRATCH one row a thread: a copied row block
           real[:, ::1] whole_row,              # SCRATCH one row a thread: an output row
           int num_threads, /):
    """target = [clipped](bias + sum over taps and planes of source), on the grid."""
    cdef Call c
    load_struct(layout, &c.layout, sizeof(c.layout))
    c.tables = tables_of(&c.layout, row_tables, column_tables, index)
    c.inputs[0], c.inputs[1] = &source[0, 0, 0, 0], NULL
    c.weights, c.bias, c.target = &weights[0, 0], &bias[0], &target[0, 0, 0, 0]
    c.source_image = source.shape[1] * source.shape[2] * source.shape[3]
    c.target_image = target.shape[1] * target.shape[2] * target.shape[3]
    c.block_rows = block_rows
    c.scratch, c.scratch_row = &scratch[0, 0], scratch.shape[1]
    c.whole_row, c.whole_row_row = &whole_row[0, 0], whole_row.shape[1]
    share_work(c.works, source.shape[0] * ((c.layout.rows + block_rows - 1) // block_rows),
               num_threads)
    run(output_f32 if real is float else output_f64, &c, c.works, 1, num_threads)


cdef void gradient_area(const DepthwiseLayout* g, const Taps* taps, const real* x, const real* dy,
                        const Area* area, real* sums, real* bias_sums, ptrdiff_t* offset,
                        ptrdiff_t* place) noexcept nogil:
    """Add one rectangle, whose outputs have the same taps, to the sums."""
    cdef int row, column, count = 0
    for row in range(taps.row_begin, taps.row_end):
        for column in range(taps.column_begin, taps.column_end):
            offset[count] = taps.row_offset[row] + taps.column_offset[column]
            place[count] = taps.row_place[row] + taps.column_place[column]
            count += 1
    depthwise_gradient(count, x, area, offset, place, dy, g.unit_channels, sums, bias_sums)


cdef void clipped_block(const DepthwiseLayout* g, const Tables* t, const real* x, const real* dy,
                        real* sums, real* bias_sums, int first, int last, ptrdiff_t* offset,
                        ptrdiff_t* place) noexcept nogil:
    """A block read in place: cut into rectangles of outputs with the same taps inside."""
    cdef Taps taps = t.taps
    cdef Area area
    cdef int row = first, column, begin, end
    area.x_step = <ptrdiff_t> g.column_stride * g.channels
    area.x_line = <ptrdiff_t> g.row_stride * g.width * g.channels
    area.dy_step = g.channels
    area.dy_line = <ptrdiff_t> g.columns * g.channels
    while row < last:
        taps.row_begin = 0
        taps.row_end = g.row_taps
        clip(row * g.row_stride, g.height, t.row_source, &taps.row_begin, &taps.row_end)
        area.lines = 1
        while row + area.lines < last:
            begin = 0
            end = g.row_taps
            clip((row + area.lines) * g.row_stride, g.height, t.row_source, &begin, &end)
            if begin != taps.row_begin or end != taps.row_end:
                break
            area.lines += 1
        column = 0
        while column < g.columns:
            taps.column_begin = 0
            taps.column_end = g.column_taps
            if g.inner_begin <= column < g.inner_end:
                area.pixels = g.inner_end - column
            else:
                area.pixels = 1
                clip(column * g.column_stride, g.width, t.column_source, &taps.column_begin,
                     &taps.column_end)
            gradient_area(g, &taps, x + row * area.x_line + column * area.x_step,
                          dy + row * area.dy_line + column * area.dy_step, &area, sums,
                          bias_sums, offset, place)
            column += area.pixels
        row += area.lines


cdef void copied_block(const DepthwiseLayout* g, const Tables* t, const real* image,
                       const real* dy, real* sums, real* bias_sums, int first, int last,
                       ptrdiff_t* offset, ptrdiff_t* place, real* scratch,
                       real* whole_rows) noexcept nogil:
    cdef Area area
    cdef ptrdiff_t line = g.planes * plane_size(g), used = <ptrdiff_t> g.columns * g.channels
    cdef const real* x = load_planes(g, t, image, first * g.row_stride,
                                     (last - first - 1) * g.row_stride + g.reach, scratch)
    cdef const real* gradient = dy + first * used
    cdef int row
    area.x_step = g.unit_step
    area.x_line = g.row_stride * line
    area.dy_step = g.unit_channels
    area.dy_line = used
    area.lines = last - first
    area.pixels = g.units
    if g.narrow:
        # The last unit of a row would go on with the next row: copy with zeros.
        area.dy_line = <ptrdiff_t> g.units * g.unit_channels
        for row in range(area.lines):
            memcpy(whole_rows + row * area.dy_line, gradient + row * used, used * sizeof(real))
            memset(whole_rows + row * area.dy_line + used, 0,
                   (area.dy_line - used) * sizeof(real))
        gradient = whole_rows
    gradient_area(g, &t.taps, x, gradient, &area, sums, bias_sums, offset, place)


def kernel_gradient(const real[:, :, :, ::1] x,     # IN
                    const real[:, :, :, ::1] dy,    # IN (images, rows, columns, channels)
                    real[:, ::1] sums,              # OUT (parts, taps * planes * unit channels)
                    real[:, ::1] bias_sums,         # OUT (parts, channels of a unit)
                    const ptrdiff_t[:, ::1] row_tables, const ptrdiff_t[:, ::1] column_tables,
                    const int32_t[::1] index, bytes layout,
                    int parts, int block_rows,
                    ptrdiff_t[:, ::1] taps,         # SCRATCH (threads, 2 * taps * planes)
                    real[:, ::1] scratch,           # SCRATCH one row a thread: a copied row block
                    real[:, ::1] whole_rows,        # SCRATCH one row a thread: a block of dy
                    int num_threads, /):
    """sums[part] and bias_sums[part] = the gradients of that part's blocks of rows."""
    cdef DepthwiseLayout g
    load_struct(layout, &g, sizeof(g))
    cdef Tables t = tables_of(&g, row_tables, column_tables, index)
    cdef ptrdiff_t blocks = (g.rows + block_rows - 1) // block_rows
    cdef ptrdiff_t total = x.shape[0] * blocks
    cdef ptrdiff_t size = <ptrdiff_t> g.row_taps * g.column_taps * g.unit_channels
    cdef int part
    cdef Work work
    cdef float_mode mode = 0
    share_work(&work, parts, num_threads)
    with nogil, parallel(num_threads=num_threads):
        mode = flush_denormals()
        while (part := next_task(&work, threadid())) >= 0:
            memset(&sums[part, 0], 0, size * sizeof(real))
            memset(&bias_sums[part, 0], 0, g.unit_channels * sizeof(real))
            gradient_part(&g, &t, &x[0, 0, 0, 0], &dy[0, 0, 0, 0], &sums[part, 0],
                          &bias_sums[part, 0], part * total // parts,
                          (part + 1) * total // parts, blocks, block_rows, &taps[threadid(), 0],
                          &scratch[threadid(), 0], &whole_rows[threadid(), 0])
        restore_denormals(mode)


cdef void gradient_part(const DepthwiseLayout* g, const Tables* t, const real* x, const real* dy,
                        real* sums, real* bias_sums, ptrdiff_t begin, ptrdiff_t end,
                        ptrdiff_t blocks, int block_rows, ptrdiff_t* taps, real* scratch,
                        real* whole_rows) noexcept nogil:
    cdef ptrdiff_t block, image
    cdef ptrdiff_t x_size = <ptrdiff_t> g.height * g.width * g.source_channels
    cdef ptrdiff_t dy_size = <ptrdiff_t> g.rows * g.columns * g.channels
    cdef ptrdiff_t* place = taps + <ptrdiff_t> g.row_taps * g.column_taps
    cdef int first, last
    for block in range(begin, end):
        image = block // blocks
        first = (block % blocks) * block_rows
        last = min(first + block_rows, g.rows)
        if g.copied:
            copied_block(g, t, x + image * x_size, dy + image * dy_size, sums, bias_sums, first,
                         last, taps, place, scratch, whole_rows)
        else:
            clipped_block(g, t, x + image * x_size, dy + image * dy_size, sums, bias_sums,
                          first, last, taps, place)
