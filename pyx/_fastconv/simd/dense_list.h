/* Lists of the inputs, or samples, that are not 0: of floats eight lanes at a time where the CPU can
 * permute them.  The active of eight are moved to the front and stored whole at the list's end:
 * never past the room for all of them, as a list is not longer than what was looked at.
 */
#ifndef FASTCONV_DENSE_LIST_H
#define FASTCONV_DENSE_LIST_H

#include "compress.h"

#if defined(__AVX2__)

/* Append eight samples to the lists of eight inputs. */
FC_INLINE void fc_list_eight(const float *x, ptrdiff_t step, int sample, int batch,
                             int32_t *counts, int32_t *samples, float *factors) {
    __m256 values[8];
    FC_UNROLL
    for (int s = 0; s < 8; s++) values[s] = _mm256_loadu_ps(x + s * step);
    fc_transpose_eight(values);
    FC_UNROLL
    for (int i = 0; i < 8; i++) {
        int mask = fc_active_lanes(values[i]);
        __m256i order = fc_compress_order(mask);
        ptrdiff_t at = (ptrdiff_t)i * batch + counts[i];
        _mm256_storeu_ps(factors + at, _mm256_permutevar8x32_ps(values[i], order));
        _mm256_storeu_si256((__m256i *)(samples + at),
                            _mm256_add_epi32(order, _mm256_set1_epi32(sample)));
        counts[i] += __builtin_popcount((unsigned)mask);
    }
}

#endif

/* List the inputs of one sample that are not 0; return how many. */
FC_LEAF int fc_list_inputs_f32(const float *x, int length, int32_t *rows, float *factors) {
    int count = 0, i = 0;
#if defined(__AVX2__)
    for (; i + 8 <= length; i += 8) {
        __m256 values = _mm256_loadu_ps(x + i);
        int mask = fc_active_lanes(values);
        __m256i order = fc_compress_order(mask);
        _mm256_storeu_ps(factors + count, _mm256_permutevar8x32_ps(values, order));
        _mm256_storeu_si256((__m256i *)(rows + count),
                            _mm256_add_epi32(order, _mm256_set1_epi32(i)));
        count += __builtin_popcount((unsigned)mask);
    }
#endif
    return fc_list_rest_f32(x, i, length, count, rows, factors);
}

/* List for each input the samples in which it is not 0: room for `batch` each, counts at 0. */
FC_LEAF void fc_list_samples_f32(const float *x, ptrdiff_t step, int batch, int length,
                                 int32_t *counts, int32_t *samples, float *factors) {
    int whole = 0, eights = 0;
#if defined(__AVX2__)
    whole = batch / 8 * 8;
    eights = length / 8 * 8;
    for (int sample = 0; sample < whole; sample += 8)
        for (int i = 0; i < eights; i += 8)
            fc_list_eight(x + sample * step + i, step, sample, batch, counts + i,
                          samples + (ptrdiff_t)i * batch, factors + (ptrdiff_t)i * batch);
#endif
    fc_list_samples_rest_f32(x, step, whole, eights, batch, length, counts, samples, factors);
}

#endif
