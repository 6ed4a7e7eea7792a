/* Overlap-add: a row of pixels out of sums whose lanes are (kernel column, channel).
 *
 * Included once per type by tile.h with REAL and NAME defined.
 */

#define VEC NAME(fc_v)
#define LANES ((int)(FC_BYTES / sizeof(REAL)))

/* `count` columns of sums' pixels, `stride` of each, of up to a vector of channels, which all of the
 * kernel reaches: `from` are the first's sums, `back` leads from one to the next of the same pixel.
 * A third of the time that the conditions at a row's ends take. */
FC_INLINE void NAME(fc_overlap_inside)(int kernel_columns, int stride, const REAL *from,
                                       ptrdiff_t count, ptrdiff_t pixel, int channels,
                                       ptrdiff_t back, REAL *out) {
    for (; count > 0; count--, from += pixel) {
        const REAL *first = from;
        for (int column = 0; column < stride; column++, first += channels, out += channels) {
            VEC total = (VEC){0};
            const REAL *values = first;
            for (int k = column; k < kernel_columns; k += stride, values += back)
                total += NAME(fc_load)(values);
            NAME(fc_store)(out, total);
        }
    }
}

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
    /* Columns before one that reach its pixels, too. */
    const int reach = (kernel_columns - 1) / stride;
    int inner_ahead = groups == 1 && channels <= LANES;
    for (int p = 0; p < width; p++) {
        if (kernel_column == 0 && column >= reach && column < columns && inner_ahead) {
            const REAL *from = sums + column * pixel;
            /* Those whose last vector ends in the row. */
            ptrdiff_t inside = (end - out - LANES) / (stride * channels);
            if (inside > columns - column) inside = columns - column;
            inner_ahead = 0;
            if (inside > 0) {
                NAME(fc_overlap_inside)(kernel_columns, stride, from, inside, pixel, channels, step,
                                        out);
                column += inside;
                p += inside * stride;
                out += inside * stride * channels;
            }
        }
        const int skipped = column < columns ? 0 : column - columns + 1;
        const int first = kernel_column + skipped * stride;
        /* Behind the last kernel column with sums.  Not their count: a division for each pixel
         * would take longer than all the rest. */
        const int behind = first + (column - skipped + 1) * stride;
        const int past = behind < kernel_columns ? behind : kernel_columns;
        const REAL *from = sums + (column - skipped) * pixel + (ptrdiff_t)first * channels;
        for (int g = 0; g < groups; g++, from += group) {
            for (int c = 0; c < channels; c += LANES) {
                VEC total = (VEC){0};
                const REAL *values = from + c;
                for (int k = first; k < past; k += stride, values += step)
                    total += NAME(fc_load)(values);
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
