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
from libc.string cimport memset

from _fastconv._direct cimport direct_panels, direct_tiles
from _fastconv._batch_tiles cimport batch_block
from _fastconv._output_buffer cimport direct_buffered
from _fastconv._tiles cimport (
    DOT_COLUMNS, DOT_ROWS, LANES_F32, LANES_F64, NARROW_TILE_ROWS, TILE_ROWS, conv_dots,
    copy_pixels, float_mode, flush_denormals, lanes, overlap_add, prefetch, real, restore_denormals,
    transpose, zero_pixels,
)
from _fastconv._window cimport load_rows, padded_channels, panel_count, panel_vectors
from _fastconv._work cimport Work, join_team, next_task, share_work
from _fastconv.structs cimport BatchTiles, Grid, OverlapAdd, PaddedImage, load_struct

join_team()

# By the character of a dtype: to make the name of one takes NumPy as long as a small layer takes.
LANES = {"f": LANES_F32, "d": LANES_F64}
TILE, NARROW_TILE = TILE_ROWS, NARROW_TILE_ROWS

cdef void direct_clipped(const Grid* g, const PaddedImage* s, const real* base,
                         const real* weights, int vectors, const real* bias, int channels,
                         real* out_base, const ptrdiff_t* run_offset, const int* run_row,
                         int first, int last) noexcept nogil:
    """The same row by row, each without the runs that are nothing but padding there."""
    cdef int row, begin, end, source
    cdef ptrdiff_t target_line = <ptrdiff_t> g.target_row_step * g.target_width * g.target_channels
    cdef ptrdiff_t target_step = <ptrdiff_t> g.target_column_step * g.target_channels
    for row in range(first, last):
        source = row * g.row_stride - s.top
        begin = 0
        while begin < g.runs and source + run_row[begin] < 0:
            begin += 1
        end = begin
        while end < g.runs and source + run_row[end] < s.height:
            end += 1
        direct_tiles(g, s, base + (row - first) * g.row_stride * s.row_step,
                     weights + <ptrdiff_t> begin * g.run_length * vectors * lanes(weights),
                     vectors, bias, channels, out_base + (row - first) * target_line,
                     target_line, target_step, run_offset + begin, end - begin, 0, g.columns, 0)


cdef void direct_dots(const Grid* g, const PaddedImage* s, const real* base, const real* weights,
                      const real* bias, real* out_base, const ptrdiff_t* run_offset,
                      int count) noexcept nogil:
    """Few outputs of a pixel and group, as dot products: vectors run along the reduction.

    Those of a 1x1 kernel read each value once: the next pixels are fetched meanwhile, a share with
    each tile of filters, for the CPU's own prefetching does not get far within a pixel.
    """
    cdef ptrdiff_t step = <ptrdiff_t> g.column_stride * s.channels
    cdef ptrdiff_t target_line = <ptrdiff_t> g.target_row_step * g.target_width * g.target_channels
    cdef ptrdiff_t target_step = <ptrdiff_t> g.target_column_step * g.target_channels
    cdef ptrdiff_t depth = <ptrdiff_t> g.runs * g.run_length
    cdef ptrdiff_t padded = padded_channels(g.target_group, weights)
    # Tiles of almost equal width: that of one filter has too few sums to hide the latency.
    cdef int tiles = (g.target_group + DOT_COLUMNS - 1) // DOT_COLUMNS
    cdef int width = (g.target_group + tiles - 1) // tiles, row, column, group, k, some, pixels
    cdef bint fetches = g.runs == 1 and step == g.run_length
    cdef ptrdiff_t ahead
    cdef const real* pixel
    for row in range(count):
        column = 0
        while column < g.columns:
            pixels = min(DOT_ROWS, g.columns - column)
            ahead = pixels * step
            for group in range(g.groups):
                k = 0
                pixel = (base + row * g.row_stride * s.row_step + column * step
                         + group * g.source_group)
                while k < g.target_group:
                    some = min(width, g.target_group - k)
                    if fetches:
                        prefetch(pixel + ahead + ahead * k // g.target_group,
                                 ahead * some // g.target_group)
                    conv_dots(pixels, some, pixel, step, run_offset,
                              g.runs, g.run_length, weights + (group * g.target_group + k) * depth,
                              bias + group * padded + k, g.relu,
                              out_base + row * target_line + column * target_step
                              + group * g.target_group + k, target_step)
                    k += some
            column += DOT_ROWS


cdef void clear_rows(const Grid* g, real* target, int first, int last) noexcept nogil:
    """Set the target's rows that belong to rows [first, last) of the grid to 0."""
    cdef ptrdiff_t line = <ptrdiff_t> g.target_width * g.target_channels
    cdef ptrdiff_t begin = <ptrdiff_t> first * g.target_row_step
    cdef ptrdiff_t end = g.cleared if last == g.rows else <ptrdiff_t> last * g.target_row_step
    memset(target + begin * line, 0, <size_t> ((end - begin) * line) * sizeof(real))


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
    """target = [relu](bias + sum over taps of source), on the grid."""
    cdef PaddedImage s
    load_struct(padded_image, &s, sizeof(s))
    cdef Grid g
    load_struct(grid, &g, sizeof(g))
    cdef int row_blocks = (g.rows + block_rows - 1) // block_rows
    cdef int panels = g.groups * panel_count(g.target_group, &packed[0])
    cdef ptrdiff_t tasks = source.shape[0] * row_blocks * splits
    cdef ptrdiff_t task, image
    cdef int first, split
    cdef Work work
    cdef float_mode mode = 0
    if tasks == 0:
        return
    share_work(&work, tasks, num_threads)
    with nogil, parallel(num_threads=num_threads):
        mode = flush_denormals()
        while (task := next_task(&work, threadid())) >= 0:
            split = <int> (task % splits)
            image = task // splits // row_blocks
            first = <int> (task // splits % row_blocks) * block_rows
            direct_block(&g, &s, &source[image, 0, 0, 0], &packed[0], &bias[0],
                         &target[image, 0, 0, 0], &run_offset[0], &run_row[0], first,
                         min(first + block_rows, g.rows), split * panels // splits,
                         (split + 1) * panels // splits, &scratch[threadid(), 0],
                         &buffer[threadid(), 0], buffer_pixels)
        restore_denormals(mode)


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
    cdef PaddedImage s
    load_struct(padded_image, &s, sizeof(s))
    cdef Grid g
    load_struct(grid, &g, sizeof(g))
    cdef BatchTiles p
    load_struct(tiles, &p, sizeof(p))
    cdef int row_blocks = (g.rows + block_rows - 1) // block_rows, images = source.shape[0]
    cdef int panels = panel_count(g.target_group, &packed[0]), first, split, image
    cdef ptrdiff_t target_image = target.shape[1] * target.shape[2] * target.shape[3], task
    cdef ptrdiff_t tasks = <ptrdiff_t> ((images + p.images - 1) // p.images) * row_blocks * splits
    cdef Work work
    cdef float_mode mode = 0
    share_work(&work, tasks, num_threads)
    with nogil, parallel(num_threads=num_threads):
        mode = flush_denormals()
        while (task := next_task(&work, threadid())) >= 0:
            split = <int> (task % splits)
            image = <int> (task // splits // row_blocks) * p.images
            first = <int> (task // splits % row_blocks) * block_rows
            batch_block(&g, &s, &p, image_step, &source[image, 0, 0, 0], &packed[0], &bias[0],
                             &target[image, 0, 0, 0], target_image, &row_offset[0],
                             min(p.images, images - image), first,
                             min(first + block_rows, g.rows), split * panels // splits,
                             (split + 1) * panels // splits, &scratch[threadid(), 0])
        restore_denormals(mode)


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
    cdef PaddedImage s
    load_struct(padded_image, &s, sizeof(s))
    cdef Grid g
    load_struct(grid, &g, sizeof(g))
    cdef OverlapAdd o
    load_struct(overlap, &o, sizeof(o))
    cdef int row_blocks = (g.rows + block_rows - 1) // block_rows, width = target.shape[2], first
    cdef ptrdiff_t task, image, tasks = source.shape[0] * row_blocks
    cdef Work work
    cdef float_mode mode = 0
    if tasks == 0:
        return
    share_work(&work, tasks, num_threads)
    with nogil, parallel(num_threads=num_threads):
        mode = flush_denormals()
        while (task := next_task(&work, threadid())) >= 0:
            image = task // row_blocks
            first = <int> (task % row_blocks) * block_rows
            overlap_block(&g, &s, &o, &source[image, 0, 0, 0], &packed[0], &zeros[0],
                          &target[image, 0, 0, 0], width, &run_offset[0], first,
                          min(first + block_rows, g.rows), &scratch[threadid(), 0],
                          &buffer[threadid(), 0], buffer_rows)
        restore_denormals(mode)


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
