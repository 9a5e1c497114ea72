/* What programs say of themselves: lists of functions that they claim to compile at run time, and environments. */
#define _GNU_SOURCE
#include "toolbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KINDS = 10, LINES = 20000, LONG_LINE = 1 << 20, VARIABLES = 1000, VALUE = 1000 };

static const char *const bad_names[] = { "\033[2J\033]0;title\007", "not \xff\xfe\x80 text", "a;b;c 1 2 3", "",
                                         "\xe2\x80\xae" "gnp.exe" };

static void fill(int fd, unsigned kind, uintptr_t code)
{
    FILE *list = fdopen(fd, "w");
    if (!list)
        fail("fdopen");
    switch (kind) {
    case 0: fprintf(list, "%lx %x good\n", code, PAGE); break;
    case 1:
        for (size_t i = 0; i < sizeof bad_names / sizeof *bad_names; i++)
            fprintf(list, "%lx %x %s\n", code, PAGE, bad_names[i]);
        break;
    case 2:
        for (unsigned i = 0; i < LINES; i++)
            fprintf(list, "%lx %x overlaps-%u\n", code + draw() % PAGE, draw() % (4 * PAGE), i);
        break;
    case 3:
        for (unsigned i = 0; i < LONG_LINE; i++)
            fputc('x', list);
        break;
    case 4:
        for (unsigned i = 0; i < LONG_LINE; i++)
            fputc((int)(draw() & 0xff), list);
        break;
    case 5: fprintf(list, "%lx ffffffffffffffff all\nffffffffffffffff 1 end\n-1 -1 minus\n", code); break;
    default: fprintf(list, "%lx %x grows\n", code, PAGE);
    }
    fclose(list);
}

/* A list of a kind: a file with something in it, a terabyte, a link, a pipe, or a directory. */
static void make_list(const char *path, unsigned kind, uintptr_t code)
{
    int done = 0;
    switch (kind) {
    case 7: done = symlink("../secret", path) == 0; break;
    case 8: done = mkfifo(path, 0644) == 0; break;
    case 9: done = mkdir(path, 0755) == 0; break;
    default: {
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        done = fd >= 0 && (kind != 6 || ftruncate(fd, (off_t)1 << 40) == 0);
        if (done)
            fill(fd, kind, code);
    }
    }
    if (!done && errno != EEXIST)
        fail(path);
}

/* A process that runs code of no file, with a list of its functions that changes under whoever reads it. */
static void run_listed(unsigned kind)
{
    char path[40];
    snprintf(path, sizeof path, "/tmp/perf-%d.map", (int)getpid());
    void (*code)(void) = (void (*)(void))(uintptr_t)run_copied_code();
    for (unsigned turn = 0; turn < 5 && time_left(); turn++) {
        make_list(path, turn % 2 ? draw() % KINDS : kind, (uintptr_t)code);
        for (unsigned i = 0; i < 40; i++)
            code();
        if (unlink(path) != 0)
            rmdir(path);
    }
    _exit(0);
}

long function_lists(void)
{
    /* In a root of its own, so that the lists are nowhere else. */
    enter_user_namespace(0);
    if ((mkdir("root", 0755) != 0 || mkdir("root/tmp", 0755) != 0) && errno != EEXIST)
        fail("mkdir");
    write_file("root/secret", "0 ffffffffffff secret\n", 22, 0600);
    if (chroot("root") != 0 || chdir("/") != 0)
        fail("chroot");
    long count = 0;
    for (; time_left(); count++) {
        pid_t child = fork();
        if (child == 0)
            run_listed((unsigned)count % KINDS);
        int status;
        if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
            fail("fork");
    }
    return count;
}

/* Programs with a megabyte of environment, some of which names the service in every way that is wrong. */
long environments(void)
{
    static char texts[VARIABLES][VALUE], attributes[60000];
    static char *arguments[] = { "tiny", NULL }, *variables[VARIABLES + 1];
    char name[64] = "OTEL_SERVICE_NAME=";
    strcpy(attributes, "OTEL_RESOURCE_ATTRIBUTES=");
    for (size_t i = strlen(attributes); i + 8 < sizeof attributes; i += 7)
        memcpy(attributes + i, "a%0=\033,%", 7);
    for (unsigned i = 0; i < VARIABLES; i++) {
        variables[i] = texts[i];
        memset(texts[i], 'x', VALUE - 1);
        int named = snprintf(texts[i], VALUE, "OTEL_SERVICE_NAM%u", i);
        /* The rest of the text is its value. */
        texts[i][named] = '=';
    }
    long count = 0;
    for (; time_left(); count++) {
        strcpy(name + 18, bad_names[count % 5]);
        unsigned of_name = draw() % VARIABLES, of_attributes = draw() % VARIABLES;
        variables[of_name] = name;
        variables[of_attributes] = attributes;
        pid_t child = vfork();
        if (child == 0) {
            execve("tiny", arguments, variables);
            _exit(126);
        }
        int status;
        if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
            fail("run");
        /* With many of the long ones the kernel would refuse the whole. */
        variables[of_name] = texts[of_name];
        variables[of_attributes] = texts[of_attributes];
    }
    return count;
}
