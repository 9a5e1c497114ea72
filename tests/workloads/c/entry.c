#define _GNU_SOURCE
#include "entry.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NOBODY 65534

static char *empty[] = { NULL };

static int memfd_of(const char *source, const char *name)
{
    int from = open(source, O_RDONLY | O_CLOEXEC);
    int to = memfd_create(name, MFD_CLOEXEC);
    struct stat facts;
    if (from < 0 || to < 0 || fstat(from, &facts) != 0)
        err(1, "memfd of %s", source);
    for (off_t sent = 0; sent < facts.st_size;)
        if (sendfile(to, from, &sent, (size_t)(facts.st_size - sent)) <= 0)
            err(1, "memfd of %s", source);
    close(from);
    return to;
}

/* One file for all entries of a name. */
static int shared_memfd(const char *source, const char *name)
{
    static struct { char name[MAX_PATH]; int file; } made[16];
    for (unsigned i = 0; i < sizeof made / sizeof *made; i++) {
        if (made[i].name[0] == '\0') {
            strcpy(made[i].name, name);
            made[i].file = memfd_of(source, name);
        }
        if (strcmp(made[i].name, name) == 0)
            return made[i].file;
    }
    errx(1, "more memfd names than the launcher keeps");
}

static int open_and_unlink(const char *path)
{
    int file = open(path, O_PATH | O_CLOEXEC);
    if (file < 0 || unlink(path) != 0)
        err(1, "%s", path);
    return file;
}

static int enter_mount_namespace(const char *root)
{
    /* pivot_root(2): with "." for both, the old root ends up under the new one and can be detached. */
    return unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
           mount(root, root, NULL, MS_BIND, NULL) || chdir(root) || syscall(SYS_pivot_root, ".", ".") ||
           umount2(".", MNT_DETACH) || chdir("/");
}

static int become_nobody(void)
{
    return setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY);
}

/* The child's half; after vfork it still borrows the launcher's memory, so it may only call the kernel. */
static void child(enum start start, int file, struct slot *slot, const char *number)
{
    char *argv[] = { slot->path[0], (char *)number, NULL };
    const char *root = slot->path[1];
    int failed = 0;
    if (start == START_CHROOT)
        failed = chroot(root) || chdir("/");
    else if (start == START_MOUNT_NS)
        failed = enter_mount_namespace(root);
    else if (start == START_SETUID)
        failed = become_nobody();
    if (failed)
        _exit(120);
    slot->exec_at = now_ns();
    if (file >= 0)
        syscall(SYS_execveat, file, "", argv, empty, AT_EMPTY_PATH);
    else
        execve(argv[0], argv, empty);
    _exit(119);
}

static pid_t start_orphan(enum start start, struct slot *slot, const char *number)
{
    pid_t first = fork();
    if (first != 0)
        return first;
    slot->orphan_born = now_ns();
    pid_t parent = getpid();
    pid_t second = fork();
    if (second == 0) {
        /* Its parent may not get to run before it is looked at. */
        slot->orphan_pid = getpid();
        /* It will ask for a signal at its parent's death: that is to be the launcher. */
        while (slot->wait_go && getppid() == parent)
            usleep(1000);
        child(start, -1, slot, number);
    }
    slot->orphan_pid = second;
    _exit(second < 0);
}

/* glibc's vfork may not be wrapped in a function that returns in both; this one returns only in the parent. */
static pid_t start_vfork(enum start start, struct slot *slot, const char *number)
{
    pid_t pid = vfork();
    if (pid == 0)
        child(start, -1, slot, number);
    return pid;
}

static pid_t start_spawn(struct slot *slot, const char *number)
{
    char *argv[] = { slot->path[0], (char *)number, NULL };
    pid_t pid;
    errno = posix_spawn(&pid, argv[0], NULL, NULL, argv, empty);
    return errno ? -1 : pid;
}

pid_t start_entry(enum start start, struct slot *slot, const char *number)
{
    if (start == START_SPAWN)
        return start_spawn(slot, number);
    if (start == START_VFORK)
        return start_vfork(start, slot, number);
    if (start == START_ORPHAN)
        return start_orphan(start, slot, number);

    int file = -1;
    if (start == START_MEMFD)
        file = shared_memfd(slot->path[0], slot->path[1]);
    else if (start == START_DELETED)
        file = open_and_unlink(slot->path[0]);
    pid_t pid = start == START_PID_NS ? (pid_t)syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0) : fork();
    if (pid == 0) {
        if (start == START_FORK_NO_EXEC)
            run_image(slot, number);
        child(start, file, slot, number);
    }
    if (start == START_DELETED)
        close(file);
    return pid;
}
