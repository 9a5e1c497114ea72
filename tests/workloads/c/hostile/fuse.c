/* A file system in user space whose server answers until its only file runs, and then never again. */
#define _GNU_SOURCE
#include "toolbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FILE_NODE = 2, REQUEST = 1 << 17 };

static unsigned char contents[CODE_FILE];

static void answer(const struct fuse_in_header *to, int error, const void *body, size_t size)
{
    struct fuse_out_header head = { (uint32_t)(sizeof head + size), -error, to->unique };
    struct iovec parts[] = { { &head, sizeof head }, { (void *)(uintptr_t)body, size } };
    /* The kernel may have given up on it. */
    (void)!writev(settings.device, parts, size ? 2 : 1);
}

static struct fuse_attr attributes(uint64_t node)
{
    struct fuse_attr attr = { .ino = node, .nlink = 1, .uid = getuid(), .gid = getgid(), .blksize = PAGE };
    attr.mode = node == FILE_NODE ? S_IFREG | 0755 : S_IFDIR | 0755;
    attr.size = node == FILE_NODE ? CODE_FILE : 0;
    return attr;
}

static void answer_init(const struct fuse_in_header *to)
{
    struct fuse_init_out out = { .major = FUSE_KERNEL_VERSION, .minor = 31, .max_readahead = PAGE, .max_write = PAGE };
    answer(to, 0, &out, sizeof out);
}

/* What the kernel asks for between the mount and the file's first instruction. Nothing is kept: whoever comes later
 * asks again. */
static void serve(const struct fuse_in_header *in)
{
    const void *body = in + 1;
    switch (in->opcode) {
    case FUSE_INIT:
        answer_init(in);
        break;
    case FUSE_LOOKUP: {
        struct fuse_entry_out out = { .nodeid = FILE_NODE, .attr = attributes(FILE_NODE) };
        answer(in, strcmp(body, "program") == 0 ? 0 : ENOENT, &out, strcmp(body, "program") == 0 ? sizeof out : 0);
        break;
    }
    case FUSE_GETATTR: {
        struct fuse_attr_out out = { .attr = attributes(in->nodeid) };
        answer(in, 0, &out, sizeof out);
        break;
    }
    case FUSE_OPEN:
    case FUSE_OPENDIR: {
        struct fuse_open_out out = { .fh = 1 };
        answer(in, 0, &out, sizeof out);
        break;
    }
    case FUSE_READ: {
        const struct fuse_read_in *asked = body;
        uint64_t from = asked->offset < CODE_FILE ? asked->offset : CODE_FILE;
        uint64_t size = CODE_FILE - from < asked->size ? CODE_FILE - from : asked->size;
        answer(in, 0, contents + from, size);
        break;
    }
    case FUSE_FLUSH:
    case FUSE_RELEASE:
        answer(in, 0, NULL, 0);
        break;
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT:
        break;
    default:
        answer(in, ENOSYS, NULL, 0);
    }
}

static void serve_until(const atomic_int *is_stuck)
{
    static _Alignas(8) unsigned char request[REQUEST];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
        ssize_t size = read(settings.device, request, sizeof request);
        if (size < 0 && errno != EINTR && errno != EAGAIN && errno != ENOENT)
            _exit(0);
        if (atomic_load(is_stuck))
            continue;
        if (size > 0)
            serve((const struct fuse_in_header *)request);
    }
}

/* Runs the file, lets the server fall silent, and goes on running it. */
long stuck_fuse(void)
{
    int fd = make_code("template", "\177ELF", 4);
    if (pread(fd, contents, sizeof contents, 0) != sizeof contents)
        fail("template");
    close(fd);
    atomic_int *is_stuck = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (is_stuck == MAP_FAILED)
        fail("mmap");
    pid_t server = fork();
    if (server < 0)
        fail("fork");
    if (server == 0)
        serve_until(is_stuck);
    /* The server alone holds it, so that the file system ends with the server. */
    close(settings.device);
    int file = open("mount/program", O_RDONLY | O_CLOEXEC);
    if (file < 0)
        fail("mount/program");
    void *code = run_code(file);
    atomic_store(is_stuck, 1);
    long count = 0;
    for (; time_left(); count++)
        ((void (*)(void))(uintptr_t)code)();
    /* To close the file would wait for it. */
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
    return count;
}
