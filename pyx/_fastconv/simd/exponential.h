/* The exponential of what is not above 0, and the activations made of it.
 *
 * exp(-a) = 2^n exp(r), n whole, |r| <= ln(2) / 2: Cephes' polynomial of degree 7, within two
 * units in the last place.  No branch and no call, so that GCC makes whole vectors of the loops;
 * below float32's normal numbers the result is 0.
 */
#ifndef FASTCONV_EXPONENTIAL_H
#define FASTCONV_EXPONENTIAL_H

#include "vector.h"

/* exp(-a) for a >= 0; a NaN stays one. */
FC_INLINE float fc_exp_minus(float a) {
    const float most = 87.33f, whole = 12582912.0f; /* 1.5 * 2^23: adding it rounds */
    const float x = a > most ? -most : -a;
    const float shifted = x * 1.44269504f + whole;
    const float n = shifted - whole;
    const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    uint32_t bits;
    memcpy(&bits, &shifted, sizeof bits); /* n is in the lowest ones */
    bits = (bits + 127) << 23;
    float power;
    memcpy(&power, &bits, sizeof power);
    return a > most ? 0.0f : p * power;
}

/* y = 1 / (1 + exp(-x)); y may be x. */
static void fc_sigmoid(const float *x, ptrdiff_t count, float *y) {
#pragma GCC ivdep
    for (ptrdiff_t i = 0; i < count; i++) {
        const float small = fc_exp_minus(x[i] < 0 ? -x[i] : x[i]);
        y[i] = (x[i] < 0 ? small : 1.0f) / (1.0f + small);
    }
}

/* y = exp(x) / sum(exp(x)) of one row; y may be x. */
static void fc_softmax(const float *x, ptrdiff_t count, float *y) {
    float top = x[0];
    for (ptrdiff_t i = 1; i < count; i++) top = x[i] > top ? x[i] : top;
#pragma GCC ivdep
    for (ptrdiff_t i = 0; i < count; i++) y[i] = fc_exp_minus(top - x[i]);
    double total = 0;
    for (ptrdiff_t i = 0; i < count; i++) total += y[i];
    const float share = (float)(1 / total);
    for (ptrdiff_t i = 0; i < count; i++) y[i] *= share;
}

#endif
