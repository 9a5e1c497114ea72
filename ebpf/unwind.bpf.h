/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Walks the user stack of the current task, frame by frame, by the rows of the files that its frames are in.
 *
 * All that changes from frame to frame lies in the walk, not on the stack: verifiers before Linux 6.7 follow the
 * callback of bpf_loop only once. Each way to end is an `enum stack_end`. */
#ifndef PIPELINE_UNWIND_BPF_H
#define PIPELINE_UNWIND_BPF_H

#include "include/prelude.h"
#include "mapping.bpf.h"
#include "raw.bpf.h"
#include "registers.bpf.h"
#include "rows.bpf.h"
#include "stack.bpf.h"
#include "vma.bpf.h"

/* The most frames of a walk; user space sets it, up to MAX_USER_FRAMES. */
const volatile __u32 max_user_frames = 256;

/* Neither a frame's, since it is odd and below every stack, nor a root's: a stack that needs it ends there. */
#define LOST_FRAME_POINTER 1

static __always_inline int end_stack(struct walk *walk, enum stack_end end)
{
	walk->end = end;
	return 1;
}

/* Where a table that is still to be built would lead nobody knows: whatever the frame pointers came to. */
static __always_inline int end_guess(struct walk *walk, enum stack_end end)
{
	return end_stack(walk, walk->pending ? walk->pending : end);
}

static __always_inline int go_on(struct walk *walk, __u64 sp, __u64 fp, __u64 pc)
{
	walk->sp = sp;
	walk->fp = fp;
	walk->pc = CODE_ADDRESS(pc);
	walk->interrupted = 0;
	return 0;
}

/* To the caller by the frame pointer, which holds only if each function keeps it: a guess. */
static __always_inline int follow_frame_pointer(struct walk *walk)
{
	__u64 fp = walk->fp;

	walk->guessed = 1;
	walk->kept_known = 0;
	if (!fp)
		return end_guess(walk, END_ROOT);
	if (fp < walk->sp || fp & 7)
		return end_guess(walk, END_NO_UNWIND_INFO);
	if (bpf_probe_read_user(walk->pair, sizeof(walk->pair), (void *)fp))
		return end_guess(walk, END_UNREADABLE);
	if (!walk->pair[1])
		return end_guess(walk, END_ROOT);
	return go_on(walk, fp + 16, walk->pair[0], walk->pair[1]);
}

/* To what a signal interrupted: the kernel has put its registers on the handler's stack. */
static __always_inline int return_from_signal(struct walk *walk)
{
	struct signal_registers *from = &walk->signal;

	if (bpf_probe_read_user(from, sizeof(*from), (void *)(walk->sp + SIGNAL_REGISTERS)))
		return end_stack(walk, END_UNREADABLE);
#if defined(__TARGET_ARCH_x86)
	COPY_REGISTERS(walk, from);
#else
	_Pragma("unroll") for (int i = 0; i < 31; i++) walk->registers[i] = from->regs[i];
	walk->pc = from->pc;
	walk->sp = from->sp;
	walk->fp = from->regs[29];
#endif
	walk->interrupted = walk->kept_known = 1;
	return 0;
}

/* The canonical frame address. False if the rule's input is not known. */
static __always_inline int find_cfa(struct walk *walk, struct unwind_rule *rule, __u64 look)
{
	__u64 at = walk->sp;

	switch (rule->cfa) {
	case CFA_SP:
		break;
	case CFA_FP:
		at = walk->fp;
		break;
	case CFA_PLT:
		walk->cfa = walk->sp + 8 + ((look & 15) >= (__u32)rule->cfa_offset ? 8 : 0);
		return 1;
	case CFA_AT_FP:
		at = walk->fp;
		/* fall through */
	case CFA_AT_SP:
		if (bpf_probe_read_user(&walk->cfa, sizeof(walk->cfa), (void *)(at + rule->cfa_offset)))
			return 0;
		walk->cfa += rule->add;
		return 1;
	case CFA_REGISTER:
#if defined(REGISTER_KEPT)
		if (!walk->interrupted && !(walk->kept_known && rule->number == REGISTER_KEPT))
			return 0;
#else
		if (!walk->interrupted)
			return 0;
#endif
		at = walk->registers[rule->number & (WALK_REGISTERS - 1)];
		break;
	default:
		return 0;
	}
	walk->cfa = at + rule->cfa_offset;
	return 1;
}

#if defined(REGISTER_KEPT)
/* rbx, which the dynamic linker finds its frame by in one place. */
static __always_inline void follow_kept(struct walk *walk, struct unwind_rule *rule)
{
	if (rule->kept < 0)
		walk->kept_known = !bpf_probe_read_user(&walk->registers[REGISTER_KEPT], sizeof(__u64),
							(void *)(walk->cfa + rule->kept));
	else if (!rule->kept)
		walk->kept_known = 0;
}
#endif

/* One step by a rule. Returns nonzero where the stack ends. A global function: verified once, by itself. */
__attribute__((noinline)) int apply_rule(struct walk *walk, __u32 index, __u64 look)
{
	struct unwind_rule *rule;
	struct rule_table *table;
	__u64 fp, ra;
	__u32 zero = 0;

	table = bpf_map_lookup_elem(&unwind_rules, &zero);
	if (!walk || !table)
		return 1;
	rule = &table->rule[index & (MAX_RULES - 1)];
	switch (rule->cfa) {
	case CFA_GAP:
		return follow_frame_pointer(walk);
	case CFA_ROOT:
		return end_guess(walk, END_ROOT);
	case CFA_SIGNAL:
		return return_from_signal(walk);
	}
	if (!find_cfa(walk, rule, look))
		return end_guess(walk, END_UNSUPPORTED);
	/* A function of aarch64 that has stored nothing has its caller's stack pointer. */
	if (walk->cfa < walk->sp || (walk->cfa == walk->sp && !walk->interrupted))
		return end_guess(walk, END_BAD_FRAME);
	fp = walk->fp;
	switch (rule->ra) {
	case RA_AT_CFA_UNLESS_CHILD:
		if (walk->interrupted && !walk->registers[REGISTER_RESULT])
			return end_stack(walk, END_ROOT);
		/* fall through */
	case RA_AT_CFA:
		/* What most functions do: both words in one read. */
		if (rule->fp == FP_AT_CFA && rule->fp_offset == rule->ra_offset - 8) {
			if (bpf_probe_read_user(walk->pair, sizeof(walk->pair), (void *)(walk->cfa + rule->fp_offset)))
				return end_guess(walk, END_UNREADABLE);
			ra = walk->pair[1];
			fp = walk->pair[0];
			goto found;
		}
		if (bpf_probe_read_user(&walk->pair[1], sizeof(__u64), (void *)(walk->cfa + rule->ra_offset)))
			return end_guess(walk, END_UNREADABLE);
		ra = walk->pair[1];
		break;
	case RA_LINK_REGISTER:
#if defined(REGISTER_LINK)
		if (walk->interrupted) {
			ra = walk->registers[REGISTER_LINK];
			break;
		}
#endif
		return end_guess(walk, END_UNSUPPORTED);
	case RA_REGISTER:
		if (!walk->interrupted)
			return end_guess(walk, END_UNSUPPORTED);
		ra = walk->registers[rule->number & (WALK_REGISTERS - 1)];
		break;
	default:
		return end_guess(walk, END_UNSUPPORTED);
	}
	if (rule->fp == FP_AT_CFA || rule->fp == FP_AT_FP) {
		__u64 at = rule->fp == FP_AT_CFA ? walk->cfa : walk->fp;

		if (bpf_probe_read_user(&walk->pair[0], sizeof(__u64), (void *)(at + rule->fp_offset)))
			return end_guess(walk, END_UNREADABLE);
		fp = walk->pair[0];
	} else if (rule->fp == FP_LOST) {
		fp = LOST_FRAME_POINTER;
	}
found:
	if (!ra)
		return end_guess(walk, END_ROOT);
#if defined(REGISTER_KEPT)
	follow_kept(walk, rule);
#endif
	walk->guessed = 0;
	return go_on(walk, walk->cfa, fp, ra);
}

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
