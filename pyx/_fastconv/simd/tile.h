/* Register tiles for float and double: each template compiled twice. */
#ifndef FASTCONV_TILE_H
#define FASTCONV_TILE_H

#include "intrinsics.h"

#define REAL float
#define NAME(x) x##_f32
#include "tile_template.h"
#include "window_template.h"
#include "gradient_template.h"
#include "dot_template.h"
#undef REAL
#undef NAME

#define REAL double
#define NAME(x) x##_f64
#include "tile_template.h"
#include "window_template.h"
#include "gradient_template.h"
#include "dot_template.h"
#undef REAL
#undef NAME

#endif
