/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* How the reader waits until every program that is running now has come to its end: it sets the element of a map of
 * maps, and the kernel returns from that once no program can be using the one before (maybe_wait_bpf_programs). No
 * program uses either. See docs/decisions/watermark.md. */
#ifndef PIPELINE_BARRIER_BPF_H
#define PIPELINE_BARRIER_BPF_H

#include "include/prelude.h"

struct barrier_element {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
};

struct barrier_element barrier_element SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__array(values, struct barrier_element);
} barrier SEC(".maps");

#endif
