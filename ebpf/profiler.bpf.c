/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The kernel side, one object. Read include/abi.h first, then one header per attach point. */
#include "include/core.h"

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
#include <linux/auxvec.h>
#include <linux/elf.h>

#include "include/abi.h"
#include "counters.bpf.h"
#include "wakeup.bpf.h"
#include "identity.bpf.h"
#include "path.bpf.h"
#include "image.bpf.h"
#include "vma.bpf.h"
#include "file.bpf.h"
#include "mapping.bpf.h"
#include "ticks.bpf.h"
#include "sample.bpf.h"
#include "lifecycle.bpf.h"
#include "snapshot.bpf.h"
#include "census.bpf.h"

/* Helpers such as bpf_probe_read_kernel are for programs under a GPL-compatible licence. */
char LICENSE[] SEC("license") = "Dual MIT/GPL";
