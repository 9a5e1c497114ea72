/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Walks the user stack of the current task, frame by frame, by the rows of the files that its frames are in.
 *
 * All that changes from frame to frame lies in the walk, not on the stack: verifiers before Linux 6.7 follow the
 * callback of bpf_loop only once. */
#ifndef PIPELINE_UNWIND_BPF_H
#define PIPELINE_UNWIND_BPF_H

#include "include/prelude.h"
#include "mapping.bpf.h"
#include "raw.bpf.h"
#include "registers.bpf.h"
#include "rows.bpf.h"
#include "stack.bpf.h"
#include "step.bpf.h"
#include "vma.bpf.h"

/* The most frames of a walk; user space sets it, up to MAX_USER_FRAMES. */
const volatile __u32 max_user_frames = 256;

/* A frame whose rule is still to be built, of a file or of a page of it: user space takes it from there, if there is
 * room for what that needs. Else the frame pointer stands in for the rule. */
static __always_inline int await_rule(struct walk *walk, enum stack_end end, __u64 file, __u64 page)
{
	/* What has gone by a frame pointer in place of a rule is not right for certain. */
	if (!walk->pending) {
		if (may_leave_raw(file, page)) {
			walk->raw = 1;
			return end_stack(walk, end);
		}
		count(COUNTER_RAW_OVER_BUDGET);
	}
	/* A file is what user space hears of from the sample alone. */
	if (!walk->pending || end == END_FILE_PENDING)
		walk->pending = end;
	return follow_frame_pointer(walk);
}

/* The step to the caller of a frame that lies in mapping `at`. */
static __always_inline int leave_frame(struct walk *walk, __u32 at, __u64 look)
{
	__u64 offset;
	int rule;

	/* What the compiler knows of the index the verifier has forgotten: keep the mask. */
	barrier_var(at);
	at &= SAMPLE_MAPPINGS - 1;
	if (walk->rows[at].kind == ROWS_FRAME_POINTER)
		return follow_frame_pointer(walk);
	if (walk->rows[at].kind == ROWS_PENDING)
		return await_rule(walk, END_FILE_PENDING, walk->mapping[at].file, 0);
	offset = look - walk->mapping[at].start + walk->mapping[at].file_offset;
	rule = find_rule(walk, walk->rows[at].first_page, walk->rows[at].pages, offset);
	if (rule < 0)
		return await_rule(walk, END_PAGE_PENDING, walk->mapping[at].file,
				  PAGE_KEY(walk->rows[at].first_page + (offset >> ROW_PAGE_SHIFT)));
	return apply_rule(walk, rule, look) != 0;
}

/* Found by the callback of a loop without another look-up. */
struct unwinding {
	struct walk *walk;
	struct stack_scratch *scratch;
	__u32 first; /* word of the scratch for the leaf */
	__u32 reserved;
};

/* As map_address; most frames are in the mapping of the one before. */
static __always_inline __u32 find_mapping(struct walk *walk, __u64 address)
{
	__u32 at = walk->current;

	if (at < SAMPLE_MAPPINGS) {
		barrier_var(at);
		at &= SAMPLE_MAPPINGS - 1;
		if (address >= walk->mapping[at].start && address < walk->mapping[at].end)
			return at + 1;
	}
	at = map_address(address);
	walk->current = at - 1;
	return at;
}

/* One frame: put down, and left for its caller. Return addresses are looked up in the call before them, which may
 * be a function's and a mapping's last instruction. */
static long unwind_frame(__u32 index, struct unwinding *unwinding)
{
	struct stack_scratch *scratch = unwinding->scratch;
	struct walk *walk = unwinding->walk;
	__u64 pc, look;
	__u32 mapping;

	if (index >= max_user_frames)
		return end_guess(walk, END_DEPTH_LIMIT);
	pc = walk->pc & ((1ULL << FRAME_ADDRESS_BITS) - 1);
	look = pc - !walk->interrupted;
	mapping = find_mapping(walk, look);
	if (!mapping && index)
		return end_guess(walk, walk->guessed ? END_NO_UNWIND_INFO : END_NOT_MAPPED);
	if (mapping <= SAMPLE_MAPPINGS)
		pc |= (__u64)mapping << FRAME_ADDRESS_BITS;
	if (walk->interrupted)
		pc |= 1ULL << FRAME_INTERRUPTED_BIT;
	scratch->words[(unwinding->first + index) & (STACK_WORDS - 1)] = pc;
	walk->frames = index + 1;
	if (!mapping)
		return end_stack(walk, END_NOT_MAPPED);
	if (mapping > SAMPLE_MAPPINGS)
		return end_guess(walk, END_MAPPING_LIMIT);
	return leave_frame(walk, mapping - 1, look);
}

/* Leaves the registers of the current task's user code in the walk, as they are now or were when it entered the
 * kernel. */
enum user_registers { REGISTERS_NONE, REGISTERS_32_BIT, REGISTERS_64_BIT };

static __always_inline enum user_registers read_registers(struct walk *walk, struct bpf_perf_event_data *context)
{
	struct task_struct *task = bpf_get_current_task_btf();
	void *entered;

	if (IN_USER_MODE(&context->regs)) {
		if (IS_32_BIT(&context->regs))
			return REGISTERS_32_BIT;
		COPY_REGISTERS(walk, &context->regs);
		return REGISTERS_64_BIT;
	}
	entered = (void *)bpf_task_pt_regs(task);
	if (bpf_probe_read_kernel(&walk->entered, sizeof(walk->entered), entered))
		return REGISTERS_NONE;
	if (IS_32_BIT(&walk->entered))
		return REGISTERS_32_BIT;
	COPY_REGISTERS(walk, &walk->entered);
	/* A thread of the kernel's that shares a process's memory (io_uring) has never been in user code. */
	return walk->pc ? REGISTERS_64_BIT : REGISTERS_NONE;
}

/* Walks from the registers in `walk` on. Frames go to the scratch, behind so many of the kernel's. */
static __always_inline void unwind_stack(struct walk *walk, struct stack_scratch *scratch, __u32 kernel_frames)
{
	struct unwinding unwinding = { .walk = walk, .scratch = scratch, .first = kernel_frames };

	walk->frames = walk->guessed = walk->pending = 0;
	walk->interrupted = walk->kept_known = 1;
	walk->current = SAMPLE_MAPPINGS;
	walk->first_sp = walk->sp;
	walk->end = END_DEPTH_LIMIT;
	walk->now = bpf_ktime_get_ns() >> ROW_TIME_SHIFT;
	bpf_loop(max_user_frames + 1, unwind_frame, &unwinding, 0);
}

#endif
