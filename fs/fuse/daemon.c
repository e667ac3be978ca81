// SPDX-License-Identifier: GPL-2.0-or-later
/* The background: see daemon.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "fs/fuse/daemon.h"
#include "util/cleanup.h"

static _Noreturn void wait_for_child(int fd)
{
	ssize_t bytes;
	char ready;

	do
		bytes = read(fd, &ready, 1);
	while (bytes < 0 && errno == EINTR);
	_exit(bytes == 1 ? EXIT_SUCCESS : EXIT_FAILURE);
}

int daemon_begin(struct daemon *daemon)
{
	int ends[2];
	pid_t child;

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	child = fork();
	if (child < 0) {
		close(ends[0]);
		close(ends[1]);
		return -errno;
	}
	if (child) {
		close(ends[1]);
		wait_for_child(ends[0]);
	}
	close(ends[0]);
	daemon->waits = ends[1];
	setsid();
	return 0;
}

int daemon_let_go(struct daemon *daemon)
{
	int null;

	if (chdir("/"))
		return -errno;
	if (daemon->waits < 0)
		return 0;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = 0; null >= 0 && fd <= 2; fd++)
		dup2(null, fd);
	if (null > 2)
		close(null);
	return 0;
}

int daemon_is_ready(struct daemon *daemon)
{
	int r = daemon_let_go(daemon);
	_cleanup_close_ int waits = steal_fd(daemon->waits);

	if (r || waits < 0)
		return r;
	return write(waits, "", 1) == 1 ? 0 : -EPIPE;
}
