/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The step of a walk: reads cases, takes the step of each by its rule, and writes what has become of the walk.
 * crates/receiver-ebpf/tests/host/step.rs makes the cases, and takes the same steps by the walk of user space. */
#include <stdio.h>

#include "../step.bpf.h"

__u64 stub_now;
void *stub_current;
void *stub_registers;

/* Numbers that do not fit into fewer bytes, so that nothing is padded. */
struct state {
	__u64 pc, sp, fp, registers[WALK_REGISTERS];
	__u64 interrupted, kept_known, guessed;
};

struct question {
	struct unwind_rule rule;
	struct state from;
	__u64 start, bytes; /* of the stack, which follows */
};

struct answer {
	__u64 ended, end; /* a stack_end, if it has ended */
	struct state to;
};

static struct rule_table rules;
static struct question question;
static __u8 stack[1 << 16];

void *stub_entry(void *map, __u32 key)
{
	return map == (void *)&unwind_rules && !key ? &rules : NULL;
}

long stub_read_user(void *to, __u32 bytes, __u64 from)
{
	__u64 at = from - question.start;

	if (from < question.start || at > question.bytes || question.bytes - at < bytes)
		return -1;
	memcpy(to, stack + at, bytes);
	return 0;
}

static struct answer step(struct walk *walk)
{
	struct answer answer = {};

	walk->pc = question.from.pc;
	walk->sp = question.from.sp;
	walk->fp = question.from.fp;
	memcpy(walk->registers, question.from.registers, sizeof(walk->registers));
	walk->interrupted = question.from.interrupted;
	walk->kept_known = question.from.kept_known;
	walk->guessed = question.from.guessed;
	walk->pending = 0;
	rules.rule[1] = question.rule;
	answer.ended = apply_rule(walk, 1, walk->pc - !walk->interrupted);
	answer.end = walk->end;
	answer.to.pc = walk->pc;
	answer.to.sp = walk->sp;
	answer.to.fp = walk->fp;
	memcpy(answer.to.registers, walk->registers, sizeof(walk->registers));
	answer.to.interrupted = walk->interrupted;
	answer.to.kept_known = walk->kept_known;
	answer.to.guessed = walk->guessed;
	return answer;
}

int main(void)
{
	static struct walk walk;

	while (fread(&question, sizeof(question), 1, stdin)) {
		struct answer answer;

		if (question.bytes > sizeof(stack) || fread(stack, 1, question.bytes, stdin) != question.bytes)
			return 1;
		answer = step(&walk);
		fwrite(&answer, sizeof(answer), 1, stdout);
	}
	return 0;
}
