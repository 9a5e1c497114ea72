/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Variables that an exec passes on, of those that OpenTelemetry has named: read while they are there. */
#ifndef PIPELINE_ENVIRONMENT_BPF_H
#define PIPELINE_ENVIRONMENT_BPF_H

#include "include/prelude.h"
#include "path.bpf.h"

/* Longer environments are read up to here, and count as not read. */
#define ENVIRONMENT_STEPS 512
/* Bytes that one step reads; a variable that is longer takes several. One that counts must fit into one. */
#define VARIABLE_BYTES 1024
/* The first eight bytes of the two that are looked for; user space looks at the rest. */
#define OTEL_SERVICE_NAME_HEAD (*(__u64 *)"OTEL_SER")
#define OTEL_RESOURCE_ATTRIBUTES_HEAD (*(__u64 *)"OTEL_RES")

/* What changes from step to step lies in the scratch (see path.bpf.h): `start` is where the next variable that counts
 * goes, `own_start` is 1 inside a variable that takes several steps, `limit` is 0 once one that counts did not fit. */
struct environment_walk {
	struct path_scratch *scratch;
	__u64 end;
};

static __always_inline int is_wanted(__u64 head)
{
	return head == OTEL_SERVICE_NAME_HEAD || head == OTEL_RESOURCE_ATTRIBUTES_HEAD;
}

static long read_variable(__u32 step, struct environment_walk *walk)
{
	struct path_scratch *scratch = walk->scratch;
	__u32 at = scratch->start & (4 * PATH_BYTES - 1);
	__u32 inside = scratch->own_start;
	int wanted;
	long got;

	if (scratch->user >= walk->end) {
		if (scratch->limit)
			scratch->flags |= FLAG_ENVIRONMENT_READ;
		return 1;
	}
	got = bpf_probe_read_user_str(&scratch->text[at], VARIABLE_BYTES, (void *)scratch->user);
	if (got <= 0)
		return 1;
	wanted = !inside && got > 8 && is_wanted(*(__u64 *)&scratch->text[at]);
	scratch->own_start = got >= VARIABLE_BYTES;
	scratch->user += got >= VARIABLE_BYTES ? VARIABLE_BYTES - 1 : got;
	if (!wanted)
		return 0;
	if (got >= VARIABLE_BYTES || at + got > scratch->limit)
		scratch->limit = 0;
	else
		scratch->start = at + got;
	return 0;
}

/* Appends variables to text[start..], up to `capacity` bytes. Returns how many those are. */
static __always_inline __u32 append_environment(struct path_scratch *scratch, __u32 start, __u32 capacity,
						struct task_struct *task)
{
	struct environment_walk walk = { .scratch = scratch, .end = BPF_CORE_READ(task, mm, env_end) };

	scratch->user = BPF_CORE_READ(task, mm, env_start);
	scratch->start = start;
	scratch->own_start = 0;
	scratch->limit = start + capacity;
	scratch->flags = 0;
	bpf_loop(ENVIRONMENT_STEPS, read_variable, &walk, 0);
	return scratch->start - start > capacity ? 0 : scratch->start - start;
}

#endif
