"""The structs of `structs.pxd` as buffers of their formats, from which NumPy makes dtypes.

Kernels take a struct as its bytes: to compare formats would take as long as a small layer's work.
"""

cdef const Pool[::1] _  # without a view that has a type Cython forgets to declare views
cdef Pool pool
cdef PaddedImage padded_image
cdef Grid grid
cdef BatchTiles batch_tiles
cdef OverlapAdd overlap_add
cdef ConvPool conv_pool
cdef WeightBlock weight_block
cdef GradientProduct gradient_product
cdef GradientPatch gradient_patch
cdef DepthwiseLayout depthwise_layout
cdef Tiles tiles
cdef KernelDecomposition kernel_decomposition

EMPTY = {
    "Pool": <Pool[:1]> &pool,
    "PaddedImage": <PaddedImage[:1]> &padded_image,
    "Grid": <Grid[:1]> &grid,
    "BatchTiles": <BatchTiles[:1]> &batch_tiles,
    "OverlapAdd": <OverlapAdd[:1]> &overlap_add,
    "ConvPool": <ConvPool[:1]> &conv_pool,
    "WeightBlock": <WeightBlock[:1]> &weight_block,
    "GradientProduct": <GradientProduct[:1]> &gradient_product,
    "GradientPatch": <GradientPatch[:1]> &gradient_patch,
    "DepthwiseLayout": <DepthwiseLayout[:1]> &depthwise_layout,
    "Tiles": <Tiles[:1]> &tiles,
    "KernelDecomposition": <KernelDecomposition[:1]> &kernel_decomposition,
}
