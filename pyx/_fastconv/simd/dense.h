/* Leaves of dense layers for float and double: dense_template.h compiled twice. */
#ifndef FASTCONV_DENSE_H
#define FASTCONV_DENSE_H

#include "tile.h"

/* The most vectors of sums that stay in registers beside one operand and one broadcast. */
enum { FC_PANEL_VECTORS = 12 };
/* Dot products made side by side: each has an address of its own to keep in a register. */
enum { FC_LIST_DOTS = 10 };

#define REAL float
#define BITS uint32_t
#define NAME(x) x##_f32
#include "dense_template.h"
#undef REAL
#undef BITS
#undef NAME

#define REAL double
#define BITS uint64_t
#define NAME(x) x##_f64
#include "dense_template.h"
#undef REAL
#undef BITS
#undef NAME

#endif
