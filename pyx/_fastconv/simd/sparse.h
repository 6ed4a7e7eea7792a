/* Sparse tiles for float and double: sparse_template.h compiled twice. */
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

#define REAL float
#define NAME(x) x##_f32
#include "sparse_template.h"
#undef REAL
#undef NAME

#define REAL double
#define NAME(x) x##_f64
#include "sparse_template.h"
#undef REAL
#undef NAME

#include "sparse_list.h"

#endif
