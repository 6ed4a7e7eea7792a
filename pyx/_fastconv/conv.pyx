"""Convolution of any kernel size, stride, padding, dilation and groups, NHWC.

`gather` computes an output as a sum over taps of a source image.  It serves two
directions: the output (taps of the kernel over x) and the input gradient
(flipped taps over dy; a stride s makes s x s phases of the input, each a
stride-1 gather of its own).  Loops, outermost first: strips of output rows of
each image (parallel) - groups - panels of 1-2 vectors of output channels -
tiles of TILE_ROWS pixels - runs of contiguous values - values.  NHWC makes a
kernel row one run, so there is no im2col; a panel's weights stay in L1/L2 while
the pixels of the strip pass by.  Every output is summed in one fixed order.

The kernel gradient is `conv_gradient`'s.
"""

from cython.parallel cimport parallel, prange, threadid
from libc.stddef cimport ptrdiff_t

from _fastconv._tiles cimport (
    LANES_F32, LANES_F64, NARROW_TILE_ROWS, TILE_ROWS, conv_tile,
    float_mode, flush_denormals, lanes, real, restore_denormals,
)
from _fastconv._window cimport (
    Strip, load_strip, padded_channels, panel_count, panel_vectors, strip_of,
)

LANES = {"float32": LANES_F32, "float64": LANES_F64}
TILE = TILE_ROWS

cdef struct Grid:
    # The grid of outputs that one gather computes.
    int rows
    int columns
    int row_stride        # of the source, in pixels
    int column_stride
    int target_row        # where the grid's outputs lie in the target
    int target_column
    int target_row_step
    int target_column_step
    int target_width
    int target_channels
    int runs
    int run_length
    int reach             # rows that one output reads
    int groups
    int source_group      # channels of one group in the source
    int target_group      # channels of one group in the target
    int relu


cdef void gather_strip(const Grid* g, const Strip* s, const real* image, const real* packed,
                       const real* bias, real* target, const ptrdiff_t* run_offset, int first,
                       int last, real* scratch) noexcept nogil:
    cdef int group, panel, start, vectors, row, column, left, rows, i
    cdef int width = 2 * lanes(packed)
    cdef ptrdiff_t depth = <ptrdiff_t> g.runs * g.run_length
    cdef ptrdiff_t padded = padded_channels(g.target_group, packed)
    cdef ptrdiff_t line = g.row_stride * s.row_step
    cdef ptrdiff_t step = <ptrdiff_t> g.column_stride * s.channels
    cdef ptrdiff_t target_line = <ptrdiff_t> g.target_row_step * g.target_width * g.target_channels
    cdef ptrdiff_t target_step = <ptrdiff_t> g.target_column_step * g.target_channels
    cdef const real* weights
    cdef const real* base = load_strip(
        s, image, first * g.row_stride, (last - first - 1) * g.row_stride + g.reach, scratch)
    cdef real* out_base = (
        target + (<ptrdiff_t> (g.target_row + first * g.target_row_step) * g.target_width
                  + g.target_column) * g.target_channels)
    cdef const real* pixel[16]
    cdef real* out[16]
    for group in range(g.groups):
        for panel in range(panel_count(g.target_group, packed)):
            start = panel * width
            weights = packed + (group * padded + start) * depth
            vectors = panel_vectors(g.target_group - start, packed)
            row = 0
            column = 0
            left = (last - first) * g.columns
            while left > 0:
                rows = min(TILE_ROWS if vectors == 2 else NARROW_TILE_ROWS, left)
                for i in range(rows):
                    pixel[i] = base + row * line + column * step + group * g.source_group
                    out[i] = (out_base + row * target_line + column * target_step
                              + group * g.target_group + start)
                    column += 1
                    if column == g.columns:
                        column = 0
                        row += 1
                conv_tile(rows, vectors, pixel, out, run_offset, g.runs, g.run_length, weights,
                          vectors * lanes(packed), bias + group * padded + start, 0,
                          g.target_group - start, g.relu)
                left -= rows


def gather(const real[:, :, :, ::1] source,        # IN (images, height, width, channels)
           const real[::1] packed,                 # IN packed weights
           const real[::1] bias,                   # IN (groups * padded channels)
           real[:, :, :, ::1] target,              # OUT
           const ptrdiff_t[::1] run_offset,        # IN, in values from an output's base
           const int[::1] strip,                   # IN the fields of Strip but row_step
           const int[::1] grid,                    # IN the fields of Grid
           int strip_rows,
           real[:, ::1] scratch,                   # SCRATCH one row a thread
           int num_threads):
    """target = [relu](bias + sum over taps of source), on the grid's positions."""
    cdef Strip s = strip_of(strip)
    cdef Grid g = grid_of(grid)
    cdef int strips = (g.rows + strip_rows - 1) // strip_rows
    cdef ptrdiff_t tasks = source.shape[0] * strips
    cdef ptrdiff_t task
    cdef float_mode mode = 0
    if tasks == 0:
        return
    with nogil, parallel(num_threads=num_threads):
        mode = flush_denormals()
        for task in prange(tasks, schedule="dynamic"):
            gather_strip(&g, &s, &source[task // strips, 0, 0, 0], &packed[0], &bias[0],
                         &target[task // strips, 0, 0, 0], &run_offset[0],
                         (task % strips) * strip_rows,
                         min((task % strips + 1) * strip_rows, g.rows),
                         &scratch[threadid(), 0])
        restore_denormals(mode)


def pack(const real[:, :, :, ::1] kernel,           # IN (kh, kw, channels / groups, filters)
         real[::1] packed,                          # OUT
         const int[:, ::1] taps,                    # IN (taps, 2): kernel row and column
         int groups, bint transposed, int num_threads):
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
    cdef int task, group, start
    with nogil:
        for task in prange(groups * panels, schedule="static", num_threads=num_threads):
            group = task // panels
            start = (task % panels) * width
            pack_panel(&kernel[0, 0, 0, 0], &packed[(group * padded + start) * rows],
                       &taps[0, 0], taps.shape[0], kernel.shape[1], channels,
                       kernel.shape[3], group * filters, filters, start, transposed)


cdef void pack_panel(const real* kernel, real* panel, const int* taps, int tap_count,
                     int kernel_width, int channels, int all_filters, int first_filter,
                     int filters, int start, bint transposed) noexcept nogil:
    cdef int columns = channels if transposed else filters
    cdef int depth = filters if transposed else channels
    cdef int width = panel_vectors(columns - start, kernel) * lanes(kernel)
    cdef int used = min(width, columns - start)
    cdef int tap, row, column
    cdef const real* weights
    for tap in range(tap_count):
        weights = kernel + (<ptrdiff_t> (taps[2 * tap] * kernel_width + taps[2 * tap + 1])
                            * channels * all_filters + first_filter)
        # Reads are contiguous either way; a panel's rows stay in the L1 cache.
        if transposed:
            for column in range(used):
                for row in range(depth):
                    panel[<ptrdiff_t> row * width + column] = weights[
                        <ptrdiff_t> (start + column) * all_filters + row]
        else:
            for row in range(depth):
                for column in range(used):
                    panel[<ptrdiff_t> row * width + column] = weights[
                        <ptrdiff_t> row * all_filters + start + column]
        if used < width:
            for row in range(depth):
                for column in range(used, width):
                    panel[<ptrdiff_t> row * width + column] = 0
        panel += <ptrdiff_t> depth * width


cdef Grid grid_of(const int[::1] fields):
    cdef Grid g
    g.rows, g.columns, g.row_stride, g.column_stride = fields[0], fields[1], fields[2], fields[3]
    g.target_row, g.target_column = fields[4], fields[5]
    g.target_row_step, g.target_column_step = fields[6], fields[7]
    g.target_width, g.target_channels = fields[8], fields[9]
    g.runs, g.run_length, g.reach = fields[10], fields[11], fields[12]
    g.groups, g.source_group, g.target_group, g.relu = (
        fields[13], fields[14], fields[15], fields[16])
    return g
