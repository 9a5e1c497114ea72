/* Processes, very many of them, under names that nobody would give. */
#define _GNU_SOURCE
#include "toolbox.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Every process makes others until there may be no more, and then ends. */
long fork_bomb(void)
{
    atomic_long *count = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (count == MAP_FAILED)
        fail("mmap");
    /* Nobody waits for its children. */
    signal(SIGCHLD, SIG_IGN);
    pid_t first = getpid();
    while (time_left()) {
        pid_t child = fork();
        if (child == 0)
            atomic_fetch_add(count, 1);
        else if (child < 0 && getpid() != first)
            _exit(0);
        burn(300);
        if (getpid() != first && draw() % 4 == 0)
            _exit(0);
    }
    if (getpid() != first)
        _exit(0);
    return atomic_load(count);
}

/* As many programs as were asked for, each with a build ID and a path of its own; and all of them again. */
long executables(void)
{
    struct program *program = read_program();
    if (mkdir("programs", 0755) != 0 && errno != EEXIST)
        fail("mkdir");
    long count = 0;
    char path[40];
    for (; time_left(); count++) {
        long number = count % settings.programs;
        snprintf(path, sizeof path, "programs/program-%ld", number);
        if (count < settings.programs) {
            set_build_id(program, (uint64_t)count);
            write_file(path, program->bytes, program->size, 0755);
        }
        if (!run_program(path, path))
            fail("run");
    }
    return count;
}

/* Ends of lines, control sequences, what is no text, text that runs backwards, and what others give a meaning to. */
static const char *const names[] = {
    "two\nlines\n# TYPE x counter",
    "\033[2J\033]0;title\007",
    "not \xff\xfe\x80 text",
    "\xe2\x80\xae" "gnp.exe\xe2\x80\x8b",
    "a;b;c 1 2 3",
    "quoted \"'\\`$(id)",
    "%s%n%1000000000d",
    "really (deleted)",
    "{\"json\": [1, {}]}",
    "\xed\xa0\x80\xc0\x80\xf4\x90\x80\x80",
    " ",
    "..",
};
enum { NAMES = sizeof names / sizeof *names };

static void run_memfd(const struct program *program, const char *name)
{
    int fd = memfd_create(name, MFD_CLOEXEC);
    if (fd < 0 || write(fd, program->bytes, program->size) != (ssize_t)program->size)
        fail("memfd");
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (!run_program(path, name))
        fail("run memfd");
    close(fd);
}

/* A control group of that name in the user's own, in which a program runs. */
static void run_in_group(const char *name)
{
    char group[512], path[600];
    snprintf(group, sizeof group, "%s/%s", settings.cgroup, name);
    if (strchr(name, '\n') || strcmp(name, "..") == 0)
        return;
    if (mkdir(group, 0755) != 0 && errno != EEXIST)
        fail(group);
    snprintf(path, sizeof path, "%s/cgroup.procs", group);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    /* The group that the user starts in may not be the user's to leave. */
    if (fd >= 0 && write(fd, "0", 1) == 1)
        run_program("tiny", name);
    close(fd);
    snprintf(path, sizeof path, "%s/cgroup.procs", settings.cgroup);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    (void)!write(fd, "0", 1);
    close(fd);
    rmdir(group);
}

long hostile_names(void)
{
    struct program *program = read_program();
    if (mkdir("names", 0755) != 0 && errno != EEXIST)
        fail("mkdir");
    long count = 0;
    char path[300];
    for (; time_left(); count++) {
        const char *name = names[count % NAMES];
        prctl(PR_SET_NAME, name);
        burn(1000);
        snprintf(path, sizeof path, "names/%s", strcmp(name, "..") == 0 ? "..." : name);
        for (char *slash = strchr(path + 6, '/'); slash; slash = strchr(slash, '/'))
            *slash = '_';
        write_file(path, program->bytes, program->size, 0755);
        if (!run_program(path, name) || unlink(path) != 0)
            fail("run");
        run_memfd(program, name);
        if (*settings.cgroup)
            run_in_group(name);
    }
    return count;
}
