/* What a compiler calls for `#pragma omp parallel`, by the team instead of OpenMP's own threads.
 *
 * The pragma makes a function of a region, whose variables need no struct written by hand; GCC and
 * clang hand it over by the names below.  They are hidden here, and no module is linked with OpenMP,
 * so that a libgomp that another package brings is neither used nor disturbed.  Cython includes
 * <omp.h> and finds this one first.  There is nothing for `prange`, whose loops would wait for
 * every thread: a module with one does not load.
 */
#ifndef FASTCONV_OMP_H
#define FASTCONV_OMP_H

#include "calls.h"

#define FC_HIDDEN __attribute__((visibility("hidden")))

static const fc_calls *fc_runtime;

static inline int omp_get_thread_num(void) { return fc_runtime->thread(); }
static inline int omp_get_max_threads(void) { return 1; } /* where a region does not say */

#if defined(__clang__)
#include <stdarg.h>

/* Pointers to a region's variables.  It takes some of them: more do no harm, as C calls are made. */
enum { FC_VARIABLES = 64 };
#define FC_FOUR(a) (a)[0], (a)[1], (a)[2], (a)[3]
#define FC_SIXTEEN(a) FC_FOUR(a), FC_FOUR((a) + 4), FC_FOUR((a) + 8), FC_FOUR((a) + 12)
#define FC_VOID4 void *, void *, void *, void *
#define FC_VOID16 FC_VOID4, FC_VOID4, FC_VOID4, FC_VOID4

typedef void (*fc_region)(int *, int *, FC_VOID16, FC_VOID16, FC_VOID16, FC_VOID16);
typedef struct {
    fc_region body;
    void *at[FC_VARIABLES];
} fc_closure;

static __thread int fc_wanted;

FC_HIDDEN int __kmpc_global_thread_num(void *where) {
    (void)where;
    return 0;
}

FC_HIDDEN void __kmpc_push_num_threads(void *where, int thread, int threads) {
    (void)where, (void)thread;
    fc_wanted = threads;
}

static void fc_enter_region(void *data) {
    fc_closure *c = (fc_closure *)data;
    int thread = fc_runtime->thread();
    c->body(&thread, &thread, FC_SIXTEEN(c->at), FC_SIXTEEN(c->at + 16), FC_SIXTEEN(c->at + 32),
            FC_SIXTEEN(c->at + 48));
}

FC_HIDDEN void __kmpc_fork_call(void *where, int count, fc_region body, ...) {
    fc_closure closure = {body, {0}};
    va_list list;
    (void)where;
    if (count > FC_VARIABLES) __builtin_trap();
    va_start(list, body);
    for (int i = 0; i < count; i++) closure.at[i] = va_arg(list, void *);
    va_end(list);
    fc_runtime->run(fc_enter_region, &closure, fc_wanted);
}
#else
FC_HIDDEN void GOMP_parallel(void (*body)(void *), void *data, unsigned threads, unsigned flags) {
    (void)flags;
    fc_runtime->run(body, data, (int)threads);
}
#endif

#endif
