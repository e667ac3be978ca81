// SPDX-License-Identifier: LGPL-2.1-or-later
/* Callers as bytes, for a daemon that takes over: see caller_save() in caller.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access/rights/caller.h"
#include "util/cleanup.h"

struct saved {
	pid_t pid;
	uid_t uid;
	gid_t gid;
	uint32_t nr_groups;
	uint64_t capabilities;
	uint64_t pid_ns, pid_ns_depth;
	gid_t groups[];
};

_Static_assert(sizeof(struct saved) <= 64, "CALLER_SAVED_ROOM() holds it");

/* Return: a descriptor of our own pid namespace and *INODE, or a negative errno. */
static int own_pid_ns(ino_t *inode)
{
	_cleanup_close_ int fd = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return -errno;
	*inode = st.st_ino;
	return steal_fd(fd);
}

size_t caller_save(const struct caller *caller, void *out, size_t room)
{
	size_t size = sizeof(struct saved) + caller->nr_groups * sizeof(gid_t);
	struct saved *saved = out;
	struct stat st;

	if (caller->user_ns_fd >= 0 || caller->label || size > room ||
	    stat("/proc/self/ns/pid", &st) || st.st_ino != caller->pid_ns)
		return 0;
	*saved = (struct saved){ .pid = caller->pid,
				 .uid = caller->uid,
				 .gid = caller->gid,
				 .nr_groups = (uint32_t)caller->nr_groups,
				 .capabilities = caller->capabilities,
				 .pid_ns = caller->pid_ns,
				 .pid_ns_depth = caller->pid_ns_depth };
	if (caller->nr_groups)
		memcpy(saved->groups, caller->groups, caller->nr_groups * sizeof(gid_t));
	return size;
}

int caller_load(const void *bytes, size_t size, struct caller **out)
{
	__attribute__((cleanup(caller_putp))) struct caller *caller = NULL;
	struct saved saved;
	ino_t inode = 0;
	int fd;

	if (size < sizeof(saved))
		return -EINVAL;
	memcpy(&saved, bytes, sizeof(saved));
	if (saved.nr_groups > 65536 || size != sizeof(saved) + saved.nr_groups * sizeof(gid_t))
		return -EINVAL;
	caller = malloc(sizeof(*caller));
	if (!caller)
		return -ENOMEM;
	*caller = (struct caller){ .refs = 1,
				   .pid = saved.pid,
				   .uid = saved.uid,
				   .gid = saved.gid,
				   .groups = malloc(max_ul(size - sizeof(saved), 1)),
				   .nr_groups = saved.nr_groups,
				   .capabilities = saved.capabilities,
				   .pid_ns = (ino_t)saved.pid_ns,
				   .pid_ns_depth = saved.pid_ns_depth,
				   .pid_ns_fd = -1,
				   .user_ns_fd = -1 };
	if (!caller->groups)
		return -ENOMEM;
	memcpy(caller->groups, (const char *)bytes + sizeof(saved), size - sizeof(saved));
	for (size_t i = 1; i < caller->nr_groups; i++)
		if (caller->groups[i - 1] > caller->groups[i])
			return -EINVAL;
	fd = own_pid_ns(&inode);
	if (fd < 0)
		return fd;
	caller->pid_ns_fd = fd;
	if (inode != caller->pid_ns || caller_limit(caller))
		return -EPERM;
	*out = steal_ptr(caller);
	return 0;
}
