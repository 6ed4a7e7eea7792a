"""Direct convolution of small images: a register tile is one output of several images.

Where a kernel is not small beside its image, many of its taps
are padding, and others for each output.  Outputs of one image cannot share a tile without them;
those of the same position in several images find the same taps outside, and the tile leaves them
out.  Loops, outermost first, within a task: panels - rows - columns - kernel rows - values of the
columns inside, contiguous in the source and in the panel.

A task copies its images' rows: their own distance is often a power of two, and all pixels of a
tile would share one set of the cache.
"""

from libc.stddef cimport ptrdiff_t
from libc.string cimport memcpy

from _fastconv._tiles cimport conv_tile, lanes, real
from _fastconv._window cimport panel_vectors
from _fastconv.structs cimport BatchTiles, Grid, PaddedImage

cdef struct Inside:       # of an output's taps along one axis, those that read the image
    int begin
    int end


cdef inline Inside inside(int first, int taps, int size) noexcept nogil:
    """`first`: where in the image the first tap lies."""
    cdef Inside i
    i.begin = min(max(0, -first), taps)
    i.end = max(i.begin, min(taps, size - first))
    return i


cdef inline void batch_block(const Grid* g, const PaddedImage* s, const BatchTiles* p,
                             ptrdiff_t image_step, const real* source, const real* packed,
                             const real* bias, real* target, ptrdiff_t target_image,
                             const ptrdiff_t* row_offset, int images, int first, int last,
                             int first_panel, int last_panel, real* scratch) noexcept nogil:
    """Rows [first, last) of the grid, some panels, of `images` images."""
    cdef ptrdiff_t line = <ptrdiff_t> s.width * s.channels
    cdef int low = min(max(0, first * g.row_stride + p.first_row), s.height)
    cdef int high = max(low, min(s.height, (last - 1) * g.row_stride + p.first_row + g.runs))
    cdef int panel, row, image
    for image in range(images):
        memcpy(scratch + image * image_step, source + (image * s.height + low) * line,
               <size_t> ((high - low) * line) * sizeof(real))
    for panel in range(first_panel, last_panel):
        for row in range(first, last):
            batch_row(g, s, p, image_step, scratch - low * line, packed, bias, target,
                         target_image, row_offset, images, row, panel * 2 * lanes(packed))


cdef inline void batch_row(const Grid* g, const PaddedImage* s, const BatchTiles* p,
                           ptrdiff_t image_step, const real* base, const real* packed,
                           const real* bias, real* target, ptrdiff_t target_image,
                           const ptrdiff_t* row_offset, int images, int row,
                           int start) noexcept nogil:
    """One row of outputs of one panel, which starts at output channel `start`."""
    cdef int vectors = panel_vectors(g.target_group - start, packed), column, image
    cdef ptrdiff_t width = vectors * lanes(packed)
    cdef ptrdiff_t run_step = <ptrdiff_t> g.run_length * width
    cdef int top = row * g.row_stride + p.first_row, left
    cdef Inside rows = inside(top, g.runs, s.height), columns
    cdef const real* weights = packed + <ptrdiff_t> start * g.runs * g.run_length
    cdef real* out_row = (
        target + ((g.target_row + row * g.target_row_step) * <ptrdiff_t> g.target_width
                  + g.target_column) * g.target_channels + start)
    cdef const real* pixel[16]
    cdef real* out[16]
    for column in range(g.columns):
        left = column * g.column_stride + p.first_column
        columns = inside(left, p.taps, s.width)
        for image in range(images):
            pixel[image] = base + image * image_step + (
                <ptrdiff_t> (top + rows.begin) * s.width + left + columns.begin) * s.channels
            out[image] = out_row + image * target_image + (
                <ptrdiff_t> column * g.target_column_step * g.target_channels)
        conv_tile(images, vectors, pixel, out, row_offset, rows.end - rows.begin,
                  (columns.end - columns.begin) * s.channels,
                  weights + rows.begin * run_step + columns.begin * s.channels * width, width,
                  run_step, bias + start, 0, g.target_group - start, g.limit)
