// SPDX-License-Identifier: GPL-2.0-or-later
/* Finding a memory cgroup by its path. */
#include <errno.h>
#include <mntent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/sysfs/sysfs.h"
#include "util/cleanup.h"

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

int memcg_find(const char *path, uint64_t *out)
{
	char mount[1024], plain[4096], full[sizeof(mount) + sizeof(plain)];
	struct stat st;

	if (!path)
		return -EINVAL;
	snprintf(plain, sizeof(plain), "%s", path);
	if (*plain && plain[strlen(plain) - 1] == '\n')
		plain[strlen(plain) - 1] = '\0';
	if (!is_plain(plain) || memcg_find_mount(mount, sizeof(mount)))
		return -EINVAL;
	snprintf(full, sizeof(full), "%s%s", mount, plain);
	if (stat(full, &st) || !S_ISDIR(st.st_mode))
		return -EINVAL;
	*out = st.st_ino;
	return 0;
}
