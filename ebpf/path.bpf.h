/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* A file's absolute path, by walking dentries and mounts: what d_path() would say, in programs that may not call it.
 *
 * No lock is held. A rename of a directory during the walk can mix old and new names; the kernel's own
 * lockless walk retries on rename_lock, which BPF cannot read. */
#ifndef PIPELINE_PATH_BPF_H
#define PIPELINE_PATH_BPF_H

#include "include/prelude.h"

/* A name is at most NAME_MAX bytes. */
#define NAME_BYTES 255
/* Each step takes one component (at least two bytes of a path) or leaves one mount. */
#define PATH_STEPS (PATH_BYTES / 2 + 64)

/* Where paths are put together: too large for the BPF stack. The path grows down from PATH_BYTES, and what execve
 * was passed grows up from there, so that both leave as one run of bytes. The rest is room for the copy of a whole
 * size class from any start (see image.bpf.h).
 *
 * What changes from step to step lies here too, not on the stack: verifiers before Linux 6.7 follow the callback of
 * bpf_loop only once, and would take what they know of a stack slot then for true in every step. */
struct path_scratch {
	__u32 start;     /* first byte of the path so far; never 0, so that a length stays below PATH_BYTES */
	__u32 own_start; /* the same when the walk came by the task's root; 0: not yet */
	__u32 flags;
	__u32 limit; /* of an environment: where it must end */
	__u64 user;  /* the next variable */
	char text[6 * PATH_BYTES];
};

struct path_walk {
	struct path_scratch *scratch;
	struct dentry *dentry;
	struct mount *mount;
	struct dentry *own_root;         /* the task's root directory ... */
	struct vfsmount *own_root_mount; /* ... and its mount */
};

static __always_inline int prepend_name(struct path_scratch *scratch, struct dentry *dentry)
{
	__u32 length = BPF_CORE_READ(dentry, d_name.len);
	__u32 start = scratch->start;

	if (length > NAME_BYTES)
		length = NAME_BYTES;
	if (start <= length + 1 || start > PATH_BYTES) {
		scratch->flags |= FLAG_PATH_TRUNCATED;
		return 0;
	}
	start -= length + 1;
	/* The masks repeat for the verifier what the test above has established. */
	start &= PATH_BYTES - 1;
	scratch->text[start] = '/';
	bpf_probe_read_kernel(&scratch->text[start + 1], length & 0xff, BPF_CORE_READ(dentry, d_name.name));
	scratch->start = start;
	return 1;
}

static long walk_step(__u32 step, struct path_walk *walk)
{
	struct path_scratch *scratch = walk->scratch;
	struct dentry *dentry = walk->dentry;
	struct mount *mount = walk->mount;
	struct dentry *parent = BPF_CORE_READ(dentry, d_parent);

	if (dentry == walk->own_root && __builtin_preserve_access_index(&mount->mnt) == walk->own_root_mount)
		scratch->own_start = scratch->start;
	if (dentry == BPF_CORE_READ(mount, mnt.mnt_root) || dentry == parent) {
		struct mount *below = BPF_CORE_READ(mount, mnt_parent);

		if (below == mount) {
			/* The root of everything. A file that is its own root was never in a directory, or was mounted
			 * by itself and that mount has been taken away: then its name is all there is of a path. */
			if (scratch->start == PATH_BYTES) {
				scratch->flags |= dentry == parent ? FLAG_NO_PARENT_DIRECTORY : FLAG_PATH_TRUNCATED;
				prepend_name(scratch, dentry);
			}
			return 1;
		}
		walk->dentry = BPF_CORE_READ(mount, mnt_mountpoint);
		walk->mount = below;
		return 0;
	}
	if (!prepend_name(scratch, dentry))
		return 1;
	walk->dentry = parent;
	return 0;
}

/* The kernel's d_unlinked(): what makes /proc/PID/exe say " (deleted)". A root is in no hash table either. */
static __always_inline int name_is_gone(struct dentry *dentry)
{
	return !BPF_CORE_READ(dentry, d_hash.pprev) && BPF_CORE_READ(dentry, d_parent) != dentry;
}

/* The name by which a file was opened. */
struct file_name {
	struct dentry *dentry;
	struct vfsmount *mount;
};

/* FMODE_BACKING has been either bit; the other is about notification. */
#define FMODE_PERHAPS_BACKING (3 << 24)

/* In an overlay a mapping's file is that of a layer, on a mount that is in no namespace, with the opened one beside it
 * (6.8; before, the path was the opened one's). Files that were never in a directory are on such mounts too. */
static __always_inline int is_backing(struct file *file)
{
	struct dentry *dentry = BPF_CORE_READ(file, f_path.dentry);
	struct mount *mount;

	if (!bpf_core_field_exists(((struct backing_file *)0)->user_path) ||
	    !(BPF_CORE_READ(file, f_mode) & FMODE_PERHAPS_BACKING) || BPF_CORE_READ(dentry, d_parent) == dentry)
		return 0;
	mount = (void *)BPF_CORE_READ(file, f_path.mnt) - bpf_core_field_offset(struct mount, mnt);
	/* MNT_NS_INTERNAL, an error as a pointer. */
	return (long)BPF_CORE_READ(mount, mnt_ns) < 0 && (long)BPF_CORE_READ(mount, mnt_ns) >= -4095;
}

static __always_inline void name_of(struct file_name *name, struct file *file)
{
	if (is_backing(file)) {
		struct backing_file *backing = (void *)file - bpf_core_field_offset(struct backing_file, file);

		name->dentry = BPF_CORE_READ(backing, user_path.dentry);
		name->mount = BPF_CORE_READ(backing, user_path.mnt);
		return;
	}
	name->dentry = BPF_CORE_READ(file, f_path.dentry);
	name->mount = BPF_CORE_READ(file, f_path.mnt);
}

/* Leaves the path at text[start .. PATH_BYTES] of `scratch`. */
static __always_inline void walk_path(struct path_scratch *scratch, struct file_name *name, struct task_struct *task)
{
	struct path_walk walk = {
		.scratch = scratch,
		.dentry = name->dentry,
		.mount = (void *)name->mount - bpf_core_field_offset(struct mount, mnt),
		.own_root = BPF_CORE_READ(task, fs, root.dentry),
		.own_root_mount = BPF_CORE_READ(task, fs, root.mnt),
	};

	scratch->start = PATH_BYTES;
	scratch->own_start = 0;
	scratch->flags = name_is_gone(walk.dentry) ? FLAG_NAME_GONE : 0;
	if (bpf_loop(PATH_STEPS, walk_step, &walk, 0) == PATH_STEPS)
		scratch->flags |= FLAG_PATH_TRUNCATED;
}

#endif
