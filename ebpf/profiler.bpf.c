/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The kernel side: this object, and a small one that verifies files, identify.bpf.c. Read include/abi.h first, then
 * these, one for each attach point. */
#include "barrier.bpf.h"
#include "census.bpf.h"
#include "lifecycle.bpf.h"
#include "sample.bpf.h"
#include "snapshot.bpf.h"

/* Helpers such as bpf_probe_read_kernel are for programs under a GPL-compatible licence. */
char LICENSE[] SEC("license") = "Dual MIT/GPL";
