/* What kernels call of the team in team.h, of which `cpu` has the only copy. */
#ifndef FASTCONV_CALLS_H
#define FASTCONV_CALLS_H

typedef struct {
    void (*run)(void (*body)(void *), void *data, int threads);
    int (*thread)(void);
    void (*wait_for_all)(void);
} fc_calls;

#define FC_CALLS "_fastconv.cpu.calls"

#endif
