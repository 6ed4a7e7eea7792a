/* Threads that help whoever calls a kernel, and are not waited for where they do not come.
 *
 * A caller opens a region and works in it as thread 0.  Workers enter while it is open, each under a
 * number of its own, the same in every region, so that it finds what it wrote in its cache.  Tasks
 * are taken by who is there (see simd/work.h): when none is left the caller closes the region and
 * waits for workers that are inside, one task at most.  One that other programs keep from a CPU
 * finds the region closed.  Likewise `wait_for_all` waits for those inside, and who enters later
 * finds the tasks before it taken and passes.
 *
 * Who waits spins, and then sleeps, for threads that spin take time from those that are waited for.
 * On CPUs that are free it spins longer, as to wake a thread takes as long as a small kernel.
 *
 * A team serves one caller at a time; who finds none that is free makes one.  They are kept for good.
 */
#ifndef FASTCONV_TEAM_H
#define FASTCONV_TEAM_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* for what Linux has of CPUs */
#endif
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include "calls.h"
#include "sleep.h"

enum { FC_SHORT = 20000, FC_LONG = 200000 }; /* to spin, in ns: at least, and if CPUs are free */
/* A worker that was ready for so long without a CPU tells that they are taken, for a while. */
enum { FC_DELAY = 1000000, FC_REMEMBERED = 30000000 };
enum { FC_FEW = 7 }; /* workers that are kept off the caller's CPU then */

/* Of a region's state, one number that changes at once: whether workers may enter, whether somebody
 * sleeps until it changes, how often all have waited for each other (fewer than 256 times), and how
 * many threads are inside and have arrived where they wait next. */
#define FC_OPEN 1u
#define FC_ASLEEP 2u
#define FC_PHASE (1u << 2)
#define FC_INSIDE (1u << 10)
#define FC_ARRIVED (1u << 21)
#define FC_ALL_PHASES (255 * FC_PHASE)
#define FC_ALL_INSIDE (2047 * FC_INSIDE)
#define FC_CALL (1u << 11) /* a call is its number times this, and the threads that it is for */

typedef struct fc_team {
    struct fc_team *next;
    int taken, workers;
    int avoided, ids[FC_FEW + 1]; /* a CPU's number and 1, and the workers as the system knows them */
    void (*body)(void *);
    void *data;
    char before_call[128]; /* CPUs fetch cache lines in pairs */
    uint32_t call, sleeping;
    char before_state[128];
    uint32_t state;
    char after_state[128];
} fc_team;

typedef struct {
    fc_team *team;
    int thread;
    uint32_t call;        /* the last that it knows of */
    int64_t asleep, idle; /* ns: since it began, and what was no work when it last looked */
} fc_worker;

typedef struct {
    fc_team *team; /* NULL for a thread alone */
    int thread;
    uint32_t phase;
} fc_place;

static fc_team *fc_teams;
static int64_t fc_taken_until; /* when CPUs count as free again */
static __thread fc_place fc_here;
static __thread fc_team *fc_last; /* whose workers have this thread's values in their caches */

static int64_t fc_clock(clockid_t which) {
    struct timespec t;
    clock_gettime(which, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* Look whether a worker had to wait for a CPU: then it neither ran nor slept. */
static void fc_look(fc_worker *me, int64_t now) {
    int64_t idle = now - me->asleep - fc_clock(CLOCK_THREAD_CPUTIME_ID);
    if (idle - me->idle > FC_DELAY)
        __atomic_store_n(&fc_taken_until, now + FC_REMEMBERED, __ATOMIC_RELAXED);
    me->idle = idle;
}

/* Return 1 as soon as `*word & mask` is not `value`, or 0 when it is time to sleep. */
static int fc_spin(uint32_t *word, uint32_t mask, uint32_t value, fc_worker *me) {
    int64_t start = 0, now;
    for (;;) {
        for (int i = 0; i < 32; i++) {
            if ((__atomic_load_n(word, __ATOMIC_ACQUIRE) & mask) != value) return 1;
            fc_pause();
        }
        now = fc_clock(CLOCK_MONOTONIC);
        if (!start) start = now;
        if (now - start < FC_SHORT) continue;
        if (me) fc_look(me, now);
        me = NULL;
        if (now - start > FC_LONG || now < __atomic_load_n(&fc_taken_until, __ATOMIC_RELAXED))
            return 0;
    }
}

static void fc_wait(uint32_t *state, uint32_t mask, uint32_t value) {
    if (fc_spin(state, mask, value, NULL)) return;
    uint32_t now = __atomic_load_n(state, __ATOMIC_ACQUIRE);
    while ((now & mask) == value) {
        if (!(now & FC_ASLEEP) &&
            !__atomic_compare_exchange_n(state, &now, now | FC_ASLEEP, 0, __ATOMIC_ACQ_REL,
                                         __ATOMIC_ACQUIRE))
            continue;
        fc_sleep(state, now | FC_ASLEEP, ~0u);
        now = __atomic_load_n(state, __ATOMIC_ACQUIRE);
    }
}

static void fc_wait_for_all_inside(void) {
    if (!fc_here.team) return;
    uint32_t *state = &fc_here.team->state, phase = (fc_here.phase++ * FC_PHASE) & FC_ALL_PHASES;
    uint32_t now = __atomic_load_n(state, __ATOMIC_ACQUIRE), next;
    int last;
    do {
        if ((now & FC_ALL_PHASES) != phase) return; /* all have gone on before this one entered */
        last = now / FC_ARRIVED + 1 == (now & FC_ALL_INSIDE) / FC_INSIDE;
        next = last ? (now & (FC_OPEN | FC_ALL_INSIDE)) | ((phase + FC_PHASE) & FC_ALL_PHASES)
                    : now + FC_ARRIVED;
    } while (!__atomic_compare_exchange_n(state, &now, next, 1, __ATOMIC_ACQ_REL,
                                          __ATOMIC_ACQUIRE));
    if (!last)
        fc_wait(state, FC_ALL_PHASES, phase);
    else if (now & FC_ASLEEP)
        fc_wake(state, ~0u);
}

static int fc_enter(fc_team *team) {
    uint32_t now = __atomic_load_n(&team->state, __ATOMIC_RELAXED);
    do {
        if (!(now & FC_OPEN)) return 0;
    } while (!__atomic_compare_exchange_n(&team->state, &now, now + FC_INSIDE, 1,
                                          __ATOMIC_ACQUIRE, __ATOMIC_RELAXED));
    return 1;
}

static void fc_leave(fc_team *team) {
    uint32_t now = __atomic_sub_fetch(&team->state, FC_INSIDE, __ATOMIC_ACQ_REL);
    if (!(now & FC_ALL_INSIDE) && now & FC_ASLEEP) fc_wake(&team->state, ~0u);
}

/* Workers 1, 2-3, 4-7 and so on have a bit each: a call wakes hardly more than it is for. */
static uint32_t fc_bit(int thread) { return 1u << (31 - __builtin_clz((unsigned)thread)); }

static int fc_is_called(const fc_worker *me) { return me->thread < (int)(me->call % FC_CALL); }

static void fc_wait_for_call(fc_worker *me) {
    uint32_t *call = &me->team->call;
    if (!fc_is_called(me) || !fc_spin(call, ~0u, me->call, me)) {
        int64_t start = fc_clock(CLOCK_MONOTONIC);
        __atomic_add_fetch(&me->team->sleeping, 1, __ATOMIC_SEQ_CST);
        while (__atomic_load_n(call, __ATOMIC_SEQ_CST) == me->call)
            fc_sleep(call, me->call, fc_bit(me->thread));
        __atomic_sub_fetch(&me->team->sleeping, 1, __ATOMIC_RELAXED);
        me->asleep += fc_clock(CLOCK_MONOTONIC) - start;
    }
    me->call = __atomic_load_n(call, __ATOMIC_ACQUIRE);
}

#if defined(__linux__)
static void fc_tell_id(const fc_worker *me) {
    if (me->thread <= FC_FEW)
        __atomic_store_n(me->team->ids + me->thread, (int)syscall(SYS_gettid), __ATOMIC_RELAXED);
}

/* While CPUs are taken, keep workers off the caller's.  Two of ours that share one get no more than
 * one of two, where another program has the other for itself: the scheduler finds that balanced. */
static void fc_keep_apart(fc_team *team) {
    int64_t until = __atomic_load_n(&fc_taken_until, __ATOMIC_RELAXED);
    int cpu = until && fc_clock(CLOCK_MONOTONIC) < until ? sched_getcpu() + 1 : 0;
    cpu_set_t allowed; /* to the caller, now */
    if (cpu == team->avoided || team->workers > FC_FEW) return;
    team->avoided = cpu;
    if (sched_getaffinity(0, sizeof allowed, &allowed) || CPU_COUNT(&allowed) < 2) return;
    if (cpu) CPU_CLR(cpu - 1, &allowed);
    for (int thread = 1; thread <= team->workers; thread++) {
        int id = __atomic_load_n(team->ids + thread, __ATOMIC_RELAXED);
        if (id) sched_setaffinity(id, sizeof allowed, &allowed);
    }
}
#else
static void fc_tell_id(const fc_worker *me) { (void)me; }
static void fc_keep_apart(fc_team *team) { (void)team; }
#endif

static void *fc_help(void *given) {
    fc_worker me = *(fc_worker *)given;
    free(given);
    fc_tell_id(&me);
    for (;;) {
        fc_wait_for_call(&me);
        if (!fc_is_called(&me) || !fc_enter(me.team)) continue;
        /* Another may have been made meanwhile, but from now on none is. */
        me.call = __atomic_load_n(&me.team->call, __ATOMIC_ACQUIRE);
        if (fc_is_called(&me)) {
            fc_here = (fc_place){me.team, me.thread, 0};
            me.team->body(me.team->data);
        }
        fc_leave(me.team);
    }
    return NULL;
}

/* Make the workers of a team that it has not, or as many as the system lets it. */
static void fc_grow(fc_team *team, int threads) {
    sigset_t all, before; /* signals are for the threads of whoever uses this */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (team->workers + 1 < threads) {
        fc_worker *worker = malloc(sizeof *worker);
        pthread_t id;
        if (!worker) break;
        *worker = (fc_worker){team, team->workers + 1, team->call,
                              fc_clock(CLOCK_MONOTONIC), 0};
        if (pthread_create(&id, NULL, fc_help, worker)) {
            free(worker);
            break;
        }
        pthread_detach(id);
        team->workers++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static int fc_is_free(fc_team *team) {
    return team && !__atomic_exchange_n(&team->taken, 1, __ATOMIC_ACQUIRE);
}

/* A team that nobody else has until `taken` is 0 again, or NULL without memory. */
static fc_team *fc_take(void) {
    if (fc_is_free(fc_last)) return fc_last;
    fc_team *team = __atomic_load_n(&fc_teams, __ATOMIC_ACQUIRE);
    while (team && !fc_is_free(team)) team = team->next;
    if (!team && (team = calloc(1, sizeof *team))) {
        team->taken = 1;
        team->next = __atomic_load_n(&fc_teams, __ATOMIC_RELAXED);
        while (!__atomic_compare_exchange_n(&fc_teams, &team->next, team, 1, __ATOMIC_RELEASE,
                                            __ATOMIC_RELAXED)) {}
    }
    return fc_last = team;
}

static void fc_run(void (*body)(void *), void *data, int threads) {
    const fc_place before = fc_here;
    fc_team *team = threads > 1 && !before.team ? fc_take() : NULL;
    if (team) {
        fc_grow(team, threads);
        threads = threads < team->workers + 1 ? threads : team->workers + 1;
        fc_keep_apart(team);
        team->body = body, team->data = data;
        __atomic_store_n(&team->state, FC_OPEN + FC_INSIDE, __ATOMIC_RELEASE);
        __atomic_store_n(&team->call, (team->call / FC_CALL + 1) * FC_CALL + (uint32_t)threads,
                         __ATOMIC_SEQ_CST);
        if (threads > 1 && __atomic_load_n(&team->sleeping, __ATOMIC_SEQ_CST))
            fc_wake(&team->call, 2 * fc_bit(threads - 1) - 1);
    }
    fc_here = (fc_place){team, 0, 0};
    body(data);
    fc_here = before;
    if (!team) return;
    uint32_t inside = __atomic_sub_fetch(&team->state, FC_OPEN + FC_INSIDE, __ATOMIC_ACQ_REL);
    while (inside &= FC_ALL_INSIDE) {
        fc_wait(&team->state, FC_ALL_INSIDE, inside);
        inside = __atomic_load_n(&team->state, __ATOMIC_ACQUIRE);
    }
    __atomic_store_n(&team->taken, 0, __ATOMIC_RELEASE);
}

static int fc_thread(void) { return fc_here.thread; }

/* A child of fork has none of the threads, and makes others when it needs some. */
static void fc_begin_child(void) {
    fc_teams = fc_last = NULL;
    fc_here = (fc_place){NULL, 0, 0};
    fc_begin_sleep();
}

static const fc_calls fc_calls_of_team = {fc_run, fc_thread, fc_wait_for_all_inside};

#endif
