/* Files, code and programs, as the tools make them. */
#define _GNU_SOURCE
#include "toolbox.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* The build ID that tiny is linked with: found in its bytes, and replaced. */
static const unsigned char given_id[] = { 0x7e, 0x57, 0x1d, 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06,
                                          0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x10 };

uint32_t draw(void)
{
    static uint64_t state = 0x9e3779b97f4a7c15u;
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33);
}

/* Position independent and without data, so that it runs wherever it is copied to. */
__attribute__((noinline, aligned(64))) static void spin(void)
{
    for (unsigned i = 200000; i > 0; i--)
        __asm__ volatile("" : "+r"(i));
}

void burn(unsigned us)
{
    struct timespec now, until;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &until);
    until.tv_nsec += (long)us * 1000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    do {
        for (unsigned i = 2000; i > 0; i--)
            __asm__ volatile("" : "+r"(i));
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    } while (now.tv_sec < until.tv_sec || (now.tv_sec == until.tv_sec && now.tv_nsec < until.tv_nsec));
}

int make_code(const char *path, const void *head, size_t size)
{
    unsigned char bytes[CODE_FILE] = { 0 };
    memcpy(bytes, head ? head : "", head ? size : 0);
    memcpy(bytes + PAGE, (const void *)(uintptr_t)spin, 128);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
    if (fd < 0 || write(fd, bytes, sizeof bytes) != sizeof bytes)
        fail("write code");
    return fd;
}

void *run_code(int fd)
{
    void *code = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, PAGE);
    if (code == MAP_FAILED)
        fail("map code");
    ((void (*)(void))(uintptr_t)code)();
    return code;
}

void write_file(const char *path, const void *bytes, size_t size, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    if (fd < 0 || write(fd, bytes, size) != (ssize_t)size)
        fail(path);
    close(fd);
}

struct program *read_program(void)
{
    struct program *program = calloc(1, sizeof *program);
    int fd = open("tiny", O_RDONLY | O_CLOEXEC);
    if (!program || fd < 0)
        fail("tiny");
    ssize_t size = read(fd, program->bytes, sizeof program->bytes);
    close(fd);
    if (size <= 0)
        fail("read tiny");
    program->size = (size_t)size;
    program->build_id = memmem(program->bytes, program->size, given_id, sizeof given_id);
    if (!program->build_id)
        fail("tiny has another build ID");
    return program;
}

void set_build_id(struct program *program, uint64_t id)
{
    memcpy(program->build_id, &id, sizeof id);
}

int run_program(const char *path, const char *name)
{
    pid_t child = vfork();
    if (child == 0) {
        char *const argv[] = { (char *)(uintptr_t)name, NULL }, *const envp[] = { NULL };
        execve(path, argv, envp);
        _exit(126);
    }
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child)
        return 0;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void *run_copied_code(void)
{
    void *code = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (code == MAP_FAILED)
        fail("map memory");
    memcpy(code, (const void *)(uintptr_t)spin, 128);
    if (mprotect(code, PAGE, PROT_READ | PROT_EXEC) != 0)
        fail("mprotect");
    ((void (*)(void))(uintptr_t)code)();
    return code;
}

static void write_map(const char *path, unsigned id)
{
    char text[32];
    snprintf(text, sizeof text, "0 %u 1", id);
    write_file(path, text, strlen(text), 0);
}

void enter_user_namespace(int others)
{
    unsigned user = getuid();
    if (unshare(CLONE_NEWUSER | others) != 0)
        fail("user namespace");
    write_file("/proc/self/setgroups", "deny", 4, 0);
    write_map("/proc/self/uid_map", user);
    write_map("/proc/self/gid_map", user);
}
