/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* Stand-ins for libbpf's headers, so that the parts of ebpf/ that only read and compute also build for the host: a read
 * of the kernel's memory is a read of the test's own, a map is an array of the test's, and time is what it says. */
#ifndef PIPELINE_STUB_BPF_HELPERS_H
#define PIPELINE_STUB_BPF_HELPERS_H

#include <stddef.h>
#include <string.h>

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif
/* The compiler forgets what it knows of a variable, as by libbpf's macro of that name. */
#define barrier_var(var) __asm__ volatile("" : "+r"(var))
#define SEC(name) __attribute__((unused))
#define __uint(name, value) int(*name)[value]
#define __type(name, value) value *name

#define READ_2(pointer, field) ((pointer)->field)
#define READ_3(pointer, first, field) ((pointer)->first->field)
#define READ_4(pointer, first, second, field) ((pointer)->first->second->field)
#define READ_BY_COUNT(_1, _2, _3, _4, name, ...) name
#define BPF_CORE_READ(...) READ_BY_COUNT(__VA_ARGS__, READ_4, READ_3, READ_2, )(__VA_ARGS__)
#define bpf_core_field_exists(field) 1
#define bpf_core_field_offset(type, field) offsetof(type, field)
#define bpf_core_enum_value(type, value) (value)
#define __builtin_preserve_access_index(value) (value)
/* The host's registers, as registers.bpf.h names them. */
#ifdef __x86_64__
#define __TARGET_ARCH_x86
#define PT_REGS_SP(registers) ((registers)->rsp)
#else
#define __TARGET_ARCH_arm64
#define PT_REGS_SP(registers) ((registers)->sp)
#endif

extern __u64 stub_now;
extern void *stub_current;
extern void *stub_registers;
/* The entry of a map, which the test keeps. */
void *stub_entry(void *map, __u32 key);

static inline void *bpf_map_lookup_elem(void *map, const void *key)
{
	return stub_entry(map, *(const __u32 *)key);
}

static inline __u32 bpf_get_smp_processor_id(void)
{
	return 0;
}

static inline __u64 bpf_ktime_get_ns(void)
{
	return stub_now;
}

static inline void *bpf_get_current_task_btf(void)
{
	return stub_current;
}

static inline long bpf_task_pt_regs(void *task)
{
	(void)task;
	return (long)stub_registers;
}

static inline long bpf_probe_read_kernel(void *to, __u32 bytes, const void *from)
{
	memcpy(to, from, bytes);
	return 0;
}

/* A process's memory is what the test says. */
long stub_read_user(void *to, __u32 bytes, __u64 from);

static inline long bpf_probe_read_user(void *to, __u32 bytes, const void *from)
{
	return stub_read_user(to, bytes, (__u64)from);
}

#define bpf_loop(times, step, context, flags) stub_loop(times, (long (*)(__u32, void *))(void *)(step), context)

static inline long stub_loop(__u32 times, long (*step)(__u32, void *), void *context)
{
	for (__u32 at = 0; at < times; at++)
		if (step(at, context))
			return at + 1;
	return times;
}

#endif
