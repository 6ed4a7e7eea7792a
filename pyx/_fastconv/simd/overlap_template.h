/* Overlap-add: a row of pixels out of sums whose lanes are (kernel column, channel).
 *
 * Included once per type by tile.h with REAL and NAME defined.
 */

#define VEC NAME(fc_v)
#define LANES ((int)(FC_BYTES / sizeof(REAL)))

/* out[p] = the sum of all that reach pixel p: of `column` by `kernel_column`, of the column
 * before by kernel_column + stride, and so on; the next pixel's begin one kernel column later.
 * `pixel` values lie between two columns of sums, groups of (kernel column, channel) within.
 *
 * A pixel is gathered in registers, not added up in memory: a load would wait for the stores that
 * it overlaps.  A pixel's last vector is stored whole, the next overwrites what is not its. */
FC_LEAF void NAME(fc_overlap_add)(const REAL *sums, int columns, ptrdiff_t pixel, int groups,
                                  int channels, int kernel_columns, int stride, int column,
                                  int kernel_column, int width, REAL *out) {
    const ptrdiff_t step = (ptrdiff_t)stride * channels - pixel;
    const ptrdiff_t group = (ptrdiff_t)kernel_columns * channels;
    const REAL *end = out + (ptrdiff_t)width * groups * channels;
    for (int p = 0; p < width; p++) {
        const int skipped = column < columns ? 0 : column - columns + 1;
        const int first = kernel_column + skipped * stride;
        int count = first < kernel_columns ? (kernel_columns - first + stride - 1) / stride : 0;
        if (count > column - skipped + 1) count = column - skipped + 1;
        const REAL *from = sums + (column - skipped) * pixel + (ptrdiff_t)first * channels;
        for (int g = 0; g < groups; g++, from += group) {
            for (int c = 0; c < channels; c += LANES) {
                VEC total = (VEC){0};
                for (int k = 0; k < count; k++) total += NAME(fc_load)(from + k * step + c);
                if (end - out - c >= LANES)
                    NAME(fc_store)(out + c, total);
                else
                    NAME(fc_store_some)(out + c, total, end - out - c);
            }
            out += channels;
        }
        if (++kernel_column == stride) {
            kernel_column = 0;
            column++;
        }
    }
}

#undef VEC
#undef LANES
