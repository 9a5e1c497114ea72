/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The sampler: one stack per tick of a CPU that is not idle. */
#ifndef PIPELINE_SAMPLE_BPF_H
#define PIPELINE_SAMPLE_BPF_H

#include "include/prelude.h"
#include "cgroup.bpf.h"
#include "counters.bpf.h"
#include "identity.bpf.h"
#include "image.bpf.h"
#include "mapping.bpf.h"
#include "namespace.bpf.h"
#include "raw.bpf.h"
#include "rings.bpf.h"
#include "stack.bpf.h"
#include "ticks.bpf.h"
#include "unwind.bpf.h"
#include "vma.bpf.h"

/* Words that stacks need with their mappings: a reservation's size must be a constant. */
#define WORDS_SHALLOW 24
#define WORDS_USUAL 64
#define WORDS_DEEP 128
#define WORDS_DEEPER 256
#define WORDS_RECURSIVE 512
#define WORDS_ALL (STACK_FRAMES + MAX_USER_FRAMES + SAMPLE_MAPPINGS * MAPPING_WORDS)

struct shape {
	__u32 kernel_frames;
	__u32 user_frames;
	__u32 mappings;
	__u32 flags;
	__u32 end; /* of the user's stack: a stack_end */
	__u32 cgroup;
};

/* All that comes before the words. */
static __always_inline void describe_sample(struct sample_record *sample, struct shape *shape, __u64 period,
					    struct task_struct *task)
{
	identify(&sample->header, RECORD_SAMPLE, task);
	sample->header.flags |= shape->flags;
	if (shape->flags & FLAG_SOFTIRQ)
		identify_softirq(&sample->header);
	sample->cgroup = shape->cgroup;
	sample->user = BPF_CORE_READ(task, cred, euid.val);
	sample->kernel_frames = shape->kernel_frames;
	sample->user_frames = shape->user_frames;
	sample->period_ns = period;
	sample->user_stack_end = shape->end;
	sample->mappings = shape->mappings;
}

#define EMIT_SAMPLE(word_capacity)                                                       \
	({                                                                               \
		struct {                                                                 \
			struct sample_record sample;                                     \
			__u64 words[word_capacity];                                      \
		} *slot = bpf_ringbuf_reserve(&samples, sizeof(*slot), 0);               \
		if (!slot) {                                                             \
			count(COUNTER_SAMPLE_RING_FULL);                                 \
			return 0;                                                        \
		}                                                                        \
		describe_sample(&slot->sample, &shape, period, task);                    \
		bpf_probe_read_kernel(slot->words, sizeof(slot->words), scratch->words); \
		bpf_ringbuf_submit(slot, BPF_RB_NO_WAKEUP);                              \
	})

/* bpf_get_stack says less than zero for "none", as for the kernel stack of a task that ran in user mode. */
static __always_inline __u32 stack_bytes(long got)
{
	if (got < 0)
		return 0;
	return (__u64)got > STACK_BYTES ? STACK_BYTES : got;
}

/* One user frame: finds its mapping, and puts that above the address. All but the leaf are return addresses, which can
 * lie behind the end of the mapping that holds the call. */
static long map_frame(__u32 index, __u32 *first)
{
	__u32 zero = 0;
	struct stack_scratch *scratch = bpf_map_lookup_elem(&stack_scratches, &zero);
	__u64 *word, address;
	__u32 mapping;

	if (!scratch)
		return 1;
	word = &scratch->words[(*first + index) & (STACK_WORDS - 1)];
	address = *word & ((1ULL << FRAME_ADDRESS_BITS) - 1);
	mapping = map_address(address - (index > 0));
	*word = address | (mapping <= SAMPLE_MAPPINGS ? (__u64)mapping << FRAME_ADDRESS_BITS : 0);
	return 0;
}

/* The user stack by frame pointers, as the kernel finds it. */
static __always_inline void follow_frame_pointers(struct bpf_perf_event_data *context, struct stack_scratch *scratch,
						  struct shape *shape)
{
	__u32 first = shape->kernel_frames;

	shape->user_frames = stack_bytes(bpf_get_stack(context, &scratch->words[first & (STACK_WORDS - 1)], STACK_BYTES,
						       BPF_F_USER_STACK)) /
			     sizeof(__u64);
	shape->end = END_NOT_REPORTED;
	bpf_loop(shape->user_frames, map_frame, &first, 0);
}

/* True if inside execve the registers are those of the old image, and the mappings already the new one's. */
static __always_inline int is_of_old_image(struct walk *walk, struct stack_scratch *scratch, struct shape *shape)
{
	if (!(shape->flags & FLAG_IN_EXECVE))
		return 0;
	return !(scratch->words[shape->kernel_frames & (STACK_WORDS - 1)] << 1 >> (FRAME_ADDRESS_BITS + 1)) ||
	       (walk->first_sp && find_vma(walk->first_sp));
}

/* As EMIT_SAMPLE, with what user space needs to follow the stack further behind the mappings. Such a record is as long
 * as the stack, so that its slot has no constant size. */
static __always_inline void emit_raw(struct walk *walk, struct stack_scratch *scratch, struct shape *shape,
				     __u64 period, struct task_struct *task)
{
	__u32 at = shape->kernel_frames + shape->user_frames + shape->mappings * MAPPING_WORDS;
	struct bpf_dynptr slot;
	__u64 bytes;

	list_mappings(walk, at);
	shape->mappings += walk->listed;
	at += walk->listed * MAPPING_WORDS;
	copy_stack(walk, scratch, at);
	shape->flags |= FLAG_RAW_STACK;
	bytes = sizeof(scratch->sample) + at * sizeof(__u64) + sizeof(struct raw_stack) + walk->raw_bytes;
	if (bytes > sizeof(*scratch))
		bytes = sizeof(*scratch);
	if (bpf_ringbuf_reserve_dynptr(&samples, bytes, 0, &slot)) {
		count(COUNTER_SAMPLE_RING_FULL);
		bpf_ringbuf_discard_dynptr(&slot, 0);
		return;
	}
	describe_sample(&scratch->sample, shape, period, task);
	bpf_dynptr_write(&slot, 0, scratch, bytes, 0);
	bpf_ringbuf_submit_dynptr(&slot, BPF_RB_NO_WAKEUP);
}

/* The user stack and its mappings, behind the kernel's. */
static __always_inline void capture_user_stack(struct bpf_perf_event_data *context, struct stack_scratch *scratch,
					       struct shape *shape, struct task_struct *task)
{
	struct walk *walk = current_walk();
	enum user_registers registers = REGISTERS_32_BIT;
	__u32 end;

	if (!walk || !begin_walk(walk, task))
		return;
	if (unwind_rows)
		registers = read_registers(walk, context);
	if (registers == REGISTERS_64_BIT) {
		unwind_stack(walk, scratch, shape->kernel_frames);
		shape->user_frames = walk->frames > MAX_USER_FRAMES ? MAX_USER_FRAMES : walk->frames;
		shape->end = walk->end;
	} else if (registers == REGISTERS_32_BIT) {
		/* Tables of such programs are not read; nor are any if that is not wanted. */
		follow_frame_pointers(context, scratch, shape);
	}
	if (!shape->user_frames)
		return;
	if (is_of_old_image(walk, scratch, shape)) {
		shape->user_frames = walk->raw = 0;
		return;
	}
	end_walk(walk);
	if (!walk->raw)
		count(COUNTER_STACKS + (shape->end < STACK_ENDS ? shape->end : 0));
	shape->mappings = walk->count > SAMPLE_MAPPINGS ? SAMPLE_MAPPINGS : walk->count;
	end = shape->kernel_frames + shape->user_frames;
	bpf_probe_read_kernel(&scratch->words[end & (STACK_WORDS - 1)], shape->mappings * sizeof(struct sample_mapping),
			      walk->mapping);
}

SEC("perf_event")
int sample_cpu(struct bpf_perf_event_data *context)
{
	__u32 zero = 0, kernel_bytes, words;
	struct task_struct *task = (void *)bpf_get_current_task();
	struct stack_scratch *scratch;
	struct shape shape = {};
	/* The idle task, on each CPU: cpu-clock ticks there too. */
	int idle = !(__u32)bpf_get_current_pid_tgid();
	/* Read once: clang computes the address of what is read often, and the verifier refuses that of a context. */
	__u64 period = context->sample_period;

	if (idle && idle_in_softirq(context)) {
		idle = 0;
		shape.flags = FLAG_SOFTIRQ;
	}
	/* A softirq on an idle CPU is of the whole machine, which a namespace of its own does not see. */
	if (!idle && is_outside(task)) {
		count_tick(task, period, COUNTER_TICKS_OUTSIDE);
		return 0;
	}
	count_tick(task, period, idle ? COUNTER_TICKS_IDLE : COUNTER_TICKS_BUSY);
	if (idle)
		return 0;
	scratch = bpf_map_lookup_elem(&stack_scratches, &zero);
	if (!scratch) {
		count(COUNTER_SAMPLE_NO_SCRATCH);
		return 0;
	}
	if (BPF_CORE_READ_BITFIELD_PROBED(task, in_execve))
		shape.flags = FLAG_IN_EXECVE;
	kernel_bytes = stack_bytes(bpf_get_stack(context, scratch->words, STACK_BYTES, 0));
	shape.kernel_frames = kernel_bytes / sizeof(__u64);
	shape.cgroup = reference_cgroup();
	/* A kernel thread has no other stack, and no image but its name. */
	if (!(BPF_CORE_READ(task, flags) & PF_KTHREAD)) {
		announce_image();
		capture_user_stack(context, scratch, &shape, task);
		if (unwind_rows && is_raw()) {
			struct walk *walk = current_walk();

			if (walk)
				emit_raw(walk, scratch, &shape, period, task);
			wake_reader_if_filling(&samples);
			return 0;
		}
	}
	words = shape.kernel_frames + shape.user_frames + shape.mappings * MAPPING_WORDS;
	if (words <= WORDS_SHALLOW)
		EMIT_SAMPLE(WORDS_SHALLOW);
	else if (words <= WORDS_USUAL)
		EMIT_SAMPLE(WORDS_USUAL);
	else if (words <= WORDS_DEEP)
		EMIT_SAMPLE(WORDS_DEEP);
	else if (words <= WORDS_DEEPER)
		EMIT_SAMPLE(WORDS_DEEPER);
	else if (words <= WORDS_RECURSIVE)
		EMIT_SAMPLE(WORDS_RECURSIVE);
	else
		EMIT_SAMPLE(WORDS_ALL);
	wake_reader_if_filling(&samples);
	return 0;
}

#endif
