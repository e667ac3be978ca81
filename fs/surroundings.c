// SPDX-License-Identifier: GPL-2.0-or-later
/* Beside the trees: see surroundings.h. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "access/cleanup.h"
#include "access/log.h"
#include "fs/cover.h"
#include "fs/surroundings.h"

#define COPY "damonfs" /* the name of the copy */

static bool is_alone(void)
{
	char path[PATH_MAX] = "";

	return readlink("/proc/self/exe", path, sizeof(path) - 1) > 0 &&
	       !strncmp(path, "/memfd:" COPY, strlen("/memfd:" COPY));
}

void surroundings_be_alone(char **argv)
{
	_cleanup_close_ int from = -1, to = -1;
	struct stat st;

	if (is_alone()) {
		prctl(PR_SET_NAME, "damonfs");
		return;
	}
	from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	to = memfd_create(COPY, MFD_CLOEXEC);
	if (from < 0 || to < 0 || fstat(from, &st))
		return;
	for (off_t left = st.st_size; left > 0;) {
		ssize_t bytes = sendfile(to, from, NULL, (size_t)left);

		if (bytes <= 0)
			return;
		left -= bytes;
	}
	syscall(SYS_execveat, to, "", argv, environ, AT_EMPTY_PATH);
	log_debug("a copy of damonfs cannot be run: %s", strerror(errno));
}

void surroundings_hide_modules(void)
{
	static const char *const modules[] = { "damon_reclaim", "damon_lru_sort", "damon_stat" };
	char path[PATH_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(modules); i++) {
		snprintf(path, sizeof(path), "/sys/module/%s/parameters", modules[i]);
		if (!access(path, F_OK) && mount("damonfs", path, "tmpfs", MS_RDONLY, "mode=755"))
			log_info("%s: %s; it is the kernel's", path, strerror(errno));
	}
}

const char *surroundings_separate_damo(void)
{
	static char path[PATH_MAX];
	const char *home = getenv("HOME");
	int fd, r;

	if (!home || *home != '/')
		return NULL;
	snprintf(path, sizeof(path), "%s/.damo.sysinfo", home);
	fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0 && errno != EEXIST)
		return NULL;
	r = cover_file(path, "", 0);
	if (r)
		log_debug("%s: %s", path, strerror(-r));
	if (fd < 0)
		return NULL;
	close(fd);
	return path;
}
