/* A planned process, and the ways to start one. */
#ifndef STORM_ENTRY_H
#define STORM_ENTRY_H

#include "slot.h"

#include <sys/types.h>

/* How the first image comes to run. */
enum start {
    START_SPAWN,        /* posix_spawn */
    START_VFORK,        /* vfork and exec */
    START_FORK,         /* fork and exec */
    START_FORK_NO_EXEC, /* fork, and the child burns as a copy of the launcher */
    START_ORPHAN,       /* fork twice; the first child exits before the second is done */
    START_MEMFD,        /* exec of an anonymous file: path[1] is its name, path[0] what it holds */
    START_DELETED,      /* exec of an open file that has no name any more */
    START_CHROOT,       /* path[1] is the root, path[0] is inside */
    START_MOUNT_NS,     /* the same root, but in a mount namespace of its own, by pivot_root */
    START_PID_NS,       /* first process of a pid namespace of its own */
    START_SETUID,       /* as nobody, and with a file that nobody may not read */
};

/* One line of the plan. */
struct entry {
    uint64_t at_ns;     /* after the storm's start */
    enum start start;
    struct slot orders;
};

/* Starts the process of the slot of that number. Returns its pid in the launcher's namespace, or -1. */
pid_t start_entry(enum start start, struct slot *slot, const char *number);

#endif
