/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Counts per CPU of what was due and what was lost: nothing returns early without one. */
#ifndef PIPELINE_COUNTERS_BPF_H
#define PIPELINE_COUNTERS_BPF_H

#include "include/prelude.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, COUNTERS);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

static __always_inline void count_many(__u32 which, __u64 many)
{
	__u32 slot = which;
	__u64 *value = bpf_map_lookup_elem(&counters, &slot);

	/* Never NULL for a constant in range; the verifier wants to see the test. */
	if (value)
		*value += many;
}

static __always_inline void count(__u32 which)
{
	count_many(which, 1);
}

#endif
