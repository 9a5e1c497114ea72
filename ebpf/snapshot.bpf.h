/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What ran before we came: read once at start-up, through the same eyes as everything later. */
#ifndef PIPELINE_SNAPSHOT_BPF_H
#define PIPELINE_SNAPSHOT_BPF_H

#include "include/prelude.h"
#include "counters.bpf.h"
#include "identity.bpf.h"
#include "image.bpf.h"
#include "namespace.bpf.h"
#include "path.bpf.h"

/* The thread that stands for its process: the leader, or, when that has exited first, any that still has memory. */
static __always_inline int speaks_for_process(struct task_struct *task)
{
	if (BPF_CORE_READ(task, flags) & PF_KTHREAD)
		return 1;
	if (!BPF_CORE_READ(task, mm))
		return 0;
	return task->pid == task->tgid || !BPF_CORE_READ(task, group_leader, mm);
}

SEC("iter/task")
int snapshot_task(struct bpf_iter__task *context)
{
	__u32 key = SCRATCH_SNAPSHOT, flags = 0, start;
	struct task_struct *task = context->task;
	struct path_scratch *scratch;
	struct image_record image = {};

	if (!task || !speaks_for_process(task) || is_outside(task))
		return 0;
	scratch = bpf_map_lookup_elem(&path_scratches, &key);
	if (!scratch) {
		count(COUNTER_LIFECYCLE_NO_SCRATCH);
		return 0;
	}
	start = describe_image(&image, scratch, task, &flags);
	identify(&image.header, RECORD_SEEN, task);
	image.header.flags |= flags;
	bpf_seq_write(context->meta->seq, &image, sizeof(image));
	if (start < PATH_BYTES)
		bpf_seq_write(context->meta->seq, &scratch->text[start & (PATH_BYTES - 1)],
			      (PATH_BYTES - start) & (PATH_BYTES - 1));
	image_is_announced(task);
	return 0;
}

#endif
