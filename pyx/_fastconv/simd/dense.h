/* Leaves of dense layers for float and double. */
#ifndef FASTCONV_DENSE_H
#define FASTCONV_DENSE_H

#include "tile.h"

/* The most vectors of sums that stay in registers beside one operand and one broadcast. */
enum { FC_PANEL_VECTORS = 12 };
/* Dot products made side by side: each has an address of its own to keep in a register. */
enum { FC_LIST_DOTS = 10 };
/* Inputs of the output that pass at a time: eight vectors of them are at most 16 KB. */
enum { FC_BLOCK_INPUTS = FC_BYTES == 64 ? 32 : 64 };

#define FC_TEMPLATE "dense_template.h"
#include "twice.h"
#include "dense_list.h"

#define fc_find_active(...) FC_BY_1(fc_find_active, __VA_ARGS__)
#define fc_pack_row(...) FC_BY_1(fc_pack_row, __VA_ARGS__)
#define fc_sum_rows(...) FC_BY_2(fc_sum_rows, __VA_ARGS__)
#define fc_pass_rows(...) FC_BY_1(fc_pass_rows, __VA_ARGS__)
#define fc_dot_list(...) FC_BY_2(fc_dot_list, __VA_ARGS__)

#endif
