/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The rings that lead to user space, which sets their sizes, and what wakes their reader. */
#ifndef PIPELINE_RINGS_BPF_H
#define PIPELINE_RINGS_BPF_H

#include "include/prelude.h"

/* One record for each sample. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
} samples SEC(".maps");

/* Facts about processes have a ring of their own, so that a flood of samples cannot push them out. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 << 20);
} lifecycle SEC(".maps");

/* A ring that carries no data: the reader waits on it. Not on the rings with records, which are readable as soon as
 * they hold any record, however little it matters when that is read. User space sets the size: one page is the
 * least. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 << 10);
} wakeups SEC(".maps");

/* Wakes the reader in user space from a long rest. Records are submitted without a wake-up, each of which would cost an
 * interrupt: the reader polls, and rests for longer while little happens (crates/receiver-ebpf/src/pace.rs). */
static __always_inline void wake_reader(void)
{
	__u64 *slot = bpf_ringbuf_reserve(&wakeups, sizeof(*slot), 0);

	/* Full: the reader has been woken, and has not been here since. */
	if (!slot)
		return;
	*slot = 0;
	bpf_ringbuf_submit(slot, BPF_RB_FORCE_WAKEUP);
}

/* What a burst leaves in a ring while the reader rests must not fill it. */
static __always_inline void wake_reader_if_filling(void *ring)
{
	__u64 held = bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA);

	if (held > bpf_ringbuf_query(ring, BPF_RB_RING_SIZE) / 4 && !bpf_ringbuf_query(&wakeups, BPF_RB_AVAIL_DATA))
		wake_reader();
}

/* What is announced must not push out execs and exits: it gets the first half of the ring. */
static __always_inline int within_budget(void)
{
	return bpf_ringbuf_query(&lifecycle, BPF_RB_AVAIL_DATA) < bpf_ringbuf_query(&lifecycle, BPF_RB_RING_SIZE) / 2;
}

#endif
