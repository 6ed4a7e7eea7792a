/* Register tiles for float and double: tile_template.h compiled twice. */
#ifndef FASTCONV_TILE_H
#define FASTCONV_TILE_H

#include "intrinsics.h"

#define REAL float
#define NAME(x) x##_f32
#include "tile_template.h"
#undef REAL
#undef NAME

#define REAL double
#define NAME(x) x##_f64
#include "tile_template.h"
#undef REAL
#undef NAME

#endif
