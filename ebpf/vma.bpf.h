/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The mapping that holds an address of the current task: a walk of the kernel's own tree, which takes no lock and calls
 * no helper that does.
 *
 * Layout of the tree: include/linux/maple_tree.h and lib/maple_tree.c, alike from 6.1 to 7.3. A program is an RCU
 * reader, so nodes stay memory while we look at them; whether they still say the truth is decided by the mapping they
 * lead to. */
#ifndef PIPELINE_VMA_BPF_H
#define PIPELINE_VMA_BPF_H

#include "include/prelude.h"
#include "registers.bpf.h"

/* The kernel allows 31; 60,000 mappings make 5. */
#define TREE_LEVELS 10
/* A split or a merge under way is over, or gives the same answer for our page, by the third look. */
#define VMA_TRIES 3
/* Tries that one sample may repeat: a stack without frame pointers has addresses that lie nowhere. */
#define VMA_RETRIES 8
#define NODE_WORDS 32
#define RECENT_MAPPINGS 4

/* log2 of the page size; user space sets it. */
const volatile __u32 page_shift = 12;

struct vma_view {
	__u64 start;
	__u64 end;
	__u64 file_offset;
	__u64 file; /* struct file */
	__u32 executable;
	__u32 reserved;
};

/* What the sampler works on; too large for the stack, and global functions share it. */
struct walk {
	__u64 mm;
	__u64 vdso;
	__u64 root;             /* the task's root directory */
	struct vma_view found;  /* by find_vma */
	struct vma_view target; /* the mapping whose file is being announced */
	struct file_key key;
	__u32 retries;
	__u32 announced; /* files, for this sample */
	__u32 count;     /* of mapping[] */
	__u32 next_recent;
	__u32 recent[RECENT_MAPPINGS]; /* the last mappings met, as one more than their index; 0: none */
	__u32 outside;                 /* frames in no mapping */
	__u32 no_code;                 /* frames in a mapping that is not executable */
	__u32 over;                    /* frames in a mapping more than there is room for */
	__u32 has_code;
	__u64 code_offset; /* of the executable's first segment that holds code; see mapping.bpf.h */
	__u64 first_sp;    /* of the leaf; 0: not known */
	__u64 pc;          /* of the frame that a walk of the stack has come to, with its registers; see step.bpf.h */
	__u64 sp;
	__u64 fp;
	__u64 cfa;
	__u64 pair[2];                   /* saved frame pointer and return address */
	__u64 registers[WALK_REGISTERS]; /* as DWARF counts them, of an interrupted frame */
	__u32 interrupted;               /* `pc` is that of an instruction, not where a call returns to */
	__u32 kept_known;                /* of `registers`, that one is right in callers too */
	__u32 guessed;                   /* the last step was by frame pointer */
	__u32 pending;                   /* the first stack_end that a step by frame pointer stands in for */
	__u32 end;                       /* a stack_end */
	__u32 raw;                       /* user space is to take it from the last frame on; see raw.bpf.h */
	__u32 raw_bytes;                 /* of the stack, copied for that */
	__u32 listed;                    /* mappings named for that, beside mapping[] */
	__u32 list_at;                   /* word of the scratch for the first of them */
	__u64 list_from;                 /* the address from which mappings are still to be looked through; or 0 */
	__u64 list_began;                /* when that was begun */
	__u64 leaf_end;                  /* the last address that `leaf` knows of */
	__u64 file_id;                   /* of the file that was referred to last */
	__u32 frames;
	__u32 now;     /* in units of 2^ROW_TIME_SHIFT ns */
	__u32 current; /* index of the last frame's mapping; SAMPLE_MAPPINGS or more: none */
	struct {
		__u32 kind;       /* a mapped_rows */
		__u32 first_page; /* as in row_file */
		__u32 pages;
	} rows[SAMPLE_MAPPINGS]; /* of mapping[] */
	struct signal_registers signal;
	bpf_user_pt_regs_t entered; /* registers with which the task entered the kernel */
	Elf64_Ehdr elf; /* of the file being announced; here, since kernels before 6.13 have 512 bytes for all frames */
	Elf64_Phdr program; /* one of its program headers */
	__u32 build_id_bytes;
	__u8 build_id[BUILD_ID_BYTES];
	__u32 note_at;
	__u32 note_bytes;
	__u8 note[256];
	__u64 node[NODE_WORDS + 1]; /* a copy; one word more, so that a masked index is always inside */
	__u64 leaf[NODE_WORDS + 1];
	struct sample_mapping mapping[SAMPLE_MAPPINGS];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct walk);
} walks SEC(".maps");

static __always_inline struct walk *current_walk(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&walks, &zero);
}

/* A pivot is the last address of its slot. Those that a node does not use are 0, which the subtraction of one turns
 * into the largest number: so the pivots are sorted, and a search needs no count. */
#define PIVOT(index) (node[1 + (index)] - 1)

/* Node types that hold what the tree is for, not nodes. */
#define IS_LEAF(type) ((type) < bpf_core_enum_value(enum maple_type, maple_range_64))
#define IS_ALLOCATING(type) ((type) == bpf_core_enum_value(enum maple_type, maple_arange_64))
/* xa_is_node: the root may also be a single entry, which no process's tree is. */
#define IS_ROOT_NODE(entry) (((entry) & 3) == 2 && (entry) > 4096)
#define NODE_OF(entry) ((void *)((entry) & ~255ULL))
#define TYPE_OF(entry) ((entry) >> 3 & 15)

/* The word in a copy of a node where its slots begin. */
static __always_inline __u32 slots_of(__u32 type)
{
	if (IS_ALLOCATING(type))
		return bpf_core_field_offset(struct maple_arange_64, slot) / sizeof(__u64);
	return bpf_core_field_offset(struct maple_range_64, slot) / sizeof(__u64);
}

/* The slot that holds one more than `wanted`, by a copy of its node. */
static __always_inline __u32 find_slot(__u64 *node, __u32 type, __u64 wanted)
{
	__u32 at = 0;

	if (PIVOT(7) < wanted)
		at = 8;
	if (at && IS_ALLOCATING(type))
		return PIVOT(8) < wanted ? 9 : 8;
	if (PIVOT(at + 3) < wanted)
		at += 4;
	if (PIVOT(at + 1) < wanted)
		at += 2;
	if (PIVOT(at) < wanted)
		at += 1;
	return at;
}

/* The entry of an address: a vm_area_struct, or 0. */
static __always_inline __u64 find_entry(struct walk *walk, __u64 address)
{
	struct mm_struct *mm = (void *)walk->mm; /* a local: CO-RE would relocate `walk->mm` too */
	__u64 entry = (__u64)BPF_CORE_READ(mm, mm_mt.ma_root);
	__u64 wanted = address - 1;

	if (!IS_ROOT_NODE(entry))
		return 0;
	for (int level = 0; level < TREE_LEVELS; level++) {
		__u32 type = TYPE_OF(entry), at;

		if (bpf_probe_read_kernel(walk->node, NODE_WORDS * sizeof(__u64), NODE_OF(entry)))
			return 0;
		at = find_slot(walk->node, type, wanted);
		entry = walk->node[(slots_of(type) + at) & (NODE_WORDS - 1)];
		if (IS_LEAF(type))
			return entry;
		if (!entry)
			return 0;
	}
	return 0;
}

/* One look. Leaves the mapping in `found`; 0 if there is one that proves itself. A global function: verified once, by
 * itself. */
__attribute__((noinline)) int look_up_vma(__u64 address, __u32 last_try)
{
	struct walk *walk = current_walk();
	struct vm_area_struct *vma;
	__u64 start, end, offset, file;

	if (!walk)
		return 1;
	vma = (void *)find_entry(walk, address);
	/* NULL, or an entry that the kernel reserves. */
	if ((__u64)vma <= 4096)
		return 1;
	start = BPF_CORE_READ(vma, vm_start);
	end = BPF_CORE_READ(vma, vm_end);
	/* Whatever a stale node led to, it is not taken for a mapping of this address space. */
	if ((__u64)BPF_CORE_READ(vma, vm_mm) != walk->mm)
		return 1;
	offset = (__u64)BPF_CORE_READ(vma, vm_pgoff) << page_shift;
	file = (__u64)BPF_CORE_READ(vma, vm_file);
	walk->found.executable = BPF_CORE_READ(vma, vm_flags) & VM_EXEC;
	/* A split changes start and offset one after the other. */
	if (BPF_CORE_READ(vma, vm_start) != start)
		return 1;
	if (address < start || address >= end) {
		__u64 page = address >> page_shift << page_shift;

		/* __split_vma() shortens the old mapping before it stores the new one. Start and offset move together,
		 * so what the old one says of this page stays right; but of this page alone. */
		if (!last_try)
			return 1;
		offset += page - start;
		start = page;
		end = page + (1ULL << page_shift);
	}
	walk->found.start = start;
	walk->found.end = end;
	walk->found.file_offset = offset;
	walk->found.file = file;
	return 0;
}

/* As look_up_vma, again if it finds nothing that holds. */
__attribute__((noinline)) int find_vma(__u64 address)
{
	struct walk *walk = current_walk();

	if (!walk)
		return 1;
	for (__u32 try = 0; try < VMA_TRIES; try++) {
		if (!look_up_vma(address, try == VMA_TRIES - 1))
			return 0;
		if (walk->retries >= VMA_RETRIES)
			return 1;
		walk->retries++;
	}
	return 1;
}

#endif
