/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Where a sample's stacks are put together. */
#ifndef PIPELINE_STACK_BPF_H
#define PIPELINE_STACK_BPF_H

#include "include/prelude.h"

/* Stacks are captured here first, since only then is it known how large a slot they need: kernel frames, user frames,
 * mappings, back to back. */
#define STACK_WORDS 2048
#define MAPPING_WORDS (sizeof(struct sample_mapping) / sizeof(__u64))
struct stack_scratch {
	__u64 words[STACK_WORDS + SAMPLE_MAPPINGS * MAPPING_WORDS];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct stack_scratch);
} stack_scratches SEC(".maps");

#define STACK_BYTES (STACK_FRAMES * sizeof(__u64))
_Static_assert(STACK_FRAMES + MAX_USER_FRAMES < STACK_WORDS, "a masked index of a frame stays among the frames");

#endif
