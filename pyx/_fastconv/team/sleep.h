/* Sleep until a word in memory changes.  Who changes it then wakes who sleeps. */
#ifndef FASTCONV_SLEEP_H
#define FASTCONV_SLEEP_H

#include <limits.h>
#include <pthread.h>
#include <stdint.h>

#if defined(__x86_64__)
static inline void fc_pause(void) { __builtin_ia32_pause(); }
#elif defined(__aarch64__)
static inline void fc_pause(void) { __asm__ volatile("isb"); }
#else
static inline void fc_pause(void) {}
#endif

#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#if defined(__linux__) && !defined(FASTCONV_NO_FUTEX)
#include <linux/futex.h>

/* Return if `*word` is not `value`, or when woken by a mask with a bit of this one, or by chance. */
static void fc_sleep(uint32_t *word, uint32_t value, uint32_t mask) {
    syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, value, NULL, NULL, mask);
}

static void fc_wake(uint32_t *word, uint32_t mask) {
    syscall(SYS_futex, word, FUTEX_WAKE_BITSET_PRIVATE, INT_MAX, NULL, NULL, mask);
}

static void fc_begin_sleep(void) {}
#else
static pthread_mutex_t fc_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t fc_changed = PTHREAD_COND_INITIALIZER;

static void fc_sleep(uint32_t *word, uint32_t value, uint32_t mask) {
    (void)mask;
    pthread_mutex_lock(&fc_mutex);
    if (__atomic_load_n(word, __ATOMIC_SEQ_CST) == value) pthread_cond_wait(&fc_changed, &fc_mutex);
    pthread_mutex_unlock(&fc_mutex);
}

static void fc_wake(uint32_t *word, uint32_t mask) {
    (void)word, (void)mask;
    pthread_mutex_lock(&fc_mutex);
    pthread_cond_broadcast(&fc_changed);
    pthread_mutex_unlock(&fc_mutex);
}

/* A child of fork may have got them in use. */
static void fc_begin_sleep(void) {
    pthread_mutex_init(&fc_mutex, NULL);
    pthread_cond_init(&fc_changed, NULL);
}
#endif

#endif
