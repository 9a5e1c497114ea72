/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What a task runs: the record of an exec, or of an image met running. */
#ifndef PIPELINE_IMAGE_BPF_H
#define PIPELINE_IMAGE_BPF_H

#include "include/prelude.h"
#include "announced.bpf.h"
#include "counters.bpf.h"
#include "identity.bpf.h"
#include "namespace.bpf.h"
#include "path.bpf.h"
#include "relatives.bpf.h"
#include "rings.bpf.h"

/* One scratch per context that can interrupt another on the same CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 3);
	__type(key, __u32);
	__type(value, struct path_scratch);
} path_scratches SEC(".maps");

enum path_scratch_user { SCRATCH_EXEC = 0, SCRATCH_SAMPLE = 1, SCRATCH_SNAPSHOT = 2 };

/* Bytes of text that most, more, those with arguments, and all records need: a reservation's size must be a
 * constant. */
#define TEXT_SMALL 192
#define TEXT_MEDIUM 1024
#define TEXT_LONG 2560
#define TEXT_LARGE (PATH_BYTES + FILENAME_BYTES + INTERPRETER_BYTES + ENVIRONMENT_BYTES + ARGUMENTS_BYTES)
_Static_assert(2 * PATH_BYTES + TEXT_LARGE <= sizeof(((struct path_scratch *)0)->text),
	       "a copy from any masked start stays inside");

/* Fills all but the header of an `image` of zeros, and leaves the text in `scratch`. Returns where it starts. */
static __always_inline __u32 describe_image(struct image_record *image, struct path_scratch *scratch,
					    struct task_struct *task, __u32 *flags)
{
	struct file *file = BPF_CORE_READ(task, mm, exe_file);
	struct file_name name;

	image->mount_namespace = BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum);
	describe_relatives(&image->relatives, task);
	if (!file)
		return PATH_BYTES;
	image->inode = BPF_CORE_READ(file, f_inode, i_ino);
	image->device = BPF_CORE_READ(file, f_inode, i_sb, s_dev);
	image->link_count = BPF_CORE_READ(file, f_inode, i_nlink);
	name_of(&name, file);
	walk_path(scratch, &name, task);
	image->path_bytes = PATH_BYTES - scratch->start;
	if (scratch->own_start)
		image->own_path_bytes = PATH_BYTES - scratch->own_start;
	*flags |= scratch->flags;
	return scratch->start;
}

#define EMIT_IMAGE(text_capacity)                                                                               \
	({                                                                                                      \
		struct {                                                                                        \
			struct image_record image;                                                              \
			char text[text_capacity];                                                               \
		} *slot = bpf_ringbuf_reserve(&lifecycle, sizeof(*slot), 0);                                    \
		if (!slot) {                                                                                    \
			count(COUNTER_LIFECYCLE_RING_FULL);                                                     \
			return 0;                                                                               \
		}                                                                                               \
		slot->image = *image;                                                                           \
		identify(&slot->image.header, kind, task);                                                      \
		slot->image.header.flags |= flags;                                                              \
		bpf_probe_read_kernel(slot->text, text_capacity, &scratch->text[start & (2 * PATH_BYTES - 1)]); \
		bpf_ringbuf_submit(slot, BPF_RB_NO_WAKEUP);                                                     \
	})

/* False if the ring is full. */
static __always_inline int emit_image(struct image_record *image, struct path_scratch *scratch, __u32 start,
				      enum record_kind kind, struct task_struct *task, __u32 flags)
{
	__u32 text = image->path_bytes + image->filename_bytes + image->interpreter_bytes + image->environment_bytes +
		     image->arguments_bytes;

	if (start > PATH_BYTES)
		start = PATH_BYTES;
	if (text <= TEXT_SMALL)
		EMIT_IMAGE(TEXT_SMALL);
	else if (text <= TEXT_MEDIUM)
		EMIT_IMAGE(TEXT_MEDIUM);
	else if (text <= TEXT_LONG)
		EMIT_IMAGE(TEXT_LONG);
	else
		EMIT_IMAGE(TEXT_LARGE);
	return 1;
}

/* Announces the image of the task that is being sampled, if nobody has. Inside execve that can be one whose exec is not
 * complete.
 *
 * A global function for its stack: as part of the sampler, whose own calls go five deep, it would take them past the
 * 512 bytes that kernels before 6.13 have for all of them. */
__attribute__((noinline)) int announce_image(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	__u32 slot = SCRATCH_SAMPLE;
	struct path_scratch *scratch;
	struct image_record image = {};
	__u32 flags = 0, start;
	struct image_key key;

	image_key(&key, task);
	if (bpf_map_lookup_elem(&announced_images, &key))
		return 0;
	scratch = bpf_map_lookup_elem(&path_scratches, &slot);
	if (!scratch) {
		count(COUNTER_LIFECYCLE_NO_SCRATCH);
		return 0;
	}
	start = describe_image(&image, scratch, task, &flags);
	/* A task that is exiting has no executable any more. */
	if (image.path_bytes && emit_image(&image, scratch, start, RECORD_SEEN, task, flags))
		key_is_announced(&key, task);
	return 0;
}

#endif
