/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* From an address of the current task to the mapping that a sample names. */
#ifndef PIPELINE_MAPPING_BPF_H
#define PIPELINE_MAPPING_BPF_H

#include "include/prelude.h"
#include "counters.bpf.h"
#include "file.bpf.h"
#include "rows.bpf.h"
#include "vma.bpf.h"

#define MAX_AUXV 32
#define MAPPING_LIMIT_MET (SAMPLE_MAPPINGS + 1)

/* The lowest segment of the executable that holds code, by its place in the file: the walk's `code_offset`. */
static long find_code(__u32 index, struct headers *headers)
{
	struct walk *walk = headers->walk;
	Elf64_Phdr *header = &walk->program;

	if (bpf_probe_read_user(header, sizeof(*header), (void *)(headers->table + index * sizeof(*header))))
		return 1;
	if (header->p_type != PT_LOAD || !(header->p_flags & PF_X))
		return 0;
	walk->code_offset = header->p_offset;
	walk->has_code = 1;
	return 1;
}

/* Text that a program has copied into anonymous memory, to have it on huge pages (node --use-largepages): gives `found`
 * the file that it was loaded from. Program headers are found as the program finds its own, by the auxiliary vector. */
__attribute__((noinline)) int find_copied_text(__u64 address)
{
	struct walk *walk = current_walk();
	struct headers headers = {};
	struct mm_struct *mm;
	__u64 code, pair[2], count = 0;

	if (!walk)
		return 0;
	mm = (void *)walk->mm;
	code = BPF_CORE_READ(mm, start_code);
	if (address < code || address >= BPF_CORE_READ(mm, end_code))
		return 0;
	for (int i = 0; i < MAX_AUXV; i++) {
		if (bpf_probe_read_kernel(pair, sizeof(pair),
					  (void *)mm + bpf_core_field_offset(mm->saved_auxv) + i * sizeof(pair)))
			return 0;
		if (pair[0] == AT_NULL)
			break;
		if (pair[0] == AT_PHDR)
			headers.table = pair[1];
		if (pair[0] == AT_PHNUM)
			count = pair[1];
	}
	if (!headers.table || count > MAX_PROGRAM_HEADERS)
		return 0;
	headers.walk = walk;
	walk->has_code = 0;
	bpf_loop(count, find_code, &headers, 0);
	if (!walk->has_code)
		return 0;
	walk->found.file = (__u64)BPF_CORE_READ(mm, exe_file);
	walk->found.file_offset = walk->found.start - code + walk->code_offset;
	return 0;
}

static __always_inline int remember(struct walk *walk, __u32 index)
{
	walk->recent[walk->next_recent++ & (RECENT_MAPPINGS - 1)] = index + 1;
	return index + 1;
}

/* One more than the index of the mapping that holds code at an address; 0 if there is none, MAPPING_LIMIT_MET if there
 * is no room to name it, both counted in the walk.
 *
 * The last few mappings are looked through first: callers are mostly in the same files as what they call. */
__attribute__((noinline)) int map_address(__u64 address)
{
	struct walk *walk = current_walk();
	__u32 at;

	if (!walk)
		return 0;
	for (int i = 0; i < RECENT_MAPPINGS; i++) {
		at = walk->recent[i] - 1;
		if (at < SAMPLE_MAPPINGS && address >= walk->mapping[at].start && address < walk->mapping[at].end)
			return at + 1;
	}
	if (!address || find_vma(address)) {
		walk->outside++;
		return 0;
	}
	if (!walk->found.executable) {
		walk->no_code++;
		return 0;
	}
	if (!walk->found.file && walk->found.start != walk->vdso)
		find_copied_text(address);
	for (at = 0; at < SAMPLE_MAPPINGS && at < walk->count; at++)
		if (walk->mapping[at].start == walk->found.start && walk->mapping[at].end == walk->found.end)
			return remember(walk, at);
	at = walk->count;
	if (at >= SAMPLE_MAPPINGS) {
		walk->over++;
		return MAPPING_LIMIT_MET;
	}
	walk->mapping[at].start = walk->found.start;
	walk->mapping[at].end = walk->found.end;
	walk->mapping[at].file_offset = walk->found.file_offset;
	if (walk->found.file) {
		walk->target = walk->found;
		reference_file();
		walk->mapping[at].file = walk->file_id;
		if (unwind_rows)
			find_file_rows(walk, at);
	} else {
		walk->rows[at].kind = ROWS_FRAME_POINTER;
		if (unwind_rows && walk->found.start == walk->vdso) {
			__builtin_memset(&walk->key, 0, sizeof(walk->key));
			walk->key.generation = VDSO_GENERATION;
			find_file_rows(walk, at);
		}
		walk->mapping[at].file = walk->found.start == walk->vdso ? MAPPED_VDSO : MAPPED_ANONYMOUS;
		walk->mapping[at].file_offset = 0;
	}
	walk->count = at + 1;
	return remember(walk, at);
}

/* Makes a walk ready for the addresses of the current task. False if it has no memory of its own. */
static __always_inline int begin_walk(struct walk *walk, struct task_struct *task)
{
	struct mm_struct *mm = BPF_CORE_READ(task, mm);

	walk->mm = (__u64)mm;
	walk->count = walk->announced = walk->retries = walk->next_recent = walk->raw = 0;
	walk->first_sp = 0;
	walk->outside = walk->no_code = walk->over = 0;
	__builtin_memset(walk->recent, 0, sizeof(walk->recent));
	if (!mm)
		return 0;
	walk->vdso = (__u64)BPF_CORE_READ(mm, context.vdso);
	walk->root = (__u64)BPF_CORE_READ(task, fs, root.dentry);
	return 1;
}

static __always_inline void end_walk(struct walk *walk)
{
	if (walk->outside)
		count_many(COUNTER_FRAMES_UNMAPPED, walk->outside);
	if (walk->no_code)
		count_many(COUNTER_FRAMES_NOT_EXECUTABLE, walk->no_code);
	if (walk->over)
		count_many(COUNTER_FRAMES_OVER_MAPPINGS, walk->over);
}

#endif
