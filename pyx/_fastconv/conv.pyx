"""Convolution of any kernel size, stride, padding, dilation and groups, NHWC.

`direct` computes an output as a sum over taps of a source image.  It serves two
directions: the output (taps of the kernel over x) and the input gradient
(flipped taps over dy; a stride s makes s x s phases of the input, each a
stride-1 sum of its own; the first sets to 0 what no tap reaches).

Loops, outermost first: row_blocks of output rows of each image (parallel) - blocks
of outputs that fit the L1 cache, where their channels are no whole vectors
(see _output_buffer.pxd) -
groups - panels of 1-2 vectors of output channels - tiles of TILE_ROWS pixels -
runs of contiguous values - values.  NHWC makes a kernel row one run, so there
is no im2col; a panel's weights stay in L1/L2 while the pixels of the row block pass
by.  Every output is summed in one fixed order.

`direct_batch` is the same for small images of a batch; its loops are in _batch_tiles.pxd.

Where channels are few, or few a group, most lanes of a panel would idle.  `direct_overlap_add`
lays the kernel's columns beside them: a panel's lanes are (column, channel), taps are the kernel's
rows only, and a row of such sums is folded into a row of outputs, to which neighbouring pixels of
sums contribute: overlap-add.

The kernel gradient is `conv_gradient`'s.
"""

from cython.parallel cimport parallel, threadid
from libc.stddef cimport ptrdiff_t

from _fastconv._direct cimport direct_panels
from _fastconv._direct_rows cimport clear_rows, direct_clipped, direct_dots
from _fastconv._batch_tiles cimport batch_block
from _fastconv._output_buffer cimport direct_buffered
from _fastconv._tiles cimport (
    DOT_COLUMNS, DOT_ROWS, HAS_FLOAT64, LANES_F32, LANES_F64, NARROW_TILE_ROWS, TILE_ROWS,
    conv_dots, copy_pixels, float_mode, flush_denormals, lanes, overlap_add, prefetch, real,
    restore_denormals, transpose, widest, zero_pixels,
)
from _fastconv._window cimport load_rows, padded_channels, panel_count, panel_vectors
from _fastconv._work cimport Work, join_team, next_task, run, share_work
from _fastconv.structs cimport BatchTiles, Grid, OverlapAdd, PaddedImage, load_struct

join_team()


# By the character of a dtype: to make the name of one takes NumPy as long as a small layer takes.
LANES = {"f": LANES_F32} | ({"d": LANES_F64} if HAS_FLOAT64 else {})
TILE, NARROW_TILE = TILE_ROWS, NARROW_TILE_ROWS

cdef void direct_block(const Grid* g, const PaddedImage* s, const real* image, const real* packed,
                       const real* bias, real* target, const ptrdiff_t* run_offset,
                       const int* run_row, int first, int last, int first_panel, int last_panel,
                       real* scratch, real* buffer, int buffer_pixels) noexcept nogil:
    """Rows [first, last) of the grid, panels [first_panel, last_panel) of all groups."""
    cdef int panels = panel_count(g.target_group, packed)
    cdef int index, group, start
    cdef ptrdiff_t depth = <ptrdiff_t> g.runs * g.run_length
    cdef ptrdiff_t padded = padded_channels(g.target_group, packed)
    cdef ptrdiff_t target_line = <ptrdiff_t> g.target_row_step * g.target_width * g.target_channels
    cdef ptrdiff_t target_step = <ptrdiff_t> g.target_column_step * g.target_channels
    cdef const real* base = load_rows(
        s, image, first * g.row_stride, (last - first - 1) * g.row_stride + g.reach, scratch)
    cdef real* out_base = (
        target + (<ptrdiff_t> (g.target_row + first * g.target_row_step) * g.target_width
                  + g.target_column) * g.target_channels)
    if g.cleared:
        clear_rows(g, target, first, last)
    if g.dots:
        direct_dots(g, s, base, packed, bias, out_base, run_offset, last - first)
    elif g.clipped:
        for index in range(first_panel, last_panel):
            group = index // panels
            start = index % panels * 2 * lanes(packed)
            direct_clipped(g, s, base + group * g.source_group,
                           packed + (group * padded + start) * depth,
                           panel_vectors(g.target_group - start, packed),
                           bias + group * padded + start, g.target_group - start,
                           out_base + group * g.target_group + start, run_offset, run_row, first,
                           last)
    elif buffer_pixels > 0:
        direct_buffered(g, s, base, packed, bias, out_base, target_line, target_step, run_offset,
                      last - first, buffer, buffer_pixels)
    else:
        direct_panels(g, s, base, packed, bias, out_base, target_line, target_step, run_offset,
                      first_panel, last_panel, 0, (last - first) * g.columns,
                      g.prefetches != 0 and last_panel - first_panel > 1)


cdef struct DirectCall:   # what `direct` and its like run
    const void* inputs[2]
    const void* packed
    const void* bias
    void* target
    const ptrdiff_t* run_offset
    const int* run_row
    void* scratch
    void* buffer
    ptrdiff_t source_image
    ptrdiff_t target_image
    ptrdiff_t scratch_row
    ptrdiff_t buffer_row
    ptrdiff_t images
    ptrdiff_t image_step
    int buffer_pixels     # or rows of sums
    int block_rows
    int splits
    int width
    PaddedImage image
    Grid grid
    BatchTiles tiles
    OverlapAdd overlap
    Work works[1]


cdef int set_call(DirectCall* c, const real[:, :, :, ::1] source, const real[::1] packed,
                  const real[::1] bias, real[:, :, :, ::1] target, bytes padded_image,
                  bytes grid) except -1:
    load_struct(padded_image, &c.image, sizeof(c.image))
    load_struct(grid, &c.grid, sizeof(c.grid))
    c.inputs[0], c.inputs[1] = &source[0, 0, 0, 0], NULL
    c.packed, c.bias, c.target = &packed[0], &bias[0], &target[0, 0, 0, 0]
    c.source_image = source.shape[1] * source.shape[2] * source.shape[3]
    c.target_image = target.shape[1] * target.shape[2] * target.shape[3]
    return 0


cdef void direct_tasks(DirectCall* c, int thread, const real* packed) noexcept nogil:
    cdef const Grid* g = &c.grid
    cdef const real* source = <const real*> c.inputs[0]
    cdef real* scratch = <real*> c.scratch + thread * c.scratch_row
    cdef real* buffer = <real*> c.buffer + thread * c.buffer_row
    cdef int row_blocks = (g.rows + c.block_rows - 1) // c.block_rows
    cdef int panels = g.groups * panel_count(g.target_group, packed)
    cdef ptrdiff_t task, image
    cdef int first, split
    while (task := next_task(c.works, thread)) >= 0:
        split = <int> (task % c.splits)
        image = task // c.splits // row_blocks
        first = <int> (task // c.splits % row_blocks) * c.block_rows
        direct_block(g, &c.image, source + image * c.source_image, packed, <const real*> c.bias,
                     <real*> c.target + image * c.target_image, c.run_offset, c.run_row, first,
                     min(first + c.block_rows, g.rows), split * panels // c.splits,
                     (split + 1) * panels // c.splits, scratch, buffer, c.buffer_pixels)


cdef void direct_f32(void* context, int thread) noexcept nogil:
    direct_tasks(<DirectCall*> context, thread, <const float*> (<DirectCall*> context).packed)


cdef void direct_f64(void* context, int thread) noexcept nogil:
    direct_tasks(<DirectCall*> context, thread, <const widest*> (<DirectCall*> context).packed)


def direct(const real[:, :, :, ::1] source,        # IN (images, height, width, channels)
           const real[::1] packed,                 # IN packed weights
           const real[::1] bias,                   # IN (groups * padded channels)
           real[:, :, :, ::1] target,              # OUT
           const ptrdiff_t[::1] run_offset,        # IN, in values from an output's base
           const int[::1] run_row,                 # IN, in padded rows from an output's first
           bytes padded_image,                     # IN PaddedImage
           bytes grid,                             # IN Grid
           int block_rows, int splits,             # of the panels
           real[:, ::1] scratch,                   # SCRATCH one row a thread
           real[:, ::1] buffer,                     # SCRATCH one row a thread
           int buffer_pixels,                       # that `buffer` holds; 0: write in place
           int num_threads, /):
    """target = [clipped](bias + sum over taps of source), on the grid."""
    cdef DirectCall c
    set_call(&c, source, packed, bias, target, padded_image, grid)
    cdef ptrdiff_t row_blocks = (c.grid.rows + block_rows - 1) // block_rows
    c.run_offset, c.run_row = &run_offset[0], &run_row[0]
    c.block_rows, c.splits = block_rows, splits
    c.scratch, c.scratch_row = &scratch[0, 0], scratch.shape[1]
    c.buffer, c.buffer_row, c.buffer_pixels = &buffer[0, 0], buffer.shape[1], buffer_pixels
    share_work(c.works, source.shape[0] * row_blocks * splits, num_threads)
    run(direct_f32 if real is float else direct_f64, &c, c.works, 1, num_threads)


def direct_batch(const real[:, :, :, ::1] source,     # IN (images, height, width, channels)
                  const real[::1] packed,              # IN packed weights
                  const real[::1] bias,                # IN (padded channels)
                  real[:, :, :, ::1] target,           # OUT
                  const ptrdiff_t[::1] row_offset,     # IN, in values, of the kernel's rows
                  bytes padded_image,                  # IN PaddedImage
                  bytes grid,                          # IN Grid
                  bytes tiles,                         # IN BatchTiles
                  ptrdiff_t image_step,
                  int block_rows, int splits,          # of the panels
                  real[:, ::1] scratch,                # SCRATCH one row a thread
                  int num_threads, /):
    """The same for small images, tiles of one output of several images."""
    cdef DirectCall c
    set_call(&c, source, packed, bias, target, padded_image, grid)
    load_struct(tiles, &c.tiles, sizeof(c.tiles))
    cdef ptrdiff_t row_blocks = (c.grid.rows + block_rows - 1) // block_rows
    c.run_offset, c.image_step, c.images = &row_offset[0], image_step, source.shape[0]
    c.block_rows, c.splits = block_rows, splits
    c.scratch, c.scratch_row = &scratch[0, 0], scratch.shape[1]
    share_work(c.works, (c.images + c.tiles.images - 1) // c.tiles.images * row_blocks * splits,
               num_threads)
    run(batch_f32 if real is float else batch_f64, &c, c.works, 1, num_threads)


cdef void batch_tasks(DirectCall* c, int thread, const real* packed) noexcept nogil:
    cdef const Grid* g = &c.grid
    cdef int row_blocks = (g.rows + c.block_rows - 1) // c.block_rows
    cdef int panels = panel_count(g.target_group, packed), first, split
    cdef ptrdiff_t task, image
    while (task := next_task(c.works, thread)) >= 0:
        split = <int> (task % c.splits)
        image = task // c.splits // row_blocks * c.tiles.images
        first = <int> (task // c.splits % row_blocks) * c.block_rows
        batch_block(g, &c.image, &c.tiles, c.image_step,
                    <const real*> c.inputs[0] + image * c.source_image, packed,
                    <const real*> c.bias, <real*> c.target + image * c.target_image,
                    c.target_image, c.run_offset,
                    <int> min(<ptrdiff_t> c.tiles.images, c.images - image), first,
                    min(first + c.block_rows, g.rows), split * panels // c.splits,
                    (split + 1) * panels // c.splits, <real*> c.scratch + thread * c.scratch_row)


cdef void batch_f32(void* context, int thread) noexcept nogil:
    batch_tasks(<DirectCall*> context, thread, <const float*> (<DirectCall*> context).packed)


cdef void batch_f64(void* context, int thread) noexcept nogil:
    batch_tasks(<DirectCall*> context, thread, <const widest*> (<DirectCall*> context).packed)


cdef void overlap_block(const Grid* g, const PaddedImage* s, const OverlapAdd* o,
                        const real* image, const real* packed, const real* zeros, real* target,
                        int width, const ptrdiff_t* run_offset, int first, int last, real* scratch,
                        real* buffer, int buffer_rows) noexcept nogil:
    """Rows [first, last) of the grid, all columns of the target."""
    cdef int panels = g.groups * panel_count(g.target_group, packed)
    cdef ptrdiff_t pixel = g.target_channels, line = g.columns * pixel
    cdef ptrdiff_t target_line = <ptrdiff_t> width * g.groups * o.channels
    cdef int row = first, some, k
    cdef const real* base = load_rows(
        s, image, first * g.row_stride, (last - first - 1) * g.row_stride + g.reach, scratch)
    while row < last:
        some = min(buffer_rows, last - row)
        direct_panels(g, s, base + <ptrdiff_t> (row - first) * g.row_stride * s.row_step, packed,
                      zeros, buffer, line, pixel, run_offset, 0, panels, 0, some * g.columns,
                      False)
        for k in range(some):
            overlap_add(buffer + k * line, g.columns, pixel, g.groups, o.channels,
                        o.kernel_columns, o.stride, o.column, o.kernel_column, width,
                        target + (g.target_row + (row + k) * g.target_row_step) * target_line)
        row += some


def direct_overlap_add(const real[:, :, :, ::1] source,   # IN (images, height, width, channels)
                       const real[::1] packed,            # IN packed weights
                       const real[::1] zeros,             # IN (groups * padded lanes)
                       real[:, :, :, ::1] target,         # OUT
                       const ptrdiff_t[::1] run_offset,   # IN, as for `direct`
                       bytes padded_image,                # IN PaddedImage
                       bytes grid,                        # IN Grid
                       bytes overlap,                     # IN OverlapAdd
                       int block_rows, int buffer_rows,    # of sums that `buffer` holds
                       real[:, ::1] scratch,              # SCRATCH one row a thread
                       real[:, ::1] buffer,                # SCRATCH one row a thread
                       int num_threads, /):
    """target = sum over taps of source, the kernel's columns being lanes."""
    cdef DirectCall c
    set_call(&c, source, packed, zeros, target, padded_image, grid)
    load_struct(overlap, &c.overlap, sizeof(c.overlap))
    c.run_offset, c.width, c.block_rows = &run_offset[0], target.shape[2], block_rows
    c.scratch, c.scratch_row = &scratch[0, 0], scratch.shape[1]
    c.buffer, c.buffer_row, c.buffer_pixels = &buffer[0, 0], buffer.shape[1], buffer_rows
    share_work(c.works, source.shape[0] * ((c.grid.rows + block_rows - 1) // block_rows),
               num_threads)
    run(overlap_f32 if real is float else overlap_f64, &c, c.works, 1, num_threads)


cdef void overlap_tasks(DirectCall* c, int thread, const real* packed) noexcept nogil:
    cdef int row_blocks = (c.grid.rows + c.block_rows - 1) // c.block_rows, first
    cdef ptrdiff_t task, image
    while (task := next_task(c.works, thread)) >= 0:
        image = task // row_blocks
        first = <int> (task % row_blocks) * c.block_rows
        overlap_block(&c.grid, &c.image, &c.overlap,
                      <const real*> c.inputs[0] + image * c.source_image, packed,
                      <const real*> c.bias, <real*> c.target + image * c.target_image, c.width,
                      c.run_offset, first, min(first + c.block_rows, c.grid.rows),
                      <real*> c.scratch + thread * c.scratch_row,
                      <real*> c.buffer + thread * c.buffer_row, c.buffer_pixels)


cdef void overlap_f32(void* context, int thread) noexcept nogil:
    overlap_tasks(<DirectCall*> context, thread, <const float*> (<DirectCall*> context).packed)


cdef void overlap_f64(void* context, int thread) noexcept nogil:
    overlap_tasks(<DirectCall*> context, thread, <const widest*> (<DirectCall*> context).packed)


def pack(const real[:, :, :, ::1] kernel,           # IN (kh, kw, channels / groups, filters)
         real[::1] packed,                          # OUT
         const int[:, ::1] taps,                    # IN (taps, 2): kernel row and column
         int groups, bint transposed, int num_threads, /):
    """Lay weights out as panels.

    A packed row is one (tap, input channel) and a column one filter; `transposed`
    makes a row one (tap, filter) and a column one input channel.
    """
    cdef int channels = kernel.shape[2]
    cdef int filters = kernel.shape[3] // groups
    cdef int columns = channels if transposed else filters
    cdef int depth = filters if transposed else channels
    cdef int width = 2 * lanes(&packed[0])
    cdef int panels = panel_count(columns, &packed[0])
    cdef ptrdiff_t padded = padded_channels(columns, &packed[0])
    cdef ptrdiff_t rows = taps.shape[0] * depth
    cdef int group, start
    cdef ptrdiff_t task
    cdef Work work
    if rows == 0:  # inputs between the strides, which no tap reaches
        return
    share_work(&work, groups * panels, num_threads)
    with nogil, parallel(num_threads=num_threads):
        while (task := next_task(&work, threadid())) >= 0:
            group = <int> (task // panels)
            start = <int> (task % panels) * width
            pack_panel(&kernel[0, 0, 0, 0], &packed[(group * padded + start) * rows],
                       &taps[0, 0], taps.shape[0], kernel.shape[1], channels,
                       kernel.shape[3], group * filters, filters, start, transposed)


def pack_dots(const real[:, :, :, ::1] kernel,      # IN (kh, kw, channels / groups, filters)
              real[::1] packed,                     # OUT
              const int[:, ::1] taps,               # IN (taps, 2): kernel row and column
              int groups, bint transposed, /):
    """Lay the weights of each filter - or input channel, if `transposed` - one behind another."""
    cdef int channels = kernel.shape[2], filters = kernel.shape[3] // groups
    cdef int outputs = channels if transposed else filters
    cdef int depth = filters if transposed else channels
    cdef int group, output, tap, value
    cdef ptrdiff_t at = 0
    for group in range(groups):
        for output in range(outputs):
            for tap in range(taps.shape[0]):
                for value in range(depth):
                    if transposed:
                        packed[at] = kernel[taps[tap, 0], taps[tap, 1], output,
                                            group * filters + value]
                    else:
                        packed[at] = kernel[taps[tap, 0], taps[tap, 1], value,
                                            group * filters + output]
                    at += 1


cdef void pack_panel(const real* kernel, real* panel, const int* taps, int tap_count,
                     int kernel_width, int channels, int all_filters, int first_filter,
                     int filters, int start, bint transposed) noexcept nogil:
    cdef int columns = channels if transposed else filters
    cdef int depth = filters if transposed else channels
    cdef int width = panel_vectors(columns - start, kernel) * lanes(kernel)
    cdef int used = min(width, columns - start)
    cdef int tap
    cdef const real* weights
    for tap in range(tap_count):
        weights = kernel + (<ptrdiff_t> (taps[2 * tap] * kernel_width + taps[2 * tap + 1])
                            * channels * all_filters + first_filter)
        if transposed:
            transpose(weights + <ptrdiff_t> start * all_filters, all_filters, used, depth, panel,
                      width)
        else:
            copy_pixels(weights + start, all_filters, depth, used, panel, width)
            zero_pixels(panel + used, width, depth, width - used)
        panel += <ptrdiff_t> depth * width
