/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What identifies a file's content, whatever its name. */
#ifndef PIPELINE_CONTENT_BPF_H
#define PIPELINE_CONTENT_BPF_H

#include "include/prelude.h"

/* Fills the first five fields of a key. */
static __always_inline void identify_content(struct file_key *key, struct file *file)
{
	struct inode *inode = BPF_CORE_READ(file, f_inode);
	struct inode___from_6_7 *from_6_7 = (void *)inode;
	struct inode___before_6_7 *before_6_7 = (void *)inode;
	struct super_block *super = BPF_CORE_READ(inode, i_sb);
	__u64 seconds, nanos;

	if (bpf_core_field_exists(inode->i_mtime_sec)) {
		seconds = BPF_CORE_READ(inode, i_mtime_sec);
		nanos = BPF_CORE_READ(inode, i_mtime_nsec);
	} else if (bpf_core_field_exists(from_6_7->__i_mtime)) {
		seconds = BPF_CORE_READ(from_6_7, __i_mtime.tv_sec);
		nanos = BPF_CORE_READ(from_6_7, __i_mtime.tv_nsec);
	} else {
		seconds = BPF_CORE_READ(before_6_7, i_mtime.tv_sec);
		nanos = BPF_CORE_READ(before_6_7, i_mtime.tv_nsec);
	}
	key->inode = BPF_CORE_READ(inode, i_ino);
	key->mtime_ns = seconds * 1000000000 + nanos;
	key->extra = BPF_CORE_READ(super, s_magic) == BTRFS_SUPER_MAGIC ? (__u64)inode
									: (__u64)BPF_CORE_READ(inode, i_size);
	key->device = BPF_CORE_READ(super, s_dev);
	key->generation = BPF_CORE_READ(inode, i_generation);
}

#endif
