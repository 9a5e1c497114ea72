/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Images that user space knows, or will know before anything that comes after. */
#ifndef PIPELINE_ANNOUNCED_BPF_H
#define PIPELINE_ANNOUNCED_BPF_H

#include "include/prelude.h"

/* Numbers are the kernel's own, whatever the agent's pid namespace. */
struct image_key {
	__u64 start_boottime_ns;
	__u32 pid;
	__u32 exec_count;
};

/* Whoever meets an image that is not here announces it: so a record that was lost, or a hook that the kernel skipped,
 * costs nothing but the samples up to the next. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct image_key);
	__type(value, __u32); /* the process's number in the agent's pid namespace */
} announced_images SEC(".maps");

static __always_inline void image_key(struct image_key *key, struct task_struct *task)
{
	key->start_boottime_ns = BPF_CORE_READ(task, group_leader, start_boottime);
	key->pid = BPF_CORE_READ(task, tgid);
	key->exec_count = BPF_CORE_READ(task, self_exec_id);
}

#endif
