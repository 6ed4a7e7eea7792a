/* Register tiles for float and double. */
#ifndef FASTCONV_TILE_H
#define FASTCONV_TILE_H

#include <math.h>

#include "intrinsics.h"

#define FC_TEMPLATE "tile_template.h"
#include "twice.h"
#define FC_TEMPLATE "window_template.h"
#include "twice.h"
#define FC_TEMPLATE "gradient_template.h"
#include "twice.h"
#define FC_TEMPLATE "dot_template.h"
#include "twice.h"
#define FC_TEMPLATE "overlap_template.h"
#include "twice.h"
#define FC_TEMPLATE "transpose_template.h"
#include "twice.h"

#endif
