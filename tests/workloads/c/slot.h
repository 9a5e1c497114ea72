/* The orders for one storm process and its answers: one page of shared memory per process.
 *
 * The launcher fills in the orders before it starts the process; the process writes its marks. The page is passed by an
 * inherited descriptor, so that it survives exec, chroot, setuid and a change of namespace. Times are CLOCK_MONOTONIC
 * ns, CPU times CLOCK_PROCESS_CPUTIME_ID ns.
 */
#ifndef STORM_SLOT_H
#define STORM_SLOT_H

#include <stdint.h>

/* High, so that no library opens a file there first. */
#define SLOT_FD 200
#define SLOT_SIZE 4096
#define MAX_IMAGES 3
#define MAX_PATH 960
#define COMM_SIZE 16

/* What a process does besides burning. */
enum step {
    STEP_PLAIN,
    STEP_THREAD_EXEC,   /* execs the next image from a thread that is not the leader */
    STEP_LEADER_EXITS,  /* the leader exits at once, a worker burns */
    STEP_UNLINK,        /* deletes its own file first */
    STEP_REPLACE,       /* half-way, another file takes the name of its own */
    STEP_RENAME,        /* half-way, takes another name by prctl */
    STEP_NONDUMPABLE,   /* closes /proc/self to others first */
    STEP_SLEEP,         /* only waits to be killed */
};

/* One image of the process, from its main to its exec or exit. */
struct mark {
    uint64_t enter;
    uint64_t leave;
    uint64_t cpu_enter;
    uint64_t cpu_leave;
    char comm[COMM_SIZE];
};

struct slot {
    /* Orders. */
    uint32_t step;
    uint32_t images;             /* how many images the process runs, 1 to MAX_IMAGES */
    uint32_t wait_go;            /* 1: the last image waits for `go` before it burns */
    uint32_t verify;             /* 1: each image waits until the launcher has looked at it */
    uint64_t burn_ns[MAX_IMAGES];
    uint64_t slice_ns;           /* 0: burns in one go; else this much, then pause_ns of sleep, ... */
    uint64_t pause_ns;
    char path[MAX_IMAGES][MAX_PATH];

    /* Signals between the two. */
    uint32_t go;                 /* futex */
    volatile uint32_t entered;   /* images that have begun */
    volatile uint32_t seen;      /* images that the launcher has looked at */

    /* Marks. */
    uint32_t renamed;
    uint64_t exec_at;            /* before the first exec, where the child can tell; else 0 */
    uint64_t go_at;
    uint64_t cpu_at_go;
    uint64_t rename_from;
    uint64_t rename_until;
    char rename_comm[COMM_SIZE];
    struct mark mark[MAX_IMAGES];

    /* Of the second fork of a double fork. */
    uint64_t orphan_born;
    int32_t orphan_pid;
};

_Static_assert(sizeof(struct slot) <= SLOT_SIZE, "a slot is one page");

/* Runs the next image of the process that owns `slot`; `number` is its number in decimal. Never returns. */
void run_image(struct slot *slot, const char *number) __attribute__((noreturn));

uint64_t now_ns(void);

#endif
