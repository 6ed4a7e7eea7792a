/* What kernels run, as data: for a program that runs the same again without Python in between.
 *
 * A kernel's `body` is called by all threads with its context, a struct by value that points to
 * nothing but arrays: so a copy of it can be run again.  The context starts with what it reads of
 * arrays that may be others the next time, and ends with its works, whose tasks the threads share.
 */
#ifndef FASTCONV_REPLAY_H
#define FASTCONV_REPLAY_H

#include <stddef.h>

/* Threads beyond as many take from the others' stretches alone. */
enum { FC_SHARES = 64 };

typedef struct {
    ptrdiff_t next, last;
    char apart[128 - 2 * sizeof(ptrdiff_t)]; /* CPUs fetch cache lines in pairs */
} fc_share;

typedef struct {
    ptrdiff_t tasks;
    int shares;
    fc_share share[FC_SHARES];
} fc_work;

typedef void (*fc_body)(void *context, int thread);

/* How each context begins. */
typedef struct {
    const void *inputs[2];
} fc_context;

typedef struct {
    void (*record)(fc_body body, const void *context, const fc_work *works, int phases,
                   int threads);
} fc_replay_calls;

#define FC_REPLAY_CALLS "_fastconv.replay.calls"

/* Of the module that includes this; set when it is imported. */
static const fc_replay_calls *fc_replay;

#endif
