/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* A fourth object: which symbol of the kernel is an address in, and where does that end? User space runs this program
 * (BPF_PROG_TEST_RUN) for code that no list has the length of, such as a BPF trampoline. */
#include "include/prelude.h"

/* The answer to the last question. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, SYMBOL_TEXT);
} symbol_text SEC(".maps");

/* The answer's length with the byte that ends it, which may be more than there is room for; 0 if there is none. */
SEC("raw_tp")
int symbol_at(__u64 *context)
{
	__u64 address = context[0];
	char *answer;
	__u32 first = 0;
	long length;

	answer = bpf_map_lookup_elem(&symbol_text, &first);
	if (!answer)
		return 0;
	/* NAME+OFFSET/SIZE [MODULE], see sprint_symbol in the kernel's kernel/kallsyms.c. */
	length = BPF_SNPRINTF(answer, SYMBOL_TEXT, "%pS", address);
	return length > 0 ? length : 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
