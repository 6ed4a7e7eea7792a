"""Gradients of convolution + bias + ReLU + 2x2 max pooling, from active maxima alone.

A window has a gradient at the pixel that won it, and none if it is inactive: one multiply-add
in four of the dense gradients, less the inactive ones.

`kernel_gradient`: for some rows of windows, list per filter (offset of the maximum's patch,
gradient); then, per kernel row (or three short ones) and block of up to BLOCK_VECTORS vectors,
per filter: add g * patch to sums in registers over the whole list.  So many rows are listed
at once that lists are long and their pixels still near while all filters pass by.  A task has
some filters and a part of the rows, with private sums that are added in order.

`input_gradient`: for a row of windows, a bit mask over up to 64 filters per position; then,
per row of their pixels and block of weights, per position: add g * weights to a stretch of
dx, in registers over the set bits.  Where pixels are whole vectors and the kernel is 3 or 5
wide, of stride 1, dx rolls through the registers from window to window.  A task owns some
rows of dx and walks all windows that reach them, so that every value is one sum in one
order, however dx is cut.
"""

from cython.parallel cimport parallel, threadid
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t, uint8_t, uint64_t
from libc.string cimport memset

from _fastconv._crop cimport clear_rows, crop_row
from _fastconv._tiles cimport float_mode, flush_denormals, lanes, real, restore_denormals, transpose
from _fastconv._window cimport load_rows
from _fastconv._work cimport Work, join_team, next_task, share_work, wait_for_all
from _fastconv.structs cimport ConvPool, PaddedImage, WeightBlock, load_struct

join_team()

cdef extern from "simd/sparse.h" nogil:
    const int BLOCK_VECTORS "FC_BLOCK_VECTORS"
    const int LINE_VECTORS "FC_LINE_VECTORS"
    const int ROLL_VECTORS "FC_ROLL_VECTORS"
    void fc_fill_compress_table() noexcept
    void list_patches "fc_list"(...) noexcept
    void gather "fc_gather"(...) noexcept
    void mask_row "fc_mask_row"(...) noexcept
    void scatter_add_row "fc_scatter_add_row"(...) noexcept

WEIGHT_BLOCK, ROLL = BLOCK_VECTORS, ROLL_VECTORS
INACTIVE = 4
cdef enum:
    WORD = 64             # filters of one mask, windows that are listed at a time
    ROOM = 8              # values that may be written past a list's end
    LINE = 16             # filters that are summed up together: a cache line of dkernel

MASK_FILTERS, LIST_ROOM = WORD, ROOM

fc_fill_compress_table()


cdef inline int line_vectors(const ConvPool* b, const real* kind) noexcept nogil:
    return (b.line + lanes(kind) - 1) // lanes(kind)


# ---- kernel gradient ----

cdef void list_rows(const ConvPool* b, const real* dy, const uint8_t* argmax, int filters,
                    const int32_t* origin, const int32_t* shift, int positions, int capacity,
                    int32_t* offsets, real* gradients, int32_t* counts,
                    real* totals) noexcept nogil:
    """List the active of `positions` windows filter by filter; add them to `totals`."""
    cdef int first = 0, filter = 0, some, count
    memset(counts, 0, filters * sizeof(int32_t))
    while first < positions:
        some = min(WORD, positions - first)
        filter = 0
        while filter < filters:
            count = min(WORD, filters - filter)
            list_patches(dy + filter, argmax + filter, b.filters, some, count, origin + first,
                         shift, capacity, offsets + filter * capacity,
                         gradients + filter * capacity, counts + filter, totals + filter)
            filter += WORD
        dy += <ptrdiff_t> WORD * b.filters
        argmax += <ptrdiff_t> WORD * b.filters
        first += WORD


cdef void gather_rows(const ConvPool* b, int filters, const real* base, ptrdiff_t row_step,
                      int capacity, const int32_t* offsets, const real* gradients,
                      const int32_t* counts, real* sums) noexcept nogil:
    """Add all lists to the filters' sums (kernel rows, padded line)."""
    cdef int vectors = line_vectors(b, base)
    cdef ptrdiff_t padded = <ptrdiff_t> vectors * lanes(base)
    cdef int row = 0, start, lines, k
    while row < b.kernel_rows:
        lines = 3 if vectors <= LINE_VECTORS and b.kernel_rows - row >= 3 else 1
        start = 0
        while start < vectors:
            for k in range(filters):
                if counts[k]:
                    gather(lines, min(BLOCK_VECTORS, vectors - start),
                            base + row * row_step + start * lanes(base), row_step,
                            offsets + <ptrdiff_t> k * capacity,
                            gradients + <ptrdiff_t> k * capacity, counts[k],
                            sums + (k * b.kernel_rows + row) * padded + start * lanes(base),
                            padded)
            start += BLOCK_VECTORS
        row += lines


cdef void kernel_gradient_part(const ConvPool* b, const PaddedImage* s, const real* x,
                               const real* dy, const uint8_t* argmax, int filters,
                               const int32_t* origin, const int32_t* shift, ptrdiff_t first,
                               ptrdiff_t last, int block_rows, real* sums, real* bias_sums,
                               real* scratch, int32_t* offsets, real* gradients,
                               int32_t* counts) noexcept nogil:
    """Sums of `filters` over the rows of windows [first, last), counted over all images."""
    cdef ptrdiff_t image
    cdef ptrdiff_t row_size = <ptrdiff_t> b.columns * b.filters
    cdef int row, rows
    cdef int capacity = block_rows * b.columns + ROOM
    cdef const real* base
    memset(sums, 0, <size_t> filters * b.kernel_rows * line_vectors(b, x) * lanes(x)
           * sizeof(real))
    memset(bias_sums, 0, filters * sizeof(real))
    while first < last:
        image = first // b.rows
        row = <int> (first - image * b.rows)
        rows = <int> min(min(block_rows, b.rows - row), last - first)
        base = load_rows(s, x + image * s.height * s.width * s.channels, 2 * row * b.row_stride,
                          (2 * rows - 1) * b.row_stride + b.kernel_rows, scratch)
        list_rows(b, dy + first * row_size, argmax + first * row_size, filters, origin, shift,
                  rows * b.columns, capacity, offsets, gradients, counts, bias_sums)
        gather_rows(b, filters, base, s.row_step, capacity, offsets, gradients, counts, sums)
        first += rows


cdef void reduce_filters(const ConvPool* b, real* sums, ptrdiff_t parts, ptrdiff_t part_size,
                         int kernel_row, int first, int last, real* target) noexcept nogil:
    """One kernel row of dkernel for some filters: the parts' sums, in order, transposed."""
    cdef ptrdiff_t padded = <ptrdiff_t> line_vectors(b, sums) * lanes(sums), part, i
    cdef real* line
    cdef const real* other
    cdef int k
    for k in range(first, last):
        line = sums + (<ptrdiff_t> k * b.kernel_rows + kernel_row) * padded
        for part in range(1, parts):
            other = line + part * part_size
            for i in range(padded):
                line[i] += other[i]
    sums += (<ptrdiff_t> first * b.kernel_rows + kernel_row) * padded
    target += <ptrdiff_t> kernel_row * b.line * b.filters + first
    if (last - first) % lanes(sums) == 0:
        transpose(sums, b.kernel_rows * padded, last - first, b.line, target, b.filters)
        return
    for i in range(b.line):
        for k in range(last - first):
            target[i * b.filters + k] = sums[k * b.kernel_rows * padded + i]


def kernel_gradient(const real[:, :, :, ::1] x,             # IN
                    const real[:, :, :, ::1] dy,            # IN pooled
                    const uint8_t[:, :, :, ::1] argmax,    # IN pooled
                    const int32_t[::1] origin,  # IN patch offsets of a row block's windows
                    const int32_t[::1] shift,   # IN from them, to those of the four pixels
                    real[:, ::1] sums,          # SCRATCH (parts, filters * kernel rows * line)
                    real[:, ::1] bias_sums,     # SCRATCH (parts, filters)
                    bytes padded_image, bytes pooled, int filter_block, int block_rows,
                    real[:, ::1] scratch,       # SCRATCH one row a thread
                    int32_t[:, ::1] offsets,    # SCRATCH (threads, filter_block *
                                                #          (windows + ROOM + 1))
                    real[:, ::1] gradients,     # SCRATCH (threads, filter_block * (windows + ROOM))
                    real[:, :, :, ::1] dkernel, # OUT
                    real[::1] dbias,            # OUT or None
                    int num_threads, /):
    """dkernel and dbias from the pixels that won their windows and are active."""
    cdef PaddedImage s
    load_struct(padded_image, &s, sizeof(s))
    cdef ConvPool b
    load_struct(pooled, &b, sizeof(b))
    cdef ptrdiff_t rows = x.shape[0] * b.rows, part, parts = sums.shape[0], task
    cdef ptrdiff_t filter_size = (
        <ptrdiff_t> b.kernel_rows * line_vectors(&b, &sums[0, 0]) * lanes(&sums[0, 0]))
    cdef ptrdiff_t line
    cdef int filter, start, blocks = (b.filters + filter_block - 1) // filter_block
    cdef ptrdiff_t entries = <ptrdiff_t> filter_block * (block_rows * b.columns + ROOM)
    cdef Work work, lines
    cdef float_mode mode = 0
    share_work(&work, parts * blocks, num_threads)
    share_work(&lines, b.kernel_rows * ((b.filters + LINE - 1) // LINE), num_threads)
    with nogil, parallel(num_threads=num_threads):
        mode = flush_denormals()
        while (task := next_task(&work, threadid())) >= 0:
            part = task // blocks
            filter = <int> (task % blocks) * filter_block
            kernel_gradient_part(&b, &s, &x[0, 0, 0, 0], &dy[0, 0, 0, filter],
                                 &argmax[0, 0, 0, filter], min(filter_block, b.filters - filter),
                                 &origin[0], &shift[0], part * rows // parts,
                                 (part + 1) * rows // parts, block_rows,
                                 &sums[part, filter * filter_size], &bias_sums[part, filter],
                                 &scratch[threadid(), 0], &offsets[threadid(), 0],
                                 &gradients[threadid(), 0], &offsets[threadid(), 0] + entries)
        wait_for_all()
        while (line := next_task(&lines, threadid())) >= 0:
            start = <int> (line // b.kernel_rows) * LINE
            reduce_filters(&b, &sums[0, 0], parts, sums.shape[1], <int> (line % b.kernel_rows),
                           start, min(start + LINE, b.filters), &dkernel[0, 0, 0, 0])
        restore_denormals(mode)
    if dbias is not None:
        for filter in range(b.filters):
            dbias[filter] = bias_sums[0, filter]
            for part in range(1, parts):
                dbias[filter] += bias_sums[part, filter]


# ---- input gradient ----

cdef inline int stretch(const ConvPool* b, const WeightBlock* block) noexcept nogil:
    """Values of which a block has `vectors` vectors."""
    return b.line if block.taps == 1 else b.channels


cdef inline int stretch_vectors(const ConvPool* b, const WeightBlock* block,
                                const real* kind) noexcept nogil:
    return (stretch(b, block) + lanes(kind) - 1) // lanes(kind)


cdef void scatter_add(int lines, const WeightBlock* block, int vectors, const real* weights,
                      ptrdiff_t step, const uint64_t* masks, const real* dy, const ConvPool* b,
                      real* target, ptrdiff_t row_step) noexcept nogil:
    cdef ptrdiff_t right = <ptrdiff_t> b.column_stride * b.channels
    scatter_add_row(lines, block.taps, vectors, weights, step, masks, dy, b.filters, b.columns,
                    target, right, row_step)


cdef void scatter_add_half(const ConvPool* b, const WeightBlock* block, int vectors,
                           const real* weights, ptrdiff_t step, const uint64_t* masks,
                           const real* dy, int top, int rows, real* target,
                           ptrdiff_t row_step) noexcept nogil:
    """Add one pixel row of a row of windows to those rows of dx from `top` on that lie in
    [0, rows); `target` is row 0."""
    cdef ptrdiff_t line_size = <ptrdiff_t> block.taps * vectors * lanes(dy)
    cdef int line
    if 0 <= top and top + block.lines <= rows:
        scatter_add(block.lines, block, vectors, weights, step, masks, dy, b,
                    target + top * row_step, row_step)
        return
    for line in range(block.lines):
        if 0 <= top + line < rows:
            scatter_add(1, block, vectors, weights + line * line_size, step, masks, dy, b,
                   target + (top + line) * row_step, row_step)


cdef void scatter_add_windows(const ConvPool* b, const WeightBlock* block, const real* weights,
                              const uint64_t* masks, const real* dy, int filters, int row,
                              int first, int last, real* target,
                              ptrdiff_t row_step) noexcept nogil:
    """Add one row of windows to padded rows [first, last) of dx; `target` is row `first`."""
    cdef int vectors = stretch_vectors(b, block, dy)
    cdef int group, start, half, count
    cdef ptrdiff_t step
    for group in range(b.kernel_rows // block.lines):
        start = 0
        while start < vectors:
            count = min(block.vectors, vectors - start)
            step = <ptrdiff_t> block.lines * block.taps * count * lanes(dy)
            # Both halves walk the weights while these are in the cache.
            for half in range(2):
                scatter_add_half(b, block, count, weights, step, masks + 2 * half, dy,
                                 (2 * row + half) * b.row_stride + group * block.lines - first,
                                 last - first, target + start * lanes(dy), row_step)
            weights += filters * step
            start += count


cdef void input_gradient_rows(const ConvPool* b, const PaddedImage* s, const WeightBlock* block,
                              const real* dy, const uint8_t* argmax, const real* weights,
                              int filter_block, int first, int last, real* dx, real* scratch,
                              uint64_t* masks) noexcept nogil:
    """Rows [first, last) of one image's dx, summed in place or in a padded copy and cropped."""
    cdef ptrdiff_t filter_size = (
        <ptrdiff_t> b.kernel_rows * line_vectors(b, dy) * lanes(dy))
    cdef ptrdiff_t row_size = <ptrdiff_t> b.columns * b.filters
    cdef int span = b.row_stride + b.kernel_rows, step = 2 * b.row_stride
    # The windows whose rows [step * row, step * row + span) meet the padded rows asked for.
    cdef int begin = max(0, (first + s.top - span) // step + 1 if first + s.top >= span else 0)
    cdef int end = min(b.rows, (last + s.top - 1) // step + 1)
    cdef int row, filter, filters
    cdef real* target = dx + <ptrdiff_t> first * s.row_step if s.in_place else scratch
    cdef int cleared = 0, reached
    for row in range(begin, end):
        # Cleared just before they are added to, rows are still in the cache then.
        reached = min(step * row + span - first - s.top, last - first)
        clear_rows(s, target, cleared, reached)
        cleared = reached
        filter = 0
        while filter < b.filters:
            filters = min(filter_block, b.filters - filter)
            mask_row(dy + row * row_size + filter, argmax + row * row_size + filter, b.filters,
                     b.columns, filters, masks)
            scatter_add_windows(b, block, weights + filter * filter_size, masks,
                                dy + row * row_size + filter, filters, row, first + s.top,
                                last + s.top, target, s.row_step)
            filter += filters
    clear_rows(s, target, cleared, last - first)
    if not s.in_place:
        for row in range(last - first):
            crop_row(s, scratch + row * s.row_step,
                     dx + <ptrdiff_t> (first + row) * s.width * s.channels)


cdef void pack_filters(const ConvPool* b, const WeightBlock* block, const real* kernel,
                       real* packed, int row, int first, int last) noexcept nogil:
    """Weights of kernel rows [row, row + lines) and filters [first, last) for one walk each:
    (part of the stretch, filter, line, tap, value)."""
    cdef int size = stretch(b, block), part = block.vectors * lanes(kernel)
    cdef int padded = stretch_vectors(b, block, kernel) * lanes(kernel)
    cdef int start = 0, end, line, tap
    cdef ptrdiff_t filter_size, at
    while start < padded:
        end = min(start + part, padded)
        filter_size = <ptrdiff_t> block.lines * block.taps * (end - start)
        for line in range(block.lines):
            for tap in range(block.taps):
                at = (row + line) * <ptrdiff_t> b.line + tap * size + start
                transpose(kernel + b.filters * at + first, b.filters, min(end, size) - start,
                          last - first, packed + (line * block.taps + tap) * (end - start),
                          filter_size)
        packed += (last - first) * filter_size
        start = end


def input_gradient(const real[:, :, :, ::1] dy,             # IN pooled
                   const uint8_t[:, :, :, ::1] argmax,     # IN pooled
                   const real[:, :, :, ::1] kernel,         # IN
                   real[:, :, :, ::1] dx,                   # OUT
                   real[::1] packed,            # SCRATCH filters * kernel rows * padded line
                   bytes padded_image, bytes pooled,
                   bytes walked,
                   int filter_block, int block_rows,
                   real[:, ::1] scratch,        # SCRATCH (threads, block rows + 16 vectors)
                   uint64_t[:, ::1] masks,      # SCRATCH (threads, 4 columns)
                   int num_threads, /):
    """dx from the windows' argmax that are active."""
    cdef PaddedImage s
    load_struct(padded_image, &s, sizeof(s))
    cdef ConvPool b
    load_struct(pooled, &b, sizeof(b))
    cdef WeightBlock walk
    load_struct(walked, &walk, sizeof(walk))
    cdef int row_blocks = (s.height + block_rows - 1) // block_rows
    cdef int blocks = (b.filters + filter_block - 1) // filter_block
    cdef int groups = b.kernel_rows // walk.lines
    cdef ptrdiff_t image, task, piece
    cdef ptrdiff_t row_size = <ptrdiff_t> line_vectors(&b, &packed[0]) * lanes(&packed[0])
    cdef int first, last, row, top
    cdef Work work, pieces
    cdef float_mode mode = 0
    share_work(&pieces, blocks * groups, num_threads)
    share_work(&work, dx.shape[0] * row_blocks, num_threads)
    with nogil, parallel(num_threads=num_threads):
        mode = flush_denormals()
        while (piece := next_task(&pieces, threadid())) >= 0:
            first = <int> (piece // groups) * filter_block
            last = min(first + filter_block, b.filters)
            row = <int> (piece % groups) * walk.lines
            pack_filters(&b, &walk, &kernel[0, 0, 0, 0],
                         &packed[(first * b.kernel_rows + row * (last - first)) * row_size],
                         row, first, last)
        wait_for_all()
        while (task := next_task(&work, threadid())) >= 0:
            image = task // row_blocks
            top = <int> (task % row_blocks) * block_rows
            input_gradient_rows(&b, &s, &walk, &dy[image, 0, 0, 0], &argmax[image, 0, 0, 0],
                                &packed[0], filter_block, top, min(top + block_rows, s.height),
                                &dx[image, 0, 0, 0],
                                &scratch[threadid(), 0], &masks[threadid(), 0])
        restore_denormals(mode)
