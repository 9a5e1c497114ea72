/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What happens to processes, as it happens. */
#ifndef PIPELINE_LIFECYCLE_BPF_H
#define PIPELINE_LIFECYCLE_BPF_H

#include "include/prelude.h"
#include "counters.bpf.h"
#include "environment.bpf.h"
#include "identity.bpf.h"
#include "image.bpf.h"
#include "namespace.bpf.h"
#include "path.bpf.h"
#include "relatives.bpf.h"
#include "rings.bpf.h"

static __always_inline void emit_header(enum record_kind kind, struct task_struct *task, const char *comm)
{
	struct record_header *slot;

	if (is_outside(task))
		return;
	slot = bpf_ringbuf_reserve(&lifecycle, sizeof(*slot), 0);
	if (!slot) {
		count(COUNTER_LIFECYCLE_RING_FULL);
		return;
	}
	identify(slot, kind, task);
	if (comm)
		bpf_probe_read_kernel_str(slot->comm, sizeof(slot->comm), comm);
	bpf_ringbuf_submit(slot, BPF_RB_NO_WAKEUP);
}

/* Reads a string to text[*end..]; moves *end past it. Returns its length without the terminator. */
static __always_inline __u32 append_string(struct path_scratch *scratch, __u32 *end, __u32 capacity, const char *string)
{
	long got = bpf_probe_read_kernel_str(&scratch->text[*end & (2 * PATH_BYTES - 1)], capacity, string);

	if (got <= 0 || got > capacity)
		return 0;
	*end += got - 1;
	return got - 1;
}

/* For a script the kernel changes `interp` to what the first line says; for any other file both are one pointer. */
static __always_inline void describe_call(struct image_record *image, struct path_scratch *scratch,
					  struct linux_binprm *binprm, struct task_struct *task, __u32 *flags)
{
	const char *filename = BPF_CORE_READ(binprm, filename);
	const char *interpreter = BPF_CORE_READ(binprm, interp);
	__u32 end = PATH_BYTES;

	image->filename_bytes = append_string(scratch, &end, FILENAME_BYTES, filename);
	if (interpreter != filename)
		image->interpreter_bytes = append_string(scratch, &end, INTERPRETER_BYTES, interpreter);
	image->environment_bytes = append_environment(scratch, end, ENVIRONMENT_BYTES, binprm, task);
	*flags |= scratch->flags;
	image->arguments_bytes = append_arguments(scratch, end + image->environment_bytes, task);
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task, int old_pid, struct linux_binprm *binprm)
{
	__u32 key = SCRATCH_EXEC;
	struct path_scratch *scratch = bpf_map_lookup_elem(&path_scratches, &key);
	struct image_record image = {};
	__u32 flags = 0, start;

	if (is_outside(task))
		return 0;
	if (!scratch) {
		count(COUNTER_LIFECYCLE_NO_SCRATCH);
		return 0;
	}
	start = describe_image(&image, scratch, task, &flags);
	describe_call(&image, scratch, binprm, task, &flags);
	if (emit_image(&image, scratch, start, RECORD_EXEC, task, flags))
		image_is_announced(task);
	wake_reader_if_filling(&lifecycle);
	return 0;
}

/* Before the child can run, so its record precedes all its samples. */
SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child)
{
	struct fork_record *slot;
	struct image_key image;

	/* A new thread is no new process. */
	if (child->pid != child->tgid || is_outside(child))
		return 0;
	slot = bpf_ringbuf_reserve(&lifecycle, sizeof(*slot), 0);
	if (!slot) {
		count(COUNTER_LIFECYCLE_RING_FULL);
		return 0;
	}
	identify(&slot->header, RECORD_FORK, child);
	/* 0 if it is outside: nsenter(1) and container runtimes put children into namespaces that they are not in. */
	slot->parent_pid = process_of(parent);
	slot->parent_start_boottime_ns = parent->group_leader->start_boottime;
	slot->parent_exec_count = parent->self_exec_id;
	describe_relatives(&slot->relatives, child);
	bpf_ringbuf_submit(slot, BPF_RB_NO_WAKEUP);
	/* The child is known by its parent's image; if nobody knows that, its own first sample announces it. */
	image_key(&image, parent);
	if (bpf_map_lookup_elem(&announced_images, &image))
		image_is_announced(child);
	wake_reader_if_filling(&lifecycle);
	return 0;
}

/* `live` is already without this thread: zero means the process ends with it. A leader may exit first, and
 * two last threads may both see zero; user space takes the later record. */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *task)
{
	if (task->signal->live.counter == 0)
		emit_header(RECORD_EXIT, task, NULL);
	return 0;
}

/* From RCU, on any CPU, after the task's last switch: the process can no longer be sampled. */
SEC("tp_btf/sched_process_free")
int BPF_PROG(on_free, struct task_struct *task)
{
	struct image_key image;

	if (task->pid != task->tgid)
		return 0;
	emit_header(RECORD_FREED, task, NULL);
	image_key(&image, task);
	bpf_map_delete_elem(&announced_images, &image);
	return 0;
}

/* A kernel thread is its name, and gets it after it was forked. Programs may rename their threads a million times a
 * second; samples carry the name themselves. */
SEC("tp_btf/task_rename")
int BPF_PROG(on_rename, struct task_struct *task, const char *comm)
{
	if (task->flags & PF_KTHREAD)
		emit_header(RECORD_RENAME, task, comm);
	return 0;
}

#endif
