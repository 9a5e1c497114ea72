/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The records that cross from the kernel to crates/receiver-ebpf/src/abi.rs, which mirrors this file.
 *
 * Native byte order; every field at its natural alignment, padding spelled out. Times are nanoseconds
 * of CLOCK_MONOTONIC unless the name says boottime. Strings are bytes with a length, not terminated. */
#ifndef PIPELINE_ABI_H
#define PIPELINE_ABI_H

/* A path is shorter: PATH_MAX in limits.h counts a terminator. */
#define PATH_BYTES 4096
/* What the caller passed to execve; only fexecve's own `/dev/fd/N/...` could be longer, and is cut. */
#define FILENAME_BYTES PATH_BYTES
/* BINPRM_BUF_SIZE: the kernel reads no longer interpreter line. */
#define INTERPRETER_BYTES 256
/* kernel.perf_event_max_stack's default; bpf_get_stack takes no more. */
#define STACK_FRAMES 127
#define COMM_BYTES 16

enum record_kind {
	RECORD_SAMPLE = 1,  /* sample_record, ring `samples` */
	RECORD_SEEN = 2,    /* image_record, ring `lifecycle` or the snapshot */
	RECORD_EXEC = 3,    /* image_record */
	RECORD_FORK = 4,    /* fork_record */
	RECORD_EXIT = 5,    /* record_header alone */
	RECORD_FREED = 6,   /* record_header alone */
	RECORD_RENAME = 7,  /* record_header alone; comm is the new name */
};

enum record_flags {
	FLAG_KERNEL_THREAD = 1 << 0,
	FLAG_IN_EXECVE = 1 << 1,
	FLAG_PATH_TRUNCATED = 1 << 2,   /* path is only its tail */
	FLAG_NO_PARENT_DIRECTORY = 1 << 3, /* the file has never been in a directory: memfd */
	FLAG_SOFTIRQ = 1 << 5,          /* a softirq on an otherwise idle CPU: pid 0, named "softirq" */
	FLAG_NAME_GONE = 1 << 4,        /* the name that was opened has been removed; the file may have others */
};

/* First in every record. */
struct record_header {
	__u32 kind;
	__u32 cpu;
	__u64 ktime_ns;            /* read after the ring slot was reserved: see docs/decisions/watermark.md */
	__u32 pid;                 /* task_struct::tgid */
	__u32 tid;                 /* task_struct::pid */
	__u64 start_boottime_ns;   /* of the group leader */
	__u32 exec_count;          /* task_struct::self_exec_id, its low half */
	__u32 flags;
	char comm[COMM_BYTES];     /* ends with the first NUL; what follows that is not written */
};

/* Followed by kernel_frames + user_frames addresses, leaf first, kernel's before the user's. The slot may be longer. */
struct sample_record {
	struct record_header header;
	__u64 cgroup_id;
	__u64 period_ns;           /* CPU time that the sample stands for */
	__u16 kernel_frames;
	__u16 user_frames;
	__u32 reserved;
};

/* Followed by path, filename and interpreter, back to back. The slot may be longer. */
struct image_record {
	struct record_header header;
	__u64 inode;
	__u32 device;
	__u32 link_count;
	__u32 mount_namespace;
	__u16 path_bytes;          /* 0: no executable (a kernel thread) */
	__u16 own_path_bytes;      /* so many of the last bytes of path are the path in the task's own root */
	__u16 filename_bytes;
	__u16 interpreter_bytes;
	__u32 reserved;
};

struct fork_record {
	struct record_header header; /* the child's */
	__u64 parent_start_boottime_ns;
	__u32 parent_pid;
	__u32 parent_exec_count;
};

/* One executable mapping of one process in the snapshot; followed by the name. */
struct mapping_record {
	__u64 ktime_ns;
	__u32 pid;
	__u32 name_bytes;
	__u64 start;
	__u64 end;
	__u64 file_offset;
};

/* One process in a census. */
struct census_record {
	__u32 pid;
	__u32 exited;              /* 1: its last thread has begun to exit */
	__u64 start_boottime_ns;
};

/* Slots of the per-CPU array `counters`. */
enum counter {
	COUNTER_TICKS_IDLE = 0,            /* the timer fired on an idle CPU: no sample due */
	COUNTER_TICKS_BUSY = 1,            /* a sample was due */
	COUNTER_SAMPLE_RING_FULL = 2,
	COUNTER_SAMPLE_NO_SCRATCH = 3,
	COUNTER_LIFECYCLE_RING_FULL = 4,
	COUNTER_LIFECYCLE_NO_SCRATCH = 5,
	COUNTER_RENAME_OVER_BUDGET = 6,
	COUNTER_TICKS_MISSED = 7,          /* a sample was due, and the timer fired too late for it */
	COUNTERS = 8,
};

_Static_assert(sizeof(struct record_header) == 56, "abi.rs mirrors this");
_Static_assert(sizeof(struct sample_record) == 80, "abi.rs mirrors this");
_Static_assert(sizeof(struct image_record) == 88, "abi.rs mirrors this");
_Static_assert(sizeof(struct fork_record) == 72, "abi.rs mirrors this");
_Static_assert(sizeof(struct mapping_record) == 40, "abi.rs mirrors this");
_Static_assert(sizeof(struct census_record) == 16, "abi.rs mirrors this");

#endif
