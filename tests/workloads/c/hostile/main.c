/* hostile: what an unprivileged user can do to a profiler, one tool at a time.
 *
 *   hostile TOOL SECONDS UID DIRECTORY PROGRAMS [CGROUP]      to be started by root
 *
 * The tool runs as that user, in a PID namespace of its own, so that nothing outlives this program, with bounded
 * numbers of processes and descriptors, and for so many seconds. Prints how often it did what it does. */
#define _GNU_SOURCE
#include "toolbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PROCESSES = 48, GRACE = 20 };

static const struct tool {
    const char *name;
    long (*run)(void);
    /* Serves a file system. */
    int needs_device;
} tools[] = {
    { "renames", rename_storm, 0 },      { "mappings", mapping_flood, 0 }, { "long-names", long_names, 0 },
    { "twins", twins, 0 },               { "forged-elf", forged_elf, 0 },  { "sysfs", sysfs_mounts, 0 },
    { "fork-bomb", fork_bomb, 0 },       { "programs", executables, 0 },   { "names", hostile_names, 0 },
    { "stuck-fuse", stuck_fuse, 1 },     { "lists", function_lists, 0 },   { "environments", environments, 0 },
};

struct settings settings;
static struct timespec end;

void fail(const char *what)
{
    fprintf(stderr, "hostile: %s: %s\n", what, strerror(errno));
    _exit(1);
}

int time_left(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec < end.tv_sec || (now.tv_sec == end.tv_sec && now.tv_nsec < end.tv_nsec);
}

static void set_limit(int resource, rlim_t most)
{
    struct rlimit limit = { most, most };
    if (setrlimit(resource, &limit) != 0)
        fail("setrlimit");
}

/* As `fusermount` does for the user: the file system is open to others, as a system may allow. */
static void mount_device(uid_t user)
{
    char options[128];
    settings.device = open("/dev/fuse", O_RDWR);
    if (settings.device < 0)
        fail("/dev/fuse");
    snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=%u,group_id=%u,allow_other", settings.device,
             user, user);
    if (mkdir("mount", 0755) != 0)
        fail("mkdir mount");
    /* Seen by whoever looks through this process, and gone with it. */
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        fail("mount namespace");
    if (mount("hostile", "mount", "fuse", MS_NOSUID | MS_NODEV, options) != 0)
        fail("mount fuse");
}

/* Whoever is not in it already may not move about in it. */
static void enter_group(void)
{
    char path[512];
    snprintf(path, sizeof path, "%s/cgroup.procs", settings.cgroup);
    write_file(path, "0", 1, 0);
}

static void become(uid_t user)
{
    if (setgroups(0, NULL) != 0 || setgid(user) != 0 || setuid(user) != 0)
        fail("become the user");
    /* Otherwise the kernel makes what it shows of this process root's. */
    prctl(PR_SET_DUMPABLE, 1);
    set_limit(RLIMIT_NPROC, PROCESSES);
    set_limit(RLIMIT_NOFILE, 1024);
    set_limit(RLIMIT_CORE, 0);
}

static void run(const struct tool *tool, int seconds, uid_t user)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    become(user);
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += seconds;
    long count = tool->run();
    printf("%ld\n", count);
    fflush(stdout);
    _exit(0);
}

/* Waits for the tool's end, or ends it, and with it all that it has started. Returns the exit code. */
static int watch(const char *name, pid_t child, int seconds)
{
    sigset_t ended;
    sigemptyset(&ended);
    sigaddset(&ended, SIGCHLD);
    sigprocmask(SIG_BLOCK, &ended, NULL);
    struct timespec most = { seconds + GRACE, 0 };
    int status = 0;
    while (waitpid(child, &status, WNOHANG) == 0)
        if (sigtimedwait(&ended, NULL, &most) < 0 && errno == EAGAIN) {
            fprintf(stderr, "hostile: %s did not end in time\n", name);
            kill(child, SIGKILL);
            waitpid(child, &status, 0);
            return 1;
        }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int main(int argc, char **argv)
{
    if (argc < 6) {
        fprintf(stderr, "usage: hostile TOOL SECONDS UID DIRECTORY PROGRAMS [CGROUP]\n");
        return 2;
    }
    int seconds = atoi(argv[2]);
    uid_t user = (uid_t)atoi(argv[3]);
    settings = (struct settings){ argv[4], argc > 6 ? argv[6] : "", atoi(argv[5]), -1 };
    const struct tool *tool = tools;
    while (strcmp(tool->name, argv[1]) != 0)
        if (++tool == tools + sizeof tools / sizeof *tools) {
            fprintf(stderr, "hostile: there is no tool %s\n", argv[1]);
            return 2;
        }
    if (chdir(settings.directory) != 0)
        fail(settings.directory);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (tool->needs_device)
        mount_device(user);
    if (*settings.cgroup)
        enter_group();
    if (unshare(CLONE_NEWPID) != 0)
        fail("unshare");
    pid_t child = fork();
    if (child < 0)
        fail("fork");
    if (child == 0)
        run(tool, seconds, user);
    close(settings.device);
    return watch(tool->name, child, seconds);
}
