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
/* kernel.perf_event_max_stack's default; bpf_get_stack takes no more. */
#define STACK_FRAMES 127
#define COMM_BYTES 16
/* Mappings that one sample can name; frames in more are left without one, and counted. */
#define SAMPLE_MAPPINGS 32
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
};

enum record_flags {
	FLAG_KERNEL_THREAD = 1 << 0,
	FLAG_IN_EXECVE = 1 << 1,
	FLAG_PATH_TRUNCATED = 1 << 2,      /* path is only its tail */
	FLAG_NO_PARENT_DIRECTORY = 1 << 3, /* the file has never been in a directory: memfd */
	FLAG_SOFTIRQ = 1 << 5,             /* a softirq on an otherwise idle CPU: pid 0, named "softirq" */
	FLAG_NAME_GONE = 1 << 4,           /* the name that was opened has been removed; the file may have others */
};

/* First in every record. */
struct record_header {
	__u32 kind;
	__u32 cpu;
	__u64 ktime_ns;          /* read after the ring slot was reserved: see docs/decisions/watermark.md */
	__u32 pid;               /* task_struct::tgid */
	__u32 tid;               /* task_struct::pid */
	__u64 start_boottime_ns; /* of the group leader */
	__u32 exec_count;        /* task_struct::self_exec_id, its low half */
	__u32 flags;
	char comm[COMM_BYTES]; /* ends with the first NUL; what follows that is not written */
};

/* Followed by kernel_frames + user_frames words, leaf first, kernel's before the user's, and then by `mappings`
 * sample_mappings. The slot may be longer.
 *
 * A kernel frame's word is its address. A user frame's word has the address in its low FRAME_ADDRESS_BITS and above
 * them one more than the index of the frame's mapping, or 0 if it has none. No architecture has user addresses of more
 * bits; what else a stack without frame pointers may yield loses its high bits, and is mapped nowhere. */
#define FRAME_ADDRESS_BITS 56
struct sample_record {
	struct record_header header;
	__u64 cgroup_id;
	__u64 period_ns; /* CPU time that the sample stands for */
	__u16 kernel_frames;
	__u16 user_frames;
	__u16 mappings;
	__u16 reserved;
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

/* Followed by path, filename and interpreter, back to back. The slot may be longer. */
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
	__u32 reserved;
};

struct fork_record {
	struct record_header header; /* the child's */
	__u64 parent_start_boottime_ns;
	__u32 parent_pid;
	__u32 parent_exec_count;
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

/* Slots of the per-CPU array `counters`. */
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
	COUNTERS = 11,
};

_Static_assert(sizeof(struct record_header) == 56, "abi.rs mirrors this");
_Static_assert(sizeof(struct sample_record) == 80, "abi.rs mirrors this");
_Static_assert(sizeof(struct image_record) == 88, "abi.rs mirrors this");
_Static_assert(sizeof(struct fork_record) == 72, "abi.rs mirrors this");
_Static_assert(sizeof(struct sample_mapping) == 32, "abi.rs mirrors this");
_Static_assert(sizeof(struct file_key) == 64, "abi.rs mirrors this");
_Static_assert(sizeof(struct file_record) == 168, "abi.rs mirrors this");
_Static_assert(SAMPLE_MAPPINGS < 1 << (64 - FRAME_ADDRESS_BITS), "an index fits above an address");
_Static_assert(sizeof(struct census_record) == 16, "abi.rs mirrors this");

#endif
