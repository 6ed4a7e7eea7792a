/* Tasks shared out among threads: each has a stretch of its own, in the same place every time, and
 * takes from another's when that is done, or when that thread does not come at all.
 *
 * What a thread writes in one layer it reads in the next, images being in the same order in all of
 * them, and finds it in its own cache.  OpenMP's dynamic schedule assigns them in turns: half of
 * all values change hands between two threads, which takes a third of a training step where these
 * have no cache in common, as on CPUs of several core complexes.  Its static one lets all wait for
 * a thread that the machine disturbs.
 */
#ifndef FASTCONV_WORK_H
#define FASTCONV_WORK_H

#include <stddef.h>

#if defined(_OPENMP)
#include "../team/omp.h"
#endif

/* Threads beyond as many take from the others' stretches alone. */
enum { FC_SHARES = 64 };

typedef struct {
    ptrdiff_t next, last;
    char apart[128 - 2 * sizeof(ptrdiff_t)]; /* CPUs fetch cache lines in pairs */
} fc_share;

typedef struct {
    fc_share share[FC_SHARES];
    int shares;
} fc_work;

static inline void fc_share_work(fc_work *work, ptrdiff_t tasks, int threads) {
    const int shares = threads < 1 ? 1 : threads < FC_SHARES ? threads : FC_SHARES;
    work->shares = shares;
    for (int s = 0; s < shares; s++) {
        work->share[s].next = s ? work->share[s - 1].last : 0;
        work->share[s].last = tasks / shares * (s + 1) + tasks % shares * (s + 1) / shares;
    }
}

/* The number of a task that nobody has taken, or -1. */
static inline ptrdiff_t fc_next_task(fc_work *work, int thread) {
    for (int s = 0; s < work->shares; s++) {
        fc_share *share = work->share + (thread + s) % work->shares;
        if (__atomic_load_n(&share->next, __ATOMIC_RELAXED) < share->last) {
            ptrdiff_t task = __atomic_fetch_add(&share->next, 1, __ATOMIC_RELAXED);
            if (task < share->last) return task;
        }
    }
    return -1;
}

/* What any task may report. */
static inline void fc_raise_flag(int *flag) { __atomic_store_n(flag, 1, __ATOMIC_RELAXED); }

#if defined(_OPENMP)
/* Set what the module's regions are run by; return -1 with an exception if it is not there. */
static int fc_join_team(void) {
    fc_runtime = (const fc_calls *)PyCapsule_Import(FC_CALLS, 0);
    return fc_runtime ? 0 : -1;
}

/* Between two loops of a parallel region of which the second reads what the first wrote. */
static inline void fc_wait_for_all(void) { fc_runtime->wait_for_all(); }
#else
static int fc_join_team(void) { return 0; }
static inline void fc_wait_for_all(void) {}
#endif

#endif
