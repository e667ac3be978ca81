// SPDX-License-Identifier: LGPL-2.1-or-later
/* Memory cgroups: see memcg.h. */
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access/proc/memcg.h"
#include "util/cleanup.h"
#include "util/lines.h"
#include "util/macros.h"

/* No descriptor: whoever makes many goals must not use up those of all. */
struct memcg {
	atomic_uint references;
	uint64_t inode; /* which of those that ever have that path */
	char path[]; /* of its directory */
};

/* Where the memory controller's hierarchy is mounted: version 1's where there is one, else
 * version 2. */
static int memcg_find_mount(char *out, size_t size)
{
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	struct mntent entry;
	char buffer[4096];
	int r = -EINVAL;

	if (!mounts)
		return r;
	while (getmntent_r(mounts, &entry, buffer, sizeof(buffer))) {
		bool v1 = !strcmp(entry.mnt_type, "cgroup") && hasmntopt(&entry, "memory");

		if (!v1 && (strcmp(entry.mnt_type, "cgroup2") || !r))
			continue;
		snprintf(out, size, "%s", entry.mnt_dir);
		r = 0;
		if (v1)
			break;
	}
	endmntent(mounts);
	return r;
}

/* A path as the kernel prints it: absolute, without empty components, `.' or `..'. */
static bool is_plain(const char *path)
{
	size_t length = strlen(path);

	if (*path != '/' || strstr(path, "//") || strstr(path, "/./") || strstr(path, "/../"))
		return false;
	if (length > 1 && path[length - 1] == '/')
		return false;
	return !(length > 1 && !strcmp(path + length - 2, "/.")) &&
	       !(length > 2 && !strcmp(path + length - 3, "/.."));
}

/* Room for the path of a cgroup's directory: the mount, and what was written. */
struct memcg_path {
	char text[1024 + 4096];
};

/* Finds the directory of the cgroup at PATH.  Return: 0, *OUT and its *INODE, or -EINVAL. */
static int memcg_locate(const char *path, struct memcg_path *out, uint64_t *inode)
{
	char mount[1024], plain[4096];
	struct stat st;

	if (!path)
		return -EINVAL;
	snprintf(plain, sizeof(plain), "%s", path);
	if (*plain && plain[strlen(plain) - 1] == '\n')
		plain[strlen(plain) - 1] = '\0';
	if (!is_plain(plain) || memcg_find_mount(mount, sizeof(mount)))
		return -EINVAL;
	snprintf(out->text, sizeof(out->text), "%s%s", mount, plain);
	if (stat(out->text, &st) || !S_ISDIR(st.st_mode))
		return -EINVAL;
	*inode = st.st_ino;
	return 0;
}

int memcg_find(const char *path, uint64_t *out)
{
	struct memcg_path directory;

	return memcg_locate(path, &directory, out);
}

int memcg_new(const char *path, struct memcg **out)
{
	struct memcg_path directory;
	struct memcg *memcg;
	uint64_t inode;
	int r = memcg_locate(path, &directory, &inode);

	if (r)
		return r;
	memcg = malloc(sizeof(*memcg) + strlen(directory.text) + 1);
	if (!memcg)
		return -ENOMEM;
	memcg->references = 1;
	memcg->inode = inode;
	strcpy(memcg->path, directory.text);
	*out = memcg;
	return 0;
}

struct memcg *memcg_get(struct memcg *memcg)
{
	if (memcg)
		atomic_fetch_add(&memcg->references, 1);
	return memcg;
}

struct memcg *memcg_put(struct memcg *memcg)
{
	if (!memcg || atomic_fetch_sub(&memcg->references, 1) > 1)
		return NULL;
	free(memcg);
	return NULL;
}

/* Lines of memory.numa_stat that count: of version 2 in bytes, of version 1 in pages. */
static const struct numa_line {
	const char *begins;
	uint64_t unit;
} numa_lines[] = {
	{ "active_anon ", 1 },	 { "inactive_anon ", 1 },	 { "active_file ", 1 },
	{ "inactive_file ", 1 }, { "hierarchical_file=", PAGE }, { "hierarchical_anon=", PAGE },
};

/* What LINE, as in "active_anon N0=4096 N1=0", says of a node. */
static uint64_t number_of_node(const char *line, int nid)
{
	char name[24];
	const char *at;

	snprintf(name, sizeof(name), " N%d=", nid);
	at = strstr(line, name);
	return at ? strtoull(at + strlen(name), NULL, 10) : 0;
}

uint64_t memcg_node_used(const struct memcg *memcg, int nid)
{
	_cleanup_close_ int directory = open(memcg->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_lines_ struct lines lines = { 0 };
	uint64_t used = 0;
	struct stat st;

	if (directory < 0 || fstat(directory, &st) || st.st_ino != memcg->inode)
		return 0;
	lines_open(&lines, openat(directory, "memory.numa_stat", O_RDONLY | O_CLOEXEC));
	while (lines_next(&lines))
		for (size_t i = 0; i < ARRAY_SIZE(numa_lines); i++)
			if (!strncmp(lines.line, numa_lines[i].begins,
				     strlen(numa_lines[i].begins)))
				used += number_of_node(lines.line, nid) * numa_lines[i].unit;
	return used;
}
