/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Files behind mappings: each is announced once, with its path and build ID, by the sample that meets it first. */
#ifndef PIPELINE_FILE_BPF_H
#define PIPELINE_FILE_BPF_H

#include "include/prelude.h"
#include "content.bpf.h"
#include "counters.bpf.h"
#include "identity.bpf.h"
#include "image.bpf.h"
#include "path.bpf.h"
#include "rings.bpf.h"
#include "vma.bpf.h"

/* Files that user space knows, or will know before anything that comes after. It takes out what it has forgotten
 * itself. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct file_key);
	__type(value, __u64); /* id */
} announced_files SEC(".maps");

/* The id to be given next. */
__u64 next_file = FIRST_FILE;

/* New files of one sample: a process that maps ever new ones must not make a sample expensive. */
#define ANNOUNCEMENTS 8
/* The same where all files of the process are named, so that user space can follow its stack; and the time after which
 * it is no more, since paths may be long. */
#define ANNOUNCEMENTS_LISTED 32
#define ANNOUNCED_WITHIN_NS 1000000
/* The ELF header is at `start - file offset`, or some pages before: linkers leave a page out between segments. */
#define HEADER_TRIES 4
#define MAX_PROGRAM_HEADERS 32
#define MAX_NOTES 8
/* elf.h of the C library; the kernel's own header does not have it for user space. */
#define NT_GNU_BUILD_ID 3

static __always_inline void key_of(struct file_key *key, struct file_name *name, struct file *file, __u64 root)
{
	struct dentry *dentry = name->dentry;

	identify_content(key, file);
	key->dentry = (__u64)dentry;
	key->mount = (__u64)name->mount;
	key->name = BPF_CORE_READ(dentry, d_name.hash_len);
	key->root = root;
}

/* Takes the build ID from note[0 .. note_bytes]. What changes from note to note lies in the walk, where the verifier
 * knows nothing of it: in registers it would follow each combination of lengths by itself, half a million
 * instructions. */
static __always_inline int find_build_id(struct walk *walk)
{
	walk->note_at = 0;
	for (int i = 0; i < MAX_NOTES; i++) {
		__u32 at = walk->note_at, end = walk->note_bytes;
		Elf64_Nhdr note;

		/* Header, name and the longest build ID fit behind it. */
		if (at > sizeof(walk->note) - sizeof(note) - 4 - BUILD_ID_BYTES || at + sizeof(note) + 4 > end)
			return 0;
		__builtin_memcpy(&note, &walk->note[at], sizeof(note));
		if (note.n_namesz > sizeof(walk->note) || note.n_descsz > sizeof(walk->note))
			return 0;
		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && note.n_descsz &&
		    note.n_descsz <= BUILD_ID_BYTES && *(__u32 *)&walk->note[at + sizeof(note)] == *(__u32 *)"GNU" &&
		    at + sizeof(note) + 4 + note.n_descsz <= end) {
			__builtin_memcpy(walk->build_id, &walk->note[at + sizeof(note) + 4], BUILD_ID_BYTES);
			walk->build_id_bytes = note.n_descsz;
			return 1;
		}
		walk->note_at = at + sizeof(note) + ((note.n_namesz + 3) & ~3) + ((note.n_descsz + 3) & ~3);
	}
	return 0;
}

struct headers {
	struct walk *walk;
	__u64 table; /* where the program headers are */
};

/* One program header. All that changes lies in the walk: see path.bpf.h. */
static long read_program_header(__u32 index, struct headers *headers)
{
	struct walk *walk = headers->walk;
	__u64 first = walk->found.start, size = walk->found.end - first;
	Elf64_Phdr *header = &walk->program;
	__u32 bytes;

	if (bpf_probe_read_user(header, sizeof(*header), (void *)(headers->table + index * sizeof(*header))))
		return 1;
	/* Linkers put notes on the first page, which is mapped with the header. */
	if (header->p_type != PT_NOTE || header->p_offset >= size || header->p_filesz > size - header->p_offset)
		return 0;
	bytes = header->p_filesz > sizeof(walk->note) ? sizeof(walk->note) : header->p_filesz;
	if (bpf_probe_read_user(walk->note, bytes & 511, (void *)(first + header->p_offset)))
		return 0;
	walk->note_bytes = bytes;
	return find_build_id(walk);
}

/* Reads the build ID of `target`'s file from the process's own memory. Leaves none if it has none, or if that page is
 * not in memory, and returns 1 if that is so of its header's. */
__attribute__((noinline)) int read_build_id(void)
{
	struct walk *walk = current_walk();
	struct headers headers;
	Elf64_Ehdr *header;

	if (!walk)
		return 0;
	header = &walk->elf;
	walk->build_id_bytes = 0;
	for (__u64 try = 0; try < HEADER_TRIES; try++) {
		__u64 start = walk->target.start - walk->target.file_offset - (try << page_shift);

		if (start > walk->target.start || !start || find_vma(start))
			continue;
		if (walk->found.file != walk->target.file || walk->found.file_offset || walk->found.start != start)
			continue;
		if (bpf_probe_read_user(header, sizeof(*header), (void *)start))
			return 1;
		if (*(__u32 *)header->e_ident != *(__u32 *)ELFMAG || header->e_ident[EI_CLASS] != ELFCLASS64 ||
		    header->e_phentsize != sizeof(Elf64_Phdr) || header->e_phnum > MAX_PROGRAM_HEADERS)
			return 0;
		headers.walk = walk;
		headers.table = start + header->e_phoff;
		bpf_loop(header->e_phnum, read_program_header, &headers, 0);
		return 0;
	}
	return 0;
}

#define EMIT_FILE(text_capacity)                                                                                \
	({                                                                                                      \
		struct {                                                                                        \
			struct file_record file;                                                                \
			char text[text_capacity];                                                               \
		} *slot = bpf_ringbuf_reserve(&lifecycle, sizeof(*slot), 0);                                    \
		if (!slot) {                                                                                    \
			count(COUNTER_LIFECYCLE_RING_FULL);                                                     \
			return 0;                                                                               \
		}                                                                                               \
		identify(&slot->file.header, RECORD_FILE, task);                                                \
		slot->file.header.flags |= scratch->flags;                                                      \
		slot->file.id = id;                                                                             \
		slot->file.key = walk->key;                                                                     \
		slot->file.size = BPF_CORE_READ(file, f_inode, i_size);                                         \
		slot->file.link_count = BPF_CORE_READ(file, f_inode, i_nlink);                                  \
		slot->file.path_bytes = PATH_BYTES - start;                                                     \
		slot->file.own_path_bytes = scratch->own_start ? PATH_BYTES - scratch->own_start : 0;           \
		__builtin_memcpy(slot->file.build_id, walk->build_id, BUILD_ID_BYTES);                          \
		slot->file.build_id_bytes = walk->build_id_bytes;                                               \
		bpf_probe_read_kernel(slot->text, text_capacity, &scratch->text[start & (2 * PATH_BYTES - 1)]); \
		bpf_ringbuf_submit(slot, BPF_RB_NO_WAKEUP);                                                     \
	})

/* Announces the file of `target`, called `key`, under an id. False if that could not be written. */
static __always_inline int emit_file(struct walk *walk, struct path_scratch *scratch, struct file_name *name, __u64 id)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct file *file = (void *)walk->target.file;
	__u32 start;

	walk_path(scratch, name, task);
	start = scratch->start;
	if (start > PATH_BYTES)
		start = PATH_BYTES;
	if (start >= PATH_BYTES - TEXT_SMALL)
		EMIT_FILE(TEXT_SMALL);
	else if (start >= PATH_BYTES - TEXT_MEDIUM)
		EMIT_FILE(TEXT_MEDIUM);
	else
		EMIT_FILE(PATH_BYTES);
	return 1;
}

/* True if the sample may announce one more file. */
static __always_inline int may_announce(struct walk *walk)
{
	if (!walk->raw)
		return walk->announced < ANNOUNCEMENTS && within_budget();
	return walk->announced < ANNOUNCEMENTS_LISTED && within_budget() &&
	       bpf_ktime_get_ns() - walk->list_began < ANNOUNCED_WITHIN_NS;
}

/* The id of `target`'s file, announced if it is new; MAPPED_UNANNOUNCED if that could not be done. Global functions
 * return 32 bits, so the id is left in `file_id`. */
__attribute__((noinline)) int reference_file(void)
{
	__u32 slot = SCRATCH_SAMPLE;
	struct walk *walk = current_walk();
	struct path_scratch *scratch;
	struct file_name name;
	struct file *file;
	__u64 *known, id;

	if (!walk)
		return 0;
	walk->file_id = MAPPED_UNANNOUNCED;
	file = (void *)walk->target.file;
	name_of(&name, file);
	key_of(&walk->key, &name, file, walk->root);
	known = bpf_map_lookup_elem(&announced_files, &walk->key);
	if (known) {
		walk->file_id = *known;
		return 0;
	}
	if (!may_announce(walk)) {
		/* No frame is known to be in a file that is only listed for a raw_stack: it is not missing. */
		if (!walk->raw)
			count(COUNTER_FILE_OVER_BUDGET);
		return 0;
	}
	scratch = bpf_map_lookup_elem(&path_scratches, &slot);
	if (!scratch) {
		count(COUNTER_LIFECYCLE_NO_SCRATCH);
		return 0;
	}
	/* A process that has just begun has not looked at its files' headers yet: such a file is announced, with its
	 * build ID, once a walk of the kernel finds a frame in it. */
	if (read_build_id() && walk->raw)
		return 0;
	walk->announced++;
	id = __sync_fetch_and_add(&next_file, 1);
	if (!emit_file(walk, scratch, &name, id))
		return 0;
	/* Only now: whoever finds it here stamps its sample after the record. Should the update fail, the next sample
	 * announces it again, under another id. */
	bpf_map_update_elem(&announced_files, &walk->key, &id, BPF_ANY);
	walk->file_id = id;
	/* User space opens a new file while the process lives. */
	wake_reader();
	return 0;
}

#endif
