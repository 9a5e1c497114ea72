/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Which processes there are, in the order of their pids: so that one whose end was lost is not remembered for ever.
 * The kernel's iterator goes through those of the reader's pid namespace, in the order of their numbers there. */
#ifndef PIPELINE_CENSUS_BPF_H
#define PIPELINE_CENSUS_BPF_H

#include "include/prelude.h"
#include "namespace.bpf.h"

SEC("iter/task")
int census_task(struct bpf_iter__task *context)
{
	struct task_struct *task = context->task;
	struct census_record record = {};

	/* A leader stays until every thread has gone and somebody has reaped it. */
	if (!task || task->pid != task->tgid)
		return 0;
	record.pid = process_of(task);
	/* Released since the iterator found it. */
	if (!record.pid)
		return 0;
	record.exited = task->signal->live.counter == 0;
	record.start_boottime_ns = task->start_boottime;
	bpf_seq_write(context->meta->seq, &record, sizeof(record));
	return 0;
}

#endif
