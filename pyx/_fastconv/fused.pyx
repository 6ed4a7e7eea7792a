"""Convolution + bias + ReLU + 2x2 max pooling as one kernel, forward and backward.

Forward: as `conv.gather`, but a tile's pixels are the four of each of up to
TILE_WINDOWS pool windows, and only their maximum is written, with a byte that
says which of the four won (4: none is above 0).  The full-size activation never
exists.

Backward: a window has a gradient at its winner alone, and none if it is dead.
The kernel gradient makes, per filter, a list of (offset of the winner's patch,
gradient) and adds g * patch to sums in registers, one (filter, three kernel
rows) at a time.  The input gradient makes, per window position, a list of
(filter, gradient) and adds g * weights to a stretch of dx, one slab of
weights - small enough for L1 - at a time.  Both cost one multiply-add in four,
less the dead ones, of the dense gradients.
Images are dealt to a fixed number of parts with private sums, added in order.
"""

from cython.parallel cimport parallel, prange, threadid
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t, uint8_t
from libc.string cimport memcpy, memset

from _fastconv._tiles cimport (
    TILE_WINDOWS, conv_pool_tile, float_mode, flush_denormals, lanes, real, restore_denormals,
)
from _fastconv._window cimport Strip, load_strip, panel_count, panel_vectors, strip_of

cdef extern from "simd/sparse.h" nogil:
    const int SLAB_VECTORS "FC_SLAB_VECTORS"
    const int LINE_VECTORS "FC_LINE_VECTORS"
    void fc_collect_f32(int, int, const float*, ptrdiff_t, const int32_t*, const float*, int,
                        float*, ptrdiff_t) noexcept
    void fc_collect_f64(int, int, const double*, ptrdiff_t, const int32_t*, const double*, int,
                        double*, ptrdiff_t) noexcept
    void fc_list_filters_f32(const float*, const uint8_t*, int, int32_t, const int32_t*, int,
                             int32_t*, float*, int32_t*, float*) noexcept
    void fc_list_filters_f64(const double*, const uint8_t*, int, int32_t, const int32_t*, int,
                             int32_t*, double*, int32_t*, double*) noexcept
    void fc_list_positions_f32(const float*, const uint8_t*, int, int, int32_t*, float*,
                               int32_t*) noexcept
    void fc_list_positions_f64(const double*, const uint8_t*, int, int, int32_t*, double*,
                               int32_t*) noexcept
    void fc_spread_f32(int, const float*, const int32_t*, const float*, int, float*) noexcept
    void fc_spread_f64(int, const double*, const int32_t*, const double*, int, double*) noexcept

SLAB = SLAB_VECTORS
DEAD = 4

cdef struct Block:
    # One fused block's geometry; x is padded, y is pooled.
    int rows              # pooled
    int columns           # pooled
    int filters
    int kernel_rows
    int line              # values of one kernel row: kernel columns x channels
    int row_stride        # of the convolution
    int column_stride
    int channels


cdef void forward_strip(const Block* b, const Strip* s, const real* image, const real* packed,
                        const real* bias, real* y, uint8_t* winners,
                        const ptrdiff_t* run_offset, int runs, int run_length, int first,
                        int last, real* scratch) noexcept nogil:
    cdef int panel, start, vectors, row, column, left, windows, w
    cdef ptrdiff_t line = 2 * b.row_stride * s.row_step
    cdef ptrdiff_t down = b.row_stride * s.row_step
    cdef ptrdiff_t right = <ptrdiff_t> b.column_stride * s.channels
    cdef ptrdiff_t depth = <ptrdiff_t> runs * run_length
    cdef ptrdiff_t at
    cdef const real* base = load_strip(
        s, image, 2 * first * b.row_stride,
        (2 * (last - first) - 1) * b.row_stride + b.kernel_rows, scratch)
    cdef const real* corner
    cdef const real* pixel[16]
    cdef real* out[4]
    cdef uint8_t* winner[4]
    for panel in range(panel_count(b.filters, packed)):
        start = panel * 2 * lanes(packed)
        vectors = panel_vectors(b.filters - start, packed)
        row = 0
        column = 0
        left = (last - first) * b.columns
        while left > 0:
            windows = min(TILE_WINDOWS, left)
            for w in range(windows):
                corner = base + row * line + 2 * column * right
                pixel[4 * w] = corner
                pixel[4 * w + 1] = corner + right
                pixel[4 * w + 2] = corner + down
                pixel[4 * w + 3] = corner + down + right
                at = (<ptrdiff_t> (first + row) * b.columns + column) * b.filters + start
                out[w] = y + at
                winner[w] = winners + at
                column += 1
                if column == b.columns:
                    column = 0
                    row += 1
            conv_pool_tile(windows, vectors, pixel, out, NULL if winners == NULL else winner,
                           run_offset, runs, run_length, packed + start * depth,
                           bias + start, b.filters - start)
            left -= windows


def forward(const real[:, :, :, ::1] x,             # IN
            const real[::1] packed,                 # IN packed weights
            const real[::1] bias,                   # IN (padded filters)
            real[:, :, :, ::1] y,                   # OUT pooled
            uint8_t[:, :, :, ::1] winners,          # OUT pooled, or None
            const ptrdiff_t[::1] run_offset, const int[::1] strip, const int[::1] block,
            int run_length, int strip_rows,
            real[:, ::1] scratch,                   # SCRATCH one row a thread
            int num_threads):
    """y = max over 2x2 windows of relu(conv(x) + bias); winners says which pixel it was."""
    cdef Strip s = strip_of(strip)
    cdef Block b = block_of(block)
    cdef int strips = (b.rows + strip_rows - 1) // strip_rows
    cdef ptrdiff_t task, size = <ptrdiff_t> b.rows * b.columns * b.filters
    cdef uint8_t* winner = NULL if winners is None else &winners[0, 0, 0, 0]
    cdef float_mode mode = 0
    with nogil, parallel(num_threads=num_threads):
        mode = flush_denormals()
        for task in prange(x.shape[0] * strips, schedule="dynamic"):
            forward_strip(&b, &s, &x[task // strips, 0, 0, 0], &packed[0], &bias[0],
                          &y[task // strips, 0, 0, 0],
                          NULL if winner == NULL else winner + (task // strips) * size,
                          &run_offset[0], <int> run_offset.shape[0], run_length,
                          (task % strips) * strip_rows,
                          min((task % strips + 1) * strip_rows, b.rows),
                          &scratch[threadid(), 0])
        restore_denormals(mode)


cdef void collect(int lines, int vectors, const real* x, ptrdiff_t x_line, const int32_t* offset,
                  const real* g, int count, real* sums, ptrdiff_t sums_line) noexcept nogil:
    if real is float:
        fc_collect_f32(lines, vectors, x, x_line, offset, g, count, sums, sums_line)
    else:
        fc_collect_f64(lines, vectors, x, x_line, offset, g, count, sums, sums_line)


cdef void collect_filter(const Block* b, const real* base, ptrdiff_t row_step,
                         const int32_t* offset, const real* g, int count,
                         real* sums) noexcept nogil:
    """Add one filter's entries to its sums (kernel_rows, padded line)."""
    cdef int vectors = (b.line + lanes(g) - 1) // lanes(g)
    cdef ptrdiff_t padded = vectors * lanes(g)
    cdef int row = 0, start, lines
    while row < b.kernel_rows:
        lines = 3 if vectors <= LINE_VECTORS and b.kernel_rows - row >= 3 else 1
        start = 0
        while start < vectors:
            collect(lines, min(SLAB_VECTORS, vectors - start),
                    base + row * row_step + start * lanes(g), row_step, offset, g, count,
                    sums + row * padded + start * lanes(g), padded)
            start += SLAB_VECTORS
        row += lines


cdef void list_row(const Block* b, const int32_t* shift, const real* dy, const uint8_t* winners,
                   int32_t* offsets, real* gradients, int32_t* counts,
                   real* totals) noexcept nogil:
    """List the living entries of one pooled row filter by filter; add them to `totals`."""
    cdef int column
    cdef int32_t step = 2 * b.column_stride * b.channels
    memset(counts, 0, b.filters * sizeof(int32_t))
    for column in range(b.columns):
        if real is float:
            fc_list_filters_f32(dy, winners, b.filters, column * step, shift, b.columns, offsets,
                                gradients, counts, totals)
        else:
            fc_list_filters_f64(dy, winners, b.filters, column * step, shift, b.columns, offsets,
                                gradients, counts, totals)
        dy += b.filters
        winners += b.filters


cdef void kernel_gradient_image(const Block* b, const Strip* s, const real* image,
                                const real* dy, const uint8_t* winners, real* sums,
                                real* bias_sums, real* scratch, int32_t* offsets,
                                real* gradients, int32_t* counts) noexcept nogil:
    cdef int row, k
    cdef int32_t shift[5]
    cdef int down = <int> (b.row_stride * s.row_step)
    cdef int right = b.column_stride * b.channels
    cdef ptrdiff_t filter_size = (
        <ptrdiff_t> b.kernel_rows * ((b.line + lanes(dy) - 1) // lanes(dy)) * lanes(dy))
    cdef ptrdiff_t row_size = <ptrdiff_t> b.columns * b.filters
    cdef const real* base
    shift[0], shift[1], shift[2], shift[3], shift[4] = 0, right, down, down + right, 0
    for row in range(b.rows):
        base = load_strip(s, image, 2 * row * b.row_stride, b.row_stride + b.kernel_rows, scratch)
        list_row(b, shift, dy + row * row_size, winners + row * row_size, offsets, gradients,
                 counts, bias_sums)
        for k in range(b.filters):
            if counts[k]:
                collect_filter(b, base, s.row_step, offsets + k * b.columns,
                               gradients + k * b.columns, counts[k], sums + k * filter_size)


def kernel_gradient(const real[:, :, :, ::1] x,             # IN
                    const real[:, :, :, ::1] dy,            # IN pooled
                    const uint8_t[:, :, :, ::1] winners,    # IN pooled
                    real[:, ::1] sums,          # SCRATCH (parts, filters * kernel rows * line)
                    real[:, ::1] bias_sums,     # SCRATCH (parts, filters)
                    const int[::1] strip, const int[::1] block,
                    real[:, ::1] scratch,       # SCRATCH one row a thread
                    int32_t[:, ::1] offsets,    # SCRATCH (threads, filters * columns + filters)
                    real[:, ::1] gradients,     # SCRATCH (threads, filters * columns)
                    real[:, :, :, ::1] dkernel, # OUT
                    real[::1] dbias,            # OUT or None
                    int num_threads):
    """dkernel and dbias from the pixels that won their windows and are alive."""
    cdef Strip s = strip_of(strip)
    cdef Block b = block_of(block)
    cdef ptrdiff_t images = x.shape[0], part, parts = sums.shape[0], row
    cdef ptrdiff_t entries = <ptrdiff_t> b.filters * b.columns
    cdef int thread
    cdef float_mode mode = 0
    with nogil, parallel(num_threads=num_threads):
        mode = flush_denormals()
        for part in prange(parts, schedule="dynamic"):
            kernel_gradient_part(&b, &s, &x[0, 0, 0, 0], &dy[0, 0, 0, 0], &winners[0, 0, 0, 0],
                                 part * images // parts, (part + 1) * images // parts,
                                 &sums[part, 0], sums.shape[1], &bias_sums[part, 0],
                                 &scratch[threadid(), 0], &offsets[threadid(), 0],
                                 &gradients[threadid(), 0],
                                 &offsets[threadid(), 0] + entries)
        for row in prange(b.kernel_rows * b.line, schedule="static"):
            reduce_row(&b, &sums[0, 0], parts, sums.shape[1], row,
                       &dkernel[0, 0, 0, 0] + row * b.filters)
        restore_denormals(mode)
    if dbias is not None:
        for row in range(b.filters):
            dbias[row] = bias_sums[0, row]
            for part in range(1, parts):
                dbias[row] += bias_sums[part, row]


cdef void kernel_gradient_part(const Block* b, const Strip* s, const real* x, const real* dy,
                               const uint8_t* winners, ptrdiff_t first, ptrdiff_t last,
                               real* sums, ptrdiff_t sums_size, real* bias_sums, real* scratch,
                               int32_t* offsets, real* gradients,
                               int32_t* counts) noexcept nogil:
    cdef ptrdiff_t image, pooled = <ptrdiff_t> b.rows * b.columns * b.filters
    memset(sums, 0, sums_size * sizeof(real))
    memset(bias_sums, 0, b.filters * sizeof(real))
    for image in range(first, last):
        kernel_gradient_image(b, s, x + image * s.height * s.width * s.channels,
                              dy + image * pooled, winners + image * pooled, sums, bias_sums,
                              scratch, offsets, gradients, counts)


cdef void reduce_row(const Block* b, const real* sums, ptrdiff_t parts, ptrdiff_t part_size,
                     ptrdiff_t row, real* target) noexcept nogil:
    """target (filters) = the parts' sums for one value of the patch, in order."""
    cdef ptrdiff_t padded = (b.line + lanes(sums) - 1) // lanes(sums) * lanes(sums)
    cdef ptrdiff_t part
    cdef const real* source = sums + row // b.line * padded + row % b.line
    cdef int k
    for k in range(b.filters):
        target[k] = source[k * b.kernel_rows * padded]
    for part in range(1, parts):
        source += part_size
        for k in range(b.filters):
            target[k] += source[k * b.kernel_rows * padded]


cdef void spread(int vectors, const real* weights, const int32_t* filter, const real* g,
                 int count, real* dx) noexcept nogil:
    if real is float:
        fc_spread_f32(vectors, weights, filter, g, count, dx)
    else:
        fc_spread_f64(vectors, weights, filter, g, count, dx)


cdef void list_windows(const Block* b, const real* dy, const uint8_t* winners, int first,
                       int last, int32_t* filters, real* gradients,
                       int32_t* counts) noexcept nogil:
    """List, per window position of one pooled row, the filters [first, last) alive there."""
    cdef int column
    cdef ptrdiff_t size = 5 * (last - first)
    for column in range(b.columns):
        if real is float:
            fc_list_positions_f32(dy + first, winners + first, last - first, last - first,
                                  filters + column * size, gradients + column * size,
                                  counts + 5 * column)
        else:
            fc_list_positions_f64(dy + first, winners + first, last - first, last - first,
                                  filters + column * size, gradients + column * size,
                                  counts + 5 * column)
        dy += b.filters
        winners += b.filters


cdef void input_gradient_row(const Block* b, const real* weights, const int32_t* filters,
                             const real* gradients, const int32_t* counts, int capacity,
                             ptrdiff_t row_step, real* target) noexcept nogil:
    """Add one pooled row's entries to dx; weights are (kernel row, slab, filter, value)."""
    cdef int vectors = (b.line + lanes(weights) - 1) // lanes(weights)
    cdef int row, start, count, column, position, at
    cdef ptrdiff_t down = b.row_stride * row_step
    cdef ptrdiff_t right = <ptrdiff_t> b.column_stride * b.channels
    cdef real* dx
    for row in range(b.kernel_rows):
        start = 0
        while start < vectors:
            count = min(SLAB_VECTORS, vectors - start)
            for column in range(b.columns):
                for position in range(4):
                    at = 5 * column + position
                    if counts[at] == 0:
                        continue
                    dx = (target + row * row_step + start * lanes(weights)
                          + (2 * column + (position & 1)) * right + (position >> 1) * down)
                    spread(count, weights, filters + at * capacity, gradients + at * capacity,
                           counts[at], dx)
            weights += capacity * count * lanes(weights)
            start += count


cdef void input_gradient_image(const Block* b, const Strip* s, const real* dy,
                               const uint8_t* winners, const real* weights, int filter_block,
                               real* dx, real* scratch, int32_t* filters, real* gradients,
                               int32_t* counts) noexcept nogil:
    """dx of one image, summed in a padded copy and cropped."""
    cdef ptrdiff_t padded_line = (b.line + lanes(dy) - 1) // lanes(dy) * lanes(dy)
    cdef ptrdiff_t row_size = <ptrdiff_t> b.columns * b.filters
    cdef ptrdiff_t line = s.row_step
    cdef int reach = (2 * b.rows - 1) * b.row_stride + b.kernel_rows
    cdef int row, first, last
    memset(scratch, 0, (reach * line + 16 * lanes(dy)) * sizeof(real))
    for row in range(b.rows):
        first = 0
        while first < b.filters:
            last = min(first + filter_block, b.filters)
            list_windows(b, dy + row * row_size, winners + row * row_size, first, last, filters,
                         gradients, counts)
            input_gradient_row(b, weights + first * b.kernel_rows * padded_line, filters,
                               gradients, counts, last - first, line,
                               scratch + 2 * row * b.row_stride * line)
            first = last
    for row in range(s.height):
        if row + s.top < reach:
            crop_row(s, scratch + (row + s.top) * line,
                     dx + <ptrdiff_t> row * s.width * s.channels)
        else:
            memset(dx + <ptrdiff_t> row * s.width * s.channels, 0,
                   <size_t> s.width * s.channels * sizeof(real))


cdef void crop_row(const Strip* s, const real* padded, real* row) noexcept nogil:
    cdef int used = max(0, min(s.width, s.padded_width - s.left))
    memcpy(row, padded + s.left * s.channels, <size_t> used * s.channels * sizeof(real))
    memset(row + used * s.channels, 0, <size_t> (s.width - used) * s.channels * sizeof(real))


cdef void pack_filters(const Block* b, const real* kernel, real* packed, int first,
                       int last) noexcept nogil:
    """Weights of filters [first, last) as (kernel row, slab, filter, value)."""
    cdef int vectors = (b.line + lanes(kernel) - 1) // lanes(kernel)
    cdef int row, start, k, value, end
    for row in range(b.kernel_rows):
        start = 0
        while start < vectors * lanes(kernel):
            end = min(start + SLAB_VECTORS * lanes(kernel), vectors * lanes(kernel))
            for k in range(first, last):
                for value in range(start, end):
                    packed[0] = (kernel[<ptrdiff_t> (row * b.line + value) * b.filters + k]
                                 if value < b.line else <real> 0)
                    packed += 1
            start = end


def input_gradient(const real[:, :, :, ::1] dy,             # IN pooled
                   const uint8_t[:, :, :, ::1] winners,     # IN pooled
                   const real[:, :, :, ::1] kernel,         # IN
                   real[:, :, :, ::1] dx,                   # OUT
                   real[::1] packed,            # SCRATCH filters * kernel rows * padded line
                   const int[::1] strip, const int[::1] block, int filter_block,
                   real[:, ::1] scratch,        # SCRATCH (threads, padded image + 16 vectors)
                   int32_t[:, ::1] filters,     # SCRATCH (threads, 5 columns (block + 1))
                   real[:, ::1] gradients,      # SCRATCH (threads, 5 columns block)
                   int num_threads):
    """dx from the windows' winners that are alive."""
    cdef Strip s = strip_of(strip)
    cdef Block b = block_of(block)
    cdef ptrdiff_t image, task
    cdef ptrdiff_t filter_size = (
        <ptrdiff_t> b.kernel_rows * ((b.line + lanes(&packed[0]) - 1) // lanes(&packed[0]))
        * lanes(&packed[0]))
    cdef float_mode mode = 0
    with nogil, parallel(num_threads=num_threads):
        mode = flush_denormals()
        for task in prange((b.filters + filter_block - 1) // filter_block, schedule="static"):
            pack_filters(&b, &kernel[0, 0, 0, 0], &packed[task * filter_block * filter_size],
                         <int> task * filter_block,
                         min((<int> task + 1) * filter_block, b.filters))
        for image in prange(dx.shape[0], schedule="dynamic"):
            input_gradient_image(&b, &s, &dy[image, 0, 0, 0], &winners[image, 0, 0, 0],
                                 &packed[0], filter_block, &dx[image, 0, 0, 0],
                                 &scratch[threadid(), 0], &filters[threadid(), 0],
                                 &gradients[threadid(), 0],
                                 &filters[threadid(), 0] + 5 * b.columns * filter_block)
        restore_denormals(mode)


cdef Block block_of(const int[::1] fields):
    cdef Block b
    b.rows, b.columns, b.filters, b.kernel_rows = fields[0], fields[1], fields[2], fields[3]
    b.line, b.row_stride, b.column_stride, b.channels = (
        fields[4], fields[5], fields[6], fields[7])
    return b
