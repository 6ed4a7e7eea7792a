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
#else
static inline int omp_get_thread_num(void) { return 0; }
#endif
#include "denormals.h"
#include "replay.h"

static inline void fc_share_work(fc_work *work, ptrdiff_t tasks, int threads) {
    const int shares = threads < 1 ? 1 : threads < FC_SHARES ? threads : FC_SHARES;
    work->tasks = tasks;
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
/* Set what the module's regions are run by, and recorded; return -1 with an exception if it is not
 * there. */
static int fc_join_team(void) {
    fc_runtime = (const fc_calls *)PyCapsule_Import(FC_CALLS, 0);
    fc_replay = (const fc_replay_calls *)PyCapsule_Import(FC_REPLAY_CALLS, 0);
    return fc_runtime && fc_replay ? 0 : -1;
}

/* Between two loops of a parallel region of which the second reads what the first wrote. */
static inline void fc_wait_for_all(void) { fc_runtime->wait_for_all(); }
#else
static int fc_join_team(void) {
    fc_replay = (const fc_replay_calls *)PyCapsule_Import(FC_REPLAY_CALLS, 0);
    return fc_replay ? 0 : -1;
}
static inline void fc_wait_for_all(void) {}
#endif


/* Run `body`, whose `phases` works lie at the end of its context, on all threads; a program that is
 * being recorded keeps a copy of it. */
static inline void fc_run_body(fc_body body, void *context, fc_work *works, int phases, int threads) {
    fc_replay->record(body, context, works, phases, threads);
    _Pragma("omp parallel num_threads(threads)") {
        fc_float_mode mode = fc_flush_denormals();
        body(context, omp_get_thread_num());
        fc_restore_denormals(mode);
    }
}

#endif
