/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Variables that an exec passes on, of those that user space has asked for, and arguments: read while they are there.
 *
 * The kernel has just laid them out: on top of the new stack lie the number of arguments, pointers to these, and
 * pointers to the variables, whose text follows in the same order. So one read gets the pointers of most environments,
 * another their text, and only the head of each variable is looked at. Where that is not so (32-bit programs), the
 * variables are read one by one. */
#ifndef PIPELINE_ENVIRONMENT_BPF_H
#define PIPELINE_ENVIRONMENT_BPF_H

#include "include/prelude.h"
#include "path.bpf.h"

/* Larger environments are read up to here, and count as not read. */
#define ENVIRONMENT_STEPS 4096
#define ENVIRONMENT_SLOW_STEPS 512
/* A variable that counts is shorter. */
#define VARIABLE_BYTES 1024
/* Text that is read at a time, and pointers. */
#define PIECE_BYTES 4096
#define POINTERS 512

/* What user space asks for; nothing at first. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct wanted_environment);
} wanted_environment SEC(".maps");

/* What changes from step to step lies here (see path.bpf.h). */
struct environment_scratch {
	__u64 piece_start; /* where in the process the piece is from */
	__u64 piece_bytes;
	__u64 pointers[POINTERS];
	char piece[PIECE_BYTES + 8];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct environment_scratch);
} environment_scratches SEC(".maps");

/* In `scratch`, `start` is where the next variable that counts goes, `limit` where it must end: 0 once one did not fit.
 * Of variables that are read one by one, `user` is the next one, and `own_start` is 1 inside one that takes several
 * steps. */
struct environment_walk {
	struct path_scratch *scratch;
	struct environment_scratch *environment;
	struct wanted_environment *wanted;
	__u64 pointers; /* where in the process they are */
	__u64 variables;
	__u64 start;
	__u64 end;
};

static __always_inline int is_wanted(struct wanted_environment *wanted, __u64 head)
{
	int found = 0;

	for (__u32 number = 0; number < WANTED_VARIABLES; number++) {
		if (number >= wanted->count)
			break;
		found |= (head & wanted->masks[number]) == wanted->heads[number];
	}
	return found;
}

/* Copies a variable to where the next goes. */
static __always_inline void take_variable(struct path_scratch *scratch, __u64 variable)
{
	__u32 at = scratch->start & (4 * PATH_BYTES - 1);
	long got = bpf_probe_read_user_str(&scratch->text[at], VARIABLE_BYTES, (void *)variable);

	if (got <= 0 || got >= VARIABLE_BYTES || at + got > scratch->limit)
		scratch->limit = 0;
	else
		scratch->start = at + got;
}

static __always_inline int read_pointers(struct environment_walk *walk, __u32 from)
{
	__u64 count = walk->variables - from;

	if (count > POINTERS)
		count = POINTERS;
	return bpf_probe_read_user(walk->environment->pointers, count * sizeof(__u64),
				   (void *)(walk->pointers + from * sizeof(__u64)));
}

static __always_inline int read_piece(struct environment_walk *walk, __u64 from)
{
	struct environment_scratch *environment = walk->environment;
	__u64 bytes = walk->end - from;

	if (from < walk->start || from >= walk->end)
		return -1;
	if (bytes > PIECE_BYTES)
		bytes = PIECE_BYTES;
	*(__u64 *)environment->piece = 0;
	if (bpf_probe_read_user(environment->piece, bytes, (void *)from))
		return -1;
	environment->piece_start = from;
	environment->piece_bytes = bytes;
	return 0;
}

/* Looks at one variable. */
static long look_at_variable(__u32 step, struct environment_walk *walk)
{
	struct environment_scratch *environment = walk->environment;
	__u32 slot = step & (POINTERS - 1);
	__u64 variable, offset;

	if (!slot && read_pointers(walk, step)) {
		walk->scratch->limit = 0;
		return 1;
	}
	variable = environment->pointers[slot];
	offset = variable - environment->piece_start;
	/* Also true of one that lies before the piece. */
	if (offset >= PIECE_BYTES || offset + 8 > environment->piece_bytes) {
		if (read_piece(walk, variable)) {
			walk->scratch->limit = 0;
			return 1;
		}
		offset = 0;
	}
	if (is_wanted(walk->wanted, *(__u64 *)&environment->piece[offset & (PIECE_BYTES - 1)]))
		take_variable(walk->scratch, variable);
	return 0;
}

/* Reads one variable, or a part of a long one. */
static long read_variable(__u32 step, struct environment_walk *walk)
{
	struct path_scratch *scratch = walk->scratch;
	__u32 at = scratch->start & (4 * PATH_BYTES - 1);
	__u64 head = 0;
	int inside = scratch->own_start;
	__u64 variable = scratch->user;
	long got;

	if (variable >= walk->end)
		return 1;
	got = bpf_probe_read_user_str(&scratch->text[at], VARIABLE_BYTES, (void *)variable);
	if (got <= 0) {
		scratch->limit = 0;
		return 1;
	}
	head = *(__u64 *)&scratch->text[at];
	scratch->own_start = got >= VARIABLE_BYTES;
	scratch->user += got >= VARIABLE_BYTES ? VARIABLE_BYTES - 1 : got;
	if (!inside && is_wanted(walk->wanted, head))
		take_variable(scratch, variable);
	return 0;
}

/* Appends variables to text[start..], up to `capacity` bytes. Returns how many those are. */
static __always_inline __u32 append_environment(struct path_scratch *scratch, __u32 start, __u32 capacity,
						struct linux_binprm *binprm, struct task_struct *task)
{
	/* Plain loads: both come from the tracepoint, so the verifier knows their types. */
	struct mm_struct *mm = task->mm;
	__u64 stack = mm->start_stack;
	__u64 arguments = binprm->argc;
	struct environment_walk walk = { .scratch = scratch };
	__u64 top = 0;
	__u32 key = 0;
	int is_whole;

	scratch->flags = 0;
	walk.wanted = bpf_map_lookup_elem(&wanted_environment, &key);
	walk.environment = bpf_map_lookup_elem(&environment_scratches, &key);
	if (!walk.wanted || !walk.wanted->count || !walk.environment)
		return 0;
	walk.start = mm->env_start;
	walk.end = mm->env_end;
	walk.variables = binprm->envc;
	walk.pointers = stack + (arguments + 2) * sizeof(__u64);
	scratch->start = start;
	scratch->limit = start + capacity;
	/* Of a 32-bit program the upper half is a pointer. */
	if (!bpf_probe_read_user(&top, sizeof(top), (void *)stack) && top == arguments) {
		walk.environment->piece_bytes = 0;
		bpf_loop(walk.variables > ENVIRONMENT_STEPS ? ENVIRONMENT_STEPS : walk.variables, look_at_variable,
			 &walk, 0);
		is_whole = walk.variables <= ENVIRONMENT_STEPS;
	} else {
		scratch->user = walk.start;
		scratch->own_start = 0;
		bpf_loop(ENVIRONMENT_SLOW_STEPS, read_variable, &walk, 0);
		is_whole = scratch->user >= walk.end;
	}
	if (is_whole && scratch->limit)
		scratch->flags |= FLAG_ENVIRONMENT_READ;
	return scratch->start - start > capacity ? 0 : scratch->start - start;
}

/* Appends arguments, each ended by NUL, the last of them possibly cut short. Returns their bytes. */
static __always_inline __u32 append_arguments(struct path_scratch *scratch, __u32 start, struct task_struct *task)
{
	struct mm_struct *mm = task->mm;
	__u64 arguments = mm->arg_start;
	__u64 bytes = mm->arg_end - arguments;
	struct wanted_environment *wanted;
	__u32 key = 0;

	wanted = bpf_map_lookup_elem(&wanted_environment, &key);
	if (!wanted)
		return 0;
	if (bytes > wanted->argument_bytes)
		bytes = wanted->argument_bytes;
	if (bytes > ARGUMENTS_BYTES)
		bytes = ARGUMENTS_BYTES;
	/* The mask repeats for the verifier what the test above has established. */
	bytes &= 2 * ARGUMENTS_BYTES - 1;
	if (!bytes || bpf_probe_read_user(&scratch->text[start & (4 * PATH_BYTES - 1)], bytes, (void *)arguments))
		return 0;
	return bytes;
}

#endif
