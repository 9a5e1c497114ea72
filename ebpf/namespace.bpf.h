/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The numbers that processes have in the agent's pid namespace: those by which its /proc has them, too. */
#ifndef PIPELINE_NAMESPACE_BPF_H
#define PIPELINE_NAMESPACE_BPF_H

#include "include/prelude.h"
#include "announced.bpf.h"

/* Inode number of the agent's pid namespace; 0 for the first one, whose numbers are the kernel's own. User space sets
 * it; where it is 0, the verifier removes all that translates. */
const volatile __u32 pid_namespace = 0;

/* MAX_PID_NS_LEVEL in kernel/pid_namespace.c. */
#define PID_LEVELS 32

/* The kernel's pid_nr_ns(): 0 for a pid that the namespace does not have. A pid has a number in the first namespace and
 * in each one from there down to its own.
 *
 * A global function, so that the verifier follows the loop once, not once for each caller. */
__attribute__((noinline)) __u32 number_in_namespace(__u64 address)
{
	struct pid *pid = (void *)address;
	__u32 level = BPF_CORE_READ(pid, level);
	void *number = (void *)pid + bpf_core_field_offset(pid->numbers);

	for (__u32 at = 1; at <= PID_LEVELS; at++) {
		if (at > level)
			break;
		number += bpf_core_type_size(struct upid);
		if (BPF_CORE_READ((struct upid *)number, ns, ns.inum) == pid_namespace)
			return BPF_CORE_READ((struct upid *)number, nr);
	}
	return 0;
}

static __always_inline __u32 number_of(struct pid *pid)
{
	if (!pid_namespace)
		return BPF_CORE_READ(pid, numbers[0].nr);
	return number_in_namespace((__u64)pid);
}

/* The number of the process that has an image; 0 if it is not known. */
__attribute__((noinline)) __u32 number_of_image(__u64 start_boottime_ns, __u32 pid, __u32 exec_count)
{
	struct image_key key = { .start_boottime_ns = start_boottime_ns, .pid = pid, .exec_count = exec_count };
	__u32 *known = bpf_map_lookup_elem(&announced_images, &key);

	return known ? *known : 0;
}

/* The number of a task's process; 0 if that is outside. A task that has been released (release_task()) has no pid any
 * more, and is known by its image. */
static __always_inline __u32 process_of(struct task_struct *task)
{
	struct pid *pid;

	if (!pid_namespace)
		return BPF_CORE_READ(task, tgid);
	pid = BPF_CORE_READ(task, signal, pids[PIDTYPE_TGID]);
	if (pid)
		return number_in_namespace((__u64)pid);
	return number_of_image(BPF_CORE_READ(task, group_leader, start_boottime), BPF_CORE_READ(task, tgid),
			       BPF_CORE_READ(task, self_exec_id));
}

/* The number of a thread; 0 if it is outside, or has been released. */
static __always_inline __u32 thread_of(struct task_struct *task)
{
	if (!pid_namespace)
		return BPF_CORE_READ(task, pid);
	return number_in_namespace((__u64)BPF_CORE_READ(task, thread_pid));
}

/* True for a task that the agent's namespace has no number for: neither it nor its time is any of the agent's. */
static __always_inline int is_outside(struct task_struct *task)
{
	return pid_namespace && !process_of(task);
}

/* Only once its record has been submitted: then in kernel-time order nobody finds it here before that. `key` is the
 * task's. */
static __always_inline void key_is_announced(struct image_key *key, struct task_struct *task)
{
	__u32 number = process_of(task);

	bpf_map_update_elem(&announced_images, key, &number, BPF_ANY);
}

static __always_inline void image_is_announced(struct task_struct *task)
{
	struct image_key key;

	image_key(&key, task);
	key_is_announced(&key, task);
}

#endif
