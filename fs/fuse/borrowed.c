// SPDX-License-Identifier: GPL-2.0-or-later
/* Privileges of the program file: see borrowed.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/capability.h>
#include <unistd.h>

#include "fs/fuse/borrowed.h"
#include "fs/fuse/mountpoint.h"
#include "util/cleanup.h"

bool borrowed_privileges(void)
{
	/* Root lends nothing to itself; security modules set AT_SECURE for system services. */
	return getauxval(AT_SECURE) && getuid();
}

/* Makes what the process may use effective, or nothing. */
static int borrowed_set_effective(bool all)
{
	cap_t caps = cap_get_proc();
	int r = caps ? 0 : -ENOMEM;

	if (!r && !all && cap_clear_flag(caps, CAP_EFFECTIVE))
		r = -errno;
	if (!r && all && cap_fill_flag(caps, CAP_EFFECTIVE, caps, CAP_PERMITTED))
		r = -errno;
	if (!r && cap_set_proc(caps))
		r = -errno;
	cap_free(caps);
	return r;
}

int borrowed_set_aside(void)
{
	if (!borrowed_privileges())
		return 0;
	if (clearenv() || setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1))
		return -ENOMEM;
	/* The saved ones stay. */
	if (setegid(getgid()) || seteuid(getuid()))
		return -errno;
	return borrowed_set_effective(false);
}

int borrowed_take_up(void)
{
	uid_t real, effective, saved;
	gid_t real_group, effective_group, saved_group;

	if (!borrowed_privileges())
		return 0;
	if (getresuid(&real, &effective, &saved) ||
	    getresgid(&real_group, &effective_group, &saved_group))
		return -errno;
	if (seteuid(saved) || setegid(saved_group))
		return -errno;
	return borrowed_set_effective(true);
}

static int refuse(const char *what)
{
	fprintf(stderr,
		"damonfs: %s is refused: with privileges from its program file (setcap, setuid), "
		"damonfs serves only your own mounts and processes\n",
		what);
	return -EPERM;
}

int borrowed_check(const struct options *options)
{
	_cleanup_free_ char *list = NULL;

	if (!borrowed_privileges())
		return 0;
	list = options_for_mount(options);
	if (!list)
		return -ENOMEM;
	if (options->user_name || options->group_name)
		return refuse("uid= or gid=");
	if (strstr(list, "allow_other") || strstr(list, "allow_root"))
		return refuse("allow_other or allow_root");
	if (!strncmp(options->method, "simulated", strlen("simulated")))
		return refuse("method=simulated");
	if (mountpoint_is_passed(options->mountpoint))
		return refuse("a descriptor as mount point");
	return 0;
}
