/* Files that change their names, their places and their contents while they run. */
#define _GNU_SOURCE
#include "toolbox.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void *rename_thread(void *count)
{
    static const char *const names[] = { "worker", "renamed", "worker/1:2-event", "x" };
    long *renames = count;
    for (; time_left(); *renames += 64)
        for (int i = 0; i < 64; i++)
            prctl(PR_SET_NAME, names[i % 4]);
    return NULL;
}

/* Threads and files take other names as fast as they can; code of the files runs meanwhile. */
long rename_storm(void)
{
    long of_threads = 0, of_files = 0;
    pthread_t thread;
    int fd = make_code("name-0", NULL, 0);
    if (pthread_create(&thread, NULL, rename_thread, &of_threads) != 0)
        fail("thread");
    char from[16], to[16];
    for (; time_left(); of_files++) {
        snprintf(from, sizeof from, "name-%ld", of_files % 8);
        snprintf(to, sizeof to, "name-%ld", (of_files + 1) % 8);
        if (rename(from, to) != 0)
            fail("rename");
        if (of_files % 64 == 0)
            munmap(run_code(fd), PAGE);
    }
    pthread_join(thread, NULL);
    close(fd);
    return of_threads + of_files;
}

enum { MAPPED_FILES = 64, MAPPINGS = 20000 };

/* Code of many files is mapped, run and unmapped; tens of thousands of mappings are there at any time. */
long mapping_flood(void)
{
    static void *mapped[MAPPINGS];
    int fds[MAPPED_FILES];
    char path[16];
    for (int i = 0; i < MAPPED_FILES; i++) {
        snprintf(path, sizeof path, "code-%d", i);
        fds[i] = make_code(path, NULL, 0);
    }
    long count = 0;
    for (; time_left(); count++) {
        void **place = &mapped[count % MAPPINGS];
        if (*place)
            munmap(*place, PAGE);
        int fd = fds[draw() % MAPPED_FILES];
        if (count % 16 == 0) {
            *place = run_code(fd);
            continue;
        }
        /* Neighbours of one file and offset would not be one mapping: their offsets are the same. */
        *place = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, PAGE);
        if (*place == MAP_FAILED)
            fail("map");
    }
    return count;
}

enum { DEPTH = 20, NAME = 255 };

/* Programs whose path is longer than PATH_MAX, with names that end in the middle of a character. */
long long_names(void)
{
    char name[NAME + 1];
    for (int i = 0; i < NAME; i++)
        name[i] = "\xe2\x82\xac"[(i + 1) % 3];
    name[NAME] = 0;
    struct program *program = read_program();
    for (int i = 0; i < DEPTH; i++)
        if ((mkdir(name, 0755) != 0 && errno != EEXIST) || chdir(name) != 0)
            fail("mkdir");
    long count = 0;
    for (; time_left(); count++) {
        set_build_id(program, (uint64_t)count);
        write_file(name, program->bytes, program->size, 0755);
        if (!run_program(name, name) || unlink(name) != 0)
            fail("run");
    }
    return count;
}

/* One path is now this file, now another: by rename, by an inode that is used again, with one build ID or with two. */
long twins(void)
{
    struct program *program = read_program();
    long count = 0;
    for (; time_left(); count++) {
        set_build_id(program, (uint64_t)(count / 3 % 2));
        /* Behind what the kernel loads: other contents under the same build ID. */
        program->bytes[program->size - 1] = (unsigned char)count;
        write_file("other", program->bytes, program->size, 0755);
        if (count % 2 == 0 && unlink("twin") != 0 && errno != ENOENT)
            fail("unlink");
        if (rename("other", "twin") != 0)
            fail("rename");
        int held = open("twin", O_RDONLY | O_CLOEXEC);
        if (!run_program("twin", "twin"))
            fail("run");
        close(held);
    }
    return count;
}

/* Changes some bytes of a header, some of them to what hurts most. */
static void forge(unsigned char *head, size_t size)
{
    static const unsigned char worst[] = { 0x00, 0xff, 0x7f, 0x80, 0x01 };
    for (unsigned changes = 1 + draw() % 8; changes > 0; changes--) {
        size_t at = draw() % size, width = (size_t)1 << draw() % 4;
        for (size_t i = at; i < at + width && i < size; i++)
            head[i] = draw() % 4 ? worst[draw() % sizeof worst] : (unsigned char)draw();
    }
    /* Whoever looks at the first bytes alone takes it for what it says that it is. */
    memcpy(head, "\177ELF", 4);
}

/* Files that say that they are ELF and are not, grow to a terabyte, shrink and vanish while their code runs. */
long forged_elf(void)
{
    struct program *program = read_program();
    unsigned char head[PAGE];
    size_t size = program->size < sizeof head ? program->size : sizeof head;
    long count = 0;
    char path[24];
    for (; time_left(); count++) {
        memcpy(head, program->bytes, size);
        forge(head, count % 2 ? 64 : size);
        snprintf(path, sizeof path, "forged-%ld", count % 256);
        int fd = make_code(path, head, size);
        if (count % 5 == 0)
            (void)!ftruncate(fd, (off_t)1 << 40);
        void *code = run_code(fd);
        burn(500);
        munmap(code, PAGE);
        if (count % 3 == 0)
            (void)!ftruncate(fd, draw() % PAGE);
        if (count % 7 == 0)
            unlink(path);
        close(fd);
    }
    return count;
}

/* In a user namespace, where anyone may mount: over a file whose code runs, its user mounts what the kernel writes when
 * it is read, and devices. */
long sysfs_mounts(void)
{
    static const char *const over[] = { "/sys/kernel/uevent_seqnum", "/sys/kernel/notes", "/proc/kallsyms", "/dev/zero",
                                        "/proc/self/mem", "pipe" };
    enter_user_namespace(CLONE_NEWNS);
    if (mkfifo("pipe", 0644) != 0 && errno != EEXIST)
        fail("mkfifo");
    long count = 0;
    for (; time_left(); count++) {
        unlink("covered");
        int fd = make_code("covered", "\177ELF", 4);
        void *code = run_code(fd);
        if (mount(over[count % 6], "covered", NULL, MS_BIND, NULL) != 0)
            fail(over[count % 6]);
        burn(20000);
        munmap(code, PAGE);
        close(fd);
        if (umount2("covered", MNT_DETACH) != 0)
            fail("umount");
    }
    return count;
}
