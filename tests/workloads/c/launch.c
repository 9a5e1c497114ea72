/* Executes a plan: starts each process at its time, reaps it, and writes down what became of it.
 *
 *   launch PLAN RECORDS AT_ONCE PID_MAX
 *
 * AT_ONCE 0: each process at its planned time. Else closed loop: as soon as fewer than that many live. PID_MAX not 0:
 * kernel.pid_max during the storm, so that pids are soon used again. First starts what is to be older than the storm,
 * prints `ready` and waits for a line on stdin. RECORDS is there, whole, when the storm is over. SIGTERM and SIGINT end
 * it early, with every process killed and pid_max restored. RECORDS is tab-separated, see record.rs for its columns.
 */
#define _GNU_SOURCE
#include "plan.h"

#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_PID (1 << 22)
/* More than live at once; the memory of those not used is never touched. */
#define SLOTS 16384

/* A process in flight. `users` counts the pids that share the slot: two in a double fork. */
struct flight {
    size_t line;        /* of the plan */
    enum start start;
    int users;
    pid_t pid;
    uint64_t born;
};

static struct flight flights[SLOTS];
/* What the links showed; only used in storms that verify. */
static char observed[SLOTS][MAX_IMAGES][MAX_PATH];
static int free_slots[SLOTS];
static size_t free_count;
/* No slot from here on has ever been used. */
static size_t slots_used;
static char *slots;
/* Slot number + 1 of each pid. Only the pages in use take memory. */
static int slot_of[MAX_PID];
static FILE *records;
static int signals;
static size_t lines, live, sleepers, failed;
static int verify;

static struct slot *slot_at(size_t number)
{
    return (struct slot *)(slots + number * SLOT_SIZE);
}

/* The clocks at one instant: of some readings the one that took least. Another may have lost its CPU in between. */
static void print_clocks(const char *name)
{
    uint64_t least = UINT64_MAX, monotonic = 0, unix_time = 0;
    for (int reading = 0; reading < 20; reading++) {
        struct timespec wall;
        uint64_t before = now_ns();
        clock_gettime(CLOCK_REALTIME, &wall);
        uint64_t took = now_ns() - before;
        if (took >= least)
            continue;
        least = took;
        monotonic = before + took / 2;
        unix_time = (uint64_t)wall.tv_sec * 1000000000u + (uint64_t)wall.tv_nsec;
    }
    fprintf(records, "C\t%s\t%lu\t%lu\n", name, monotonic, unix_time);
}

static uint64_t own_cpu_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void make_slots(void)
{
    int file = memfd_create("storm-slots", 0);
    if (file < 0 || ftruncate(file, (off_t)SLOTS * SLOT_SIZE) != 0 || dup2(file, SLOT_FD) < 0)
        err(1, "slots");
    close(file);
    slots = mmap(NULL, (size_t)SLOTS * SLOT_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, SLOT_FD, 0);
    if (slots == MAP_FAILED)
        err(1, "slots");
    for (int i = SLOTS; i > 0; i--)
        free_slots[free_count++] = i - 1;
}

/* ---- pid_max ---- */

static const char pid_max_path[] = "/proc/sys/kernel/pid_max";
static unsigned long pid_max_before;

static void write_pid_max(unsigned long value)
{
    FILE *file = fopen(pid_max_path, "we");
    if (file == NULL || fprintf(file, "%lu", value) < 0 || fclose(file) != 0)
        warn("%s", pid_max_path);
}

static void restore_pid_max(void)
{
    write_pid_max(pid_max_before);
}

static void lower_pid_max(unsigned long value)
{
    FILE *file = fopen(pid_max_path, "re");
    if (file == NULL || fscanf(file, "%lu", &pid_max_before) != 1)
        err(1, "%s", pid_max_path);
    fclose(file);
    atexit(restore_pid_max);
    write_pid_max(value);
}

/* ---- start, look at, reap ---- */

static int wait_for_event(uint64_t ns, int input);

/* Others use pids too: while there is none left, somebody will end. Not where a try leaves traces. */
static pid_t start_patiently(enum start how, struct flight *flight, struct slot *slot, const char *number)
{
    for (int tries = 0;; tries++) {
        flight->born = now_ns();
        pid_t pid = start_entry(how, slot, number);
        if (pid >= 0 || errno != EAGAIN || how == START_DELETED || tries == 5000)
            return pid;
        wait_for_event(1000000, -1);
    }
}

static void start(const struct entry *entry)
{
    int number = free_slots[--free_count];
    struct slot *slot = slot_at((size_t)number);
    struct flight *flight = &flights[number];
    char text[16];
    snprintf(text, sizeof text, "%d", number);
    if ((size_t)number >= slots_used)
        slots_used = (size_t)number + 1;
    *slot = entry->orders;
    *flight = (struct flight){ .line = lines++, .start = entry->start, .users = 1 + (entry->start == START_ORPHAN) };
    pid_t pid = start_patiently(entry->start, flight, slot, text);
    if (pid < 0) {
        warn("start");
        failed++;
        flight->users = 0;
        free_slots[free_count++] = number;
        return;
    }
    flight->pid = pid;
    slot_of[pid] = number + 1;
    live += (size_t)flight->users;
    sleepers += slot->step == STEP_SLEEP;
    verify |= (int)slot->verify;
}

/* What the link of a thread shows; 0 if the thread has ended. */
static ssize_t read_link(pid_t pid, const char *tid, char target[MAX_PATH])
{
    char link[64];
    snprintf(link, sizeof link, "/proc/%d/task/%.20s/exe", pid, tid);
    ssize_t length = readlink(link, target, MAX_PATH - 1);
    return length > 0 ? length : 0;
}

/* Reads the link as any observer would, through a thread that still runs. A thread's tid may be far from the pid, or
 * below it where tids have come round. */
static void look_at(size_t number, uint32_t image)
{
    struct slot *slot = slot_at(number);
    pid_t pid = flights[number].start == START_ORPHAN ? slot->orphan_pid : flights[number].pid;
    char *target = observed[number][image];
    ssize_t length = 0;
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *threads = opendir(path);
    for (struct dirent *thread; threads != NULL && length == 0 && (thread = readdir(threads)) != NULL;)
        length = read_link(pid, thread->d_name, target);
    if (threads != NULL)
        closedir(threads);
    target[length] = '\0';
    slot->seen = image + 1;
}

static void look_at_all(void)
{
    for (size_t i = 0; verify && i < slots_used; i++) {
        const struct slot *slot = slot_at(i);
        if (flights[i].users > 0 && slot->verify && slot->seen < slot->entered)
            look_at(i, slot->entered - 1);
    }
}

static int find_slot(pid_t pid)
{
    if (slot_of[pid] > 0)
        return slot_of[pid] - 1;
    for (size_t i = 0; i < slots_used; i++)
        if (flights[i].users > 0 && slot_at(i)->orphan_pid == pid)
            return (int)i;
    return -1;
}

static uint64_t cpu_of(const struct rusage *usage)
{
    return ((uint64_t)usage->ru_utime.tv_sec + (uint64_t)usage->ru_stime.tv_sec) * 1000000000u +
           ((uint64_t)usage->ru_utime.tv_usec + (uint64_t)usage->ru_stime.tv_usec) * 1000u;
}

static void record(size_t number, pid_t pid, int status, uint64_t reaped, uint64_t cpu)
{
    const struct flight *flight = &flights[number];
    const struct slot *slot = slot_at(number);
    /* The first process of a double fork runs nothing of its own. */
    int first = flight->start == START_ORPHAN && pid == flight->pid;
    int second = flight->start == START_ORPHAN && !first;
    uint32_t images = first ? 0 : slot->entered;
    fprintf(records, "P\t%zu\t%d\t%d\t%lu\t%lu\t%lu\t%lu\t%d\t%lu\t%lu\t%u\t%lu\t%lu\t%s\t%u", flight->line, first,
            pid, second ? slot->orphan_born : flight->born, first ? 0 : slot->exec_at, reaped, cpu, status, slot->go_at,
            slot->cpu_at_go, slot->renamed, slot->rename_from, slot->rename_until, slot->rename_comm, images);
    for (uint32_t i = 0; i < images; i++) {
        const struct mark *mark = &slot->mark[i];
        fprintf(records, "\t%lu\t%lu\t%lu\t%lu\t%s\t%s", mark->enter, mark->leave, mark->cpu_enter, mark->cpu_leave,
                mark->comm, verify ? observed[number][i] : "");
        if (verify)
            observed[number][i][0] = '\0';
    }
    fputc('\n', records);
}

static void reap_all(void)
{
    int status;
    pid_t pid;
    struct rusage usage;
    while ((pid = wait4(-1, &status, WNOHANG, &usage)) > 0) {
        uint64_t reaped = now_ns();
        int number = find_slot(pid);
        if (number < 0)
            continue;
        struct slot *slot = slot_at((size_t)number);
        struct flight *flight = &flights[number];
        if (slot->step == STEP_SLEEP)
            sleepers--;
        else
            record((size_t)number, pid, status, reaped, cpu_of(&usage));
        int gone = 1;
        if (slot->orphan_pid == pid)
            slot->orphan_pid = 0;
        else if (flight->start == START_ORPHAN && status != 0 && slot->orphan_pid <= 0)
            gone = 2; /* the first process of the double fork did not get to the second fork */
        slot_of[pid] = 0;
        live -= (size_t)gone;
        flight->users -= gone;
        if (flight->users == 0)
            free_slots[free_count++] = number;
    }
}

/* ---- the storm ---- */

/* Kills by pid only what is known not to have been reaped: a pid may be somebody else's by now. */
static void kill_all(int only_sleepers)
{
    for (size_t i = 0; i < slots_used; i++) {
        const struct slot *slot = slot_at(i);
        if (flights[i].users == 0 || (only_sleepers && slot->step != STEP_SLEEP))
            continue;
        if (slot_of[flights[i].pid] == (int)i + 1)
            kill(flights[i].pid, SIGKILL);
        if (slot->orphan_pid > 0)
            kill(slot->orphan_pid, SIGKILL);
    }
    for (int tries = 0; live > 0 && tries < 5000; tries++) {
        reap_all();
        usleep(1000);
    }
}

/* Waits for a child to end, a signal, at most `ns`, or a line on `input` if not -1. Returns 1 for a line. */
static int wait_for_event(uint64_t ns, int input)
{
    struct pollfd polled[2] = { { .fd = signals, .events = POLLIN }, { .fd = input, .events = POLLIN } };
    struct timespec time = { (time_t)(ns / 1000000000u), (long)(ns % 1000000000u) };
    if (ppoll(polled, 2, &time, NULL) < 0 && errno != EINTR)
        err(1, "poll");
    if (polled[0].revents & POLLIN) {
        struct signalfd_siginfo info;
        if (read(signals, &info, sizeof info) == sizeof info && info.ssi_signo != SIGCHLD) {
            kill_all(0);
            exit(2);
        }
        reap_all();
    }
    return polled[1].revents != 0;
}

static int settled(void)
{
    for (size_t i = 0; i < slots_used; i++)
        if (flights[i].users > 0 && slot_at(i)->entered < slot_at(i)->images)
            return 0;
    return 1;
}

/* Starts the leading entries of the plan, those that wait. Leaves the first other one in `entry`; 0 if there is
 * none. */
static int start_early(FILE *plan, struct entry *entry)
{
    int more;
    while ((more = read_entry(plan, entry)) && entry->orders.wait_go)
        start(entry);
    while (!settled()) {
        look_at_all();
        wait_for_event(1000000, -1);
    }
    look_at_all();
    return more;
}

static void release_early(void)
{
    for (size_t i = 0; i < slots_used; i++) {
        struct slot *slot = slot_at(i);
        if (flights[i].users == 0 || slot->step == STEP_SLEEP)
            continue;
        __atomic_store_n(&slot->go, 1, __ATOMIC_RELEASE);
        syscall(SYS_futex, &slot->go, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
    }
}

static int is_due(const struct entry *entry, uint64_t begin, size_t at_once)
{
    if (at_once > 0)
        return live - sleepers < at_once;
    return free_count > 0 && now_ns() - begin >= entry->at_ns;
}

static void run(FILE *plan, struct entry *entry, int more, size_t at_once)
{
    uint64_t begin = now_ns();
    while (more || live > sleepers) {
        if (more && is_due(entry, begin, at_once)) {
            start(entry);
            more = read_entry(plan, entry);
            continue;
        }
        uint64_t elapsed = now_ns() - begin, wait = verify ? 1000000 : 1000000000;
        if (more && at_once == 0 && free_count > 0 && elapsed < entry->at_ns && entry->at_ns - elapsed < wait)
            wait = entry->at_ns - elapsed;
        wait_for_event(wait, -1);
        look_at_all();
    }
}

static void watch_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    /* Dies, in good order, with whoever started it; adopts the second process of a double fork. */
    if (signals < 0 || prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) != 0)
        err(1, "signals");
}

int main(int argc, char **argv)
{
    if (argc != 5)
        errx(1, "usage: launch PLAN RECORDS AT_ONCE PID_MAX");
    FILE *plan = fopen(argv[1], "re");
    char part[MAX_PATH];
    snprintf(part, sizeof part, "%s.part", argv[2]);
    records = fopen(part, "we");
    if (plan == NULL || records == NULL)
        err(1, "%s, %s", argv[1], part);
    size_t at_once = strtoul(argv[3], NULL, 10);
    unsigned long pid_max = strtoul(argv[4], NULL, 10);
    watch_signals();
    make_slots();

    struct entry entry;
    int more = start_early(plan, &entry);
    puts("ready");
    fflush(stdout);
    char go[16];
    while (!wait_for_event(1000000000, STDIN_FILENO))
        ;
    if (read(STDIN_FILENO, go, sizeof go) <= 0)
        errx(1, "nobody wants the storm");

    if (pid_max > 0)
        lower_pid_max(pid_max);
    /* Before the storm begins, which asks of each of its samples whose it is. */
    uint64_t begin = now_ns(), cpu = own_cpu_ns();
    print_clocks("begin");
    release_early();
    run(plan, &entry, more, at_once);
    uint64_t end = now_ns();
    fprintf(records, "L\t%d\t%lu\t%lu\t%lu\t%zu\n", getpid(), begin, end, own_cpu_ns() - cpu, failed);
    print_clocks("end");
    if (fclose(records) != 0 || rename(part, argv[2]) != 0)
        err(1, "%s", argv[2]);
    /* Sleepers live until nobody needs them any more: until the end of stdin. */
    while (sleepers > 0 && !wait_for_event(1000000000, STDIN_FILENO))
        ;
    kill_all(1);
    return 0;
}
