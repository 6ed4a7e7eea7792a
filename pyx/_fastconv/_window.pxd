"""Zero-padded strips and packed panels, shared by the convolution kernels.

A *strip* is a band of image rows that one task reads.  Where the window leaves
the image, the strip is copied with its zeros into the thread's scratch; where
it does not, the image is read in place.

A *panel* is one or two vectors of output channels.  Packed weights lie as
[group][panel][row][lane], a row being one (tap, input channel); all panels of a
group but the last are two vectors wide, and lanes past the last channel are 0.
"""

from libc.stddef cimport ptrdiff_t
from libc.string cimport memcpy, memset

from _fastconv._tiles cimport lanes, real

cdef struct Strip:
    # Geometry of a padded source, in pixels; the row step is in values.
    int height
    int width
    int channels
    int top               # rows of zeros above the image
    int left              # columns of zeros left of it
    int padded_width
    int direct            # the image is read in place
    ptrdiff_t row_step


cdef inline const real* load_strip(const Strip* s, const real* image, int first, int count,
                                   real* scratch) noexcept nogil:
    """Return padded rows [first, first + count), in place or copied into `scratch`."""
    cdef int row, source
    cdef ptrdiff_t begin, end, line = <ptrdiff_t> s.padded_width * s.channels
    cdef real* target
    if s.direct:
        return image + first * s.row_step
    begin = min(s.left, s.padded_width)
    end = max(begin, min(s.left + s.width, s.padded_width))
    for row in range(count):
        source = first + row - s.top
        target = scratch + row * line
        if source < 0 or source >= s.height:
            memset(target, 0, line * sizeof(real))
            continue
        memset(target, 0, <size_t> (begin * s.channels) * sizeof(real))
        memcpy(target + begin * s.channels,
               image + <ptrdiff_t> source * s.width * s.channels,
               <size_t> (end - begin) * s.channels * sizeof(real))
        memset(target + end * s.channels, 0,
               <size_t> (s.padded_width - end) * s.channels * sizeof(real))
    return scratch


cdef inline int panel_vectors(int channels_left, const real* kind) noexcept nogil:
    """Return how many vectors wide the panel is that starts with so many channels left."""
    return 2 if channels_left > lanes(kind) else 1


cdef inline int panel_count(int channels, const real* kind) noexcept nogil:
    return (channels + 2 * lanes(kind) - 1) // (2 * lanes(kind))


cdef inline ptrdiff_t padded_channels(int channels, const real* kind) noexcept nogil:
    return <ptrdiff_t> ((channels + lanes(kind) - 1) // lanes(kind)) * lanes(kind)


cdef inline Strip strip_of(const int[::1] fields):
    cdef Strip s
    s.height, s.width, s.channels, s.top, s.left, s.padded_width, s.direct = (
        fields[0], fields[1], fields[2], fields[3], fields[4], fields[5], fields[6])
    s.row_step = <ptrdiff_t> (s.width if s.direct else s.padded_width) * s.channels
    return s


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


cdef inline Block block_of(const int[::1] fields):
    cdef Block b
    b.rows, b.columns, b.filters, b.kernel_rows = fields[0], fields[1], fields[2], fields[3]
    b.line, b.row_stride, b.column_stride, b.channels = (
        fields[4], fields[5], fields[6], fields[7])
    return b


cdef struct Slab:
    # The weights of one walk over a block: `lines` kernel rows of `taps` stretches of up to
    # `vectors`, the stretches being of one pixel or, with a single tap, of a whole kernel row.
    int lines
    int taps
    int vectors


cdef inline Slab slab_of(const int[::1] fields):
    cdef Slab slab
    slab.lines, slab.taps, slab.vectors = fields[0], fields[1], fields[2]
    return slab
