/* Pooling rows for float and double. */
#ifndef FASTCONV_POOL_H
#define FASTCONV_POOL_H

#include <math.h>

#include "bytes.h"
#include "intrinsics.h"
#include "structs.h"
#include "tile.h"

/* FC_L2_APART: L2 pooling whose dy over the norm is no number of its type, or one of few bits. */
enum { FC_MAX = 0, FC_AVERAGE = 1, FC_L2 = 2, FC_L2_APART = 3, FC_NO_ARGMAX = 255 };
/* Vectors of channels that pass through a window of so many pixels together. */
enum { FC_POOL_VECTORS = 4, FC_LARGE_WINDOW = 10 };

/* The pixels that window number `at` covers, clipped to the image. */
FC_INLINE void fc_clip(int at, int stride, int before, int window, int size, int *first,
                       int *last) {
    int start = at * stride - before;
    *first = start > 0 ? start : 0;
    *last = start + window < size ? start + window : size;
}

/* Any of the threads may. */

#define FC_TEMPLATE "pool_template.h"
#include "twice.h"

#endif
