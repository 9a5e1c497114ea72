/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The count of ticks that a late timer has skipped: never more than were lost. */
#include <stdio.h>

#include "../ticks.bpf.h"

#define PERIOD 10000000ULL

__u64 stub_now;
void *stub_current;
void *stub_registers;
static struct tick last;
static struct cpu_counters counters_of_cpu;
static __u64 *const counted = counters_of_cpu.count;
static int failures;
static unsigned int seed = 1;

void *stub_entry(void *map, __u32 key)
{
	if (map == (void *)&last_ticks)
		return &last;
	return key == 0 ? &counters_of_cpu : NULL;
}

static unsigned int below(unsigned int bound)
{
	seed = seed * 1103515245 + 12345;
	return (seed >> 8) % bound;
}

static void expect(const char *what, __u64 found, __u64 expected)
{
	if (found == expected)
		return;
	fprintf(stderr, "%s: %llu, not %llu\n", what, found, expected);
	failures++;
}

static void tick(__u64 at, struct task_struct *task)
{
	stub_now = at;
	count_tick(task, PERIOD, task->pid ? COUNTER_TICKS_BUSY : COUNTER_TICKS_IDLE);
}

static void ticks_by_hand(void)
{
	struct task_struct one = { .pid = 1 }, two = { .pid = 2 }, idle = {};

	tick(PERIOD, &one);
	tick(2 * PERIOD, &one);
	expect("in time", counted[COUNTER_TICKS_MISSED], 0);
	tick(5 * PERIOD + PERIOD / 3, &one);
	expect("two are skipped while one thread runs", counted[COUNTER_TICKS_MISSED], 2);
	tick(9 * PERIOD, &two);
	expect("another thread runs", counted[COUNTER_TICKS_MISSED], 2);
	two.nvcsw++;
	tick(19 * PERIOD, &two);
	expect("it has not run all the while", counted[COUNTER_TICKS_MISSED], 2);
	tick(29 * PERIOD, &idle);
	tick(39 * PERIOD, &idle);
	expect("an idle CPU misses nothing", counted[COUNTER_TICKS_MISSED], 2);
	expect("busy", counted[COUNTER_TICKS_BUSY], 5);
	expect("idle", counted[COUNTER_TICKS_IDLE], 2);
}

/* Threads that run for as long as they like, with a timer that is late as often as it likes: what is counted is at most
 * what is lost, and exactly that of a thread that was never switched out. */
static void ticks_at_random(void)
{
	for (int round = 0; round < 20000; round++) {
		struct task_struct threads[3] = { { .pid = 1 }, { .pid = 2 }, { .pid = 0 } };
		__u64 lost = 0, certain = 0, now = PERIOD, before = counted[COUNTER_TICKS_MISSED];
		struct task_struct *was;

		/* No thread runs on from the round before. */
		tick(now, &threads[2]);
		was = &threads[2];
		for (int step = 0; step < 8; step++) {
			struct task_struct *task = &threads[below(3)];
			__u64 periods = 1 + (below(3) ? 0 : below(20));
			int switched = below(2);

			if (switched)
				task->nvcsw++;
			now += periods * PERIOD;
			if (task->pid)
				lost += periods - 1;
			if (task == was && task->pid && !switched)
				certain += periods - 1;
			tick(now, task);
			was = task;
		}
		expect("certainly lost", counted[COUNTER_TICKS_MISSED] - before, certain);
		if (counted[COUNTER_TICKS_MISSED] - before > lost)
			expect("at most", counted[COUNTER_TICKS_MISSED] - before, lost);
	}
}

static void softirqs(void)
{
	static char stack[4 * 4096] __attribute__((aligned(4096)));
	struct task_struct idle = { .stack = stack };
	struct bpf_perf_event_data context = {};

	stub_current = &idle;
	stub_registers = stack + sizeof(stack) - 168;
	PT_REGS_SP(&context.regs) = (unsigned long)stack + 3 * 4096;
	expect("on the idle task's own stack", idle_in_softirq(&context), 0);
	PT_REGS_SP(&context.regs) = (unsigned long)stack - 8;
	expect("below it", idle_in_softirq(&context), 1);
	PT_REGS_SP(&context.regs) = (unsigned long)stack + sizeof(stack);
	expect("above it", idle_in_softirq(&context), 1);
}

int main(void)
{
	ticks_by_hand();
	ticks_at_random();
	softirqs();
	return failures != 0;
}
