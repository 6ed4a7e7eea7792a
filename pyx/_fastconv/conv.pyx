"""Convolution of any kernel size, stride, padding, dilation and groups, NHWC.

`gather` computes an output as a sum over taps of a source image.  It serves two
directions: the output (taps of the kernel over x) and the input gradient
(flipped taps over dy; a stride s makes s x s phases of the input, each a
stride-1 gather of its own; the first sets to 0 what no tap reaches).

Loops, outermost first: strips of output rows of each image (parallel) - blocks
of outputs that fit the L1 cache, where their channels are no whole vectors -
groups - panels of 1-2 vectors of output channels - tiles of TILE_ROWS pixels -
runs of contiguous values - values.  NHWC makes a kernel row one run, so there
is no im2col; a panel's weights stay in L1/L2 while the pixels of the strip pass
by.  Every output is summed in one fixed order.

The kernel gradient is `conv_gradient`'s.
"""

from cython.parallel cimport parallel, prange, threadid
from libc.stddef cimport ptrdiff_t
from libc.string cimport memcpy, memset

from _fastconv._tiles cimport (
    DOT_COLUMNS, DOT_ROWS, LANES_F32, LANES_F64, NARROW_TILE_ROWS, TILE_ROWS, conv_dots, conv_tile,
    float_mode, flush_denormals, lanes, prefetch, real, restore_denormals,
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
    int clipped           # many taps are nothing but padding: leave them out, row by row
    int dots              # vectors run along the reduction; weights are [channel][depth]
    int cleared           # rows of the target, all of them set to 0 first; or 0


cdef void gather_tiles(const Grid* g, const Strip* s, const real* base, const real* weights,
                       int vectors, const real* bias, int channels, real* out_base,
                       ptrdiff_t target_line, ptrdiff_t target_step,
                       const ptrdiff_t* run_offset, int runs, int column, int count) noexcept nogil:
    """One panel over `count` outputs from `column` of a row on, tiles running on into the next."""
    cdef ptrdiff_t line = g.row_stride * s.row_step
    cdef ptrdiff_t step = <ptrdiff_t> g.column_stride * s.channels
    cdef int most = TILE_ROWS if vectors == 2 else NARROW_TILE_ROWS
    cdef int left = count, pieces = (left + most - 1) // most
    cdef int row = 0, rows, i
    cdef const real* pixel[16]
    cdef real* out[16]
    while pieces > 0:
        # Of almost equal height: a last one of a single row would run at a third.
        rows = (left + pieces - 1) // pieces
        for i in range(rows):
            pixel[i] = base + row * line + column * step
            out[i] = out_base + row * target_line + column * target_step
            column += 1
            if column == g.columns:
                column = 0
                row += 1
        conv_tile(rows, vectors, pixel, out, run_offset, runs, g.run_length, weights,
                  vectors * lanes(weights), bias, 0, channels, g.relu)
        left -= rows
        pieces -= 1


cdef inline int first_channel(const Grid* g, int panel, const real* kind) noexcept nogil:
    """Return the channel of the target with which a panel, counted over all groups, begins."""
    cdef int panels = panel_count(g.target_group, kind)
    return panel // panels * g.target_group + panel % panels * 2 * lanes(kind)


cdef void gather_panels(const Grid* g, const Strip* s, const real* base, const real* packed,
                        const real* bias, real* out_base, ptrdiff_t target_line,
                        ptrdiff_t target_step, const ptrdiff_t* run_offset, int first_panel,
                        int last_panel, int column, int count) noexcept nogil:
    """The same for panels [first_panel, last_panel) of all groups.

    A panel may write whole vectors into the channels of those behind it, which come later.
    """
    cdef int panels = panel_count(g.target_group, packed)
    cdef int end = first_channel(g, last_panel, packed)
    cdef ptrdiff_t depth = <ptrdiff_t> g.runs * g.run_length
    cdef ptrdiff_t padded = padded_channels(g.target_group, packed)
    cdef int index, group, start, channel
    for index in range(first_panel, last_panel):
        group = index // panels
        start = index % panels * 2 * lanes(packed)
        channel = first_channel(g, index, packed)
        gather_tiles(g, s, base + group * g.source_group,
                     packed + (group * padded + start) * depth,
                     panel_vectors(g.target_group - start, packed),
                     bias + group * padded + start, end - channel,
                     out_base + channel, target_line, target_step, run_offset, g.runs, column,
                     count)


cdef void gather_staged(const Grid* g, const Strip* s, const real* base, const real* packed,
                        const real* bias, real* out_base, ptrdiff_t target_line,
                        ptrdiff_t target_step, const ptrdiff_t* run_offset, int rows,
                        real* stage, int stage_pixels) noexcept nogil:
    """All panels over blocks of outputs in the L1 cache, each then copied where it belongs.

    A store that crosses a cache line waits for both, and where a pixel's channels
    are no whole vectors that is every second one.  In the L1 cache it costs little.
    """
    cdef int panels = g.groups * panel_count(g.target_group, packed)
    cdef int channels = g.target_channels
    cdef int left = rows * g.columns, row = 0, column = 0, count, done, some
    while left > 0:
        count = min(stage_pixels, left)
        if g.groups > 1:
            # The first of the groups to read a line would wait for each: they lie too far apart.
            prefetch(base + row * g.row_stride * s.row_step
                     + <ptrdiff_t> column * g.column_stride * s.channels + run_offset[g.runs - 1],
                     <ptrdiff_t> count * g.column_stride * s.channels)
        gather_panels(g, s, base + row * g.row_stride * s.row_step, packed, bias,
                      stage - <ptrdiff_t> column * channels, <ptrdiff_t> g.columns * channels,
                      channels, run_offset, 0, panels, column, count)
        done = 0
        while done < count:
            some = min(count - done, g.columns - column) if target_step == channels else 1
            memcpy(out_base + row * target_line + column * target_step,
                   stage + <ptrdiff_t> done * channels,
                   <size_t> some * channels * sizeof(real))
            done += some
            column += some
            if column == g.columns:
                column = 0
                row += 1
        left -= count


cdef void gather_clipped(const Grid* g, const Strip* s, const real* base, const real* weights,
                         int vectors, const real* bias, int channels, real* out_base,
                         const ptrdiff_t* run_offset, const int* run_row, int first,
                         int last) noexcept nogil:
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
        gather_tiles(g, s, base + (row - first) * g.row_stride * s.row_step,
                     weights + <ptrdiff_t> begin * g.run_length * vectors * lanes(weights),
                     vectors, bias, channels, out_base + (row - first) * target_line,
                     target_line, target_step, run_offset + begin, end - begin, 0, g.columns)


cdef void gather_dots(const Grid* g, const Strip* s, const real* base, const real* weights,
                      const real* bias, real* out_base, const ptrdiff_t* run_offset,
                      int count) noexcept nogil:
    """Few outputs of a pixel, each as a dot product: vectors run along the reduction."""
    cdef ptrdiff_t step = <ptrdiff_t> g.column_stride * s.channels
    cdef ptrdiff_t target_line = <ptrdiff_t> g.target_row_step * g.target_width * g.target_channels
    cdef ptrdiff_t target_step = <ptrdiff_t> g.target_column_step * g.target_channels
    cdef ptrdiff_t depth = <ptrdiff_t> g.runs * g.run_length
    cdef int row, column, k, some
    for row in range(count):
        column = 0
        while column < g.columns:
            k = 0
            while k < g.target_group:
                # There are tiles of DOT_COLUMNS, 3, 2 and 1: that of one waits for its own sums.
                some = g.target_group - k
                some = DOT_COLUMNS if some >= DOT_COLUMNS else (some + 1) // 2 if some > 3 else some
                conv_dots(min(DOT_ROWS, g.columns - column), some,
                          base + row * g.row_stride * s.row_step + column * step, step,
                          run_offset, g.runs, g.run_length, weights + k * depth, bias + k, g.relu,
                          out_base + row * target_line + column * target_step + k, target_step)
                k += some
            column += DOT_ROWS


cdef void clear_rows(const Grid* g, real* target, int first, int last) noexcept nogil:
    """Set the target's rows that belong to rows [first, last) of the grid to 0."""
    cdef ptrdiff_t line = <ptrdiff_t> g.target_width * g.target_channels
    cdef ptrdiff_t begin = <ptrdiff_t> first * g.target_row_step
    cdef ptrdiff_t end = g.cleared if last == g.rows else <ptrdiff_t> last * g.target_row_step
    memset(target + begin * line, 0, <size_t> ((end - begin) * line) * sizeof(real))


cdef void gather_strip(const Grid* g, const Strip* s, const real* image, const real* packed,
                       const real* bias, real* target, const ptrdiff_t* run_offset,
                       const int* run_row, int first, int last, int first_panel,
                       int last_panel, real* scratch, real* stage,
                       int stage_pixels) noexcept nogil:
    """Rows [first, last) of the grid, panels [first_panel, last_panel) of all groups."""
    cdef int panels = panel_count(g.target_group, packed)
    cdef int index, group, start
    cdef ptrdiff_t depth = <ptrdiff_t> g.runs * g.run_length
    cdef ptrdiff_t padded = padded_channels(g.target_group, packed)
    cdef ptrdiff_t target_line = <ptrdiff_t> g.target_row_step * g.target_width * g.target_channels
    cdef ptrdiff_t target_step = <ptrdiff_t> g.target_column_step * g.target_channels
    cdef const real* base = load_strip(
        s, image, first * g.row_stride, (last - first - 1) * g.row_stride + g.reach, scratch)
    cdef real* out_base = (
        target + (<ptrdiff_t> (g.target_row + first * g.target_row_step) * g.target_width
                  + g.target_column) * g.target_channels)
    if g.cleared:
        clear_rows(g, target, first, last)
    if g.dots:
        gather_dots(g, s, base, packed, bias, out_base, run_offset, last - first)
    elif g.clipped:
        for index in range(first_panel, last_panel):
            group = index // panels
            start = index % panels * 2 * lanes(packed)
            gather_clipped(g, s, base + group * g.source_group,
                           packed + (group * padded + start) * depth,
                           panel_vectors(g.target_group - start, packed),
                           bias + group * padded + start, g.target_group - start,
                           out_base + group * g.target_group + start, run_offset, run_row, first,
                           last)
    elif stage_pixels > 0:
        gather_staged(g, s, base, packed, bias, out_base, target_line, target_step, run_offset,
                      last - first, stage, stage_pixels)
    else:
        gather_panels(g, s, base, packed, bias, out_base, target_line, target_step, run_offset,
                      first_panel, last_panel, 0, (last - first) * g.columns)


def gather(const real[:, :, :, ::1] source,        # IN (images, height, width, channels)
           const real[::1] packed,                 # IN packed weights
           const real[::1] bias,                   # IN (groups * padded channels)
           real[:, :, :, ::1] target,              # OUT
           const ptrdiff_t[::1] run_offset,        # IN, in values from an output's base
           const int[::1] run_row,                 # IN, in padded rows from an output's first
           const int[::1] strip,                   # IN the fields of Strip but row_step
           const int[::1] grid,                    # IN the fields of Grid
           int strip_rows, int splits,             # of the panels
           real[:, ::1] scratch,                   # SCRATCH one row a thread
           real[:, ::1] stage,                     # SCRATCH one row a thread
           int stage_pixels,                       # that `stage` holds; 0: write in place
           int num_threads):
    """target = [relu](bias + sum over taps of source), on the grid's positions."""
    cdef Strip s = strip_of(strip)
    cdef Grid g = grid_of(grid)
    cdef int strips = (g.rows + strip_rows - 1) // strip_rows
    cdef int panels = g.groups * panel_count(g.target_group, &packed[0])
    cdef ptrdiff_t tasks = source.shape[0] * strips * splits
    cdef ptrdiff_t task, image
    cdef int first, split
    cdef float_mode mode = 0
    if tasks == 0:
        return
    with nogil, parallel(num_threads=num_threads):
        mode = flush_denormals()
        for task in prange(tasks, schedule="dynamic"):
            split = <int> (task % splits)
            image = task // splits // strips
            first = <int> (task // splits % strips) * strip_rows
            gather_strip(&g, &s, &source[image, 0, 0, 0], &packed[0], &bias[0],
                         &target[image, 0, 0, 0], &run_offset[0], &run_row[0], first,
                         min(first + strip_rows, g.rows), split * panels // splits,
                         (split + 1) * panels // splits, &scratch[threadid(), 0],
                         &stage[threadid(), 0], stage_pixels)
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
    if rows == 0:  # inputs between the strides, which no tap reaches
        return
    with nogil:
        for task in prange(groups * panels, schedule="static", num_threads=num_threads):
            group = task // panels
            start = (task % panels) * width
            pack_panel(&kernel[0, 0, 0, 0], &packed[(group * padded + start) * rows],
                       &taps[0, 0], taps.shape[0], kernel.shape[1], channels,
                       kernel.shape[3], group * filters, filters, start, transposed)


def pack_dots(const real[:, :, :, ::1] kernel,      # IN (kh, kw, channels, filters)
              real[::1] packed,                     # OUT
              const int[:, ::1] taps,               # IN (taps, 2): kernel row and column
              bint transposed):
    """Lay the weights of each filter - or input channel, if `transposed` - one behind another."""
    cdef int channels = kernel.shape[2], filters = kernel.shape[3]
    cdef int outputs = channels if transposed else filters
    cdef int depth = filters if transposed else channels
    cdef int output, tap, value
    cdef ptrdiff_t at = 0
    for output in range(outputs):
        for tap in range(taps.shape[0]):
            for value in range(depth):
                if transposed:
                    packed[at] = kernel[taps[tap, 0], taps[tap, 1], output, value]
                else:
                    packed[at] = kernel[taps[tap, 0], taps[tap, 1], value, output]
                at += 1


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
    g.clipped, g.dots, g.cleared = fields[17], fields[18], fields[19]
    return g
