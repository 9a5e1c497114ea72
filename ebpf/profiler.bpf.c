/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The kernel side, one object. Read include/abi.h first, then these, one for each attach point. */
#include "census.bpf.h"
#include "lifecycle.bpf.h"
#include "sample.bpf.h"
#include "snapshot.bpf.h"

/* Helpers such as bpf_probe_read_kernel are for programs under a GPL-compatible licence. */
char LICENSE[] SEC("license") = "Dual MIT/GPL";
