/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The rule of a byte of a file, from tables that user space fills (crates/receiver-ebpf/src/unwind). */
#ifndef PIPELINE_ROWS_BPF_H
#define PIPELINE_ROWS_BPF_H

#include "include/prelude.h"
#include "counters.bpf.h"
#include "vma.bpf.h"

/* False: user stacks are followed by frame pointers alone. User space sets it. */
const volatile __u32 unwind_rows = 1;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_ROW_FILES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(key_size, FILE_IDENTITY_BYTES);
	__uint(value_size, sizeof(struct row_file));
} row_files SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_ROW_PAGES);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct row_page);
} row_pages SEC(".maps");

/* One value, so that a search needs one lookup: an element for each row would take eight bytes and as many lookups
 * as steps. */
struct row_chunk {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, CHUNK_ROWS * sizeof(__u32));
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, MAX_CHUNKS);
	__type(key, __u32);
	__array(values, struct row_chunk);
} row_chunks SEC(".maps");

/* Numbers of pages that walks have asked for, each once. User space sets the size. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 << 10);
} row_asks SEC(".maps");

/* What a walk knows of a mapping's rows. */
enum mapped_rows {
	ROWS_FRAME_POINTER, /* no file, so no table: what compilers at run time write has frame pointers, if anything */
	ROWS_PENDING,       /* user space has not read the file */
	ROWS_OF_FILE,
};

#define RULE_PENDING -1

/* Finds the rows of a mapping's file, whose identity is at the beginning of `key`. */
static __always_inline void find_file_rows(struct walk *walk, __u32 at)
{
	struct row_file *file = bpf_map_lookup_elem(&row_files, &walk->key);

	walk->rows[at].kind = ROWS_PENDING;
	if (!file)
		return;
	walk->rows[at].kind = ROWS_OF_FILE;
	walk->rows[at].first_page = file->first_page;
	walk->rows[at].pages = file->pages;
	/* Only where it changes: other CPUs read it too. */
	if (file->used != walk->now)
		file->used = walk->now;
}

static __always_inline void ask_for_page(struct row_page *page, __u32 number)
{
	__u64 *slot = bpf_ringbuf_reserve(&row_asks, sizeof(*slot), 0);

	if (!slot) {
		count(COUNTER_ROW_ASK_RING_FULL);
		return;
	}
	*slot = number;
	if (__sync_val_compare_and_swap(&page->place, 0, (__u64)PAGE_ASKED << 48))
		bpf_ringbuf_discard(slot, BPF_RB_NO_WAKEUP);
	else
		bpf_ringbuf_submit(slot, BPF_RB_FORCE_WAKEUP);
}

/* The index of the rule for a byte of a file; RULE_PENDING if its page is not built, which is then asked for. */
__attribute__((noinline)) int find_rule(struct walk *walk, __u32 first_page, __u32 pages, __u64 offset)
{
	__u32 low = offset & ((1 << ROW_PAGE_SHIFT) - 1), zero = 0, number, chunk, from, to;
	__u64 page_of_file = offset >> ROW_PAGE_SHIFT, place;
	struct row_page *page;
	__u32 *row;
	void *rows;

	if (!walk || page_of_file >= pages)
		return CFA_GAP;
	number = first_page + (__u32)page_of_file;
	page = bpf_map_lookup_elem(&row_pages, &number);
	if (!page)
		return CFA_GAP;
	place = *(volatile __u64 *)&page->place;
	if (place >> 48 != PAGE_BUILT) {
		if (!place)
			ask_for_page(page, number);
		return RULE_PENDING;
	}
	if (page->used != walk->now)
		page->used = walk->now;
	from = place & 0xffff;
	to = from + (place >> 16 & 0xffff);
	if (from == to)
		return CFA_GAP;
	chunk = place >> 32 & 0xffff;
	rows = bpf_map_lookup_elem(&row_chunks, &chunk);
	if (!rows)
		return RULE_PENDING;
	row = bpf_map_lookup_elem(rows, &zero);
	if (!row)
		return RULE_PENDING;
	/* The last row at or before the byte. */
	for (int i = 0; i < ROW_PAGE_SHIFT; i++) {
		__u32 middle = (from + to) >> 1;

		if (to - from <= 1)
			break;
		if ((row[middle & (CHUNK_ROWS - 1)] & 0xffff) <= low)
			from = middle;
		else
			to = middle;
	}
	return row[from & (CHUNK_ROWS - 1)] >> 16 & (MAX_RULES - 1);
}

#endif
