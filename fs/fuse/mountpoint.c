// SPDX-License-Identifier: GPL-2.0-or-later
/* Mounting and unmounting: see mountpoint.h. */
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "access/rights/privileges.h"
#include "fs/fuse/mountpoint.h"
#include "fs/janitor.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "util/sanitizer.h"

#if HAS_ADDRESS_SANITIZER
#include <sanitizer/lsan_interface.h>
#else
#define __lsan_disable() (void)0
#define __lsan_enable()	 (void)0
#endif

#define FD_PATH "/dev/fd/"
#define HELPER	"fusermount3"
#define DEVICE	"/dev/fuse"

/* Of /dev/fuse: Documentation/admin-guide/devices.txt. */
#define FUSE_DEVICE makedev(10, 229)

/* ---- what is mounted ---- */

/* How often to look for a mount that must be there. */
#define FIND_TRIES 10

/* Looks for a mount by its number. */
struct search {
	int number;
	struct mount_line *out;
	bool found;
};

static bool is_it(const struct mount_line *line, void *argument)
{
	struct search *search = argument;

	search->found = line->id.number == search->number;
	if (search->found)
		*search->out = *line;
	return !search->found;
}

/* Return: whether mount NUMBER is there, and *OUT. */
static bool mountpoint_find_mount(int number, struct mount_line *out)
{
	struct search search = { .number = number, .out = out };
	int r = mounts_list(is_it, &search);

	if (r)
		log_error("cannot read /proc/self/mountinfo: %s; mounts may be taken for gone",
			  strerror(-r));
	return search.found;
}

/* The number of the mount that descriptor FD is on.  Return: it or 0. */
static int mount_of(int fd)
{
	_cleanup_fclose_ FILE *file = NULL;
	char path[64], line[256];
	int id = 0;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "mnt_id: %d", &id) == 1)
			break;
	return id;
}

/*
 * Opens the directory PATH, without asking the file system mounted there.  *LINE describes the FUSE
 * mount that begins there; its number is 0 if there is none.
 * Return: a descriptor or a negative errno.
 */
static int open_place(const char *path, struct mount_line *line)
{
	int fd = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	line->id.number = 0;
	if (fd < 0)
		return -errno;
	if (!mountpoint_find_mount(mount_of(fd), line) || strcmp(line->point, path) ||
	    strncmp(line->type, "fuse", 4))
		line->id.number = 0;
	return fd;
}

/* ---- taking mounts away ---- */

static void run_helper(const char *path)
{
	pid_t child = fork();

	if (!child) {
		/* Where libfuse looks for it first, too. */
		execl("/usr/bin/" HELPER, HELPER, "-u", "-q", "-z", "--", path, (char *)NULL);
		execlp(HELPER, HELPER, "-u", "-q", "-z", "--", path, (char *)NULL);
		_exit(127);
	}
	if (child > 0)
		waitpid(child, NULL, 0);
}

/* Takes away the mount that begins at PATH, which descriptor FD is of. */
static void detach(int fd, const char *path)
{
	char link[64];

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (umount2(link, MNT_DETACH) && errno == EPERM)
		/* It checks itself whether the mount is ours. */
		run_helper(path);
}

/*
 * Opens the place where mount ID is now.
 * Return: a descriptor, which pins the mount, or a negative errno.
 */
static int open_mount(const struct mount_id *id, struct mount_line *line)
{
	_cleanup_close_ int fd = -1;
	char point[PATH_MAX];

	if (!mountpoint_find_mount(id->number, line))
		return -ENOENT;
	strcpy(point, line->point);
	fd = open_place(point, line);
	if (fd < 0)
		return fd;
	if (line->id.number != id->number || strcmp(line->id.device, id->device))
		return -ENOENT;
	return steal_fd(fd);
}

/* Whether the directory FD is of a file system that nobody serves any more. */
static bool is_dead(int fd)
{
	/* Its attributes may still be cached: only opening it asks the daemon. */
	_cleanup_close_ int probe = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	/* Or soon will be: a dead daemon's descriptor may be closed a moment later. */
	return probe < 0 && (errno == ENOTCONN || errno == ECONNABORTED);
}

bool mountpoint_is_gone(int fd)
{
	struct pollfd poll_fd = { .fd = fd };

	return poll(&poll_fd, 1, 0) == 1 && poll_fd.revents & POLLERR;
}

/* A damonfs that was killed leaves a mount behind on which everything is ENOTCONN. */
static void clean_up_dead_mount(const char *path)
{
	struct mount_line line;
	_cleanup_close_ int fd = open_place(path, &line);

	if (fd < 0 || !line.id.number || strcmp(line.type, MOUNTS_TYPE) || !is_dead(fd))
		return;
	log_info("%s: unmounting a stale mount left by a dead damonfs", path);
	detach(fd, path);
}

/* ---- mounting ---- */

bool mountpoint_is_passed(const char *path)
{
	return !strncmp(path, FD_PATH, strlen(FD_PATH));
}

static int take_passed(const char *path)
{
	struct stat st;
	char *end;
	long fd = strtol(path + strlen(FD_PATH), &end, 10);

	if (*end || fd < 0 || fd > INT_MAX || fstat((int)fd, &st) || !S_ISCHR(st.st_mode) ||
	    st.st_rdev != FUSE_DEVICE) {
		log_error("%s is not a descriptor of /dev/fuse: pass one that is mounted", path);
		return -EBADF;
	}
	fcntl((int)fd, F_SETFD, FD_CLOEXEC);
	return (int)fd;
}

/* Checks that there are enough descriptors to mount and to take the mount away again. */
static int check_descriptors(int fd)
{
	int spare[6], r = 0;
	size_t nr = 0;

	while (!r && nr < ARRAY_SIZE(spare)) {
		spare[nr] = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		if (spare[nr] < 0)
			r = -errno;
		else
			nr++;
	}
	while (nr)
		close(spare[--nr]);
	return r;
}

static int check_place(const char *path)
{
	_cleanup_close_ int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : check_descriptors(fd);
}

/* The janitor's, when the daemon no longer serves: a live mount is another's. */
static void detach_for_janitor(void *argument)
{
	struct mount_line line;
	_cleanup_close_ int fd = open_mount(argument, &line);

	if (fd >= 0 && is_dead(fd))
		detach(fd, line.point);
}

/* Once privileges are given up for good, only a process from before can do it. */
static int start_janitor(struct mountpoint *mountpoint)
{
	struct clean_up clean_up = { detach_for_janitor,
				     NULL,
				     { -1, -1 },
				     capable_of(CAP_SYS_ADMIN) ? NEEDS_MOUNTS : NEEDS_NOTHING };
	struct mount_id *id = malloc(sizeof(*id));
	int r;

	if (!id)
		return -ENOMEM;
	*id = mountpoint->id;
	clean_up.argument = id;
	r = janitor_start(&clean_up, 1, &mountpoint->janitor);
	clean_up_forget(&clean_up);
	return r;
}

/* Opens the mount just made, with more tries while the kernel has no memory for it. */
static int open_place_patiently(const char *path, struct mount_line *line)
{
	int fd = open_place(path, line);

	for (int i = 0; (fd < 0 || !line->id.number) && i < FIND_TRIES; i++) {
		if (fd >= 0)
			close(fd);
		usleep(1000);
		fd = open_place(path, line);
	}
	return fd;
}

int mountpoint_try_device(struct access_why *why)
{
	_cleanup_close_ int fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	int r = fd < 0 ? -errno : 0;

	if (!r)
		return 0;
	if (r == -ENOENT || r == -ENODEV || r == -ENXIO)
		return access_because(why, r,
				      "there is no " DEVICE ": modprobe fuse (CONFIG_FUSE_FS); for "
				      "a container: --device " DEVICE);
	if (r == -EACCES && geteuid())
		return access_because(why, r,
				      "you may not open " DEVICE ": chmod 666 " DEVICE
				      ", as most systems have it");
	return access_because(why, r,
			      "cannot open " DEVICE ": %s; for a container: --device " DEVICE,
			      strerror(-r));
}

int mountpoint_missing(struct access_why *why)
{
	int r = mountpoint_try_device(why);

	if (r || capable_of(CAP_SYS_ADMIN))
		return r;
	return access_because(
		why, -EPERM,
		"mounting takes CAP_SYS_ADMIN (for a container: --cap-add SYS_ADMIN), "
		"or " HELPER " (the package fuse3), or somebody who mounts and passes "
		"a descriptor (damonfs lend)");
}

/* Says what is missing, if that can be told. */
static void say_what_is_missing(void)
{
	struct access_why why;

	if (mountpoint_missing(&why))
		log_error("%s", why.text);
}

/* libfuse keeps a few bytes for good. */
static int open_channel(const char *path, const char *options)
{
	int fd;

	__lsan_disable();
	fd = fuse_open_channel(path, options);
	__lsan_enable();
	return fd;
}

int mountpoint_mount(const char *path, const char *options, bool stays_privileged,
		     struct mountpoint *out)
{
	_cleanup_close_ int fd = -1, place = -1;
	struct mount_line line;
	int r;

	*out = (struct mountpoint){ 0 };
	if (mountpoint_is_passed(path))
		return take_passed(path);
	clean_up_dead_mount(path);
	r = check_place(path);
	if (r)
		return r;
	fd = open_channel(path, options);
	if (fd < 0) {
		say_what_is_missing();
		return -EIO; /* libfuse has said why */
	}
	place = open_place_patiently(path, &line);
	if (place >= 0)
		out->id = line.id;
	if (!out->id.number)
		log_info("cannot find the new mount on %s: damonfs will not unmount it; do so by "
			 "hand",
			 path);
	r = out->id.number && !(stays_privileged && capable_of(CAP_SYS_ADMIN)) ?
		    start_janitor(out) :
		    0;
	if (r) {
		log_error("cannot start the janitor, which unmounts %s at the end: %s", path,
			  strerror(-r));
		mountpoint_leave(out, fd);
		return r;
	}
	return steal_fd(fd);
}

int mountpoint_find(const char *path, int fuse_fd, struct mountpoint *out)
{
	struct mount_line line;
	_cleanup_close_ int place = open_place(path, &line);

	*out = (struct mountpoint){ 0 };
	if (place < 0)
		return place;
	if (mountpoint_is_gone(fuse_fd) || !line.id.number || strcmp(line.type, MOUNTS_TYPE))
		return -ENOTCONN;
	out->id = line.id;
	return 0;
}

void mountpoint_leave(const struct mountpoint *mountpoint, int fuse_fd)
{
	struct mount_line line;
	_cleanup_close_ int fd = -1;

	if (!mountpoint->id.number || mountpoint->janitor)
		return;
	fd = open_mount(&mountpoint->id, &line);
	for (int i = 0; fd < 0 && i < FIND_TRIES && !mountpoint_is_gone(fuse_fd); i++) {
		usleep(1000);
		fd = open_mount(&mountpoint->id, &line);
	}
	/* A number is not reused while its mount exists: so it is still the same. */
	if (fd >= 0 && !mountpoint_is_gone(fuse_fd))
		detach(fd, line.point);
}

void mountpoint_clear(struct mountpoint *mountpoint)
{
	janitor_end(mountpoint->janitor);
	*mountpoint = (struct mountpoint){ 0 };
}
