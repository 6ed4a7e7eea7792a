/* Register tiles of dot products: vectors run along the reduction, and a tile shares its loads
 * among up to four vectors on one side and FC_DOT_COLUMNS on the other.
 *
 * Included once per type by tile.h with REAL and NAME defined.
 */

#define VEC NAME(fc_v)
#define LANES ((int)(FC_BYTES / sizeof(REAL)))

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
#undef LANES
