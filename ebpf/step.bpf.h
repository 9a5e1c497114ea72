/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The step of a walk from a frame to its caller, by a rule or by the frame pointer. Each way to end is an
 * `enum stack_end`.
 *
 * crates/unwind/src/walk.rs takes the same steps in user space: a change of one is a change of both, and
 * crates/receiver-ebpf/tests/host/step.rs compares them. */
#ifndef PIPELINE_STEP_BPF_H
#define PIPELINE_STEP_BPF_H

#include "include/prelude.h"
#include "registers.bpf.h"
#include "vma.bpf.h"

struct rule_table {
	struct unwind_rule rule[MAX_RULES];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct rule_table);
} unwind_rules SEC(".maps");

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

/* To the caller by the frame pointer, which must not lie below `least`. It holds only if each function keeps it: a
 * guess. */
static __always_inline int follow_frame_pointer_from(struct walk *walk, __u64 least)
{
	__u64 fp = walk->fp;

	walk->guessed = 1;
	walk->kept_known = 0;
	if (!fp)
		return end_guess(walk, END_ROOT);
	if (fp < least || fp & 7)
		return end_guess(walk, END_NO_UNWIND_INFO);
	if (bpf_probe_read_user(walk->pair, sizeof(walk->pair), (void *)fp))
		return end_guess(walk, END_UNREADABLE);
	if (!walk->pair[1])
		return end_guess(walk, END_ROOT);
	return go_on(walk, fp + 16, walk->pair[0], walk->pair[1]);
}

static __always_inline int follow_frame_pointer(struct walk *walk)
{
	return follow_frame_pointer_from(walk, walk->sp);
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
	case CFA_OTHER_STACK:
		return follow_frame_pointer_from(walk, 0);
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

#endif
