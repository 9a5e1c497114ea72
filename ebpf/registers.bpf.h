/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The registers of user code at the sample, by architecture. */
#ifndef PIPELINE_REGISTERS_BPF_H
#define PIPELINE_REGISTERS_BPF_H

#include "include/prelude.h"

#if defined(__TARGET_ARCH_x86)

/* In DWARF's order. */
#define COPY_REGISTERS(walk, from)                   \
	({                                           \
		(walk)->registers[0] = (from)->rax;  \
		(walk)->registers[1] = (from)->rdx;  \
		(walk)->registers[2] = (from)->rcx;  \
		(walk)->registers[3] = (from)->rbx;  \
		(walk)->registers[4] = (from)->rsi;  \
		(walk)->registers[5] = (from)->rdi;  \
		(walk)->registers[6] = (from)->rbp;  \
		(walk)->registers[7] = (from)->rsp;  \
		(walk)->registers[8] = (from)->r8;   \
		(walk)->registers[9] = (from)->r9;   \
		(walk)->registers[10] = (from)->r10; \
		(walk)->registers[11] = (from)->r11; \
		(walk)->registers[12] = (from)->r12; \
		(walk)->registers[13] = (from)->r13; \
		(walk)->registers[14] = (from)->r14; \
		(walk)->registers[15] = (from)->r15; \
		(walk)->pc = (from)->rip;            \
		(walk)->sp = (from)->rsp;            \
		(walk)->fp = (from)->rbp;            \
	})
#define IN_USER_MODE(regs) (((regs)->cs & 3) == 3)
/* The selectors of 32-bit and 64-bit code, also under Xen, differ in these bits. */
#define IS_32_BIT(regs) (((regs)->cs & 0xf0) == 0x20)
/* No part of an address on the stack is anything else. */
#define CODE_ADDRESS(address) (address)
#define REGISTER_RESULT 0
#define REGISTER_KEPT 3

/* struct rt_sigframe, from the stack pointer that the handler returns to: after struct ucontext's first fields,
 * struct sigcontext. */
#define SIGNAL_REGISTERS 40
struct signal_registers {
	__u64 r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip;
};

#elif defined(__TARGET_ARCH_arm64)

#define COPY_REGISTERS(walk, from)                                                                    \
	({                                                                                            \
		_Pragma("unroll") for (int i = 0; i < 31; i++)(walk)->registers[i] = (from)->regs[i]; \
		(walk)->pc = (from)->pc;                                                              \
		(walk)->sp = (from)->sp;                                                              \
		(walk)->fp = (from)->regs[29];                                                        \
	})
#define IN_USER_MODE(regs) (!((regs)->pstate & 0xf))
#define IS_32_BIT(regs) ((regs)->pstate & 0x10)
/* Signed return addresses have their signature above the address. */
#define CODE_ADDRESS(address) ((address) & ((1ULL << 48) - 1))
#define REGISTER_RESULT 0
#define REGISTER_LINK 30

/* struct rt_sigframe: siginfo, then struct ucontext, in which struct sigcontext is aligned to 16 bytes. */
#define SIGNAL_REGISTERS (128 + 176 + 8)
struct signal_registers {
	__u64 regs[31], sp, pc;
};

#endif

#endif
