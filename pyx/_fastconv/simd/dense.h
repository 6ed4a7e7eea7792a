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

#endif
