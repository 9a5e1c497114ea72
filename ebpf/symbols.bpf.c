/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* A third object, without maps: the kernel's symbols, as /proc/kallsyms prints them. It is loaded where that shows
 * zeros (kptr_restrict), and read once whenever names may have changed. */
#include "include/prelude.h"

SEC("iter/ksym")
int list_symbol(struct bpf_iter__ksym *context)
{
	struct seq_file *seq = context->meta->seq;
	struct kallsym_iter *symbol = context->ksym;

	if (!symbol)
		return 0;
	if (symbol->module_name[0])
		BPF_SEQ_PRINTF(seq, "%016lx %c %s\t[%s]\n", symbol->value, symbol->type, symbol->name,
			       symbol->module_name);
	else
		BPF_SEQ_PRINTF(seq, "%016lx %c %s\n", symbol->value, symbol->type, symbol->name);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
