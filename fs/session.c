// SPDX-License-Identifier: GPL-2.0-or-later
/* Mounting, serving and unmounting: see session.h. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "access/cleanup.h"
#include "access/log.h"
#include "fs/requests.h"
#include "fs/root.h"
#include "fs/session.h"

/* After a request another one is likely: look for it this long before going to sleep. */
#define SPIN_NS 30000

struct session {
	struct fuse_session *fuse;
	struct requests requests;
	char *method;
	bool mounted;
};

static void invalidate(const struct invalidation *change, void *argument)
{
	struct session *session = argument;

	/* Names that the kernel has forgotten by itself are an error that does not matter. */
	if (*change->name)
		fuse_lowlevel_notify_inval_entry(session->fuse, change->parent_ino, change->name,
						 strlen(change->name));
	else
		fuse_lowlevel_notify_inval_inode(session->fuse, change->parent_ino, -1, 0);
}

/* A damonfs that was killed leaves a mount behind on which everything is ENOTCONN. */
static void clean_up_dead_mount(const char *mountpoint)
{
	/* Its attributes may still be cached: only opening it asks the daemon. */
	_cleanup_close_ int fd = open(mountpoint, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0 || errno != ENOTCONN)
		return;
	log_info("%s: unmounting what a damonfs that died left behind", mountpoint);
	if (!umount2(mountpoint, MNT_DETACH))
		return;
	/* Not root: the helper that made the mount may undo it. */
	pid_t child = fork();

	if (!child) {
		execlp("fusermount3", "fusermount3", "-u", "-z", mountpoint, (char *)NULL);
		_exit(127);
	}
	if (child > 0)
		waitpid(child, NULL, 0);
}

static int start(struct session *session, struct options *options, const char *mountpoint)
{
	session->method = strdup(options->method);
	session->requests.damonfs.method = session->method;
	pthread_cond_init(&session->requests.damonfs.ended, NULL);
	session->requests.tree = tree_new(&root_kind, options->abi, options->uid, options->gid,
					  &session->requests.damonfs);
	if (!session->method || !session->requests.tree)
		return -ENOMEM;
	session->fuse = fuse_session_new(&options->args, &requests_operations,
					 sizeof(requests_operations), &session->requests);
	if (!session->fuse)
		return -EINVAL; /* libfuse has said why */
	clean_up_dead_mount(mountpoint);
	if (fuse_session_mount(session->fuse, mountpoint))
		return -EIO;
	session->mounted = true;
	return 0;
}

int session_mount(struct options *options, const char *mountpoint, struct session **out)
{
	struct session *session = calloc(1, sizeof(*session));
	int r = session ? start(session, options, mountpoint) : -ENOMEM;

	if (r && session)
		session_end(session);
	else
		*out = session;
	return r;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/*
 * Whether all kdamonds have ended, which are asked to.  Until then requests are still answered: the
 * kernel may need one before it forgets a name, which the answer to a held write waits for.
 */
static bool has_stopped(struct session *session)
{
	bool stopped;

	tree_lock(session->requests.tree);
	stopped = runs_stop(session->requests.tree);
	tree_unlock(session->requests.tree);
	return stopped;
}

/* Waits for a request or a signal, or a while if it is STOPPING.  Return: whether to go on. */
static bool wait_for_work(struct session *session, int signals, bool stopping,
			  bool (*on_signal)(int number, void *argument), void *argument)
{
	struct pollfd fds[] = { { .fd = fuse_session_fd(session->fuse), .events = POLLIN },
				{ .fd = signals, .events = POLLIN } };
	struct signalfd_siginfo info;

	if (poll(fds, 2, stopping ? 10 : -1) < 0)
		return errno == EINTR;
	if (!(fds[1].revents & POLLIN))
		return true;
	if (read(signals, &info, sizeof(info)) != sizeof(info))
		return true;
	return !on_signal((int)info.ssi_signo, argument);
}

int session_serve(struct session *session, int signals,
		  bool (*on_signal)(int number, void *argument), void *argument)
{
	int fd = fuse_session_fd(session->fuse);
	struct fuse_buf buffer = { 0 };
	uint64_t idle_since = 0;
	bool stopping = false;
	int r = answerer_start(session->requests.tree, invalidate, session,
			       &session->requests.damonfs.answerer);

	if (r)
		return r;
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	while (!fuse_session_exited(session->fuse)) {
		r = fuse_session_receive_buf(session->fuse, &buffer);
		if (r > 0) {
			fuse_session_process_buf(session->fuse, &buffer);
			idle_since = now_ns();
		} else if (r == -EAGAIN || r == -EINTR) {
			if (now_ns() - idle_since < SPIN_NS)
				continue;
			if (stopping && has_stopped(session))
				break;
			if (!wait_for_work(session, signals, stopping, on_signal, argument))
				stopping = true;
		} else {
			break;
		}
	}
	free(buffer.mem);
	return r < 0 && r != -EAGAIN && r != -EINTR ? r : 0;
}

void session_end(struct session *session)
{
	if (session->requests.tree) {
		tree_lock(session->requests.tree);
		runs_stop_all(session->requests.tree);
		tree_unlock(session->requests.tree);
	}
	if (session->requests.damonfs.answerer)
		answerer_stop(session->requests.damonfs.answerer);
	if (session->mounted)
		fuse_session_unmount(session->fuse);
	if (session->fuse)
		fuse_session_destroy(session->fuse);
	requests_clear(&session->requests);
	tree_free(session->requests.tree);
	pthread_cond_destroy(&session->requests.damonfs.ended);
	free(session->method);
	free(session);
}
