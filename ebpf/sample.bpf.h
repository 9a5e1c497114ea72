/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The sampler: one stack per tick of a CPU that is not idle. */

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20); /* user space sets the size */
} samples SEC(".maps");

/* Stacks are captured here first, since only then is it known how large a slot they need. */
struct stack_scratch {
	__u64 frames[2 * (STACK_FRAMES + 1)];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct stack_scratch);
} stack_scratches SEC(".maps");

#define STACK_BYTES (STACK_FRAMES * sizeof(__u64))

/* Frames that shallow, usual and all stacks need: a reservation's size must be a constant. */
#define FRAMES_SHALLOW 16
#define FRAMES_USUAL 64
#define FRAMES_ALL (2 * STACK_FRAMES)

struct shape {
	__u32 kernel_bytes;
	__u32 user_bytes;
	__u32 flags;
};

#define EMIT_SAMPLE(frame_capacity)                                                                       \
	({                                                                                                \
		struct {                                                                                  \
			struct sample_record sample;                                                      \
			__u64 frames[frame_capacity];                                                     \
		} *slot = bpf_ringbuf_reserve(&samples, sizeof(*slot), 0);                                \
		if (!slot) {                                                                              \
			count(COUNTER_SAMPLE_RING_FULL);                                                  \
			return 0;                                                                         \
		}                                                                                         \
		identify(&slot->sample.header, RECORD_SAMPLE, task);                                      \
		slot->sample.header.flags |= shape.flags;                                                 \
		if (shape.flags & FLAG_SOFTIRQ)                                                           \
			identify_softirq(&slot->sample.header);                                           \
		slot->sample.cgroup_id = bpf_get_current_cgroup_id();                                     \
		slot->sample.period_ns = context->sample_period;                                          \
		slot->sample.kernel_frames = shape.kernel_bytes / sizeof(__u64);                          \
		slot->sample.user_frames = shape.user_bytes / sizeof(__u64);                              \
		slot->sample.reserved = 0;                                                                \
		bpf_probe_read_kernel(slot->frames, sizeof(slot->frames), scratch->frames);               \
		bpf_ringbuf_submit(slot, BPF_RB_NO_WAKEUP);                                               \
	})

/* bpf_get_stack says less than zero for "none", as for the kernel stack of a task that ran in user mode. */
static __always_inline __u32 stack_bytes(long got)
{
	return got < 0 ? 0 : got > (long)STACK_BYTES ? STACK_BYTES : got;
}

SEC("perf_event")
int sample_cpu(struct bpf_perf_event_data *context)
{
	__u32 zero = 0;
	struct task_struct *task = (void *)bpf_get_current_task();
	struct stack_scratch *scratch;
	struct shape shape = {};
	/* The idle task, on each CPU: cpu-clock ticks there too. */
	int idle = !(__u32)bpf_get_current_pid_tgid();

	if (idle && idle_in_softirq(context)) {
		idle = 0;
		shape.flags = FLAG_SOFTIRQ;
	}
	count_tick(task, context->sample_period, !idle);
	if (idle)
		return 0;
	scratch = bpf_map_lookup_elem(&stack_scratches, &zero);
	if (!scratch) {
		count(COUNTER_SAMPLE_NO_SCRATCH);
		return 0;
	}
	if (BPF_CORE_READ_BITFIELD_PROBED(task, in_execve)) {
		shape.flags = FLAG_IN_EXECVE;
		emit_seen(task);
	}
	shape.kernel_bytes = stack_bytes(bpf_get_stack(context, scratch->frames, STACK_BYTES, 0));
	/* Inside execve the user registers are still the old image's. A kernel thread has none. */
	if (!shape.flags && !(BPF_CORE_READ(task, flags) & PF_KTHREAD))
		shape.user_bytes = stack_bytes(bpf_get_stack(context, (void *)scratch->frames + shape.kernel_bytes,
							     STACK_BYTES, BPF_F_USER_STACK));
	if (shape.kernel_bytes + shape.user_bytes <= FRAMES_SHALLOW * sizeof(__u64))
		EMIT_SAMPLE(FRAMES_SHALLOW);
	else if (shape.kernel_bytes + shape.user_bytes <= FRAMES_USUAL * sizeof(__u64))
		EMIT_SAMPLE(FRAMES_USUAL);
	else
		EMIT_SAMPLE(FRAMES_ALL);
	return 0;
}
