/* What a storm process does between main and exec or exit. */
#define _GNU_SOURCE
#include "slot.h"

#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static struct slot *self;
static const char *self_number;
static uint32_t image;

static uint64_t read_clock(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

uint64_t now_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

static uint64_t cpu_ns(void)
{
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

static void sleep_ns(uint64_t ns)
{
    struct timespec time = { (time_t)(ns / 1000000000u), (long)(ns % 1000000000u) };
    nanosleep(&time, NULL);
}

/* Three named functions deep, so that a profile of the storm has a stack to show. */
static volatile uint64_t sink;

__attribute__((noinline)) static void burn_leaf(void)
{
    uint64_t x = sink;
    for (int i = 0; i < 4000; i++)
        x = x * 6364136223846793005u + 1442695040888963407u;
    sink = x;
}

__attribute__((noinline)) static void burn_until(uint64_t cpu)
{
    while (cpu_ns() < cpu)
        burn_leaf();
    /* Keeps the call above from being turned into a jump. */
    __asm__ volatile("");
}

__attribute__((noinline)) static void burn(uint64_t ns)
{
    uint64_t slice = self->slice_ns ? self->slice_ns : ns;
    while (ns > 0) {
        uint64_t part = ns < slice ? ns : slice;
        burn_until(cpu_ns() + part);
        ns -= part;
        if (ns > 0 && self->pause_ns)
            sleep_ns(self->pause_ns);
    }
}

static void take_another_name(void)
{
    self->rename_from = now_ns();
    prctl(PR_SET_NAME, "renamed itself");
    self->rename_until = now_ns();
    prctl(PR_GET_NAME, self->rename_comm);
    self->renamed = 1;
}

static void *exec_next(void *unused)
{
    (void)unused;
    char *argv[] = { self->path[image + 1], (char *)self_number, NULL };
    char *envp[] = { NULL };
    struct mark *mark = &self->mark[image];
    mark->cpu_leave = cpu_ns();
    mark->leave = now_ns();
    execve(argv[0], argv, envp);
    _exit(126);
}

static void *work(void *unused)
{
    (void)unused;
    uint64_t ns = self->burn_ns[image];
    if (self->step == STEP_REPLACE) {
        burn(ns / 2);
        if (rename(self->path[1], self->path[0]) != 0)
            _exit(125);
        burn(ns - ns / 2);
    } else if (self->step == STEP_RENAME) {
        burn(ns / 2);
        take_another_name();
        burn(ns - ns / 2);
    } else {
        burn(ns);
    }
    struct mark *mark = &self->mark[image];
    if (image + 1 < self->images) {
        if (self->step != STEP_THREAD_EXEC)
            exec_next(NULL);
        pthread_t thread;
        if (pthread_create(&thread, NULL, exec_next, NULL) != 0)
            _exit(124);
        for (;;)
            pause();
    }
    mark->cpu_leave = cpu_ns();
    mark->leave = now_ns();
    _exit(0);
}

static void wait_for_go(void)
{
    /* Nobody would wake it after the launcher's death. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (__atomic_load_n(&self->go, __ATOMIC_ACQUIRE) == 0)
        syscall(SYS_futex, &self->go, FUTEX_WAIT, 0, NULL, NULL, 0);
    self->cpu_at_go = cpu_ns();
    self->go_at = now_ns();
}

static void *wait_and_work(void *unused)
{
    if (self->verify)
        while (self->seen <= image)
            sleep_ns(200000);
    if (self->wait_go && image + 1 == self->images)
        wait_for_go();
    return work(unused);
}

void run_image(struct slot *slot, const char *number)
{
    uint64_t enter = now_ns(), cpu_enter = cpu_ns();
    self = slot;
    self_number = number;
    image = slot->entered;
    if (image >= MAX_IMAGES)
        _exit(123);
    struct mark *mark = &slot->mark[image];
    mark->enter = enter;
    mark->cpu_enter = cpu_enter;
    prctl(PR_GET_NAME, mark->comm);

    if (slot->step == STEP_UNLINK && unlink(slot->path[0]) != 0)
        _exit(122);
    if (slot->step == STEP_NONDUMPABLE)
        prctl(PR_SET_DUMPABLE, 0);
    /* Before the worker starts: it may be done before its leader gets to run again. */
    slot->entered = image + 1;
    if (slot->step == STEP_LEADER_EXITS) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, wait_and_work, NULL) != 0)
            _exit(124);
        syscall(SYS_exit, 0);
    }
    if (slot->step == STEP_SLEEP) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            pause();
    }
    wait_and_work(NULL);
    __builtin_unreachable();
}
