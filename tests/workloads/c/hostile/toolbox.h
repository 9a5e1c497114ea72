/* What the tools of an unprivileged user share. Each does one thing as often as it can until its time is over. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    /* Bytes of a page, and of each file of code: a page that says what it is, and a page that runs. */
    PAGE = 4096,
    CODE_FILE = 2 * PAGE,
    /* Most bytes of a program that is copied. */
    MAX_PROGRAM = 65536,
};

/* The smallest program (tiny.c) as it lies in the directory; each copy may have a build ID of its own. */
struct program {
    unsigned char bytes[MAX_PROGRAM];
    size_t size;
    /* Where its build ID is. */
    unsigned char *build_id;
};

struct settings {
    /* Where files are made; the working directory too. */
    const char *directory;
    /* A control group of the user's own in the hierarchy that has no controllers; empty without one. */
    const char *cgroup;
    /* Programs of the tool that makes the most of them. */
    int programs;
    /* The device of a file system in user space, for the tool that serves one; else -1. */
    int device;
};

extern struct settings settings;

int time_left(void);
/* Ends the tool with a message. */
void fail(const char *what) __attribute__((noreturn));
uint32_t draw(void);
/* Uses CPU time for about so many microseconds. */
void burn(unsigned us);
/* Makes a file with code at its second page. `head` is what its first page says; null for nothing. */
int make_code(const char *path, const void *head, size_t size);
/* Maps that page and runs it; returns what `munmap` takes. */
void *run_code(int fd);
/* Runs such code in memory that is no file's; returns where it is. */
void *run_copied_code(void);
/* Enters a user namespace, in which it is root, and others by the flags of unshare(2). */
void enter_user_namespace(int others);
void write_file(const char *path, const void *bytes, size_t size, mode_t mode);
struct program *read_program(void);
void set_build_id(struct program *program, uint64_t id);
/* Starts a program and waits for its end; false if it could not be started. */
int run_program(const char *path, const char *name);

/* Each returns how often it did what it does. */
long rename_storm(void);
long mapping_flood(void);
long long_names(void);
long twins(void);
long forged_elf(void);
long sysfs_mounts(void);
long fork_bomb(void);
long executables(void);
long hostile_names(void);
long stuck_fuse(void);
long function_lists(void);
long environments(void);
