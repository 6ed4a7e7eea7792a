/* Dropout: which values stay is a hash of a key and a value's index, so nothing is kept.
 *
 * A chunk's key is SplitMix64 (Steele, Lea and Flood, 2014) of the call's seed and the
 * chunk's number; a value's 32 bits are its index in the chunk, through the two
 * multiplications of a "lowbias32" finalizer with half the key before each.  Whole lanes of
 * 32-bit integers, no state between values: any thread may take any chunk, and going
 * back hashes again instead of reading a mask.
 */
#ifndef FASTCONV_DROPOUT_H
#define FASTCONV_DROPOUT_H

#include <stdint.h>

/* y = x * scale, or 0 for a share of threshold / 2^32 of the values; y may be x. */
static void fc_dropout(const float *x, int count, uint64_t seed, uint64_t chunk,
                       uint32_t threshold, float scale, float *y) {
    uint64_t key = seed + (chunk + 1) * UINT64_C(0x9e3779b97f4a7c15);
    key = (key ^ key >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    key = (key ^ key >> 27) * UINT64_C(0x94d049bb133111eb);
    key ^= key >> 31;
    const uint32_t first = (uint32_t)key, second = (uint32_t)(key >> 32);
#pragma GCC ivdep
    for (int i = 0; i < count; i++) {
        uint32_t hash = (uint32_t)i * 0x9e3779b1u + first;
        hash = (hash ^ hash >> 16) * 0x7feb352du ^ second;
        hash = (hash ^ hash >> 15) * 0x846ca68bu;
        hash ^= hash >> 16;
        const float kept = x[i] * scale;
        y[i] = hash >= threshold ? kept : 0.0f;
    }
}

#endif
