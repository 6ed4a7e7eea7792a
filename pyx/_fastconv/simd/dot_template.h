/* Register tiles of dot products: vectors run along the reduction, and a tile shares its loads
 * among up to four vectors on one side and FC_DOT_COLUMNS on the other.
 *
 * Included once per type by tile.h with REAL and NAME defined.
 */

#define VEC NAME(fc_v)
#define IVEC NAME(fc_i)
#define LANES ((int)(FC_BYTES / sizeof(REAL)))

/* ---- dot products: `rows` vectors a against `columns` vectors b, both contiguous ---- */

/* The last vector of a stretch that is no multiple of LANES ends with it; `last` are its lanes
 * that no vector before holds. */
FC_INLINE VEC NAME(fc_load_end)(const REAL *end, IVEC last) {
    return (VEC)((IVEC)NAME(fc_load)(end - LANES) & last);
}

#define FC_DOT_ROWS 4
#define FC_DOT_COLUMNS (FC_ROWS / 2)   /* 3 or 6 */

/* totals[i] = the sum of the lanes of sums[i][column]. */
FC_INLINE void NAME(fc_sum_lanes)(const int rows, VEC sums[FC_DOT_ROWS][FC_DOT_COLUMNS],
                                  const int column, REAL totals[FC_DOT_ROWS]) {
    VEC v[FC_DOT_ROWS];
    FC_UNROLL
    for (int i = 0; i < FC_DOT_ROWS; i++) v[i] = i < rows ? sums[i][column] : (VEC){0};
    NAME(fc_sum_four)(v[0], v[1], v[2], v[3], totals);
}

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
    FC_UNROLL
    for (int j = 0; j < columns; j++) {
        REAL total[FC_DOT_ROWS];
        NAME(fc_sum_lanes)(rows, sums, j, total);
        for (int i = 0; i < rows; i++) {
            REAL sum = total[i];
            for (ptrdiff_t rest = l; rest < length; rest++)
                sum += a[i * a_step + rest] * b[j * b_step + rest];
            REAL *target = out + i * out_row + j * out_column;
            *target = accumulate ? *target + sum : sum;
        }
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
                                       float limit, REAL *out, ptrdiff_t out_step) {
    enum { PAIRS = FC_DOT_ROWS * FC_DOT_COLUMNS };
    VEC sums[PAIRS + 3]; /* by pixel and filter, and what fills the last four */
    REAL totals[PAIRS + 3];
    IVEC last;
    ptrdiff_t depth = (ptrdiff_t)runs * length;
    for (int lane = 0; lane < LANES; lane++) last[lane] = -(lane >= LANES - length % LANES);
    FC_UNROLL
    for (int pair = 0; pair < rows * columns + 3; pair++) sums[pair] = (VEC){0};
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
                for (int i = 0; i < rows; i++) sums[i * columns + j] += left[i] * right;
            }
        }
        if (l == length) continue;
        VEC left[FC_DOT_ROWS];
        FC_UNROLL
        for (int i = 0; i < rows; i++) left[i] = NAME(fc_load_end)(a + i * step + length, last);
        FC_UNROLL
        for (int j = 0; j < columns; j++) {
            VEC right = NAME(fc_load_end)(b + j * depth + length, last);
            FC_UNROLL
            for (int i = 0; i < rows; i++) sums[i * columns + j] += left[i] * right;
        }
    }
    FC_UNROLL
    for (int pair = 0; pair < rows * columns; pair += 4)
        NAME(fc_sum_four)(sums[pair], sums[pair + 1], sums[pair + 2], sums[pair + 3],
                          totals + pair);
    /* No branch: it would be guessed wrong for half of the outputs. */
    const REAL least = limit > 0 ? 0 : -INFINITY, most = limit > 0 ? limit : INFINITY;
    FC_UNROLL
    for (int i = 0; i < rows; i++)
        FC_UNROLL
        for (int j = 0; j < columns; j++) {
            REAL sum = totals[i * columns + j] + bias[j];
            sum = sum < least ? least : sum;
            out[i * out_step + j] = sum > most ? most : sum;
        }
}

#define FC_DOTS_CASE(rows, columns)                                                            \
    case rows:                                                                                 \
        NAME(fc_conv_dots_body)(rows, columns, pixel, step, run_offset, runs, length, weights, \
                                bias, limit, out, out_step);                                    \
        break;
#define FC_DOTS_CASES(count)                                                                   \
    case count:                                                                                \
        switch (rows) {                                                                        \
            FC_DOTS_CASE(1, count)                                                             \
            FC_DOTS_CASE(2, count)                                                             \
            FC_DOTS_CASE(3, count)                                                             \
            FC_DOTS_CASE(4, count)                                                             \
        }                                                                                      \
        break;

/* out[i][j] = [clipped](bias[j] + the runs of pixel i . the weights of filter j), for 1 to
 * FC_DOT_COLUMNS columns and a run of at least LANES values; a sum never depends on which tile it
 * fell into. */
FC_LEAF void NAME(fc_conv_dots)(int rows, int columns, const REAL *pixel, ptrdiff_t step,
                                const ptrdiff_t *run_offset, int runs, int length,
                                const REAL *weights, const REAL *bias, float limit, REAL *out,
                                ptrdiff_t out_step) {
    switch (columns) {
        FC_DOTS_CASES(1)
        FC_DOTS_CASES(2)
        FC_DOTS_CASES(3)
#if FC_DOT_COLUMNS > 3
        FC_DOTS_CASES(4)
        FC_DOTS_CASES(5)
        FC_DOTS_CASES(6)
#endif
    }
}
#undef FC_DOTS_CASES
#undef FC_DOTS_CASE

#undef IVEC
#undef VEC
#undef LANES
