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
#include "access/why.h"
#include "fs/exec/namespace.h"
#include "util/cleanup.h"

/* What stands in the way, by the error that the kernel gives. */
static const struct {
	int error;
	const char *hint;
} hints[] = {
	{ -EPERM, "; " ACCESS_ADD_CAPABILITY(
			  "SYS_ADMIN") ", or allow user "
				       "namespaces (sysctl kernel.unprivileged_userns_clone=1; "
				       "never in a chroot)" },
	{ -EACCES,
	  "; AppArmor or SELinux forbids it: for a container, --security-opt "
	  "apparmor=unconfined; else sysctl kernel.apparmor_restrict_unprivileged_userns=0" },
	{ -EINVAL, "; in a chroot, / must be a mount point: mount --rbind DIR DIR before "
		   "chroot DIR" },
	{ -ENOSPC, "; allow more namespaces (sysctl user.max_user_namespaces, "
		   "user.max_mnt_namespaces)" },
	{ -ENOSYS, "; the kernel has no user namespaces (CONFIG_USER_NS): add CAP_SYS_ADMIN" },
};

const char *namespace_hint(int r)
{
	for (size_t i = 0; i < ARRAY_SIZE(hints); i++)
		if (hints[i].error == r)
			return hints[i].hint;
	return "";
}

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
		return errno == EINVAL ? -ENOSYS : -errno;
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
