/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* What every part of the object needs. Types come first: libbpf's headers do not include what declares them. */
#ifndef PIPELINE_PRELUDE_H
#define PIPELINE_PRELUDE_H

#include "core.h"

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
#include <linux/auxvec.h>
#include <linux/elf.h>

#include "abi.h"

#endif
