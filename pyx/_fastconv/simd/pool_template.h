/* One row of pooling, vectors along the channels: a window is reduced in registers, and the
 * gradient of an input pixel is gathered from the windows that cover it, so that every value
 * is written once.
 *
 * The last vector of a pixel overlaps the one before.  With fewer channels than a vector it runs
 * on into the next pixels, which come after it and are written after it; only near the end of
 * a row or an array is it cut.
 *
 * Included once per type by pool.h with REAL and NAME defined.
 */

#define VEC NAME(fc_v)
#define VECI NAME(fc_i)
#define LANES ((int)(FC_BYTES / sizeof(REAL)))
#define IS_FLOAT (sizeof(REAL) == sizeof(float))
/* The largest and the least positive number with all its bits; and the least norm all of whose
 * squares count: of those that are lost beside it a thousand would not change its last bit. */
#define LARGEST ((REAL)(IS_FLOAT ? __FLT_MAX__ : __DBL_MAX__))
#define LEAST ((REAL)(IS_FLOAT ? __FLT_MIN__ : __DBL_MIN__))
#define LEAST_NORM ((REAL)(IS_FLOAT ? 0x1p-45 : 0x1p-480))

/* Load what is `left` of an array; where `wide`, that is a vector at least. */
FC_INLINE VEC NAME(fc_load_left)(const int wide, const REAL *p, ptrdiff_t left) {
    if (wide || left >= LANES) return NAME(fc_load)(p);
    REAL lanes[LANES] = {0};
    memcpy(lanes, p, (size_t)left * sizeof(REAL));
    return NAME(fc_load)(lanes);
}

FC_INLINE VECI NAME(fc_load_bytes_left)(const int wide, const uint8_t *p, ptrdiff_t left) {
    if (wide || left >= LANES) return NAME(fc_load_bytes)(p);
    uint8_t lanes[LANES] = {0};
    memcpy(lanes, p, (size_t)left);
    return NAME(fc_load_bytes)(lanes);
}

/* ---- forward ---- */

/* A window of rows x columns pixels as one vector of channels sees it. */
typedef struct {
    const REAL *x;
    ptrdiff_t left; /* readable values from x on */
    int position;   /* of the first pixel in the whole window */
    REAL scale;
    REAL *y;
    uint8_t *argmax;
    int count; /* lanes wanted */
} NAME(fc_window);

/* Whether no sum of these means or norms can have left the range of the type. */
FC_INLINE int NAME(fc_pool_in_range)(const int kind, VEC y) {
    const REAL least = kind == FC_L2 ? LEAST_NORM : -LARGEST;
    return NAME(fc_all)((y >= NAME(fc_splat)(least)) & (y <= NAME(fc_splat)(LARGEST)));
}

/* Means and norms again, by numbers that the largest of their window is divided out of, where
 * their sums were too large or too small.  Zeros, infinities and NaNs stay. */
FC_LEAF void NAME(fc_pool_again)(int kind, int rows, int columns, const fc_pool *g,
                                 NAME(fc_window) w) {
    ptrdiff_t line = (ptrdiff_t)g->width * g->channels;
    int count = w.count < g->channels ? w.count : g->channels;
    VEC largest = {0};
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++) {
            ptrdiff_t at = i * line + (ptrdiff_t)j * g->channels;
            VEC v = NAME(fc_load_left)(0, w.x + at, w.left - at);
            largest = NAME(fc_max)(largest, NAME(fc_max)(v, -v));
        }
    for (int c = 0; c < count; c++) {
        int in_range = w.y[c] >= (kind == FC_L2 ? LEAST_NORM : -LARGEST) && w.y[c] <= LARGEST;
        if (in_range || !(largest[c] > 0 && largest[c] <= LARGEST)) continue;
        double sum = 0;
        int exponent;
        (void)frexp((double)largest[c], &exponent);
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < columns; j++) {
                REAL value = w.x[i * line + (ptrdiff_t)j * g->channels + c];
                double v = ldexp((double)value, -exponent);
                sum += kind == FC_L2 ? v * v : v;
            }
        sum = kind == FC_L2 ? sqrt(sum) : sum / ((double)rows * columns);
        w.y[c] = (REAL)ldexp(sum, exponent);
    }
}

FC_INLINE void NAME(fc_pool_finish)(const int kind, const int keep, const int wide, int rows,
                                    int columns, const fc_pool *g, NAME(fc_window) w, VEC best,
                                    VECI argmax_at) {
    if (kind == FC_AVERAGE) best *= NAME(fc_splat)(w.scale);
    if (kind == FC_L2)
        for (int l = 0; l < LANES; l++) best[l] = (REAL)__builtin_sqrt((double)best[l]);
    NAME(fc_store_some)(w.y, best, wide ? LANES : w.count);
    if (keep) {
        if (g->relu_input)
            argmax_at = NAME(fc_select)(best > (VEC){0}, argmax_at, (VECI){0} + FC_NO_ARGMAX);
        NAME(fc_store_some_bytes)(w.argmax, argmax_at, wide ? LANES : w.count);
    }
    if (kind != FC_MAX && !NAME(fc_pool_in_range)(kind, best))
        NAME(fc_pool_again)(kind, rows, columns, g, w);
}

FC_INLINE void NAME(fc_pool_vector)(const int kind, const int keep, const int wide,
                                    const int rows, const int columns, const fc_pool *g,
                                    NAME(fc_window) w) {
    ptrdiff_t line = (ptrdiff_t)g->width * g->channels;
    VEC best = kind == FC_MAX ? NAME(fc_load_left)(wide, w.x, w.left) : (VEC){0};
    VECI argmax_at = (VECI){0} + w.position;
    for (int i = 0; i < rows; i++) {
        for (int j = 0; j < columns; j++) {
            if (kind == FC_MAX && i == 0 && j == 0) continue;
            ptrdiff_t at = i * line + (ptrdiff_t)j * g->channels;
            VEC v = NAME(fc_load_left)(wide, w.x + at, w.left - at);
            if (kind == FC_AVERAGE) {
                best += v;
            } else if (kind == FC_L2) {
                best += v * v;
            } else {
                /* Larger, or the first NaN: that wins for good. */
                VECI larger = ~(v <= best) & (best == best);
                best = (VEC)NAME(fc_select)(larger, (VECI)v, (VECI)best);
                if (keep)
                    argmax_at = NAME(fc_select)(
                        larger, (VECI){0} + (w.position + i * g->window_columns + j), argmax_at);
            }
        }
    }
    NAME(fc_pool_finish)(kind, keep, wide, rows, columns, g, w, best, argmax_at);
}

/* The same for four vectors of a large window at once: one would wait for its own sums, and walk
 * through the image for a part of a cache line each time.  Channels must fill them. */
FC_INLINE void NAME(fc_pool_vectors)(const int kind, const int keep, int rows, int columns,
                                     const fc_pool *g, NAME(fc_window) w) {
    enum { COUNT = FC_POOL_VECTORS };
    ptrdiff_t line = (ptrdiff_t)g->width * g->channels;
    VEC best[COUNT];
    VECI argmax_at[COUNT];
    FC_UNROLL
    for (int v = 0; v < COUNT; v++) {
        best[v] = kind == FC_MAX ? NAME(fc_load)(w.x + v * LANES) : (VEC){0};
        argmax_at[v] = (VECI){0} + w.position;
    }
    for (int i = 0; i < rows; i++) {
        const REAL *p = w.x + i * line;
        for (int j = 0; j < columns; j++) {
            FC_UNROLL
            for (int k = 0; k < COUNT; k++) {
                VEC v = NAME(fc_load)(p + k * LANES);
                if (kind == FC_AVERAGE) {
                    best[k] += v;
                } else if (kind == FC_L2) {
                    best[k] += v * v;
                } else {
                    VECI larger = ~(v <= best[k]) & (best[k] == best[k]);
                    best[k] = (VEC)NAME(fc_select)(larger, (VECI)v, (VECI)best[k]);
                    if (keep)
                        argmax_at[k] = NAME(fc_select)(
                            larger, (VECI){0} + (w.position + i * g->window_columns + j),
                            argmax_at[k]);
                }
            }
            p += g->channels;
        }
    }
    FC_UNROLL
    for (int k = 0; k < COUNT; k++) {
        NAME(fc_window) part = w;
        part.x += k * LANES;
        part.left -= k * LANES;
        part.y += k * LANES;
        part.argmax += keep ? k * LANES : 0;
        part.count = LANES;
        NAME(fc_pool_finish)(kind, keep, 1, rows, columns, g, part, best[k], argmax_at[k]);
    }
}

FC_INLINE void NAME(fc_pool_row_body)(const int kind, const int keep, const int wide,
                                      const fc_pool *g, const REAL *x, REAL *y,
                                      uint8_t *argmax, int row) {
    int top, bottom, left, right, channels = g->channels;
    ptrdiff_t size = (ptrdiff_t)g->height * g->width * channels;
    fc_clip(row, g->row_stride, g->top, g->window_rows, g->height, &top, &bottom);
    for (int column = 0; column < g->columns; column++) {
        fc_clip(column, g->column_stride, g->left, g->window_columns, g->width, &left, &right);
        int rows = bottom - top, columns = right - left, position = 0;
        ptrdiff_t pixels = (ptrdiff_t)rows * columns;
        /* Of a window of more places than a byte has numbers nobody asks. */
        if (keep)
            position = (top - (row * g->row_stride - g->top)) * g->window_columns + left -
                       (column * g->column_stride - g->left);
        REAL scale = kind == FC_AVERAGE ? (REAL)1 / (REAL)pixels : (REAL)1;
        ptrdiff_t base = ((ptrdiff_t)top * g->width + left) * channels;
        ptrdiff_t place = (ptrdiff_t)column * channels;
        ptrdiff_t room = (ptrdiff_t)g->columns * channels - place; /* to the row's end */
        for (int begin = 0; begin < channels;) {
            int several = wide && pixels >= FC_LARGE_WINDOW &&
                          begin + FC_POOL_VECTORS * LANES <= channels;
            int c = wide && begin + LANES > channels ? channels - LANES : begin;
            NAME(fc_window) w = {x + base + c, size - base - c, position, scale, y + place + c,
                                 keep ? argmax + place + c : NULL,
                                 room < LANES ? (int)room : LANES};
            begin += several ? FC_POOL_VECTORS * LANES : LANES;
            if (several)
                NAME(fc_pool_vectors)(kind, keep, rows, columns, g, w);
            else if (rows == 2 && columns == 2)
                NAME(fc_pool_vector)(kind, keep, wide, 2, 2, g, w);
            else if (rows == 3 && columns == 3)
                NAME(fc_pool_vector)(kind, keep, wide, 3, 3, g, w);
            else
                NAME(fc_pool_vector)(kind, keep, wide, rows, columns, g, w);
        }
    }
}

#define FC_POOL_ROW(kind, keep)                                                                \
    if (g->channels >= LANES)                                                                  \
        NAME(fc_pool_row_body)(kind, keep, 1, g, x, y, argmax, row);                          \
    else                                                                                       \
        NAME(fc_pool_row_body)(kind, keep, 0, g, x, y, argmax, row);

/* One output row of an image; `argmax` (or NULL) takes each maximum's place in its window. */
FC_LEAF void NAME(fc_pool_row)(const fc_pool *g, const REAL *x, REAL *y, uint8_t *argmax,
                               int row) {
    if (g->kind == FC_AVERAGE) {
        FC_POOL_ROW(FC_AVERAGE, 0)
    } else if (g->kind == FC_L2) {
        FC_POOL_ROW(FC_L2, 0)
    } else if (argmax) {
        FC_POOL_ROW(FC_MAX, 1)
    } else {
        FC_POOL_ROW(FC_MAX, 0)
    }
}
#undef FC_POOL_ROW

/* ---- backward ---- */

/* All channels of one input pixel: the sum over rows x columns windows, of which `position` is
 * the pixel's place in the first; `at` is that window's first channel, `room` the values to the
 * end of the row of dx. */
FC_INLINE void NAME(fc_pool_gradient_pixel)(const int kind, const int wide, const int rows,
                                            const int columns, const fc_pool *g, const REAL *dy,
                                            const uint8_t *argmax, const REAL *norm,
                                            const REAL *x, REAL *dx, ptrdiff_t at, int position,
                                            ptrdiff_t room) {
    int channels = g->channels;
    ptrdiff_t line = (ptrdiff_t)g->columns * channels, size = g->rows * line;
    for (int begin = 0; begin < channels; begin += LANES) {
        int c = wide && begin + LANES > channels ? channels - LANES : begin;
        int count = wide || room >= LANES ? LANES : (int)room;
        VEC sum = {0}, pixel = {0};
        if (kind == FC_L2_APART) pixel = NAME(fc_load_left)(wide, x + c, count);
        for (int i = 0; i < rows; i++) {
            for (int j = 0; j < columns; j++) {
                ptrdiff_t from = at + c + i * line + (ptrdiff_t)j * channels;
                VEC v = NAME(fc_load_left)(wide, dy + from, size - from);
                if (kind == FC_MAX) {
                    VECI place = NAME(fc_load_bytes_left)(wide, argmax + from, size - from);
                    int wanted = position - i * g->row_stride * g->window_columns -
                                 j * g->column_stride;
                    v = (VEC)((VECI)v & (place == (VECI){0} + wanted));
                }
                if (kind == FC_L2_APART) {
                    VEC n = NAME(fc_load_left)(wide, norm + from, size - from);
                    v = (VEC)((VECI)(v * (pixel / n)) & (n != (VEC){0}));
                }
                sum += v;
            }
        }
        if (kind == FC_L2) sum *= NAME(fc_load_left)(wide, x + c, count);
        NAME(fc_store_some)(dx + c, sum, count);
    }
}

#define FC_WINDOWS_CASE(i, j)                                                                  \
    if (rows == i && columns == j)                                                             \
        NAME(fc_pool_gradient_pixel)(kind, wide, i, j, g, dy, argmax, norm, x + place,        \
                                     dx + place, at, position, room);                          \
    else

FC_INLINE void NAME(fc_pool_gradient_body)(const int kind, const int wide, const fc_pool *g,
                                           const REAL *dy, const uint8_t *argmax,
                                           const REAL *norm, const REAL *x, REAL *dx,
                                           int first_row, int rows, int row_position) {
    int begin = 0, end = 0; /* the windows that cover the pixel, as it moves along the row */
    for (int column = 0; column < g->width; column++) {
        int shifted = column + g->left;
        while (begin < g->columns && begin * g->column_stride + g->window_columns <= shifted)
            begin++;
        while (end < g->columns && end * g->column_stride <= shifted) end++;
        int columns = end > begin ? end - begin : 0;
        int position = 0;
        if (kind == FC_MAX)
            position = row_position * g->window_columns + shifted - begin * g->column_stride;
        ptrdiff_t place = (ptrdiff_t)column * g->channels;
        ptrdiff_t room = (ptrdiff_t)(g->width - column) * g->channels;
        ptrdiff_t at = ((ptrdiff_t)first_row * g->columns + begin) * g->channels;
        FC_WINDOWS_CASE(1, 1)
        FC_WINDOWS_CASE(1, 2)
        FC_WINDOWS_CASE(2, 1)
        FC_WINDOWS_CASE(2, 2)
        NAME(fc_pool_gradient_pixel)(kind, wide, rows, columns, g, dy, argmax, norm, x + place,
                                     dx + place, at, position, room);
    }
}
#undef FC_WINDOWS_CASE

#define FC_GRADIENT_ROW(kind)                                                                  \
    if (g->channels >= LANES)                                                                  \
        NAME(fc_pool_gradient_body)(kind, 1, g, dy, argmax, norm, x, dx, first, rows,         \
                                    position);                                                 \
    else                                                                                       \
        NAME(fc_pool_gradient_body)(kind, 0, g, dy, argmax, norm, x, dx, first, rows, position);

/* One row of dx.  `dy` is an image's gradient, for average and L2 pooling already divided by the
 * number of pixels or the norm; but not for FC_L2_APART, which takes the `norm`.  `x` and `dx` are
 * the rows, x for L2 pooling alone. */
FC_LEAF void NAME(fc_pool_gradient_row)(const fc_pool *g, const REAL *dy, const uint8_t *argmax,
                                        const REAL *norm, const REAL *x, REAL *dx, int row) {
    int shifted = row + g->top, first = shifted - g->window_rows + 1, last;
    first = first > 0 ? (first + g->row_stride - 1) / g->row_stride : 0;
    last = shifted / g->row_stride + 1 < g->rows ? shifted / g->row_stride + 1 : g->rows;
    int rows = last > first ? last - first : 0, position = shifted - first * g->row_stride;
    if (g->kind == FC_MAX) {
        FC_GRADIENT_ROW(FC_MAX)
    } else if (g->kind == FC_AVERAGE) {
        FC_GRADIENT_ROW(FC_AVERAGE)
    } else if (g->kind == FC_L2) {
        FC_GRADIENT_ROW(FC_L2)
    } else {
        FC_GRADIENT_ROW(FC_L2_APART)
    }
}
#undef FC_GRADIENT_ROW

/* Rows [first, last) of dx by max pooling with fewer channels than a vector: every window adds
 * its gradient where its maximum lies; windows in their order, as above. */
FC_LEAF void NAME(fc_pool_scatter)(const fc_pool *g, const REAL *dy, const uint8_t *argmax,
                                   REAL *dx, int first, int last) {
    int channels = g->channels, begin = first + g->top - g->window_rows + 1;
    ptrdiff_t line = (ptrdiff_t)g->width * channels, offset[FC_NO_ARGMAX + 1];
    int down[FC_NO_ARGMAX + 1];
    for (int w = 0; w < g->window_rows * g->window_columns; w++) {
        down[w] = w / g->window_columns;
        offset[w] = down[w] * line + (ptrdiff_t)(w % g->window_columns) * channels;
    }
    memset(dx + first * line, 0, (size_t)((last - first) * line) * sizeof(REAL));
    begin = begin > 0 ? (begin + g->row_stride - 1) / g->row_stride : 0;
    for (int row = begin; row < g->rows && row * g->row_stride - g->top < last; row++) {
        int top = row * g->row_stride - g->top;
        int whole = !g->relu_input && top >= first && top + g->window_rows <= last;
        for (int column = 0; column < g->columns; column++) {
            ptrdiff_t at = ((ptrdiff_t)row * g->columns + column) * channels;
            REAL *corner =
                dx + top * line + (ptrdiff_t)(column * g->column_stride - g->left) * channels;
            for (int c = 0; c < channels; c++) {
                int w = argmax[at + c];
                if (whole || (w != FC_NO_ARGMAX && top + down[w] >= first && top + down[w] < last))
                    corner[offset[w] + c] += dy[at + c];
            }
        }
    }
}

/* dy over the number of pixels of its window (average) or over its norm y, 0 where that is; return
 * how many are out of the range of the type though dy is not. */
FC_LEAF int NAME(fc_pool_share_row)(const fc_pool *g, const REAL *dy, const REAL *y, REAL *shares,
                                    int row) {
    int top, bottom, left, right, channels = g->channels, strayed = 0;
    if (g->kind == FC_L2) {
        for (ptrdiff_t i = 0; i < (ptrdiff_t)g->columns * channels; i++) {
            REAL share = y[i] != 0 ? dy[i] / y[i] : (REAL)0, size = share < 0 ? -share : share;
            shares[i] = share;
            strayed += ((size < LEAST) & (dy[i] != 0) & (y[i] != 0)) | (size > LARGEST);
        }
        return strayed;
    }
    fc_clip(row, g->row_stride, g->top, g->window_rows, g->height, &top, &bottom);
    for (int column = 0; column < g->columns; column++) {
        fc_clip(column, g->column_stride, g->left, g->window_columns, g->width, &left, &right);
        REAL scale = (REAL)1 / (REAL)((ptrdiff_t)(bottom - top) * (right - left));
        for (int c = 0; c < channels; c++)
            shares[(ptrdiff_t)column * channels + c] =
                dy[(ptrdiff_t)column * channels + c] * scale;
    }
    return 0;
}

#undef VEC
#undef VECI
#undef LANES
#undef IS_FLOAT
#undef LARGEST
#undef LEAST
#undef LEAST_NORM
