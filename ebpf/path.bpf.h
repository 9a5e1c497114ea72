/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* A file's absolute path, by walking dentries and mounts: what d_path() would say, in programs that may not call it.
 *
 * No lock is held. A rename of a directory during the walk can mix old and new names; the kernel's own
 * lockless walk retries on rename_lock, which BPF cannot read. */

/* A name is at most NAME_MAX bytes. */
#define NAME_BYTES 255
/* Each step takes one component or leaves one mount. */
#define PATH_STEPS 512

/* Where paths are put together: too large for the BPF stack. The path grows down from PATH_BYTES, and what execve
 * was passed grows up from there, so that both leave as one run of bytes. The rest is room for the copy of a whole
 * size class from any start (see image.bpf.h). */
struct path_scratch {
	char text[PATH_BYTES + 8192];
};

struct path_walk {
	struct path_scratch *scratch;
	struct dentry *dentry;
	struct mount *mount;
	struct dentry *own_root;         /* the task's root directory ... */
	struct vfsmount *own_root_mount; /* ... and its mount */
	__u32 start;                     /* first byte of the path so far */
	__u32 own_start;                 /* the same when the walk came by the task's root; 0: not yet */
	__u32 flags;
};

static __always_inline int prepend_name(struct path_walk *walk, struct dentry *dentry)
{
	__u32 length = BPF_CORE_READ(dentry, d_name.len);
	__u32 start = walk->start;

	if (length > NAME_BYTES)
		length = NAME_BYTES;
	if (start < length + 1 || start > PATH_BYTES) {
		walk->flags |= FLAG_PATH_TRUNCATED;
		return 0;
	}
	start -= length + 1;
	/* The masks repeat for the verifier what the test above has established. */
	start &= PATH_BYTES - 1;
	walk->scratch->text[start] = '/';
	bpf_probe_read_kernel(&walk->scratch->text[start + 1], length & 0xff, BPF_CORE_READ(dentry, d_name.name));
	walk->start = start;
	return 1;
}

static long walk_step(__u32 step, struct path_walk *walk)
{
	struct dentry *dentry = walk->dentry;
	struct mount *mount = walk->mount;
	struct dentry *parent = BPF_CORE_READ(dentry, d_parent);

	if (dentry == walk->own_root && __builtin_preserve_access_index(&mount->mnt) == walk->own_root_mount)
		walk->own_start = walk->start;
	if (dentry == BPF_CORE_READ(mount, mnt.mnt_root) || dentry == parent) {
		struct mount *below = BPF_CORE_READ(mount, mnt_parent);

		if (below == mount) {
			/* The root of everything; a file that is its own root was never in a directory. */
			if (walk->start == PATH_BYTES) {
				walk->flags |= FLAG_NO_PARENT_DIRECTORY;
				prepend_name(walk, dentry);
			}
			return 1;
		}
		walk->dentry = BPF_CORE_READ(mount, mnt_mountpoint);
		walk->mount = below;
		return 0;
	}
	if (!prepend_name(walk, dentry))
		return 1;
	walk->dentry = parent;
	return 0;
}

/* The kernel's d_unlinked(): what makes /proc/PID/exe say " (deleted)". A root is in no hash table either. */
static __always_inline int name_is_gone(struct dentry *dentry)
{
	return !BPF_CORE_READ(dentry, d_hash.pprev) && BPF_CORE_READ(dentry, d_parent) != dentry;
}

/* Leaves the path at text[walk->start .. PATH_BYTES]. */
static __always_inline void walk_path(struct path_walk *walk, struct path_scratch *scratch, struct file *file,
				      struct task_struct *task)
{
	struct vfsmount *vfsmount = BPF_CORE_READ(file, f_path.mnt);

	walk->scratch = scratch;
	walk->dentry = BPF_CORE_READ(file, f_path.dentry);
	walk->mount = (void *)vfsmount - bpf_core_field_offset(struct mount, mnt);
	walk->own_root = BPF_CORE_READ(task, fs, root.dentry);
	walk->own_root_mount = BPF_CORE_READ(task, fs, root.mnt);
	walk->start = PATH_BYTES;
	walk->own_start = 0;
	walk->flags = name_is_gone(walk->dentry) ? FLAG_NAME_GONE : 0;
	if (bpf_loop(PATH_STEPS, walk_step, walk, 0) == PATH_STEPS)
		walk->flags |= FLAG_PATH_TRUNCATED;
}
