/* Register tiles for float and double. */
#ifndef FASTCONV_TILE_H
#define FASTCONV_TILE_H

#include <math.h>

#include "intrinsics.h"

#define FC_TEMPLATE "tile_template.h"
#include "twice.h"
#define FC_TEMPLATE "window_template.h"
#include "twice.h"
#define FC_TEMPLATE "gradient_template.h"
#include "twice.h"
#define FC_TEMPLATE "dot_template.h"
#include "twice.h"
#define FC_TEMPLATE "overlap_template.h"
#include "twice.h"
#define FC_TEMPLATE "transpose_template.h"
#include "twice.h"

#define fc_prefetch(...) FC_BY_1(fc_prefetch, __VA_ARGS__)
#define fc_conv_pool_row(...) FC_BY_3(fc_conv_pool_row, __VA_ARGS__)
#define fc_gradient_tile(...) FC_BY_3(fc_gradient_tile, __VA_ARGS__)
#define fc_patch_tile(...) FC_BY_3(fc_patch_tile, __VA_ARGS__)
#define fc_add_filters(...) FC_BY_1(fc_add_filters, __VA_ARGS__)
#define fc_conv_dots(...) FC_BY_3(fc_conv_dots, __VA_ARGS__)
#define fc_overlap_add(...) FC_BY_1(fc_overlap_add, __VA_ARGS__)
#define fc_copy_pixels(...) FC_BY_1(fc_copy_pixels, __VA_ARGS__)
#define fc_transpose(...) FC_BY_1(fc_transpose, __VA_ARGS__)
#define fc_zero_pixels(...) FC_BY_1(fc_zero_pixels, __VA_ARGS__)
#define fc_add_pixels(...) FC_BY_1(fc_add_pixels, __VA_ARGS__)
#define fc_dot_tile(...) FC_BY_3(fc_dot_tile, __VA_ARGS__)
#define fc_conv_tile(rows, vectors, pixel, ...) \
    FC_TYPED(fc_conv_tile, **(pixel))(rows, vectors, pixel, __VA_ARGS__)

#endif
