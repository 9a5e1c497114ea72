/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Who a record is about. */
#ifndef PIPELINE_IDENTITY_BPF_H
#define PIPELINE_IDENTITY_BPF_H

#include "include/prelude.h"
#include "namespace.bpf.h"

static __always_inline void identify(struct record_header *header, enum record_kind kind, struct task_struct *task)
{
	header->kind = kind;
	header->cpu = bpf_get_smp_processor_id();
	header->ktime_ns = bpf_ktime_get_ns();
	header->pid = process_of(task);
	header->tid = thread_of(task);
	header->start_boottime_ns = BPF_CORE_READ(task, group_leader, start_boottime);
	header->exec_count = BPF_CORE_READ(task, self_exec_id);
	header->flags = BPF_CORE_READ(task, flags) & PF_KTHREAD ? FLAG_KERNEL_THREAD : 0;
	BPF_CORE_READ_STR_INTO(&header->comm, task, comm);
}

/* For a record about an idle task: who it is about instead. There is an idle task for each CPU; their softirqs are
 * one. */
static __always_inline void identify_softirq(struct record_header *header)
{
	header->start_boottime_ns = 0;
	__builtin_memcpy(header->comm, "softirq", sizeof("softirq"));
}

#endif
