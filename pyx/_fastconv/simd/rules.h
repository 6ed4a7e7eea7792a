/* Optimizers' update rules over contiguous float32 values.
 *
 * A rule runs over blocks of a constant number of values, so that GCC turns
 * each loop into whole vectors (square root and division included) with no
 * scalar remainder; the last values are padded into a block of their own.  A
 * value's result therefore never depends on where a run starts or ends: a
 * weight matrix updated row by row gets the bits of one updated as a whole.
 *
 * The rules are Keras 3's, in float32 as Keras computes them.
 */
#ifndef FASTCONV_RULES_H
#define FASTCONV_RULES_H

#include <math.h>

#include "vector.h"

enum { FC_RULE_VALUES = 64, FC_RULE_SLOTS = 3, FC_RULE_FIELDS = 10 };
enum { FC_SGD, FC_ADAM, FC_RMSPROP, FC_LION };

typedef struct {
    int kind;
    float rate;     /* learning rate; Adam's has the bias correction in it */
    float momentum; /* SGD, RMSprop; Adam: what the gradient itself counts, 0 but for Nadam;
                     * Lion: beta_1 */
    int nesterov;   /* SGD */
    float first;    /* Adam, Lion: 1 - beta_1; RMSprop: rho, 1 for Adagrad */
    float second;   /* Adam, Lion: 1 - beta_2; RMSprop: 1 - rho, 1 for Adagrad */
    float epsilon;
    float scale; /* of the gradient */
    float clip;  /* largest absolute gradient after that; 0 is no limit */
    float decay; /* weight_decay * learning_rate: the share taken off the value */
} fc_rule;

/* Scale, then clip; comparisons are false for a NaN, which stays one. */
FC_INLINE void fc_rule_prepare(const fc_rule *rule, const float *restrict g,
                               float *restrict prepared) {
    const float scale = rule->scale, clip = rule->clip;
    for (int i = 0; i < FC_RULE_VALUES; i++) prepared[i] = g[i] * scale;
    if (clip > 0)
        for (int i = 0; i < FC_RULE_VALUES; i++) {
            float low = prepared[i] < -clip ? -clip : prepared[i];
            prepared[i] = low > clip ? clip : low;
        }
}

FC_INLINE void fc_rule_take_off(const fc_rule *rule, const float *restrict step,
                                float *restrict w) {
    const float decay = rule->decay;
    for (int i = 0; i < FC_RULE_VALUES; i++) w[i] = w[i] - w[i] * decay - step[i];
}

/* slots: the velocity, NULL where momentum is 0 */
FC_LEAF void fc_sgd_blocks(const fc_rule *rule, float *restrict w, const float *restrict g,
                           float *restrict velocity, ptrdiff_t blocks) {
    const float rate = rule->rate, momentum = rule->momentum;
    float gradient[FC_RULE_VALUES], step[FC_RULE_VALUES];
    for (; blocks > 0; blocks--, w += FC_RULE_VALUES, g += FC_RULE_VALUES) {
        fc_rule_prepare(rule, g, gradient);
        if (velocity) {
            for (int i = 0; i < FC_RULE_VALUES; i++) {
                velocity[i] = momentum * velocity[i] - rate * gradient[i];
                step[i] = -velocity[i];
            }
            if (rule->nesterov)
                for (int i = 0; i < FC_RULE_VALUES; i++)
                    step[i] = rate * gradient[i] - momentum * velocity[i];
            velocity += FC_RULE_VALUES;
        } else {
            for (int i = 0; i < FC_RULE_VALUES; i++) step[i] = rate * gradient[i];
        }
        fc_rule_take_off(rule, step, w);
    }
}

/* slots: the mean gradient; the mean square; the largest mean square, NULL but for AMSGrad */
FC_LEAF void fc_adam_blocks(const fc_rule *rule, float *restrict w, const float *restrict g,
                            float *restrict m, float *restrict v, float *restrict largest,
                            ptrdiff_t blocks) {
    const float rate = rule->rate, epsilon = rule->epsilon, own = rule->momentum;
    const float first = rule->first, second = rule->second;
    float gradient[FC_RULE_VALUES], step[FC_RULE_VALUES], square[FC_RULE_VALUES];
    for (; blocks > 0; blocks--) {
        fc_rule_prepare(rule, g, gradient);
        for (int i = 0; i < FC_RULE_VALUES; i++) {
            m[i] += (gradient[i] - m[i]) * first;
            v[i] += (gradient[i] * gradient[i] - v[i]) * second;
            step[i] = m[i] * rate;
            square[i] = v[i];
        }
        if (own != 0)
            for (int i = 0; i < FC_RULE_VALUES; i++) step[i] += gradient[i] * own;
        if (largest) {
            for (int i = 0; i < FC_RULE_VALUES; i++)
                square[i] = largest[i] = largest[i] > v[i] ? largest[i] : v[i];
            largest += FC_RULE_VALUES;
        }
        for (int i = 0; i < FC_RULE_VALUES; i++) step[i] /= sqrtf(square[i]) + epsilon;
        fc_rule_take_off(rule, step, w);
        w += FC_RULE_VALUES, g += FC_RULE_VALUES, m += FC_RULE_VALUES, v += FC_RULE_VALUES;
    }
}

/* slots: the mean square; the velocity, NULL where momentum is 0; the mean gradient, NULL where
 * the square is not centered */
FC_LEAF void fc_rmsprop_blocks(const fc_rule *rule, float *restrict w, const float *restrict g,
                               float *restrict square, float *restrict velocity,
                               float *restrict mean, ptrdiff_t blocks) {
    const float rate = rule->rate, rho = rule->first, rest = rule->second;
    const float momentum = rule->momentum, epsilon = rule->epsilon;
    float gradient[FC_RULE_VALUES], step[FC_RULE_VALUES], spread[FC_RULE_VALUES];
    for (; blocks > 0; blocks--) {
        fc_rule_prepare(rule, g, gradient);
        for (int i = 0; i < FC_RULE_VALUES; i++) {
            square[i] = rho * square[i] + rest * gradient[i] * gradient[i];
            spread[i] = square[i];
        }
        if (mean) {
            for (int i = 0; i < FC_RULE_VALUES; i++) {
                mean[i] = rho * mean[i] + rest * gradient[i];
                spread[i] -= mean[i] * mean[i];
            }
            mean += FC_RULE_VALUES;
        }
        /* Epsilon last: added to the square first, it would be lost beside a large one. */
        for (int i = 0; i < FC_RULE_VALUES; i++)
            step[i] = rate * gradient[i] / sqrtf(spread[i] + epsilon);
        if (velocity) {
            for (int i = 0; i < FC_RULE_VALUES; i++) {
                velocity[i] = momentum * velocity[i] + step[i];
                step[i] = velocity[i];
            }
            velocity += FC_RULE_VALUES;
        }
        fc_rule_take_off(rule, step, w);
        w += FC_RULE_VALUES, g += FC_RULE_VALUES, square += FC_RULE_VALUES;
    }
}

/* slots: the mean gradient; without one it is the sign of the gradient alone */
FC_LEAF void fc_lion_blocks(const fc_rule *rule, float *restrict w, const float *restrict g,
                            float *restrict m, ptrdiff_t blocks) {
    const float rate = rule->rate, momentum = rule->momentum;
    const float first = rule->first, second = rule->second;
    float gradient[FC_RULE_VALUES], step[FC_RULE_VALUES];
    for (; blocks > 0; blocks--, w += FC_RULE_VALUES, g += FC_RULE_VALUES) {
        fc_rule_prepare(rule, g, gradient);
        for (int i = 0; i < FC_RULE_VALUES; i++) step[i] = gradient[i] * first;
        if (m) {
            for (int i = 0; i < FC_RULE_VALUES; i++) {
                step[i] += m[i] * momentum;
                m[i] += (gradient[i] - m[i]) * second;
            }
            m += FC_RULE_VALUES;
        }
        /* 0 stays 0, and a NaN one. */
        for (int i = 0; i < FC_RULE_VALUES; i++) {
            float up = step[i] > 0 ? rate : step[i];
            step[i] = step[i] < 0 ? -rate : up;
        }
        fc_rule_take_off(rule, step, w);
    }
}

FC_INLINE void fc_rule_blocks(const fc_rule *rule, float *w, const float *g, float *const *slots,
                              ptrdiff_t blocks) {
    if (rule->kind == FC_SGD)
        fc_sgd_blocks(rule, w, g, slots[0], blocks);
    else if (rule->kind == FC_ADAM)
        fc_adam_blocks(rule, w, g, slots[0], slots[1], slots[2], blocks);
    else if (rule->kind == FC_LION)
        fc_lion_blocks(rule, w, g, slots[0], blocks);
    else
        fc_rmsprop_blocks(rule, w, g, slots[0], slots[1], slots[2], blocks);
}

/* Update values start to start + count of w and of the slots; g holds these values only. */
FC_LEAF void fc_rule_apply(const fc_rule *rule, float *w, float *const *slots, ptrdiff_t start,
                           const float *g, ptrdiff_t count) {
    float *at[FC_RULE_SLOTS], *padded[FC_RULE_SLOTS];
    float memory[2 + FC_RULE_SLOTS][FC_RULE_VALUES] = {{0}};
    const ptrdiff_t whole = count / FC_RULE_VALUES * FC_RULE_VALUES;
    const size_t rest = (size_t)(count - whole) * sizeof(float);
    w += start;
    for (int s = 0; s < FC_RULE_SLOTS; s++) at[s] = slots[s] ? slots[s] + start : NULL;
    fc_rule_blocks(rule, w, g, at, whole / FC_RULE_VALUES);
    if (!rest) return;
    memcpy(memory[0], w + whole, rest);
    memcpy(memory[1], g + whole, rest);
    for (int s = 0; s < FC_RULE_SLOTS; s++) {
        padded[s] = at[s] ? memory[2 + s] : NULL;
        if (at[s]) memcpy(padded[s], at[s] + whole, rest);
    }
    fc_rule_blocks(rule, memory[0], memory[1], padded, 1);
    memcpy(w + whole, memory[0], rest);
    for (int s = 0; s < FC_RULE_SLOTS; s++)
        if (at[s]) memcpy(at[s] + whole, padded[s], rest);
}

#endif
