// SPDX-License-Identifier: GPL-2.0-or-later
/* Mount namespaces, and user namespaces for those who may not make them: see namespace.h. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/mount.h>
#include <unistd.h>

#include "access/rights/privileges.h"
#include "fs/exec/namespace.h"
#include "util/cleanup.h"

static int namespace_write(const char *path, const char *text)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -errno;
}

/* ID outside is 0 inside. */
static int map_to_root(const char *path, unsigned int id)
{
	char text[32];

	snprintf(text, sizeof(text), "0 %u 1", id);
	return namespace_write(path, text);
}

int namespace_become_root(void)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	int r;

	if (capable_of(CAP_SYS_ADMIN))
		return 0;
	if (unshare(CLONE_NEWUSER))
		return -errno;
	/* Before that, the kernel takes no map of groups from who has no privileges. */
	r = namespace_write("/proc/self/setgroups", "deny");
	if (!r)
		r = map_to_root("/proc/self/uid_map", uid);
	return r ? r : map_to_root("/proc/self/gid_map", gid);
}

int namespace_enter(void)
{
	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_SLAVE, NULL))
		return -errno;
	return 0;
}
