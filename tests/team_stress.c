/* Callers at once, regions of two loops, fewer and more threads, a fork: tests/test_team.py. */
#define _GNU_SOURCE
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void *PyCapsule_Import(const char *name, int no_block);

#include "team/team.h"
#include "simd/work.h"

enum { TASKS = 50, THREADS = 6, CALLERS = 3, ROUNDS = 400 };

static void *PyCapsule_Import(const char *name, int no_block) {
    (void)name, (void)no_block;
    return (void *)&fc_calls_of_team;
}

/* Values that no thread guards but the region: a race is what the sanitizer finds. */
static int region(int threads, int round) {
    long values[TASKS], sums[TASKS];
    int scratch[THREADS], wrong = 0;
    fc_work first, second;
    fc_share_work(&first, TASKS, threads);
    fc_share_work(&second, TASKS, threads);
    memset(scratch, 0, sizeof scratch);
#pragma omp parallel num_threads(threads)
    {
        ptrdiff_t task;
        while ((task = fc_next_task(&first, omp_get_thread_num())) >= 0) {
            values[task] = task * round;
            scratch[omp_get_thread_num()]++;
        }
        fc_wait_for_all();
        while ((task = fc_next_task(&second, omp_get_thread_num())) >= 0) {
            sums[task] = 0;
            for (int i = 0; i < TASKS; i++) sums[task] += values[i];
        }
        fc_wait_for_all();
        for (int i = 0; i < TASKS; i++)
            if (sums[i] != sums[0]) fc_raise_flag(&wrong);
    }
    int done = 0;
    for (int i = 0; i < THREADS; i++) done += scratch[i];
    return wrong || done != TASKS || sums[0] != (long)round * TASKS * (TASKS - 1) / 2;
}

static void *call(void *wrong) {
    for (int round = 0; round < ROUNDS; round++) {
        if (region(1 + round % THREADS, round)) fc_raise_flag(wrong);
        if (round % 50 == 0) usleep(1000); /* they fall asleep */
    }
    return NULL;
}

static int all_at_once(void) {
    pthread_t callers[CALLERS];
    int wrong = 0;
    for (int i = 0; i < CALLERS; i++) pthread_create(callers + i, NULL, call, &wrong);
    for (int i = 0; i < CALLERS; i++) pthread_join(callers[i], NULL);
    return wrong;
}

int main(int count, char **arguments) {
    (void)arguments;
    fc_join_team();
    pthread_atfork(NULL, NULL, fc_begin_child);
    if (all_at_once()) return 2;
    if (count > 1) return 0; /* the sanitizer's own threads do not outlive a fork */
    int status = 0;
    pid_t child = fork();
    if (!child) _exit(region(THREADS, 3) ? 3 : 0);
    waitpid(child, &status, 0);
    return status ? 4 : region(THREADS, 5);
}
