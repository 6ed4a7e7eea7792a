/* Register tiles: the innermost loops of convolution and dense layers.
 *
 * A tile keeps ROWS x 1 or 2 vectors of sums in registers while it walks a
 * reduction; per step it loads one or two vectors of one operand and
 * broadcasts ROWS numbers of the other, so that 2 * ROWS multiply-adds share
 * ROWS + 2 loads.  Tiles with fewer rows exist for the edges: each entry point
 * switches on the number of rows and inlines a body with constant bounds.
 *
 * Included once per type by tile.h with REAL and NAME defined.
 */

#define VEC NAME(fc_v)
#define VECU NAME(fc_u)
#define VECI NAME(fc_i)
#define LANES ((int)(FC_BYTES / sizeof(REAL)))

FC_INLINE VEC NAME(fc_load)(const REAL *p) { return *(const VECU *)p; }
FC_INLINE void NAME(fc_store)(REAL *p, VEC v) { *(VECU *)p = v; }
FC_INLINE VEC NAME(fc_splat)(REAL s) { return s - (VEC){0}; }
/* A NaN stays a NaN: the comparison is false for it. */
FC_INLINE VEC NAME(fc_relu)(VEC v) { return (VEC)((VECI)v & ~(v < (VEC){0})); }

FC_INLINE void NAME(fc_store_some)(REAL *p, VEC v, int count) {
    if (count >= LANES) {
        NAME(fc_store)(p, v);
    } else if (count > 0) {
        /* Halves, quarters, …: a copy of unknown length is a call. */
        REAL lanes[LANES];
        int at = 0;
        NAME(fc_store)(lanes, v);
        FC_UNROLL
        for (int piece = LANES / 2; piece > 0; piece /= 2)
            if (count & piece) {
                memcpy(p + at, lanes + at, piece * sizeof(REAL));
                at += piece;
            }
    }
}

/* sums[i] += weights . pixel[i], over `runs` stretches of `length` contiguous values. */
FC_INLINE void NAME(fc_accumulate)(const int rows, const int vectors, VEC sums[][2],
                                   const REAL *const *pixel, const ptrdiff_t *run_offset,
                                   int runs, int length, const REAL *weights,
                                   ptrdiff_t weights_step) {
    for (int r = 0; r < runs; r++) {
        const REAL *p[FC_NARROW_ROWS];
        FC_UNROLL
        for (int i = 0; i < rows; i++) p[i] = pixel[i] + run_offset[r];
        for (int l = 0; l < length; l++) {
            VEC first = NAME(fc_load)(weights), second = first;
            if (vectors == 2) second = NAME(fc_load)(weights + LANES);
            weights += weights_step;
            FC_UNROLL
            for (int i = 0; i < rows; i++) {
                VEC value = NAME(fc_splat)(p[i][l]);
                sums[i][0] += first * value;
                if (vectors == 2) sums[i][1] += second * value;
            }
        }
    }
}

/* ---- convolution output: `rows` pixels by up to 2 vectors of channels ---- */

FC_INLINE void NAME(fc_conv_body)(const int rows, const int vectors, const REAL *const *pixel,
                                  REAL *const *out, const ptrdiff_t *run_offset, int runs,
                                  int length, const REAL *weights, ptrdiff_t weights_step,
                                  const REAL *start, int start_is_target, int channels,
                                  int relu) {
    VEC sums[FC_NARROW_ROWS][2];
    FC_UNROLL
    for (int i = 0; i < rows; i++) {
        const REAL *from = start_is_target ? out[i] : start;
        sums[i][0] = from ? NAME(fc_load)(from) : (VEC){0};
        if (vectors == 2) sums[i][1] = from ? NAME(fc_load)(from + LANES) : (VEC){0};
    }
    NAME(fc_accumulate)(rows, vectors, sums, pixel, run_offset, runs, length, weights,
                        weights_step);
    FC_UNROLL
    for (int i = 0; i < rows; i++) {
        for (int v = 0; v < vectors; v++) {
            VEC sum = relu ? NAME(fc_relu)(sums[i][v]) : sums[i][v];
            NAME(fc_store_some)(out[i] + v * LANES, sum, channels - v * LANES);
        }
    }
}

#define FC_CONV_CASE(n)                                                                        \
    case n:                                                                                    \
        if (vectors == 2)                                                                      \
            NAME(fc_conv_body)(n, 2, pixel, out, run_offset, runs, length, weights,            \
                               weights_step, start, start_is_target, channels, relu);          \
        else                                                                                   \
            NAME(fc_conv_body)(n, 1, pixel, out, run_offset, runs, length, weights,            \
                               weights_step, start, start_is_target, channels, relu);          \
        break;

#define FC_NARROW_CASE(n)                                                                      \
    case n:                                                                                    \
        NAME(fc_conv_body)(n, 1, pixel, out, run_offset, runs, length, weights, weights_step,  \
                           start, start_is_target, channels, relu);                            \
        break;

/* Up to FC_ROWS pixels of two vectors or FC_NARROW_ROWS of one:
 * out[i][0:channels] = [relu](start + sum over runs).  `start` is the bias (padded to whole
 * vectors) or NULL for zero; with start_is_target the sums go on from what out holds. */
FC_LEAF void NAME(fc_conv_tile)(int rows, int vectors, const REAL *const *pixel,
                                REAL *const *out, const ptrdiff_t *run_offset, int runs,
                                int length, const REAL *weights, ptrdiff_t weights_step,
                                const REAL *start, int start_is_target, int channels, int relu) {
    switch (rows) {
        FC_CONV_CASE(1)
        FC_CONV_CASE(2)
        FC_CONV_CASE(3)
        FC_CONV_CASE(4)
        FC_CONV_CASE(5)
        FC_CONV_CASE(6)
#if FC_ROWS == 6
        FC_NARROW_CASE(7)
        FC_NARROW_CASE(8)
#else
        FC_CONV_CASE(7)
        FC_CONV_CASE(8)
        FC_CONV_CASE(9)
        FC_CONV_CASE(10)
        FC_CONV_CASE(11)
        FC_CONV_CASE(12)
#endif
    }
}
#undef FC_CONV_CASE
#undef FC_NARROW_CASE

/* ---- convolution + bias + ReLU + 2x2 max pool: `windows` windows of four pixels ---- */

/* The maximum of four, cut at 0, and which it was (4: none is above 0).  The first of equals
 * wins; a NaN comes out, and is dead as in the ReLU by itself. */
FC_INLINE void NAME(fc_pool_store)(VEC first, VEC second, VEC third, VEC fourth, REAL *out,
                                   uint8_t *winners, int channels) {
    VEC upper = NAME(fc_max)(first, second), lower = NAME(fc_max)(third, fourth);
    VEC best = NAME(fc_max)(NAME(fc_max)(upper, lower), (VEC){0});
    VECI strange = ((first != first) | (second != second)) | ((third != third) | (fourth != fourth));
    NAME(fc_store_some)(out, (VEC)((VECI)best | strange), channels);
    if (winners && channels > 0) {
        VECI below = lower > upper;
        VECI right = NAME(fc_select)(below, fourth > third, second > first);
        VECI dead = ~(best > (VEC){0}) | strange;
        VECI winner = (right & 1) | (below & 2);
        winner = NAME(fc_select)(dead, (VECI){0} + 4, winner);
        if (channels >= LANES) {
            NAME(fc_store_bytes)(winners, winner);
        } else {
            uint8_t bytes[LANES];
            NAME(fc_store_bytes)(bytes, winner);
            memcpy(winners, bytes, (size_t)channels);
        }
    }
}

/* Windows side by side: their corners are `step` apart, their outputs `out_step`. */
FC_INLINE void NAME(fc_conv_pool_body)(const int windows, const int vectors, const REAL *corner,
                                       ptrdiff_t step, ptrdiff_t right, ptrdiff_t down, REAL *out,
                                       uint8_t *winners, ptrdiff_t out_step,
                                       const ptrdiff_t *run_offset, int runs, int length,
                                       const REAL *weights, const REAL *bias, int channels) {
    VEC sums[FC_ROWS][2];
    const REAL *pixel[FC_ROWS];
    FC_UNROLL
    for (int i = 0; i < 4 * windows; i++) {
        pixel[i] = corner + (i / 4) * step + (i & 1) * right + ((i >> 1) & 1) * down;
        sums[i][0] = NAME(fc_load)(bias);
        if (vectors == 2) sums[i][1] = NAME(fc_load)(bias + LANES);
    }
    NAME(fc_accumulate)(4 * windows, vectors, sums, pixel, run_offset, runs, length, weights,
                        vectors * LANES);
    FC_UNROLL
    for (int w = 0; w < windows; w++)
        FC_UNROLL
        for (int v = 0; v < vectors; v++)
            NAME(fc_pool_store)(sums[4 * w][v], sums[4 * w + 1][v], sums[4 * w + 2][v],
                                sums[4 * w + 3][v], out + w * out_step + v * LANES,
                                winners ? winners + w * out_step + v * LANES : NULL,
                                channels - v * LANES);
}

FC_INLINE void NAME(fc_conv_pool_line)(const int vectors, int windows, const REAL *corner,
                                       ptrdiff_t step, ptrdiff_t right, ptrdiff_t down, REAL *out,
                                       uint8_t *winners, ptrdiff_t out_step,
                                       const ptrdiff_t *run_offset, int runs, int length,
                                       const REAL *weights, const REAL *bias, int channels) {
    enum { SIDE_BY_SIDE = FC_ROWS / 4 };
    int w = 0;
    for (; w + SIDE_BY_SIDE <= windows; w += SIDE_BY_SIDE)
        NAME(fc_conv_pool_body)(SIDE_BY_SIDE, vectors, corner + w * step, step, right, down,
                                out + w * out_step, winners ? winners + w * out_step : NULL,
                                out_step, run_offset, runs, length, weights, bias, channels);
    for (; SIDE_BY_SIDE > 1 && w < windows; w++)
        NAME(fc_conv_pool_body)(1, vectors, corner + w * step, step, right, down,
                                out + w * out_step, winners ? winners + w * out_step : NULL,
                                out_step, run_offset, runs, length, weights, bias, channels);
}

/* A row of windows: out[w] = max(0, max of the window's four sums), winners[w] = which of them, 4
 * if none is > 0.  `winners` may be NULL. */
FC_LEAF void NAME(fc_conv_pool_row)(int windows, int vectors, const REAL *corner, ptrdiff_t step,
                                    ptrdiff_t right, ptrdiff_t down, REAL *out, uint8_t *winners,
                                    ptrdiff_t out_step, const ptrdiff_t *run_offset, int runs,
                                    int length, const REAL *weights, const REAL *bias,
                                    int channels) {
    if (vectors == 2)
        NAME(fc_conv_pool_line)(2, windows, corner, step, right, down, out, winners, out_step,
                                run_offset, runs, length, weights, bias, channels);
    else
        NAME(fc_conv_pool_line)(1, windows, corner, step, right, down, out, winners, out_step,
                                run_offset, runs, length, weights, bias, channels);
}

/* ---- kernel gradient: `rows` values of the input patch by up to 2 vectors of channels ---- */

FC_INLINE void NAME(fc_gradient_body)(const int rows, const int vectors, const REAL *x,
                                      ptrdiff_t x_step, ptrdiff_t x_line, const REAL *dy,
                                      ptrdiff_t dy_step, int lines, int pixels, REAL *sums_out,
                                      ptrdiff_t sums_step, int overwrite) {
    /* With few sums every second or fourth pixel has its own: one set would wait for itself. */
    enum { MOST = 4 };
    const int sets = rows * vectors <= 2 ? 4 : rows * vectors <= 6 ? 2 : 1;
    VEC sums[MOST][FC_ROWS][2];
    FC_UNROLL
    for (int s = 0; s < sets; s++)
        FC_UNROLL
        for (int i = 0; i < rows; i++)
            for (int v = 0; v < vectors; v++)
                sums[s][i][v] = overwrite || s ? (VEC){0}
                                               : NAME(fc_load)(sums_out + i * sums_step + v * LANES);
    for (int line = 0; line < lines; line++) {
        const REAL *p = x + line * x_line;
        int n = 0;
        for (; n + sets <= pixels; n += sets) {
            FC_UNROLL
            for (int s = 0; s < sets; s++) {
                VEC first = NAME(fc_load)(dy), second = first;
                if (vectors == 2) second = NAME(fc_load)(dy + LANES);
                dy += dy_step;
                FC_UNROLL
                for (int i = 0; i < rows; i++) {
                    VEC value = NAME(fc_splat)(p[i]);
                    sums[s][i][0] += first * value;
                    if (vectors == 2) sums[s][i][1] += second * value;
                }
                p += x_step;
            }
        }
        for (; sets > 1 && n < pixels; n++) {
            for (int v = 0; v < vectors; v++)
                FC_UNROLL
                for (int i = 0; i < rows; i++)
                    sums[0][i][v] += NAME(fc_load)(dy + v * LANES) * NAME(fc_splat)(p[i]);
            dy += dy_step;
            p += x_step;
        }
    }
    FC_UNROLL
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < vectors; v++) {
            VEC total = sums[0][i][v];
            FC_UNROLL
            for (int s = 1; s < sets; s++) total += sums[s][i][v];
            NAME(fc_store)(sums_out + i * sums_step + v * LANES, total);
        }
}

#define FC_GRADIENT_CASE(n)                                                                    \
    case n:                                                                                    \
        if (vectors == 2)                                                                      \
            NAME(fc_gradient_body)(n, 2, x, x_step, x_line, dy, dy_step, lines, pixels,        \
                                   sums_out, sums_step, overwrite);                            \
        else                                                                                   \
            NAME(fc_gradient_body)(n, 1, x, x_step, x_line, dy, dy_step, lines, pixels,        \
                                   sums_out, sums_step, overwrite);                            \
        break;

/* sums_out[i][:] (+)= sum over lines and pixels of x[line, pixel, i] * dy[line * pixels + pixel].
 * The x values of one pixel are contiguous; pixels are x_step and lines x_line apart. */
FC_LEAF void NAME(fc_gradient_tile)(int rows, int vectors, const REAL *x, ptrdiff_t x_step,
                                    ptrdiff_t x_line, const REAL *dy, ptrdiff_t dy_step,
                                    int lines, int pixels, REAL *sums_out, ptrdiff_t sums_step,
                                    int overwrite) {
    switch (rows) {
        FC_GRADIENT_CASE(1)
        FC_GRADIENT_CASE(2)
        FC_GRADIENT_CASE(3)
        FC_GRADIENT_CASE(4)
        FC_GRADIENT_CASE(5)
        FC_GRADIENT_CASE(6)
#if FC_ROWS > 6
        FC_GRADIENT_CASE(7)
        FC_GRADIENT_CASE(8)
        FC_GRADIENT_CASE(9)
        FC_GRADIENT_CASE(10)
        FC_GRADIENT_CASE(11)
        FC_GRADIENT_CASE(12)
#endif
    }
}
#undef FC_GRADIENT_CASE

/* ---- packing: `count` values of each of `pixels` pixels, rows of `pitch` values ---- */

#define FC_COPY_CASE(n)                                                                        \
    case n:                                                                                    \
        for (int i = 0; i < pixels; i++)                                                       \
            memcpy(to + (ptrdiff_t)i * pitch, from + i * step, n * sizeof(REAL));              \
        break;

/* Every usual count has a loop of its own: a copy of unknown length costs more than the values
 * it moves. */
FC_LEAF void NAME(fc_copy_pixels)(const REAL *from, ptrdiff_t step, int pixels, int count,
                                  REAL *to, int pitch) {
    switch (count) {
        FC_COPY_CASE(1)
        FC_COPY_CASE(2)
        FC_COPY_CASE(3)
        FC_COPY_CASE(4)
        FC_COPY_CASE(5)
        FC_COPY_CASE(6)
        FC_COPY_CASE(7)
        FC_COPY_CASE(8)
        FC_COPY_CASE(9)
        FC_COPY_CASE(10)
        FC_COPY_CASE(11)
        FC_COPY_CASE(12)
        FC_COPY_CASE(13)
        FC_COPY_CASE(14)
        FC_COPY_CASE(15)
        FC_COPY_CASE(16)
        FC_COPY_CASE(32)
        default:
            for (int i = 0; i < pixels; i++)
                for (int k = 0; k < count; k++) to[(ptrdiff_t)i * pitch + k] = from[i * step + k];
    }
}
#undef FC_COPY_CASE

FC_LEAF void NAME(fc_zero_pixels)(REAL *to, int pitch, int pixels, int count) {
    for (int i = 0; i < pixels; i++)
        for (int k = 0; k < count; k++) to[(ptrdiff_t)i * pitch + k] = 0;
}

/* sums[0:count] += the pixels, each of `vectors` vectors. */
FC_LEAF void NAME(fc_add_pixels)(const REAL *from, int vectors, int pixels, REAL *sums,
                                 int count) {
    VEC total[2] = {{0}, {0}};
    REAL lanes[2 * LANES];
    for (int i = 0; i < pixels; i++) {
        total[0] += NAME(fc_load)(from);
        if (vectors == 2) total[1] += NAME(fc_load)(from + LANES);
        from += vectors * LANES;
    }
    NAME(fc_store)(lanes, total[0]);
    NAME(fc_store)(lanes + LANES, total[1]);
    for (int k = 0; k < count; k++) sums[k] += lanes[k];
}

/* ---- dot products: `rows` vectors a against `columns` vectors b, both contiguous ---- */

FC_INLINE REAL NAME(fc_sum_lanes)(VEC v) {
    REAL lanes[LANES];
    NAME(fc_store)(lanes, v);
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++) lanes[i] += lanes[i + half];
    return lanes[0];
}

#define FC_DOT_ROWS 4
#define FC_DOT_COLUMNS (FC_ROWS / 2)

FC_INLINE void NAME(fc_dot_body)(const int rows, const int columns, const REAL *a,
                                 ptrdiff_t a_step, const REAL *b, ptrdiff_t b_step,
                                 ptrdiff_t length, REAL *out, ptrdiff_t out_row,
                                 ptrdiff_t out_column, int accumulate) {
    VEC sums[FC_DOT_ROWS][FC_DOT_COLUMNS];
    FC_UNROLL
    for (int i = 0; i < rows; i++)
        FC_UNROLL
        for (int j = 0; j < columns; j++) sums[i][j] = (VEC){0};
    ptrdiff_t l = 0;
    for (; l + LANES <= length; l += LANES) {
        VEC left[FC_DOT_ROWS];
        FC_UNROLL
        for (int i = 0; i < rows; i++) left[i] = NAME(fc_load)(a + i * a_step + l);
        FC_UNROLL
        for (int j = 0; j < columns; j++) {
            VEC right = NAME(fc_load)(b + j * b_step + l);
            FC_UNROLL
            for (int i = 0; i < rows; i++) sums[i][j] += left[i] * right;
        }
    }
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++) {
            REAL sum = NAME(fc_sum_lanes)(sums[i][j]);
            for (ptrdiff_t rest = l; rest < length; rest++)
                sum += a[i * a_step + rest] * b[j * b_step + rest];
            REAL *target = out + i * out_row + j * out_column;
            *target = accumulate ? *target + sum : sum;
        }
}

/* out[i, j] (+)= a[i] . b[j] for up to FC_DOT_ROWS x FC_DOT_COLUMNS pairs; an edge is made of
 * narrower tiles, so that a sum never depends on which tile it fell into. */
FC_LEAF void NAME(fc_dot_tile)(int rows, int columns, const REAL *a, ptrdiff_t a_step,
                               const REAL *b, ptrdiff_t b_step, ptrdiff_t length, REAL *out,
                               ptrdiff_t out_row, ptrdiff_t out_column, int accumulate) {
    if (rows == FC_DOT_ROWS && columns == FC_DOT_COLUMNS) {
        NAME(fc_dot_body)(FC_DOT_ROWS, FC_DOT_COLUMNS, a, a_step, b, b_step, length, out,
                          out_row, out_column, accumulate);
    } else if (rows == FC_DOT_ROWS) {
        for (int j = 0; j < columns; j++)
            NAME(fc_dot_body)(FC_DOT_ROWS, 1, a, a_step, b + j * b_step, b_step, length,
                              out + j * out_column, out_row, out_column, accumulate);
    } else {
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < columns; j++)
                NAME(fc_dot_body)(1, 1, a + i * a_step, a_step, b + j * b_step, b_step, length,
                                  out + i * out_row + j * out_column, out_row, out_column,
                                  accumulate);
    }
}

/* ---- convolution of few filters: dot products along the runs of up to 4 pixels ---- */

FC_INLINE void NAME(fc_conv_dots_body)(const int rows, const int columns, const REAL *pixel,
                                       ptrdiff_t step, const ptrdiff_t *run_offset, int runs,
                                       int length, const REAL *weights, const REAL *bias,
                                       int relu, REAL *out, ptrdiff_t out_step) {
    VEC sums[FC_DOT_ROWS][FC_DOT_COLUMNS];
    REAL rest[FC_DOT_ROWS][FC_DOT_COLUMNS];
    ptrdiff_t depth = (ptrdiff_t)runs * length;
    FC_UNROLL
    for (int i = 0; i < rows; i++)
        FC_UNROLL
        for (int j = 0; j < columns; j++) {
            sums[i][j] = (VEC){0};
            rest[i][j] = bias[j];
        }
    for (int r = 0; r < runs; r++) {
        const REAL *a = pixel + run_offset[r], *b = weights + (ptrdiff_t)r * length;
        int l = 0;
        for (; l + LANES <= length; l += LANES) {
            VEC left[FC_DOT_ROWS];
            FC_UNROLL
            for (int i = 0; i < rows; i++) left[i] = NAME(fc_load)(a + i * step + l);
            FC_UNROLL
            for (int j = 0; j < columns; j++) {
                VEC right = NAME(fc_load)(b + j * depth + l);
                FC_UNROLL
                for (int i = 0; i < rows; i++) sums[i][j] += left[i] * right;
            }
        }
        for (; l < length; l++)
            for (int i = 0; i < rows; i++)
                for (int j = 0; j < columns; j++) rest[i][j] += a[i * step + l] * b[j * depth + l];
    }
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++) {
            REAL sum = rest[i][j] + NAME(fc_sum_lanes)(sums[i][j]);
            out[i * out_step + j] = relu && sum < 0 ? 0 : sum;
        }
}

#define FC_DOTS_CASE(rows, columns)                                                            \
    case rows:                                                                                 \
        NAME(fc_conv_dots_body)(rows, columns, pixel, step, run_offset, runs, length, weights, \
                                bias, relu, out, out_step);                                    \
        break;

/* out[i][j] = [relu](bias[j] + the runs of pixel i . the weights of filter j); a sum never depends
 * on which tile it fell into. */
FC_LEAF void NAME(fc_conv_dots)(int rows, int columns, const REAL *pixel, ptrdiff_t step,
                                const ptrdiff_t *run_offset, int runs, int length,
                                const REAL *weights, const REAL *bias, int relu, REAL *out,
                                ptrdiff_t out_step) {
    if (columns == FC_DOT_COLUMNS) {
        switch (rows) {
            FC_DOTS_CASE(1, FC_DOT_COLUMNS)
            FC_DOTS_CASE(2, FC_DOT_COLUMNS)
            FC_DOTS_CASE(3, FC_DOT_COLUMNS)
            FC_DOTS_CASE(4, FC_DOT_COLUMNS)
        }
        return;
    }
    if (columns == 2) {
        switch (rows) {
            FC_DOTS_CASE(1, 2)
            FC_DOTS_CASE(2, 2)
            FC_DOTS_CASE(3, 2)
            FC_DOTS_CASE(4, 2)
        }
        return;
    }
    for (; columns > 0; columns--) {
        switch (rows) {
            FC_DOTS_CASE(1, 1)
            FC_DOTS_CASE(2, 1)
            FC_DOTS_CASE(3, 1)
            FC_DOTS_CASE(4, 1)
        }
        weights += (ptrdiff_t)runs * length;
        bias++;
        out++;
    }
}
#undef FC_DOTS_CASE

#undef VEC
#undef VECU
#undef VECI
#undef LANES
