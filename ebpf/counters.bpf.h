/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Counts per CPU of what was due and what was lost: nothing returns early without one. */
#ifndef PIPELINE_COUNTERS_BPF_H
#define PIPELINE_COUNTERS_BPF_H

#include "include/prelude.h"

/* By number of CPU; user space sets how many there may be. Not a per-CPU array: this one's memory is mapped by user
 * space, which reads all counters at each poll, without a system call for each. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct cpu_counters);
} counters SEC(".maps");

static __always_inline void count_many(__u32 which, __u64 many)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct cpu_counters *of_cpu = bpf_map_lookup_elem(&counters, &cpu);

	/* The compiler must not move the bound before the addition that chose the counter: the verifier of Linux 6.1
	 * does not see then that it holds. */
	if (!__builtin_constant_p(which))
		barrier_var(which);
	/* Atomic, since the sampler's interrupt may come in between. */
	if (of_cpu && which < COUNTERS)
		__sync_fetch_and_add(&of_cpu->count[which], many);
}

static __always_inline void count(__u32 which)
{
	count_many(which, 1);
}

#endif
