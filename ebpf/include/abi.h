/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The records that cross from the kernel to crates/receiver-ebpf/src/abi.rs, which mirrors this file.
 *
 * Native byte order; every field at its natural alignment, padding spelled out. Times are nanoseconds
 * of CLOCK_MONOTONIC unless the name says boottime. Strings are bytes with a length, not terminated. */
#ifndef PIPELINE_ABI_H
#define PIPELINE_ABI_H

#include <linux/types.h>

/* A path is shorter: PATH_MAX in limits.h counts a terminator. */
#define PATH_BYTES 4096
/* What the caller passed to execve; only fexecve's own `/dev/fd/N/...` could be longer, and is cut. */
#define FILENAME_BYTES PATH_BYTES
/* BINPRM_BUF_SIZE: the kernel reads no longer interpreter line. */
#define INTERPRETER_BYTES 256
/* Variables of an environment that an exec passes on. */
#define ENVIRONMENT_BYTES 2048
/* Its arguments, from the first on. */
#define ARGUMENTS_BYTES 2048
/* kernel.perf_event_max_stack's default; bpf_get_stack takes no more. */
#define STACK_FRAMES 127
/* User frames that a sample can hold; user space asks for no more (receivers::ebpf::unwind::max_frames). */
#define MAX_USER_FRAMES 1024
#define COMM_BYTES 16
/* Mappings that one sample can name; frames in more are left without one, and counted. */
#define SAMPLE_MAPPINGS 32
/* Mappings that a sample with a raw_stack names beside them. */
#define LISTED_MAPPINGS 64
/* Bytes that a raw_stack holds at most. */
#define RAW_STACK_BYTES 16384
/* Registers of user code, by DWARF's numbers. */
#define WALK_REGISTERS 32
#define BUILD_ID_BYTES 20

enum record_kind {
	RECORD_SAMPLE = 1, /* sample_record, ring `samples` */
	RECORD_SEEN = 2,   /* image_record, ring `lifecycle` or the snapshot */
	RECORD_EXEC = 3,   /* image_record */
	RECORD_FORK = 4,   /* fork_record */
	RECORD_EXIT = 5,   /* record_header alone */
	RECORD_FREED = 6,  /* record_header alone */
	RECORD_RENAME = 7, /* record_header alone; comm is the new name of a kernel thread */
	RECORD_FILE = 8,   /* file_record, ring `lifecycle` */
	RECORD_CGROUP = 9, /* cgroup_record, ring `lifecycle` */
};

enum record_flags {
	FLAG_KERNEL_THREAD = 1 << 0,
	FLAG_IN_EXECVE = 1 << 1,
	FLAG_PATH_TRUNCATED = 1 << 2,      /* path is only its tail */
	FLAG_NO_PARENT_DIRECTORY = 1 << 3, /* the file has never been in a directory: memfd */
	FLAG_SOFTIRQ = 1 << 5,             /* a softirq on an otherwise idle CPU: pid 0, named "softirq" */
	FLAG_ENVIRONMENT_READ = 1 << 6,    /* to its end: variables that are not there, are not set */
	FLAG_NAME_GONE = 1 << 4,           /* the name that was opened has been removed; the file may have others */
	FLAG_RAW_STACK = 1 << 7,           /* of a sample: a raw_stack follows its mappings */
};

/* First in every record. */
struct record_header {
	__u32 kind;
	__u32 cpu;
	__u64 ktime_ns;          /* read after the ring slot was reserved: see docs/decisions/watermark.md */
	__u32 pid;               /* of the process, in the agent's pid namespace */
	__u32 tid;               /* of the thread; 0 if it was released before the record was written */
	__u64 start_boottime_ns; /* of the group leader */
	__u32 exec_count;        /* task_struct::self_exec_id, its low half */
	__u32 flags;
	char comm[COMM_BYTES]; /* ends with the first NUL; what follows that is not written */
};

/* Followed by kernel_frames + user_frames words, leaf first, kernel's before the user's, and then by `mappings`
 * sample_mappings, and by a raw_stack if a flag says so. The slot may be longer.
 *
 * A kernel frame's word is its address. A user frame's word has the address in its low FRAME_ADDRESS_BITS and above
 * them one more than the index of the frame's mapping, or 0 if it has none. No architecture has user addresses of more
 * bits; what else a stack without frame pointers may yield loses its high bits, and is mapped nowhere. The highest bit
 * says that the frame was interrupted (by a signal): its address is that of an instruction, not where a call returns
 * to. The first frame always was. */
#define FRAME_ADDRESS_BITS 56
#define FRAME_INTERRUPTED_BIT 63
struct sample_record {
	struct record_header header;
	__u32 cgroup; /* number of a cgroup_record; 0: it could not be announced (counted); the next sample tries again */
	__u32 user;   /* effective user id in the first user namespace */
	__u64 period_ns; /* CPU time that the sample stands for */
	__u16 kernel_frames;
	__u16 user_frames;
	__u16 mappings;
	__u16 user_stack_end; /* a stack_end */
};

/* Why a user stack has no more frames. Counted by CPU from COUNTER_STACKS on. */
enum stack_end {
	END_NOT_REPORTED = 0,   /* bpf_get_stack, which follows frame pointers, does not say */
	END_ROOT = 1,           /* the outermost frame of a thread */
	END_DEPTH_LIMIT = 2,    /* there are more frames than were asked for */
	END_FILE_PENDING = 3,   /* a frame's file has not been read: from there on by frame pointers */
	END_PAGE_PENDING = 4,   /* the same of a frame's page of rows */
	END_NO_UNWIND_INFO = 5, /* no table covers the last frame, and its frame pointer leads nowhere */
	END_UNSUPPORTED = 6,    /* the table asks for what the walk cannot do */
	END_BAD_FRAME = 7,      /* the caller's frame would not lie above */
	END_NOT_MAPPED = 8,     /* the return address lies in no code */
	END_UNREADABLE = 9,     /* the stack could not be read: a page of it is not in memory */
	END_MAPPING_LIMIT = 10, /* the last frame is in a mapping more than a sample can name */
	STACK_ENDS = 11,
};

/* Where a walk has come to a frame whose rule is still to be built, and what lay on the stack there: user space takes
 * it from the last of the sample's frames on. The sample's mappings are then the executable ones of the process, as far
 * as there is room. Followed by `bytes` bytes of the stack. */
struct raw_stack {
	__u64 pc;
	__u64 sp;
	__u64 fp;
	__u64 start; /* address of the first of the bytes */
	__u32 bytes;
	__u32 flags; /* raw_flags */
	__u64 registers[WALK_REGISTERS];
};

enum raw_flags {
	RAW_INTERRUPTED = 1 << 0, /* the frame is a leaf, or was interrupted: its registers are known */
	RAW_KEPT_KNOWN = 1 << 1,  /* the one register that is followed through callers is known */
	RAW_GUESSED = 1 << 2,     /* the frame was found by a frame pointer */
	RAW_LIST_CUT = 1 << 3,    /* the process has more mappings than were looked through */
};

/* An executable mapping of the process, as it was when the sample was taken. */
struct sample_mapping {
	__u64 start;
	__u64 end;
	__u64 file_offset; /* of `start` */
	__u64 file;        /* what is mapped: a mapping_file, or the id of a file_record */
};

/* What a mapping can be of that has no file_record. */
enum mapping_file {
	MAPPED_UNANNOUNCED =
		0, /* a file whose announcement could not be written (counted); the next sample tries again */
	MAPPED_ANONYMOUS = 1,
	MAPPED_VDSO = 2,
	FIRST_FILE = 16, /* ids count up from here, and are never given again */
};

/* What a file is called in the kernel. The first five identify its content, the others the name it goes by. */
struct file_key {
	__u64 inode;
	__u64 mtime_ns;   /* differs once a file has been written in place */
	__u64 extra;      /* the size; on btrfs the inode's address, since its subvolumes repeat all the rest */
	__u32 device;     /* super_block::s_dev */
	__u32 generation; /* differs once an inode number is used again, where the file system counts */
	__u64 dentry;
	__u64 mount;
	__u64 name; /* qstr::hash_len: a renamed file keeps its dentry */
	__u64 root; /* the root directory of the task that met it */
};

/* Written before the first sample that refers to it. Followed by path. The slot may be longer. */
struct file_record {
	struct record_header header; /* of the task that met the file */
	__u64 id;
	struct file_key key;
	__u64 size;
	__u32 link_count;
	__u16 path_bytes;
	__u16 own_path_bytes; /* as in image_record */
	__u8 build_id[BUILD_ID_BYTES];
	__u32 build_id_bytes; /* 0: none, or its page was not in memory */
};

/* What the control groups of a thread are called in the kernel. Kernfs gives no number of a hierarchy again. */
struct cgroup_key {
	__u64 unified;    /* kernfs_node::id in the hierarchy of version 2; 1 is its root */
	__u64 legacy;     /* the same in one of version 1; 0: the thread is in the root of all that are looked at */
	__u64 controller; /* whose hierarchy that is: a legacy_controller */
};

/* Controllers that may have a hierarchy of version 1, in the order in which they are looked at. Container runtimes make
 * the same groups in all hierarchies; systemd makes its units' in that of `pids` as a rule. */
enum legacy_controller {
	LEGACY_PIDS = 1,
	LEGACY_MEMORY = 2,
	LEGACY_CPU = 4,
};

/* Written before the first sample that refers to it. Followed by names, each ended by NUL: those of the path in the
 * hierarchy of version 2 from the group itself up to below the root, then the same of version 1. The slot may be
 * longer. */
struct cgroup_record {
	struct record_header header; /* of the task that met the groups */
	struct cgroup_key key;
	__u32 number;
	__u16 unified_bytes;
	__u16 legacy_bytes;
};

/* Rows: how to step from a frame to its caller, for each byte of a file's code. Built by user space from a file's
 * own tables, page by page of file offset, when a walk first asks for a page; found by what identifies the file,
 * so that a process needs nothing.
 *
 * A row holds from a byte of its page on (bits 0-15) by a rule (bits 16-29). The first row of a page is at byte 0. */
#define ROW_PAGE_SHIFT 16
#define CHUNK_ROWS 65536
#define MAX_CHUNKS 1024
#define MAX_ROW_PAGES 131072
#define MAX_ROW_FILES 8192
#define MAX_RULES 16384

/* How the canonical frame address, the stack pointer after the return, is found: crates/unwind/src/rule.rs. */
enum cfa_kind {
	CFA_GAP = 0, /* no table covers the pc */
	CFA_UNSUPPORTED = 1,
	CFA_ROOT = 2,
	CFA_SIGNAL = 3,
	CFA_SP = 4,
	CFA_FP = 5,
	CFA_REGISTER = 6,
	CFA_PLT = 7,
	CFA_AT_SP = 8,
	CFA_AT_FP = 9,
	CFA_OTHER_STACK = 10, /* by the frame pointer, wherever that leads */
};

enum saved_fp {
	FP_SAME = 0,
	FP_AT_CFA = 1,
	FP_AT_FP = 2,
	FP_LOST = 3,
};

enum return_address {
	RA_AT_CFA = 0,
	RA_LINK_REGISTER = 1,
	RA_REGISTER = 2,
	RA_AT_CFA_UNLESS_CHILD = 3,
};

struct unwind_rule {
	__u8 cfa;
	__u8 fp;
	__u8 ra;
	__u8 number; /* of a register, as DWARF counts them */
	__s32 cfa_offset;
	__s16 fp_offset;
	__s16 ra_offset;
	__s16 add;
	__s16 kept; /* where rbx is: 1 in its register, negative at CFA + kept, 0 not known */
};

/* The identity of a file's content: the first fields of file_key. The vDSO has only a generation, VDSO_GENERATION. */
#define FILE_IDENTITY_BYTES 32
#define VDSO_GENERATION 1

struct row_file {
	__u32 first_page; /* of row_pages */
	__u32 pages;      /* 0: read, and has no tables */
	__u32 used;       /* when a walk last met it, in units of 2^ROW_TIME_SHIFT ns */
	__u32 reserved;
};
#define ROW_TIME_SHIFT 30

/* Where the rows of a page are, in one word, so that a reader sees all of it or nothing: first row (bits 0-15),
 * rows (16-31), chunk (32-47), state (48-63). */
struct row_page {
	__u64 place;
	__u32 used; /* as of row_file */
	__u32 reserved;
};

enum row_page_state {
	PAGE_UNBUILT = 0,
	PAGE_ASKED = 1, /* its number is on its way to user space */
	PAGE_BUILT = 2, /* without rows: no table covers any byte of it */
};

/* Where a process stands among others. Numbers of processes are those of the agent's pid namespace, 0 for what is
 * outside. */
struct relatives {
	__u64 parent_start_boottime_ns;
	__u32 parent_pid; /* real_parent's */
	__u32 session;
	__u32 process_group;
	__u32 own_pid; /* in the pid namespace of the process */
	__u32 pid_namespace;
	__u32 network_namespace;
	__u32 group_id;     /* the effective group in the first user namespace */
	__u32 has_terminal; /* 1: its session has a controlling terminal */
};

/* Followed by path, filename, interpreter, variables of the environment and arguments, back to back. The slot may be
 * longer. */
struct image_record {
	struct record_header header;
	__u64 inode;
	__u32 device;
	__u32 link_count;
	__u32 mount_namespace;
	__u16 path_bytes;     /* 0: no executable (a kernel thread) */
	__u16 own_path_bytes; /* so many of the last bytes of path are the path in the task's own root */
	__u16 filename_bytes;
	__u16 interpreter_bytes;
	__u16 environment_bytes;
	__u16 arguments_bytes;
	struct relatives relatives;
};

/* Variables of the environment that an exec record is to have: those of which the first bytes, as far as the mask goes,
 * are these. User space looks at the rest. */
#define WANTED_VARIABLES 16
struct wanted_environment {
	__u32 count;
	__u32 argument_bytes; /* so many of the arguments at most; 0 for none */
	__u64 heads[WANTED_VARIABLES];
	__u64 masks[WANTED_VARIABLES];
};

struct fork_record {
	struct record_header header; /* the child's */
	__u64 parent_start_boottime_ns;
	__u32 parent_pid; /* of the process that called clone, whose image the child runs; 0 if it is outside */
	__u32 parent_exec_count;
	struct relatives relatives; /* the child's */
};

/* One process in a census. */
struct census_record {
	__u32 pid;
	__u32 exited; /* 1: its last thread has begun to exit */
	__u64 start_boottime_ns;
};

/* Arguments of the program `identify_mapping`: an address, and the identity that the file mapped there is compared
 * with. */
enum identify_argument {
	IDENTIFY_ADDRESS = 0,
	IDENTIFY_INODE = 1,
	IDENTIFY_MTIME = 2,
	IDENTIFY_EXTRA = 3,
	IDENTIFY_DEVICE = 4,
	IDENTIFY_GENERATION = 5,
};

enum identify_answer {
	IDENTIFY_UNKNOWN = 0, /* no file is mapped there, or the mappings were being changed */
	IDENTIFY_SAME = 1,
	IDENTIFY_OTHER = 2,
};

/* Bytes of the text in which the program `symbol_at` answers: a longer one is cut off. */
#define SYMBOL_TEXT 128

/* Indices of `cpu_counters`. */
enum counter {
	COUNTER_TICKS_IDLE = 0, /* the timer fired on an idle CPU: no sample due */
	COUNTER_TICKS_BUSY = 1, /* a sample was due */
	COUNTER_SAMPLE_RING_FULL = 2,
	COUNTER_SAMPLE_NO_SCRATCH = 3,
	COUNTER_LIFECYCLE_RING_FULL = 4,
	COUNTER_LIFECYCLE_NO_SCRATCH = 5,
	COUNTER_FILE_OVER_BUDGET = 6,      /* a file could not be announced: its share of the lifecycle ring was full */
	COUNTER_TICKS_MISSED = 7,          /* a sample was due, and the timer fired too late for it */
	COUNTER_FRAMES_UNMAPPED = 8,       /* user frames that lie in no mapping */
	COUNTER_FRAMES_NOT_EXECUTABLE = 9, /* user frames in a mapping that holds no code */
	COUNTER_FRAMES_OVER_MAPPINGS = 10, /* user frames in a mapping more than a sample can name */
	COUNTER_ROW_ASK_RING_FULL = 11,    /* a page of rows could not be asked for: the next walk tries again */
	COUNTER_CGROUP_OVER_BUDGET = 12,   /* control groups could not be announced: as COUNTER_FILE_OVER_BUDGET */
	COUNTER_RAW_OVER_BUDGET = 13,      /* a walk came to a frame whose rule is not built, and went on as it could */
	COUNTER_TICKS_OUTSIDE = 14,        /* the timer hit a task outside the agent's pid namespace: no sample due */
	COUNTER_STACKS = 15,               /* user stacks without a raw_stack, by stack_end: so many slots */
	COUNTERS = 26,
};

/* What one CPU has counted; no CPU writes to a cache line of another. */
struct cpu_counters {
	__u64 count[COUNTERS];
} __attribute__((aligned(64)));

_Static_assert(sizeof(struct record_header) == 56, "abi.rs mirrors this");
_Static_assert(sizeof(struct sample_record) == 80, "abi.rs mirrors this");
_Static_assert(sizeof(struct image_record) == 128, "abi.rs mirrors this");
_Static_assert(sizeof(struct fork_record) == 112, "abi.rs mirrors this");
_Static_assert(sizeof(struct sample_mapping) == 32, "abi.rs mirrors this");
_Static_assert(sizeof(struct raw_stack) == 296, "abi.rs mirrors this");
_Static_assert(sizeof(struct file_key) == 64, "abi.rs mirrors this");
_Static_assert(sizeof(struct file_record) == 168, "abi.rs mirrors this");
_Static_assert(SAMPLE_MAPPINGS < 1 << (FRAME_INTERRUPTED_BIT - FRAME_ADDRESS_BITS),
	       "an index fits above an address, and a flag above both");
_Static_assert(COUNTERS == COUNTER_STACKS + STACK_ENDS, "each end has a slot");
_Static_assert(sizeof(struct unwind_rule) == 16, "crates/unwind mirrors this");
_Static_assert(sizeof(struct row_file) == 16, "abi.rs mirrors this");
_Static_assert(sizeof(struct row_page) == 16, "abi.rs mirrors this");
_Static_assert(__builtin_offsetof(struct file_key, dentry) == FILE_IDENTITY_BYTES, "identity comes first");
_Static_assert(sizeof(struct cgroup_key) == 24, "abi.rs mirrors this");
_Static_assert(sizeof(struct cgroup_record) == 88, "abi.rs mirrors this");
_Static_assert(sizeof(struct relatives) == 40, "abi.rs mirrors this");
_Static_assert(sizeof(struct census_record) == 16, "abi.rs mirrors this");
_Static_assert(sizeof(struct wanted_environment) == 264, "abi.rs mirrors this");

#endif
