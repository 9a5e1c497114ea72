/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* A second object, without maps: is what user space has opened the file that a sample was in? User space maps a page of
 * it and runs this program (BPF_PROG_TEST_RUN) in its own context. A mapping, since in an overlay only that leads to
 * the file of the layer, as in samples. */
#include "content.bpf.h"

struct question {
	struct file_key expected;
	enum identify_answer answer;
};

static long compare(struct task_struct *task, struct vm_area_struct *vma, struct question *question)
{
	struct file *file = BPF_CORE_READ(vma, vm_file);
	struct file_key found;

	if (!file)
		return 0;
	identify_content(&found, file);
	if (found.inode == question->expected.inode && found.mtime_ns == question->expected.mtime_ns &&
	    found.extra == question->expected.extra && found.device == question->expected.device &&
	    found.generation == question->expected.generation)
		question->answer = IDENTIFY_SAME;
	else
		question->answer = IDENTIFY_OTHER;
	return 0;
}

/* The lock that bpf_find_vma takes is free to wait for here: nobody is interrupted. In samples it may not be used
 * (docs/decisions/mappings.md). */
SEC("raw_tp")
int identify_mapping(struct bpf_raw_tracepoint_args *context)
{
	struct question question = { .answer = IDENTIFY_UNKNOWN };

	question.expected.inode = context->args[IDENTIFY_INODE];
	question.expected.mtime_ns = context->args[IDENTIFY_MTIME];
	question.expected.extra = context->args[IDENTIFY_EXTRA];
	question.expected.device = context->args[IDENTIFY_DEVICE];
	question.expected.generation = context->args[IDENTIFY_GENERATION];
	bpf_find_vma(bpf_get_current_task_btf(), context->args[IDENTIFY_ADDRESS], compare, &question, 0);
	return question.answer;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
