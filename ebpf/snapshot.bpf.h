/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What ran before we came: read once at start-up, through the same eyes as everything later. */

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

	if (!task || !speaks_for_process(task))
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
	return 0;
}

static const char VDSO_NAME[] = "[vdso]";
static const char ANONYMOUS_NAME[] = "//anon";
/* What perf says of a path that d_path() cannot give. */
static const char TOO_LONG_NAME[] = "//toolong";

SEC("iter/task_vma")
int snapshot_mapping(struct bpf_iter__task_vma *context)
{
	__u32 key = SCRATCH_SNAPSHOT;
	struct task_struct *task = context->task;
	struct vm_area_struct *vma = context->vma;
	struct path_scratch *scratch;
	struct mapping_record record = {};
	struct file *file;
	long got;

	if (!task || !vma || !(vma->vm_flags & VM_EXEC) || !speaks_for_process(task))
		return 0;
	scratch = bpf_map_lookup_elem(&path_scratches, &key);
	if (!scratch) {
		count(COUNTER_LIFECYCLE_NO_SCRATCH);
		return 0;
	}
	record.ktime_ns = bpf_ktime_get_ns();
	record.pid = task->tgid;
	record.start = vma->vm_start;
	record.end = vma->vm_end;
	file = vma->vm_file;
	if (file) {
		record.file_offset = vma->vm_pgoff << PAGE_SHIFT;
		got = bpf_d_path(&file->f_path, scratch->text, PATH_BYTES);
		if (got < 0)
			got = bpf_probe_read_kernel_str(scratch->text, sizeof(TOO_LONG_NAME), TOO_LONG_NAME);
	} else if (record.start == (__u64)BPF_CORE_READ(vma, vm_mm, context.vdso)) {
		got = bpf_probe_read_kernel_str(scratch->text, sizeof(VDSO_NAME), VDSO_NAME);
	} else {
		got = bpf_probe_read_kernel_str(scratch->text, sizeof(ANONYMOUS_NAME), ANONYMOUS_NAME);
	}
	/* Both count the terminator. */
	if (got <= 1 || got > PATH_BYTES)
		return 0;
	record.name_bytes = got - 1;
	bpf_seq_write(context->meta->seq, &record, sizeof(record));
	bpf_seq_write(context->meta->seq, scratch->text, (got - 1) & (PATH_BYTES - 1));
	return 0;
}
