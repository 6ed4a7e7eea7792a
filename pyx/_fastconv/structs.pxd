"""Every struct that crosses from the plans to the kernels, which Python fills in by field names."""

from libc.stddef cimport ptrdiff_t
from libc.string cimport memcpy

cdef extern from "simd/structs.h" nogil:
    ctypedef struct Pool "fc_pool":
        int kind
        int height            # of x
        int width
        int channels
        int rows              # of the output
        int columns
        int window_rows
        int window_columns
        int row_stride
        int column_stride
        int top               # rows of padding above the image
        int left
        int relu_input        # a maximum that is not above 0 gets no gradient: a ReLU came before


cdef struct PaddedImage:  # the source of a convolution, in pixels; the row step is in values
    ptrdiff_t row_step    # of the image, if it is read in place, or of its padded copy
    int height
    int width
    int channels
    int top               # rows of zeros above the image
    int left              # columns of zeros left of it
    int padded_width
    int in_place          # no window leaves the image: it is not copied


cdef struct Grid:         # the outputs that a direct convolution computes
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
    int runs              # of contiguous values of the source, for each output
    int run_length
    int reach             # rows that one output reads
    int groups
    int source_group      # channels of one group in the source
    int target_group      # channels of one group in the target
    float limit           # above 0: outputs are clipped to 0 ... limit
    int clipped           # many taps are nothing but padding: leave them out, row by row
    int dots              # vectors run along the reduction; weights are [channel][depth]
    int cleared           # rows of the target, all of them set to 0 first; or 0
    int prefetches        # outputs, of which there is little to compute


cdef struct BatchTiles:   # register tiles of one output of several images
    int first_row         # of the source that an output's first tap reads, less output * stride
    int first_column
    int taps              # columns of the kernel; its rows are the grid's runs
    int images            # of one tile


cdef struct OverlapAdd:   # a kernel's columns as lanes: a row of sums becomes a row of outputs
    int kernel_columns
    int channels          # of a group of the target
    int stride            # columns of the target from one pixel of sums to the next
    int column            # of the sums that reach the target's first pixel by `kernel_column`
    int kernel_column


cdef struct ConvPool:     # a convolution with its 2x2 pooling; x is padded, y is pooled
    int rows              # pooled
    int columns           # pooled
    int filters
    int kernel_rows
    int line              # values of one kernel row: kernel columns x channels
    int row_stride        # of the convolution
    int column_stride
    int channels


cdef struct WeightBlock:  # the weights that one pass over a row of windows reads
    int lines             # kernel rows
    int taps              # of one, each a pixel; 1: the whole kernel row is one
    int vectors           # of a tap, at most


cdef struct GradientProduct:    # kernel gradient as a matrix product over all pixels
    int height            # of x
    int width
    int channels
    int rows              # of dy
    int columns
    int filters
    int row_stride
    int column_stride
    int groups
    int source_group      # channels of one group
    int target_group      # filters of one group
    int run_length        # values of the patch that are contiguous in x
    int runs
    int piece             # values of the patch in one piece
    int in_place          # x is read where it lies; only by_tap
    int by_tap            # a piece is of one run; the runs pass by for the same values


cdef struct GradientPatch:      # kernel gradient with vectors along the patch
    int rows              # of dy
    int columns
    int filters
    int row_stride
    int column_stride
    int reach             # rows that one output reads
    int groups
    int source_group      # channels of one group
    int target_group      # filters of one group
    int width             # filters of a tile, but the last
    int most              # vectors of a piece, but the last
    int vectors           # of the patch
    int block_rows


cdef struct DepthwiseLayout:    # one pass of the depthwise kernels over a grid of outputs
    int height            # of the source
    int width
    int source_channels
    int rows              # of outputs
    int columns
    int row_stride
    int column_stride
    int channels          # of an output pixel
    int planes
    int copied
    int narrow            # several pixels' channels fill the vectors of one unit
    int shuffled          # vectors of the source out of which one of a plane is permuted; 0: none
    int together          # pixels of one such vector; 0: one pixel's channels fill it
    int units             # of an output row: its pixels, or several pixels' channels at a time
    int unit_channels
    int unit_step         # source values from one unit to the next
    int tap_step          # from one tap of a row to the next, if unit_step is 1 or 2 such; else 0
    int top               # rows of zeros above the image, of a copy
    int left
    int reach             # rows that one output reads
    int padded_width
    int phases
    int phase_width       # pixels
    int row_taps          # all planes'
    int column_taps
    int inner_begin       # columns whose taps are all inside the image
    int inner_end
    int target_row        # where the outputs lie in the target
    int target_column
    int target_row_step
    int target_column_step
    int target_width
    float limit           # above 0: outputs are clipped to 0 ... limit


cdef struct Tiles:        # of Winograd's algorithm: F(m x m, r x r)
    int rows              # of tiles in one image
    int columns
    int out_rows          # of the output, pooled if it is
    int out_columns
    int channels          # of a sub-kernel of a group; of all of a row that lie side by side
    int filters           # of a group
    int pooled
    float limit           # above 0: outputs are clipped to 0 ... limit
    int band              # tiles side by side whose lines are made at a time
    int short_row         # whether the last row of tiles is short, and the last column
    int short_column
    int m                 # outputs of a tile along an axis
    int stride            # rows, and pixels, between two inputs of a tile
    int row_kernels       # sub-kernels from top to bottom
    int column_kernels    # and from left to right, but for those that lie side by side
    int offset            # rows, and pixels, between two sub-kernels' first taps
    int targets           # outputs of a point of the grid along an axis, the distance of two points
    int groups


cdef struct KernelDecomposition:    # of a kernel into sub-kernels of r x r taps
    int rows              # of the kernel of (rows, columns, inputs, outputs of all groups)
    int columns
    int inputs
    int outputs
    int groups
    int channels          # of a group, that are summed over
    int filters           # of a group
    int transposed        # it is the input gradient's: inputs and outputs are exchanged
    int r                 # taps of a sub-kernel, along an axis
    int kernels           # sub-kernels, along an axis
    int first_row         # tap that is the first of the first sub-kernel
    int first_column
    int kernel_step       # taps from a sub-kernel to the next
    int tap_step          # from a tap of a sub-kernel to the next
    int targets           # whether the sub-kernels are targets


cdef inline int load_struct(bytes fields, void* to, size_t size) except -1:
    """Set the struct of `size` bytes at `to` to what `fastconv.ops.plans.structs` made."""
    if <size_t> len(fields) != size:
        raise TypeError(f"a struct of {size} bytes is wanted, not of {len(fields)}")
    memcpy(to, <const char*> fields, size)
    return 0
