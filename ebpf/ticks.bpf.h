/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What became of the sampling timer's ticks, CPU by CPU. */
#ifndef PIPELINE_TICKS_BPF_H
#define PIPELINE_TICKS_BPF_H

#include "include/prelude.h"
#include "counters.bpf.h"

/* True if the idle task of this CPU was hit inside an interrupt, that is, on another stack than its own: x86 and arm64
 * run softirqs that an interrupt leaves behind on the interrupt stack (do_softirq_own_stack, irq_exit_rcu). The timer's
 * own interrupt does not count, since these are the registers of what it interrupted; nor does another handler show,
 * since interrupts are off in it. On PREEMPT_RT softirqs are threads.
 *
 * preempt_count would say the same, but x86 keeps it per CPU and under a name that has changed twice since Linux
 * 6.1. */
static __always_inline int idle_in_softirq(struct bpf_perf_event_data *context)
{
	struct task_struct *idle = bpf_get_current_task_btf();
	__u64 stack = (__u64)BPF_CORE_READ(idle, stack);
	void *first_registers = (void *)bpf_task_pt_regs(idle);
	__u64 sp = PT_REGS_SP(&context->regs);
	__u64 end = 0;

	/* Read as if it were foreign memory: the verifier allows no arithmetic on a pointer that it knows. */
	bpf_probe_read_kernel(&end, sizeof(end), &first_registers);
	/* A task's first registers end where its stack does, at a multiple of at least this size, and are smaller. */
	end = (end | 4095) + 1;
	return sp < stack || sp >= end;
}

/* The CPU's last tick. */
struct tick {
	__u64 ktime_ns;
	__u64 switches; /* how often the thread it hit had been switched out by then */
	__u32 tid;      /* 0: the CPU was idle, in a softirq with nothing else to do, or ran a process left out */
	__u32 reserved;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct tick);
} last_ticks SEC(".maps");

/* Counts a tick as a COUNTER_TICKS_*.
 *
 * A timer that fires late (a stopped virtual CPU, interrupts off for long) skips the ticks it has missed. They were
 * samples if the CPU was busy all the while, which is certain only where one thread has run from the last tick to this
 * without a switch. So this counts no more than was lost, and may count less; what is overdue by the clock alone would
 * be no measure, since the timer of an idle CPU may not fire at all. */
static __always_inline void count_tick(struct task_struct *task, __u64 period, enum counter kind)
{
	__u32 zero = 0, tid = kind == COUNTER_TICKS_BUSY ? BPF_CORE_READ(task, pid) : 0;
	struct tick *last = bpf_map_lookup_elem(&last_ticks, &zero);
	__u64 now = bpf_ktime_get_ns(), switches = 0;

	count(kind);
	if (!last)
		return;
	if (tid)
		switches = BPF_CORE_READ(task, nvcsw) + BPF_CORE_READ(task, nivcsw);
	if (tid && tid == last->tid && switches == last->switches && period) {
		__u64 ticks = (now - last->ktime_ns + period / 2) / period;

		if (ticks > 1)
			count_many(COUNTER_TICKS_MISSED, ticks - 1);
	}
	last->ktime_ns = now;
	last->switches = switches;
	last->tid = tid;
}

#endif
