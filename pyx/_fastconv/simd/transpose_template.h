/* Rows and columns of a matrix exchanged, a square of vectors at a time.
 *
 * A step swaps the off-diagonal quarters of all squares of a size, the largest first: four steps of
 * sixteen shuffles transpose 16 x 16 floats, which one by one would be 256 loads and stores, and
 * each store to a cache line of its own.
 *
 * Included once per type by tile.h with REAL and NAME defined.
 */

#define VEC NAME(fc_v)
#define IVEC NAME(fc_i)
#define LANES ((int)(FC_BYTES / sizeof(REAL)))

/* Of fewer than LANES rows the others are 0. */
FC_INLINE void NAME(fc_transpose_square)(const REAL *from, ptrdiff_t from_step, int count,
                                         REAL *to, ptrdiff_t to_step) {
    VEC rows[LANES];
    FC_UNROLL
    for (int i = 0; i < LANES; i++)
        rows[i] = i < count ? NAME(fc_load)(from + i * from_step) : (VEC){0};
    FC_UNROLL
    for (int half = LANES / 2; half > 0; half /= 2) {
        IVEC upper, lower;
        FC_UNROLL
        for (int lane = 0; lane < LANES; lane++) {
            upper[lane] = lane & half ? LANES + lane - half : lane;
            lower[lane] = lane & half ? LANES + lane : lane + half;
        }
        FC_UNROLL
        for (int i = 0; i < LANES; i++) {
            if (i & half) continue;
            const VEC first = rows[i], second = rows[i + half];
            rows[i] = __builtin_shuffle(first, second, upper);
            rows[i + half] = __builtin_shuffle(first, second, lower);
        }
    }
    FC_UNROLL
    for (int i = 0; i < LANES; i++) NAME(fc_store)(to + i * to_step, rows[i]);
}

/* to[j][i] = from[i][j] for `rows` rows of `columns` values; the rows of `to` are whole vectors,
 * whose last lanes become 0. */
FC_LEAF void NAME(fc_transpose)(const REAL *from, ptrdiff_t from_step, int rows, int columns,
                                REAL *to, ptrdiff_t to_step) {
    for (int i = 0; i < rows; i += LANES, from += LANES * from_step, to += LANES) {
        const int count = rows - i < LANES ? rows - i : LANES;
        /* The last square lies over the one before it. */
        for (int j = 0; j < columns && columns >= LANES; j += LANES) {
            const int start = j + LANES <= columns ? j : columns - LANES;
            if (count == LANES) /* a constant: no load asks whether its row exists */
                NAME(fc_transpose_square)(from + start, from_step, LANES, to + start * to_step,
                                          to_step);
            else
                NAME(fc_transpose_square)(from + start, from_step, count, to + start * to_step,
                                          to_step);
        }
        for (int j = 0; j < columns && columns < LANES; j++)
            for (int lane = 0; lane < LANES; lane++)
                to[j * to_step + lane] = lane < count ? from[lane * from_step + j] : 0;
    }
}

#undef VEC
#undef IVEC
#undef LANES
