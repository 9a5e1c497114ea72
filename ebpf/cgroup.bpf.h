/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Control groups: each is announced once, with its path, by the sample that meets it first. */
#ifndef PIPELINE_CGROUP_BPF_H
#define PIPELINE_CGROUP_BPF_H

#include "include/prelude.h"
#include "counters.bpf.h"
#include "identity.bpf.h"
#include "image.bpf.h"
#include "path.bpf.h"
#include "rings.bpf.h"

/* Controllers that have a hierarchy of version 1, of those in legacy_controller. User space sets it; where there are
 * none, the verifier removes all that looks at them. */
const volatile __u32 legacy_controllers = 0;

/* Groups that user space knows, or will know before anything that comes after. It takes out what it has forgotten
 * itself. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct cgroup_key);
	__type(value, __u32); /* number */
} announced_cgroups SEC(".maps");

/* The number to be given next. */
__u32 next_cgroup = 1;

/* Deeper groups lose the beginning of their path. */
#define CGROUP_STEPS 128

static __always_inline struct kernfs_node *parent_of(struct kernfs_node *node)
{
	struct kernfs_node___from_6_15 *from_6_15 = (void *)node;

	if (bpf_core_field_exists(from_6_15->__parent))
		return BPF_CORE_READ(from_6_15, __parent);
	return BPF_CORE_READ(node, parent);
}

/* The task's group in the hierarchy of one controller; NULL for the root, which holds what nobody has put anywhere. */
static __always_inline struct kernfs_node *group_of(struct css_set *set, __u32 subsystem)
{
	struct cgroup_subsys_state *state = NULL;
	struct kernfs_node *node;

	bpf_probe_read_kernel(&state, sizeof(state),
			      (void *)set + bpf_core_field_offset(set->subsys) + subsystem * sizeof(state));
	node = BPF_CORE_READ(state, cgroup, kn);
	return parent_of(node) ? node : NULL;
}

#define LOOK_AT(controller_bit, subsystem)                                                           \
	({                                                                                           \
		if (!node && (legacy_controllers & controller_bit) &&                                \
		    bpf_core_enum_value_exists(enum cgroup_subsys_id, subsystem)) {                  \
			node = group_of(set, bpf_core_enum_value(enum cgroup_subsys_id, subsystem)); \
			key->controller = node ? controller_bit : 0;                                 \
		}                                                                                    \
	})

/* The task's group in the first hierarchy of version 1 that has one for it. */
static __always_inline struct kernfs_node *legacy_group(struct css_set *set, struct cgroup_key *key)
{
	struct kernfs_node *node = NULL;

	LOOK_AT(LEGACY_PIDS, pids_cgrp_id);
	LOOK_AT(LEGACY_MEMORY, memory_cgrp_id);
	LOOK_AT(LEGACY_CPU, cpu_cgrp_id);
	if (node)
		key->legacy = BPF_CORE_READ(node, id);
	return node;
}

struct cgroup_walk {
	struct path_scratch *scratch;
	struct kernfs_node *node;
};

/* One name, up to the root, which has none. Names lie one after the other from text[0] on, the group's own first.
 * `start` is where the next one goes: what changes from step to step lies in the scratch (see path.bpf.h). */
static long add_group_name(__u32 step, struct cgroup_walk *walk)
{
	struct path_scratch *scratch = walk->scratch;
	struct kernfs_node *node = walk->node;
	struct kernfs_node *parent = parent_of(node);
	__u32 end = scratch->start;
	long got;

	if (!parent) {
		scratch->flags &= ~FLAG_PATH_TRUNCATED;
		return 1;
	}
	/* Both paths must fit, each in PATH_BYTES at most: the second starts where the first has ended. */
	if (end >= scratch->own_start + PATH_BYTES - NAME_BYTES - 1)
		return 1;
	got = bpf_probe_read_kernel_str(&scratch->text[end & (2 * PATH_BYTES - 1)], NAME_BYTES + 1,
					BPF_CORE_READ(node, name));
	if (got <= 0)
		return 1;
	scratch->start = end + got;
	walk->node = parent;
	return 0;
}

/* Adds the names of a group and of those above it. Returns their bytes. */
static __always_inline __u32 add_group_names(struct path_scratch *scratch, struct kernfs_node *node)
{
	struct cgroup_walk walk = { .scratch = scratch, .node = node };
	__u32 truncated = scratch->flags & FLAG_PATH_TRUNCATED;

	scratch->own_start = scratch->start;
	scratch->flags |= FLAG_PATH_TRUNCATED;
	bpf_loop(CGROUP_STEPS, add_group_name, &walk, 0);
	scratch->flags |= truncated;
	return scratch->start - scratch->own_start;
}

#define EMIT_CGROUP(text_capacity)                                               \
	({                                                                       \
		struct {                                                         \
			struct cgroup_record cgroup;                             \
			char text[text_capacity];                                \
		} *slot = bpf_ringbuf_reserve(&lifecycle, sizeof(*slot), 0);     \
		if (!slot) {                                                     \
			count(COUNTER_LIFECYCLE_RING_FULL);                      \
			return 0;                                                \
		}                                                                \
		identify(&slot->cgroup.header, RECORD_CGROUP, task);             \
		slot->cgroup.header.flags |= scratch->flags;                     \
		slot->cgroup.key = *key;                                         \
		slot->cgroup.number = number;                                    \
		slot->cgroup.unified_bytes = unified;                            \
		slot->cgroup.legacy_bytes = legacy;                              \
		bpf_probe_read_kernel(slot->text, text_capacity, scratch->text); \
		bpf_ringbuf_submit(slot, BPF_RB_NO_WAKEUP);                      \
	})

/* Announces the groups called `key` under a number. False if that could not be written. */
static __always_inline int emit_cgroup(struct cgroup_key *key, struct css_set *set, struct kernfs_node *legacy_node,
				       struct path_scratch *scratch, __u32 number)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	__u32 unified, legacy = 0;

	scratch->start = scratch->flags = 0;
	unified = add_group_names(scratch, BPF_CORE_READ(set, dfl_cgrp, kn));
	if (legacy_node)
		legacy = add_group_names(scratch, legacy_node);
	if (unified + legacy <= TEXT_SMALL)
		EMIT_CGROUP(TEXT_SMALL);
	else if (unified + legacy <= TEXT_MEDIUM)
		EMIT_CGROUP(TEXT_MEDIUM);
	else
		EMIT_CGROUP(2 * PATH_BYTES);
	return 1;
}

/* The number of the current task's groups, which are announced if they are new; 0 if that could not be done.
 *
 * A global function for its stack: see announce_image. */
__attribute__((noinline)) __u32 reference_cgroup(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct css_set *set = BPF_CORE_READ(task, cgroups);
	__u32 slot = SCRATCH_SAMPLE, *known, number;
	struct kernfs_node *legacy = NULL;
	struct path_scratch *scratch;
	struct cgroup_key key = {};

	key.unified = bpf_get_current_cgroup_id();
	if (legacy_controllers)
		legacy = legacy_group(set, &key);
	known = bpf_map_lookup_elem(&announced_cgroups, &key);
	if (known)
		return *known;
	if (!within_budget()) {
		count(COUNTER_CGROUP_OVER_BUDGET);
		return 0;
	}
	scratch = bpf_map_lookup_elem(&path_scratches, &slot);
	if (!scratch) {
		count(COUNTER_LIFECYCLE_NO_SCRATCH);
		return 0;
	}
	number = __sync_fetch_and_add(&next_cgroup, 1);
	if (!emit_cgroup(&key, set, legacy, scratch, number))
		return 0;
	/* Only now, as for files. */
	bpf_map_update_elem(&announced_cgroups, &key, &number, BPF_ANY);
	return number;
}

#endif
