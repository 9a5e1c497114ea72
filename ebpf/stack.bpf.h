/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Where a sample's stacks are put together. */
#ifndef PIPELINE_STACK_BPF_H
#define PIPELINE_STACK_BPF_H

#include "include/prelude.h"

/* Stacks are captured here first, since only then is it known how large a slot they need: kernel frames, user frames,
 * mappings, and for user space to go on a raw_stack, back to back. What leaves whole begins with `sample`. */
#define STACK_WORDS 2048
#define MAPPING_WORDS (sizeof(struct sample_mapping) / sizeof(__u64))
#define MAPPINGS_WORDS ((SAMPLE_MAPPINGS + LISTED_MAPPINGS) * MAPPING_WORDS)
/* The last word at which a raw_stack may begin. */
#define LAST_RAW_WORD (STACK_FRAMES + MAX_USER_FRAMES + MAPPINGS_WORDS)
/* The kernel allows 32 KiB for each CPU. */
struct stack_scratch {
	struct sample_record sample;
	__u64 words[LAST_RAW_WORD + (sizeof(struct raw_stack) + RAW_STACK_BYTES) / sizeof(__u64)];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct stack_scratch);
} stack_scratches SEC(".maps");

#define STACK_BYTES (STACK_FRAMES * sizeof(__u64))
_Static_assert(STACK_FRAMES + MAX_USER_FRAMES + MAPPINGS_WORDS < STACK_WORDS,
	       "a masked index of a frame or a mapping is its own");
_Static_assert(sizeof(struct stack_scratch) > (STACK_WORDS + MAPPINGS_WORDS) * sizeof(__u64),
	       "what is written from a masked index on stays inside");
_Static_assert(sizeof(struct stack_scratch) <= 32768, "the kernel allows no more");

#endif
