/* Depthwise rows for float and double. */
#ifndef FASTCONV_DEPTHWISE_H
#define FASTCONV_DEPTHWISE_H

#include "tile.h"

/* Taps of one kernel-gradient tile: their sums, dy and the bias' sum stay in registers, and
 * their pointers in the general ones. */
#define FC_TAPS 10

/* Vectors of a single pixel that are summed at once. */
#define FC_PIXEL_VECTORS 6

/* Which taps an output sums, as offsets (in values) from its first source value, and where
 * their weights lie: sums of a row's and a column's share. */
typedef struct {
    const ptrdiff_t *row_offset, *row_place, *column_offset, *column_place;
    int row_begin, row_end, column_begin, column_end;
} fc_taps;

/* A rectangle of outputs and how far apart its pixels and lines are. */
typedef struct {
    ptrdiff_t x_step, x_line, dy_step, dy_line;
    int lines, pixels;
} fc_area;

#define FC_TEMPLATE "depthwise_template.h"
#include "twice.h"

#define fc_depthwise(...) FC_BY_2(fc_depthwise, __VA_ARGS__)
#define fc_prefetch_pixels(...) FC_BY_1(fc_prefetch_pixels, __VA_ARGS__)
#define fc_depthwise_gradient(...) FC_BY_2(fc_depthwise_gradient, __VA_ARGS__)
#define fc_load_plane_row(...) FC_BY_1(fc_load_plane_row, __VA_ARGS__)

#endif
