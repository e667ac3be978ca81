// SPDX-License-Identifier: GPL-2.0-or-later
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

struct memcg {
	atomic_uint references;
	int directory;
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

/* Opens the directory of the cgroup at PATH.  Return: it, or a negative errno. */
static int memcg_open_directory(const char *path)
{
	char mount[1024], plain[4096], full[sizeof(mount) + sizeof(plain)];
	int fd;

	if (!path)
		return -EINVAL;
	snprintf(plain, sizeof(plain), "%s", path);
	if (*plain && plain[strlen(plain) - 1] == '\n')
		plain[strlen(plain) - 1] = '\0';
	if (!is_plain(plain) || memcg_find_mount(mount, sizeof(mount)))
		return -EINVAL;
	snprintf(full, sizeof(full), "%s%s", mount, plain);
	fd = open(full, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? -ENOMEM : -EINVAL;
}

int memcg_find(const char *path, uint64_t *out)
{
	_cleanup_close_ int fd = memcg_open_directory(path);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return -EINVAL;
	*out = st.st_ino;
	return 0;
}

int memcg_open(const char *path, struct memcg **out)
{
	_cleanup_close_ int fd = memcg_open_directory(path);
	struct memcg *memcg;

	if (fd < 0)
		return fd;
	memcg = calloc(1, sizeof(*memcg));
	if (!memcg)
		return -ENOMEM;
	memcg->references = 1;
	memcg->directory = steal_fd(fd);
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
	close(memcg->directory);
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
	_cleanup_lines_ struct lines lines = { 0 };
	uint64_t used = 0;

	lines_open(&lines, openat(memcg->directory, "memory.numa_stat", O_RDONLY | O_CLOEXEC));
	while (lines_next(&lines))
		for (size_t i = 0; i < ARRAY_SIZE(numa_lines); i++)
			if (!strncmp(lines.line, numa_lines[i].begins,
				     strlen(numa_lines[i].begins)))
				used += number_of_node(lines.line, nid) * numa_lines[i].unit;
	return used;
}
