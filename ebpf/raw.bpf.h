/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What user space needs to follow a stack further than a walk could, whose rules are still to be built: registers, the
 * stack itself, and what is mapped where. See docs/decisions/unwinding.md. */
#ifndef PIPELINE_RAW_BPF_H
#define PIPELINE_RAW_BPF_H

#include "include/prelude.h"
#include "file.bpf.h"
#include "rings.bpf.h"
#include "stack.bpf.h"
#include "vma.bpf.h"

/* Samples of each CPU that may leave so in a second, about; user space sets it. */
const volatile __u32 raw_per_second = 0;

/* Of those, what one file may cause whose tables are not read or not built, and one page of it: as many as are due on a
 * few CPUs until that has been done. Of a file that is large and new many pages are missing at once. */
#define RAW_PER_FILE 64
#define RAW_PER_PAGE 8
#define RAW_KEYS 4096
/* A page's number among those of all files; ids of files are smaller. */
#define PAGE_KEY(number) ((number) | 1ULL << 63)
/* Some 16 mappings each. */
#define LISTED_LEAVES 128
/* The stack is copied piece by piece, each within one of these; whatever the machine's pages are. */
#define PIECE_BYTES 4096
/* What a leaf function may keep below its stack pointer. */
#define RED_ZONE 128

/* Grants of the second that is in the upper half; for each key, by its hash. Two keys that share one share its
 * grants. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, RAW_KEYS);
	__type(key, __u32);
	__type(value, __u64);
} raw_grants SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} raw_grants_of_cpu SEC(".maps");

/* What other CPUs grant of one key at the same instant is not counted: this bounds, it does not measure. */
static __always_inline int grant(__u64 *grants, __u64 now, __u32 most)
{
	__u64 granted = *grants;

	if (granted >> 32 != now)
		granted = now << 32;
	if ((__u32)granted >= most)
		return 0;
	*grants = granted + 1;
	return 1;
}

static __always_inline int grant_key(__u64 key, __u64 now, __u32 most)
{
	__u32 slot = (key * 0x9e3779b97f4a7c15ULL >> 32) & (RAW_KEYS - 1);
	__u64 *grants = bpf_map_lookup_elem(&raw_grants, &slot);

	return grants && grant(grants, now, most);
}

/* True if the sample may leave with its stack because of a file, or of a page of it, by number; 0: of the file itself.
 * A global function: verified once. */
__attribute__((noinline)) int may_leave_raw(__u64 file, __u64 page)
{
	__u64 now = bpf_ktime_get_ns() >> 30, *of_cpu;
	__u32 zero = 0;

	/* A file that could not be announced: user space would not know which it is. */
	if (file == MAPPED_UNANNOUNCED)
		return 0;
	/* The other half stays for samples that need less. */
	if (bpf_ringbuf_query(&samples, BPF_RB_AVAIL_DATA) > bpf_ringbuf_query(&samples, BPF_RB_RING_SIZE) / 2)
		return 0;
	of_cpu = bpf_map_lookup_elem(&raw_grants_of_cpu, &zero);
	return (!page || grant_key(page, now, RAW_PER_PAGE)) && grant_key(file, now, RAW_PER_FILE) && of_cpu &&
	       grant(of_cpu, now, raw_per_second);
}

static __always_inline int is_raw(void)
{
	struct walk *walk = current_walk();

	return walk && walk->raw;
}

/* Leaves a copy of the tree's leaf that holds an address, and the last address that it knows of. 0 if there is one. As
 * find_entry, which needs no end. */
__attribute__((noinline)) int find_leaf(__u64 address)
{
	struct walk *walk = current_walk();
	struct mm_struct *mm;
	__u64 entry;

	if (!walk)
		return 1;
	mm = (void *)walk->mm;
	entry = (__u64)BPF_CORE_READ(mm, mm_mt.ma_root);
	walk->leaf_end = ~0ULL;
	if (!IS_ROOT_NODE(entry))
		return 1;
	for (int level = 0; level < TREE_LEVELS; level++) {
		__u32 type = TYPE_OF(entry), slots = slots_of(type), at;

		if (bpf_probe_read_kernel(walk->leaf, NODE_WORDS * sizeof(__u64), NODE_OF(entry)))
			return 1;
		if (IS_LEAF(type))
			return 0;
		at = find_slot(walk->leaf, type, address - 1);
		/* Of the last slot the node above has the end. */
		if (1 + at < slots && walk->leaf[(1 + at) & (NODE_WORDS - 1)])
			walk->leaf_end = walk->leaf[(1 + at) & (NODE_WORDS - 1)];
		entry = walk->leaf[(slots + at) & (NODE_WORDS - 1)];
		if (!entry)
			return 1;
	}
	return 1;
}

/* Names a mapping, if code is in it and no frame is. Nonzero if there is no room for more. */
__attribute__((noinline)) int list_mapping(__u64 entry)
{
	struct vm_area_struct *vma = (void *)entry;
	struct walk *walk = current_walk();
	struct stack_scratch *scratch;
	struct sample_mapping *mapping;
	__u32 zero = 0;

	/* Empty, or an entry that the kernel reserves. */
	if (!walk || entry <= 4096 || !(BPF_CORE_READ(vma, vm_flags) & VM_EXEC))
		return 0;
	if ((__u64)BPF_CORE_READ(vma, vm_mm) != walk->mm)
		return 0;
	if (walk->listed >= LISTED_MAPPINGS)
		return 1;
	walk->found.start = BPF_CORE_READ(vma, vm_start);
	walk->found.end = BPF_CORE_READ(vma, vm_end);
	walk->found.file_offset = (__u64)BPF_CORE_READ(vma, vm_pgoff) << page_shift;
	walk->found.file = (__u64)BPF_CORE_READ(vma, vm_file);
	for (__u32 at = 0; at < SAMPLE_MAPPINGS && at < walk->count; at++)
		if (walk->mapping[at].start == walk->found.start)
			return 0;
	scratch = bpf_map_lookup_elem(&stack_scratches, &zero);
	if (!scratch)
		return 1;
	mapping = (void *)&scratch->words[(walk->list_at + walk->listed * MAPPING_WORDS) & (STACK_WORDS - 1)];
	mapping->start = walk->found.start;
	mapping->end = walk->found.end;
	mapping->file_offset = walk->found.file ? walk->found.file_offset : 0;
	walk->file_id = walk->found.start == walk->vdso ? MAPPED_VDSO : MAPPED_ANONYMOUS;
	if (walk->found.file) {
		walk->target = walk->found;
		reference_file();
	}
	mapping->file = walk->file_id;
	walk->listed++;
	return 0;
}

/* What a loop's callback is given has to lie on the stack. */
struct listing {
	struct walk *walk;
};

/* The mappings of one leaf of the tree. */
static long list_leaf(__u32 index, struct listing *listing)
{
	struct walk *walk = listing->walk;
	__u64 from = walk->list_from;

	if (find_leaf(from))
		return 1;
	for (__u32 at = 0; at < 16; at++) {
		/* The last one that is used ends where the leaf does, and need not say so. */
		__u64 end = at < 15 ? walk->leaf[1 + at] : 0;

		if (!end)
			end = walk->leaf_end;
		if (end >= from && list_mapping(walk->leaf[16 + at]))
			return 1;
		if (end >= walk->leaf_end)
			break;
	}
	walk->list_from = walk->leaf_end + 1;
	return !walk->list_from;
}

/* Names the executable mappings that no frame is in yet, from word `at` of the scratch on. */
static __always_inline void list_mappings(struct walk *walk, __u32 at)
{
	struct listing listing = { .walk = walk };

	walk->listed = 0;
	walk->list_at = at;
	walk->list_from = 4096;
	walk->list_began = bpf_ktime_get_ns();
	bpf_loop(LISTED_LEAVES, list_leaf, &listing, 0);
	if (walk->listed > LISTED_MAPPINGS)
		walk->listed = LISTED_MAPPINGS;
}

/* Copies where the walk has come to, and the stack from there on, to word `at` of the scratch. Page by page, so that
 * what was readable stays where the rest is not: above the stack there is nothing. */
static __always_inline void copy_stack(struct walk *walk, struct stack_scratch *scratch, __u32 at)
{
	__u64 start = walk->sp - RED_ZONE;
	struct raw_stack *raw;
	__u8 lowest;

	/* Where the page below the stack pointer is not there, nothing is kept in it. */
	if (bpf_probe_read_user(&lowest, sizeof(lowest), (void *)start))
		start = walk->sp & ~(PIECE_BYTES - 1ULL);

	/* What the compiler knows of the index the verifier has forgotten. */
	barrier_var(at);
	if (at > LAST_RAW_WORD)
		at = LAST_RAW_WORD;
	raw = (void *)&scratch->words[at];
	raw->pc = walk->pc;
	raw->sp = walk->sp;
	raw->fp = walk->fp;
	raw->start = start;
	raw->flags = (walk->interrupted ? RAW_INTERRUPTED : 0) | (walk->kept_known ? RAW_KEPT_KNOWN : 0) |
		     (walk->guessed ? RAW_GUESSED : 0) | (walk->list_from ? RAW_LIST_CUT : 0);
	__builtin_memcpy(raw->registers, walk->registers, sizeof(raw->registers));
	walk->raw_bytes = 0;
	for (int piece = 0; piece < RAW_STACK_BYTES / PIECE_BYTES; piece++) {
		__u32 copied = walk->raw_bytes, bytes;
		__u64 from = start + copied;

		if (copied > RAW_STACK_BYTES - PIECE_BYTES)
			break;
		bytes = PIECE_BYTES - (from & (PIECE_BYTES - 1));
		if (bpf_probe_read_user((void *)raw + sizeof(*raw) + copied, bytes, (void *)from))
			break;
		walk->raw_bytes = copied + bytes;
	}
	raw->bytes = walk->raw_bytes;
}

#endif
