"""Zero-padded rows and packed panels, shared by the convolution kernels.

A *row block* is the image rows that one task reads.  Where the window leaves
the image, it is copied with its zeros into the thread's scratch; where
it does not, the image is read in place.

A *panel* is one or two vectors of output channels.  Packed weights lie as
[group][panel][row][lane], a row being one (tap, input channel); all panels of a
group but the last are two vectors wide, and lanes past the last channel are 0.
"""

from libc.stddef cimport ptrdiff_t
from libc.string cimport memcpy, memset

from _fastconv._tiles cimport lanes, real
from _fastconv.structs cimport PaddedImage

cdef inline const real* load_rows(const PaddedImage* s, const real* image, int first, int count,
                                  real* scratch) noexcept nogil:
    """Return padded rows [first, first + count), in place or copied into `scratch`."""
    cdef int row, source
    cdef ptrdiff_t begin, end, line = <ptrdiff_t> s.padded_width * s.channels
    cdef real* target
    if s.in_place:
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
