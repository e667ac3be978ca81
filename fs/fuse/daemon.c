// SPDX-License-Identifier: GPL-2.0-or-later
/* The background: see daemon.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fs/fuse/daemon.h"
#include "util/cleanup.h"

/* Waits until CHILD says by FD that it is ready.  Return: DAEMON_IS_READY or -ECHILD. */
static int wait_for(pid_t child, int fd)
{
	ssize_t bytes;
	char ready;

	do
		bytes = read(fd, &ready, 1);
	while (bytes < 0 && errno == EINTR);
	if (bytes == 1)
		return DAEMON_IS_READY;
	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
	return -ECHILD;
}

int daemon_fork(struct daemon *daemon, pid_t *child)
{
	_cleanup_close_ int reading = -1, writing = -1;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	reading = ends[0];
	writing = ends[1];
	*child = fork();
	if (*child < 0)
		return -errno;
	if (*child) {
		close(steal_fd(writing));
		return wait_for(*child, reading);
	}
	daemon->waits = steal_fd(writing);
	setsid();
	return 0;
}

int daemon_begin(struct daemon *daemon)
{
	pid_t child;
	int r = daemon_fork(daemon, &child);

	if (r == DAEMON_IS_READY || r == -ECHILD)
		_exit(r < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
	return r;
}

int daemon_let_go(struct daemon *daemon)
{
	int null;

	if (chdir("/"))
		return -errno;
	if (daemon->waits < 0 || daemon->talks)
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
