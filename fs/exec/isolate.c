// SPDX-License-Identifier: GPL-2.0-or-later
/* Beside the trees: see isolate.h. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fs/exec/isolate.h"
#include "fs/exec/overmount.h"
#include "util/cleanup.h"
#include "util/log.h"

#define COPY "damonfs" /* the name of the copy */

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

static bool is_alone(void)
{
	char path[PATH_MAX] = "";

	return readlink("/proc/self/exe", path, sizeof(path) - 1) > 0 &&
	       !strncmp(path, "/memfd:" COPY, strlen("/memfd:" COPY));
}

void isolate_program(char **argv)
{
	_cleanup_close_ int from = -1, to = -1;
	struct stat st;

	if (is_alone()) {
		prctl(PR_SET_NAME, "damonfs");
		return;
	}
	/* A copy has no capabilities of its own. */
	if (geteuid() || getauxval(AT_SECURE))
		return;
	from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	to = memfd_create(COPY, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
	if (to < 0)
		to = memfd_create(COPY, MFD_CLOEXEC | MFD_ALLOW_SEALING); /* before Linux 6.3 */
	if (from < 0 || to < 0 || fstat(from, &st))
		return;
	for (off_t left = st.st_size; left > 0;) {
		ssize_t bytes = sendfile(to, from, NULL, (size_t)left);

		if (bytes <= 0)
			return;
		left -= bytes;
	}
	/* Nobody may put anything else in its place. */
	if (fcntl(to, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		return;
	syscall(SYS_execveat, to, "", argv, environ, AT_EMPTY_PATH);
	log_debug("cannot run a copy of damonfs: %s", strerror(errno));
}

void isolate_modules(void)
{
	static const char *const modules[] = { "damon_reclaim", "damon_lru_sort", "damon_stat" };
	char path[PATH_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(modules); i++) {
		snprintf(path, sizeof(path), "/sys/module/%s/parameters", modules[i]);
		if (!access(path, F_OK) && mount("damonfs", path, "tmpfs", MS_RDONLY, "mode=755"))
			log_info("cannot hide %s: %s; the command sees the kernel's", path,
				 strerror(errno));
	}
}

/* The files that damo remembers in; versions before 3 have the second. */
static const char *const damo_files[] = { ".damo.sysinfo", ".damo.damon_feature_supports" };

#define NR_DAMO_FILES ARRAY_SIZE(damo_files)

/* For the janitor: files that may exist only to be covered, each locked by its users. */
struct litter {
	char path[NR_DAMO_FILES][PATH_MAX];
	int fds[NR_DAMO_FILES];
};

/* Whether PATH leads to the file of FD. */
static bool is_at(int fd, const char *path)
{
	struct stat ours, there;

	return !fstat(fd, &ours) && !lstat(path, &there) && ours.st_dev == there.st_dev &&
	       ours.st_ino == there.st_ino;
}

/* The last user removes the file, if it is still empty. */
static void remove_litter(void *argument)
{
	const struct litter *litter = argument;
	struct stat st;

	for (size_t i = 0; i < NR_DAMO_FILES; i++) {
		int fd = litter->fds[i];

		/* In this namespace another file covers it. */
		if (fd >= 0 && !umount2(litter->path[i], MNT_DETACH | UMOUNT_NOFOLLOW) &&
		    !flock(fd, LOCK_EX | LOCK_NB) && !fstat(fd, &st) && !st.st_size &&
		    is_at(fd, litter->path[i]))
			unlink(litter->path[i]);
	}
}

/* Another owner of the directory may have put anything there.  Return: 0 or a negative errno. */
static int check_own_file(int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid())
		return -EPERM;
	/* Somebody may just have removed it. */
	return st.st_nlink ? 0 : -ESTALE;
}

/*
 * Opens the file with a lock, or makes it.  Waits only for those who remove it, for a moment.
 * Return: its descriptor or a negative errno.
 */
static int open_shared(const char *path)
{
	for (int tries = 0; tries < 100; tries++) {
		_cleanup_close_ int fd =
			open(path, O_CREAT | O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0644);
		int r = fd < 0 ? -errno : check_own_file(fd);

		if (r && r != -ESTALE)
			return r;
		if (!flock(fd, LOCK_SH | LOCK_NB)) {
			if (!check_own_file(fd))
				return steal_fd(fd);
		} else if (errno != EWOULDBLOCK) {
			return -errno;
		}
		usleep(1000);
	}
	return -EBUSY;
}

/* Covers the file of FD with an empty one. */
static int cover_descriptor(int fd)
{
	char path[64];

	/* By name, something else might be covered. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return overmount_file(path, "", 0);
}

int isolate_damo(struct clean_up *clean_up)
{
	const char *home = getenv("HOME");
	struct litter *litter;

	if (!home || *home != '/')
		return -ENOENT;
	litter = calloc(1, sizeof(*litter));
	if (!litter)
		return -ENOMEM;
	for (size_t i = 0; i < NR_DAMO_FILES; i++) {
		int r;

		snprintf(litter->path[i], PATH_MAX, "%s/%s", home, damo_files[i]);
		litter->fds[i] = open_shared(litter->path[i]);
		r = litter->fds[i] < 0 ? litter->fds[i] : cover_descriptor(litter->fds[i]);
		if (r)
			log_debug("cannot cover %s: %s", litter->path[i], strerror(-r));
	}
	*clean_up = (struct clean_up){
		remove_litter, litter, { litter->fds[0], litter->fds[1] }, NEEDS_ALL
	};
	return 0;
}
