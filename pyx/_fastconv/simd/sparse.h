/* Sparse tiles for float and double. */
#ifndef FASTCONV_SPARSE_H
#define FASTCONV_SPARSE_H

#include "intrinsics.h"

/* Sums that fit the registers beside one operand and one broadcast. */
#if FC_ROWS >= 12
#define FC_SPARSE_VECTORS 6
#else
#define FC_SPARSE_VECTORS 4
#endif
enum { FC_SLAB_VECTORS = 12, FC_LINE_VECTORS = FC_SPARSE_VECTORS };

#define FC_TEMPLATE "sparse_template.h"
#include "twice.h"

#include "sparse_list.h"

#endif
