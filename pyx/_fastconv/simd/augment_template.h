/* Resampling of one image of PIXELs.  Included by augment.h, once for each type. */

/* Copy up to four channels of a picture into one of exactly four with a border of one pixel:
 * the two neighbours of a sample are then one load, and no sample needs a bounds check.
 */
FC_LEAF void NAME(fc_pad)(const PIXEL *source, int height, int width, int channels, int first,
                          int fill, float cval, PIXEL *padded) {
    const int count = channels - first < FC_GROUP ? channels - first : FC_GROUP;
    const ptrdiff_t line = (ptrdiff_t)(width + 2) * FC_GROUP;
    for (int row = 0; row < height + 2; row++) {
        PIXEL *to = padded + row * line;
        int from = row - 1;
        if (from < 0 || from >= height) {
            if (fill == FC_CONSTANT) {
                for (ptrdiff_t i = 0; i < line; i++) to[i] = (PIXEL)cval;
                continue;
            }
            from = fill == FC_WRAP ? (from + height) % height : from < 0 ? 0 : height - 1;
        }
        const PIXEL *at = source + (ptrdiff_t)from * width * channels + first;
        PIXEL *inside = to + FC_GROUP;
        if (count == 3)
            for (int x = 0; x < width; x++, at += channels, inside += FC_GROUP) {
                inside[0] = at[0], inside[1] = at[1], inside[2] = at[2], inside[3] = 0;
            }
        else
            for (int x = 0; x < width; x++, at += channels, inside += FC_GROUP)
                for (int c = 0; c < FC_GROUP; c++) inside[c] = c < count ? at[c] : (PIXEL)0;
        const PIXEL *left = to + (fill == FC_WRAP ? width : 1) * FC_GROUP;
        const PIXEL *right = to + (fill == FC_WRAP ? 1 : width) * FC_GROUP;
        for (int c = 0; c < FC_GROUP; c++) {
            to[c] = fill == FC_CONSTANT ? (PIXEL)cval : left[c];
            inside[c] = fill == FC_CONSTANT ? (PIXEL)cval : right[c];
        }
    }
}

/* Two neighbouring pixels of four channels as floats. */
FC_INLINE void NAME(fc_pair)(const PIXEL *at, fc_eight *values) {
    if (sizeof(PIXEL) == 1) {
        fc_eight_bytes bytes;
        memcpy(&bytes, at, sizeof bytes);
        /* By way of integers: straight to floats GCC takes the bytes one by one. */
        *values = __builtin_convertvector(__builtin_convertvector(bytes, fc_eight_ints), fc_eight);
    } else
        memcpy(values, at, sizeof *values);
}

/* Up to four channels of every output pixel, interpolated linearly and finished. */
FC_INLINE void NAME(fc_resample)(const PIXEL *padded, int height, int width, const double *matrix,
                                 int fill, int channels, const int count, float gain, float low,
                                 float high, const float *scale, const float *offset,
                                 float *out) {
    const ptrdiff_t line = (ptrdiff_t)(width + 2) * FC_GROUP;
    fc_four a = {0}, b = {0};
    const fc_four floor = {low, low, low, low}, roof = {high, high, high, high};
    memcpy(&a, scale, count * sizeof(float));
    memcpy(&b, offset, count * sizeof(float));
    for (int y = 0; y < height; y++)
        for (int start = 0; start < width; start += FC_RUN) {
            const int run = width - start < FC_RUN ? width - start : FC_RUN;
            int column[FC_RUN], row[FC_RUN];
            float right_part[FC_RUN], lower_part[FC_RUN];
            fc_locate(matrix[0] * start + matrix[1] * y + matrix[2], matrix[0], run, width, fill,
                      column, right_part);
            fc_locate(matrix[3] * start + matrix[4] * y + matrix[5], matrix[3], run, height, fill,
                      row, lower_part);
            float *to = out + ((ptrdiff_t)y * width + start) * channels;
            for (int i = 0; i < run; i++, to += channels) {
                const PIXEL *at = padded + row[i] * line + column[i] * FC_GROUP;
                fc_eight upper, lower;
                NAME(fc_pair)(at, &upper);
                NAME(fc_pair)(at + line, &lower);
                const union {
                    fc_eight both;
                    fc_four half[2];
                } pair = {upper + (lower - upper) * lower_part[i]};
                fc_four value = pair.half[0] + (pair.half[1] - pair.half[0]) * right_part[i];
                value = value * gain;
                value = fc_choose(value < floor, floor, value);
                value = fc_choose(value > roof, roof, value) * a + b;
                memcpy(to, &value, count * sizeof(float));
            }
        }
}

/* Resample a whole picture through `matrix` (six numbers: output x, y to source x, then to
 * source y).  `padded` is scratch of (height + 2) * (width + 2) * 4 pixels.
 */
FC_LEAF void NAME(fc_warp)(const PIXEL *source, int height, int width, int channels,
                           const double *matrix, int fill, float cval, float gain, float low,
                           float high, const float *scale, const float *offset, PIXEL *padded,
                           float *out) {
    for (int first = 0; first < channels; first += FC_GROUP) {
        NAME(fc_pad)(source, height, width, channels, first, fill, cval, padded);
#define FC_RESAMPLE(count)                                                                    \
    NAME(fc_resample)(padded, height, width, matrix, fill, channels, count, gain, low, high,  \
                      scale + first, offset + first, out + first)
        switch (channels - first) {
            case 1: FC_RESAMPLE(1); break;
            case 2: FC_RESAMPLE(2); break;
            case 3: FC_RESAMPLE(3); break;
            default: FC_RESAMPLE(4);
        }
#undef FC_RESAMPLE
    }
}

/* The picture as it is, as floats. */
FC_LEAF void NAME(fc_convert)(const PIXEL *source, ptrdiff_t pixels, int channels, float gain,
                              float low, float high, const float *scale, const float *offset,
                              float *out) {
    int uniform = 1;
    for (int c = 1; c < channels; c++)
        uniform &= scale[c] == scale[0] && offset[c] == offset[0];
    if (uniform) {
        const float a = scale[0], b = offset[0];
        for (ptrdiff_t i = 0; i < pixels * channels; i++)
            out[i] = fc_clip((float)source[i] * gain, low, high) * a + b;
        return;
    }
    for (ptrdiff_t p = 0; p < pixels; p++)
        for (int c = 0; c < channels; c++) {
            ptrdiff_t i = p * channels + c;
            out[i] = fc_clip((float)source[i] * gain, low, high) * scale[c] + offset[c];
        }
}
