/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Where a process stands among others. */
#ifndef PIPELINE_RELATIVES_BPF_H
#define PIPELINE_RELATIVES_BPF_H

#include "include/prelude.h"
#include "namespace.bpf.h"

/* The number by which the agent's pid namespace has a group of processes; 0 for one whose leader is outside. */
static __always_inline __u32 leader_of(struct signal_struct *signal, enum pid_type type)
{
	return number_of(BPF_CORE_READ(signal, pids[type]));
}

static __always_inline void describe_relatives(struct relatives *relatives, struct task_struct *task)
{
	struct task_struct *parent = BPF_CORE_READ(task, real_parent);
	struct signal_struct *signal = BPF_CORE_READ(task, signal);
	struct pid *pid = BPF_CORE_READ(signal, pids[PIDTYPE_TGID]);
	/* The last of a pid's numbers is that of the namespace it was made in. */
	__u64 last = BPF_CORE_READ(pid, level) * bpf_core_type_size(struct upid);
	struct upid *own = (void *)pid + bpf_core_field_offset(pid->numbers) + last;

	relatives->parent_pid = process_of(parent);
	/* As getppid(2): a parent outside the namespace is none. */
	if (relatives->parent_pid)
		relatives->parent_start_boottime_ns = BPF_CORE_READ(parent, group_leader, start_boottime);
	else
		relatives->parent_start_boottime_ns = 0;
	relatives->session = leader_of(signal, PIDTYPE_SID);
	relatives->process_group = leader_of(signal, PIDTYPE_PGID);
	relatives->own_pid = BPF_CORE_READ(own, nr);
	relatives->pid_namespace = BPF_CORE_READ(own, ns, ns.inum);
	relatives->network_namespace = BPF_CORE_READ(task, nsproxy, net_ns, ns.inum);
	relatives->group_id = BPF_CORE_READ(task, cred, egid.val);
	relatives->has_terminal = BPF_CORE_READ(signal, tty) != NULL;
}

#endif
