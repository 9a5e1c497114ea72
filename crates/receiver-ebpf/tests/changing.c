/* Works in one small function after another, and writes to standard output what ran when: begin, end (CLOCK_MONOTONIC,
 * nanoseconds), address, inode number and file offset of the function. What it does to its mappings meanwhile is its
 * first argument.
 *
 * plain nothing copied puts its text into anonymous memory, as programs do that want it on huge pages dlopen A B loads
 * and unloads two libraries in turn, a file each of the code below (SHARED) */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

/* Alone in its 64 bytes, among which a sample's address is looked for. */
__attribute__((noinline, aligned(64))) void spin(long rounds)
{
	while (rounds--)
		__asm__ volatile("");
}

#ifndef SHARED
__attribute__((aligned(64))) static uint64_t now(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return time.tv_sec * 1000000000ull + time.tv_nsec;
}

struct place {
	uintptr_t address; /* asked for */
	uintptr_t start, end, text_offset; /* the executable segment that holds it, and where that is in the file */
};

static int find(struct dl_phdr_info *info, size_t size, void *found)
{
	struct place *place = found;

	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *header = &info->dlpi_phdr[i];
		uintptr_t start = info->dlpi_addr + header->p_vaddr, end = start + header->p_memsz;

		if (header->p_type == PT_LOAD && header->p_flags & PF_X && start <= place->address && place->address < end) {
			place->start = start;
			place->end = end;
			place->text_offset = header->p_offset;
			return 1;
		}
	}
	return 0;
}

static void work(void (*function)(long), const char *file, uint64_t nanos)
{
	struct place place = { .address = (uintptr_t)function };
	uint64_t begin = now(CLOCK_MONOTONIC), used = now(CLOCK_THREAD_CPUTIME_ID);
	struct stat status;

	dl_iterate_phdr(find, &place);
	stat(file, &status);
	while (now(CLOCK_THREAD_CPUTIME_ID) - used < nanos)
		function(200000);
	printf("%lu %lu %lu %lu %lu\n", begin, now(CLOCK_MONOTONIC), (unsigned long)function, (unsigned long)status.st_ino,
	       (unsigned long)(place.text_offset + (uintptr_t)function - place.start));
	fflush(stdout);
}

static int copy_text(void)
{
	struct place place = { .address = (uintptr_t)spin };
	uintptr_t start, bytes;
	void *copy;

	dl_iterate_phdr(find, &place);
	start = place.start & ~(uintptr_t)4095;
	bytes = ((place.end + 4095) & ~(uintptr_t)4095) - start;
	copy = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memcpy(copy, (void *)start, bytes);
	return mprotect(copy, bytes, PROT_READ | PROT_EXEC) ||
	       mremap(copy, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)start) != (void *)start;
}

int main(int count, char **arguments)
{
	if (count == 2 && !strcmp(arguments[1], "plain")) {
		work(spin, arguments[0], 700000000);
		return 0;
	}
	if (count == 2 && !strcmp(arguments[1], "copied")) {
		if (copy_text())
			return 1;
		work(spin, arguments[0], 700000000);
		return 0;
	}
	if (count != 4)
		return 2;
	for (int round = 0; round < 150; round++) {
		const char *file = arguments[2 + round % 2];
		void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);

		if (!library)
			return 1;
		work((void (*)(long))dlsym(library, "spin"), file, 5000000);
		dlclose(library);
	}
	return 0;
}
#endif
