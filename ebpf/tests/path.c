/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The walk of a path, over trees that are made up and trees made at random, against paths put together by hand. */
#include <stdio.h>
#include <stdlib.h>

#include "../path.bpf.h"

__u64 stub_now;
void *stub_current;
void *stub_registers;

void *stub_entry(void *map, __u32 key)
{
	(void)map, (void)key;
	return NULL;
}

static struct path_scratch scratch;
static int failures;
static unsigned int seed = 1;

static unsigned int below(unsigned int bound)
{
	seed = seed * 1103515245 + 12345;
	return (seed >> 8) % bound;
}

static struct dentry *dentry(struct dentry *parent, const char *name)
{
	struct dentry *new = calloc(1, sizeof(*new));

	new->d_parent = parent ? parent : new;
	new->d_name.len = strlen(name);
	new->d_name.name = (const unsigned char *)strdup(name);
	/* In the hash table: the name is still there. */
	new->d_hash.pprev = (void *)new;
	return new;
}

/* A mount of a file system of its own on `point` of `below`, or the first of all. */
static struct mount *mount(struct mount *parent, struct dentry *point)
{
	struct mount *new = calloc(1, sizeof(*new));

	new->mnt_parent = parent ? parent : new;
	new->mnt_mountpoint = point ? point : dentry(NULL, "/");
	new->mnt.mnt_root = dentry(NULL, "/");
	return new;
}

static const char *walk(struct dentry *name, struct mount *mount, struct dentry *root, struct mount *root_mount)
{
	static char text[PATH_BYTES + 1];
	struct fs_struct fs = { .root = { .mnt = &root_mount->mnt, .dentry = root } };
	struct task_struct task = { .fs = &fs };
	struct file_name file = { .dentry = name, .mount = &mount->mnt };

	walk_path(&scratch, &file, &task);
	memcpy(text, &scratch.text[scratch.start], PATH_BYTES - scratch.start);
	text[PATH_BYTES - scratch.start] = 0;
	return text;
}

static void expect(const char *what, const char *found, const char *path, __u32 flags)
{
	if (!strcmp(found, path) && scratch.flags == flags)
		return;
	fprintf(stderr, "%s: found %.80s (flags %#x), not %.80s (flags %#x)\n", what, found, scratch.flags, path,
		flags);
	failures++;
}

static void expect_own(const char *what, const char *path)
{
	const char *own = scratch.own_start ? &scratch.text[scratch.own_start] : "";

	if (strlen(path) == (scratch.own_start ? PATH_BYTES - scratch.own_start : 0) &&
	    !memcmp(own, path, strlen(path)))
		return;
	fprintf(stderr, "%s: the path in the task's own root is not %s\n", what, path);
	failures++;
}

static void paths_by_hand(void)
{
	struct mount *all = mount(NULL, NULL);
	struct dentry *root = all->mnt.mnt_root;
	struct dentry *usr = dentry(root, "usr"), *bin = dentry(usr, "bin"), *file = dentry(bin, "cc");
	struct mount *home = mount(all, dentry(root, "home"));
	struct dentry *own = dentry(home->mnt.mnt_root, "own"), *gone = dentry(own, "gone"), *memfd;

	expect("a file", walk(file, all, root, all), "/usr/bin/cc", 0);
	expect_own("a file", "/usr/bin/cc");
	expect("behind a mount", walk(own, home, root, all), "/home/own", 0);
	expect("of a task in a chroot", walk(file, all, usr, all), "/usr/bin/cc", 0);
	expect_own("of a task in a chroot", "/bin/cc");
	expect("outside a chroot", walk(file, all, own, home), "/usr/bin/cc", 0);
	expect_own("outside a chroot", "");
	gone->d_hash.pprev = NULL;
	expect("removed", walk(gone, home, root, all), "/home/own/gone", FLAG_NAME_GONE);
	memfd = dentry(NULL, "memfd:jit");
	memfd->d_hash.pprev = NULL;
	expect("never in a directory", walk(memfd, mount(NULL, NULL), root, all), "/memfd:jit",
	       FLAG_NO_PARENT_DIRECTORY);
}

/* Trees of up to 400 directories with names of up to 255 bytes, a mount now and then. */
static void paths_at_random(void)
{
	static char whole[400 * 256 + 1];

	for (int round = 0; round < 2000; round++) {
		struct mount *first = mount(NULL, NULL), *at_mount = first;
		struct dentry *at = first->mnt.mnt_root;
		size_t end = 0, start;
		unsigned int depth = 1 + below(round % 4 ? 12 : 400), longest = 1 + below(NAME_BYTES);

		for (unsigned int step = 0; step < depth; step++) {
			char name[NAME_BYTES + 1];
			unsigned int length = 1 + below(longest);

			for (unsigned int byte = 0; byte < length; byte++)
				name[byte] = 'a' + below(26);
			name[length] = 0;
			at = dentry(at, name);
			end += sprintf(whole + end, "/%s", name);
			if (step + 1 < depth && !below(5)) {
				at_mount = mount(at_mount, at);
				at = at_mount->mnt.mnt_root;
			}
		}
		/* As many whole names from the end as fit. */
		for (start = 0; end - start >= PATH_BYTES; start += 1 + strcspn(whole + start + 1, "/"))
			;
		expect("at random", walk(at, at_mount, first->mnt.mnt_root, first), whole + start,
		       start ? FLAG_PATH_TRUNCATED : 0);
	}
}

int main(void)
{
	paths_by_hand();
	paths_at_random();
	return failures != 0;
}
