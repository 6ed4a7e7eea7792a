/* Sparse tiles for float and double. */
#ifndef FASTCONV_SPARSE_H
#define FASTCONV_SPARSE_H

#include "intrinsics.h"

/* A third of the sums that fit the registers beside one operand and one broadcast, and those of
 * pixels that roll through them. */
#if FC_ROWS >= 12
#define FC_SPARSE_VECTORS 6
#define FC_ROLL_VECTORS 24
#else
#define FC_SPARSE_VECTORS 4
#define FC_ROLL_VECTORS 12
#endif
enum { FC_BLOCK_VECTORS = 12, FC_LINE_VECTORS = FC_SPARSE_VECTORS };

#define FC_TEMPLATE "sparse_template.h"
#include "twice.h"

#include "sparse_list.h"

#define fc_list(...) FC_BY_1(fc_list, __VA_ARGS__)
#define fc_gather(...) FC_BY_3(fc_gather, __VA_ARGS__)
#define fc_mask_row(...) FC_BY_1(fc_mask_row, __VA_ARGS__)
#define fc_scatter_add_row(lines, taps, vectors, weights, ...) \
    FC_TYPED(fc_scatter_add_row, *(weights))(lines, taps, vectors, weights, __VA_ARGS__)

#endif
