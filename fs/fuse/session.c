// SPDX-License-Identifier: GPL-2.0-or-later
/* Mounting, serving and unmounting: see session.h. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "access/access.h"
#include "access/rights/caller.h"
#include "access/rights/privileges.h"
#include "fs/fuse/mountpoint.h"
#include "fs/fuse/requests.h"
#include "fs/fuse/session.h"
#include "fs/keep/restore.h"
#include "fs/keep/shared.h"
#include "fs/root.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/title.h"

/* After a request another one is likely: look for it this long before going to sleep. */
#define SPIN_NS 30000

/* Even if there always is another request, signals are looked for this often. */
#define LOOK_NS 10000000

/* A kdamond that runs longer is held up in the kernel: damonfs ends without it. */
#define STOP_NS 5000000000

/* How long a daemon that takes over waits before it serves, for what was on. */
#define RESUME_NS 1000000000

/* How long a session that is handed over waits for what is held. */
#define HAND_OVER_NS 2000000000

/* How often to try to take the first request when there is no memory for it. */
#define FIRST_TRIES 10

struct session {
	struct fuse_session *fuse;
	struct requests requests;
	struct accounts *accounts;
	char *method;
	struct mountpoint mountpoint;
	struct fuse_buf buffer;
	struct shared *shared; /* with the next daemon and the one before; or NULL */
	unsigned int generation; /* how many daemons were before */
	struct saver saver;
	uint64_t stop_until; /* ns; 0: it is not stopping */
};

/* Attributes only: for anything else the kernel would take a lock that others can hold. */
static void invalidate(uint64_t ino, void *argument)
{
	struct session *session = argument;

	/* It fails if the kernel has forgotten the inode, which does not matter. */
	fuse_lowlevel_notify_inval_inode(session->fuse, ino, -1, 0);
}

/* Logs what libfuse says, perhaps in parts of a line; output for a person (-d) goes as it is. */
static void log_fuse(enum fuse_log_level level, const char *format, va_list args)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static char line[512]; /* so far */
	size_t length;

	if (level == FUSE_LOG_DEBUG) {
		vfprintf(stderr, format, args);
		return;
	}
	pthread_mutex_lock(&lock);
	length = strlen(line);
	vsnprintf(line + length, sizeof(line) - length, format, args);
	length = strlen(line);
	if (length + 1 == sizeof(line) || (length && line[length - 1] == '\n')) {
		line[length - 1] = '\0';
		log_error("%s", line);
		line[0] = '\0';
	}
	pthread_mutex_unlock(&lock);
}

/* Gives libfuse the descriptor FD, which it closes at the end. */
static int session_use(struct session *session, int fd, bool passed)
{
	char fd_path[32];

	snprintf(fd_path, sizeof(fd_path), "/dev/fd/%d", fd);
	if (fuse_session_mount(session->fuse, fd_path)) {
		close(fd);
		return -EIO;
	}
	session->requests.passed = passed;
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	return 0;
}

/* Mounts, so that the mount is ours to take away. */
static int mount_session(struct session *session, const char *options, const char *mountpoint)
{
	/* Methods that see page frames keep CAP_SYS_ADMIN. */
	bool stays_privileged = access_method_uses(session->method) & PRIVILEGES_FRAMES;
	int fd = mountpoint_mount(mountpoint, options, stays_privileged, &session->mountpoint);

	return fd < 0 ? fd : session_use(session, fd, mountpoint_is_passed(mountpoint));
}

/*
 * Makes the tree of a session that others are before or after.
 * Return: 0, or -EPROTO if those before, by another version of damonfs, numbered the files
 * otherwise.
 */
static int share(struct session *session, struct shared *shared, unsigned int generation)
{
	struct tree *tree = session->requests.tree;
	uint64_t files = layouts_hash(tree->layouts);

	if (shared->files && shared->files != files)
		return -EPROTO;
	shared->files = files;
	if (shared->created.tv_sec)
		tree->created = shared->created;
	shared->created = tree->created;
	if (shared->mounted_since)
		session->requests.damonfs.mounted_since = shared->mounted_since;
	shared->mounted_since = session->requests.damonfs.mounted_since;
	session->shared = shared;
	session->generation = generation;
	shared->generation = generation;
	session->requests.outstanding = &shared->outstanding;
	session->requests.texts = &shared->texts;
	/* No daemon before us gave the same numbers. */
	session->requests.handles.next = (uint64_t)generation << 40;
	session->saver.journal = &shared->journal;
	session->requests.damonfs.saver = &session->saver;
	return 0;
}

static int session_start(struct session *session, struct options *options)
{
	fuse_set_log_func(log_fuse);
	session->method = strdup(options->method);
	session->requests.damonfs.method = session->method;
	session->requests.damonfs.mounted_since = clock_ns();
	/* Yama lets a process trace what descends from it, not what descends from its creator. */
	session->requests.damonfs.processes = privileges_has(CAP_SYS_PTRACE);
	session->requests.max_read = options->max_read;
	pthread_cond_init(&session->requests.damonfs.ended, NULL);
	session->requests.tree = tree_new(&root_kind, options->abi, options->uid, options->gid,
					  &session->requests.damonfs);
	session->accounts = accounts_new(&options->limits, options->uid);
	if (!session->method || !session->requests.tree || !session->accounts)
		return -ENOMEM;
	session->requests.tree->accounts = session->accounts;
	session->fuse = fuse_session_new(&options->args, &requests_operations,
					 sizeof(requests_operations), &session->requests);
	return session->fuse ? 0 : -EINVAL; /* libfuse has said why */
}

/* Hands over SESSION, or ends it for R, a negative errno. */
static int session_give(struct session *session, int r, const char *what, struct session **out)
{
	/* Of libfuse's lines, some have no memory either. */
	if (r)
		log_error("cannot mount damonfs on %s: %s", what, strerror(-r));
	if (r && session)
		session_end(session);
	else
		*out = session;
	return r;
}

int session_mount(struct options *options, const char *mountpoint, struct session **out)
{
	struct session *session = calloc(1, sizeof(*session));
	/* Before libfuse takes what it knows off the list. */
	_cleanup_free_ char *for_mount = options_for_mount(options);
	int r = session && for_mount ? session_start(session, options) : -ENOMEM;

	if (!r)
		r = mount_session(session, for_mount, mountpoint);
	return session_give(session, r, mountpoint, out);
}

int session_take_over(struct options *options, int fd, struct shared *shared,
		      unsigned int generation, struct session **out)
{
	struct session *session = calloc(1, sizeof(*session));
	int r = session ? session_start(session, options) : -ENOMEM;

	if (!r)
		r = share(session, shared, generation);
	fd = r ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (!r)
		r = fd < 0 ? -errno :
			     session_use(session, fd, mountpoint_is_passed(options->mountpoint));
	return session_give(session, r, options->mountpoint, out);
}

/* Asks all kdamonds to end.  Return: whether they have; until then requests are answered. */
static bool has_stopped(struct session *session)
{
	bool stopped;

	tree_lock(session->requests.tree);
	stopped = runs_stop(session->requests.tree);
	tree_unlock(session->requests.tree);
	return stopped;
}

/* As poll(), with a pause if the kernel has no memory for it. */
static int poll_patiently(struct pollfd *fds, nfds_t nr, int timeout_ms)
{
	int r = poll(fds, nr, timeout_ms);

	if (r < 0 && errno != EINTR)
		usleep(10000);
	return r;
}

/* Waits for a request or a signal, or a while if it is stopping. */
static enum session_next wait_for_work(struct session *session, int signals,
				       enum session_next (*on_signal)(int number, void *argument),
				       void *argument)
{
	struct pollfd fds[] = { { .fd = fuse_session_fd(session->fuse), .events = POLLIN },
				{ .fd = signals, .events = POLLIN } };
	struct signalfd_siginfo info;

	if (poll_patiently(fds, 2, session->stop_until ? 10 : -1) < 0)
		return SESSION_GO_ON;
	if (!(fds[1].revents & POLLIN))
		return SESSION_GO_ON;
	if (read(signals, &info, sizeof(info)) != sizeof(info))
		return SESSION_GO_ON;
	return on_signal((int)info.ssi_signo, argument);
}

/* Takes no more requests, and waits until those that are held are answered. */
static void hand_over(struct session *session)
{
	uint64_t until = clock_ns() + HAND_OVER_NS;

	while (outstanding_any(&session->shared->outstanding) && clock_ns() < until)
		usleep(1000);
}

/*
 * Takes a request to where the next daemon finds it.
 * Return: as fuse_session_receive_buf().
 */
static int take_shared(struct session *session)
{
	struct outstanding *outstanding = &session->shared->outstanding;
	ssize_t bytes;

	bytes = read(fuse_session_fd(session->fuse), outstanding->request, OUTSTANDING_REQUEST);
	if (bytes > 0) {
		outstanding_came(outstanding, (size_t)bytes);
		session->buffer =
			(struct fuse_buf){ .mem = outstanding->request, .size = (size_t)bytes };
		return (int)bytes;
	}
	/* ENOENT: it was interrupted before it came to us. */
	if (bytes < 0 && errno != ENODEV)
		return errno == ENOENT ? -EINTR : -errno;
	fuse_session_exit(session->fuse);
	return 0;
}

/* Handles a request, if there is one.  Return: as fuse_session_receive_buf(). */
static int handle_request(struct session *session)
{
	int bytes = session->shared ? take_shared(session) :
				      fuse_session_receive_buf(session->fuse, &session->buffer);

	if (bytes <= 0)
		return bytes;
	fuse_session_process_buf(session->fuse, &session->buffer);
	if (session->shared)
		outstanding_done(&session->shared->outstanding);
	if (session->requests.serves || fuse_session_exited(session->fuse))
		return bytes;
	log_error("the kernel does not offer permission checks for a mount made by another "
		  "program: let damonfs mount it");
	return -EOPNOTSUPP;
}

/* Handles SIZE bytes at REQUEST again, which a daemon before us had taken. */
static void handle_again(struct session *session, char *request, size_t size)
{
	const struct fuse_buf buffer = { .mem = request, .size = size };

	fuse_session_process_buf(session->fuse, &buffer);
}

/*
 * Waits a moment until what was on is on again, so that nobody sees it off; a target that executes
 * a program may hold it up.
 */
static void wait_for_runs(struct tree *tree)
{
	uint64_t until = clock_ns() + RESUME_NS;
	bool starting;

	do {
		tree_lock(tree);
		starting = runs_are_starting(tree);
		tree_unlock(tree);
		if (starting)
			usleep(500);
	} while (starting && clock_ns() < until);
}

/* Goes on where the daemon before us was. */
static void go_on(struct session *session)
{
	struct outstanding *outstanding = &session->shared->outstanding;
	struct restored last;
	size_t size;

	tree_lock(session->requests.tree);
	last = restore(session->requests.tree);
	tree_unlock(session->requests.tree);
	wait_for_runs(session->requests.tree);
	size = outstanding_answer(outstanding, fuse_session_fd(session->fuse), last.request,
				  last.size);
	if (size)
		handle_again(session, outstanding->request, size);
	outstanding_done(outstanding);
}

/* Whether ERROR is temporary. */
static bool passes(int error)
{
	return error == -EAGAIN || error == -EINTR || error == -ENOMEM;
}

/* The kernel does not ask again: libfuse is told what it asked first. */
static void introduce(struct session *session)
{
	_Alignas(8) char first[OUTSTANDING_FIRST];
	size_t size = outstanding_first(&session->shared->outstanding, first);

	if (size)
		handle_again(session, first, size);
}

int session_begin(struct session *session, int signals)
{
	struct pollfd fds[] = { { .fd = fuse_session_fd(session->fuse), .events = POLLIN },
				{ .fd = signals, .events = POLLIN } };

	if (session->generation)
		introduce(session);
	for (int tries = 0; !session->requests.serves;) {
		int r = handle_request(session);

		/* There is nothing to free yet, and whoever looks at the mount waits. */
		if (r == -ENOMEM && ++tries == FIRST_TRIES)
			return r;
		if (r == -ENOMEM)
			usleep(10000);
		/* libfuse has said why. */
		if (fuse_session_exited(session->fuse))
			return -EPROTO;
		if (r < 0 && !passes(r))
			return r;
		if (r < 0 && poll_patiently(fds, 2, -1) > 0 && fds[1].revents)
			return -EINTR;
	}
	return 0;
}

int session_serve(struct session *session, int signals,
		  enum session_next (*on_signal)(int number, void *argument), void *argument)
{
	uint64_t idle_since = 0, looked = 0;
	enum session_next next;
	int r;

	if (session->requests.damonfs.processes)
		title_join();
	r = answerer_start(session->requests.tree, invalidate, session,
			   &session->requests.damonfs.answerer);

	if (r)
		return r;
	session->requests.damonfs.serves_since = clock_ns();
	if (session->shared)
		session->requests.damonfs.restarts = session->shared->served++;
	if (session->generation)
		go_on(session);
	while (!fuse_session_exited(session->fuse)) {
		uint64_t now;

		r = handle_request(session);
		if (r <= 0 && !passes(r))
			break;
		now = clock_ns();
		if (r > 0)
			idle_since = now;
		if (now - idle_since < SPIN_NS && now - looked < LOOK_NS)
			continue;
		if (r == -ENOMEM)
			poll(NULL, 0, 10);
		if (session->stop_until && (has_stopped(session) || now > session->stop_until))
			break;
		next = wait_for_work(session, signals, on_signal, argument);
		if (next == SESSION_END && !session->stop_until)
			session->stop_until = clock_ns() + STOP_NS;
		if (next == SESSION_HAND_OVER && session->shared && !session->stop_until) {
			hand_over(session);
			return SESSION_HANDED_OVER;
		}
		looked = clock_ns();
	}
	if (fuse_session_exited(session->fuse) && session->requests.serves)
		log_info("unmounted by somebody else: stopping all kdamonds");
	if (r < 0 && !passes(r))
		return r;
	return session->requests.serves || session->stop_until ? 0 :
								 -EPROTO; /* libfuse has said why */
}

/* Return: whether all kdamonds have ended; some may be held up by the kernel. */
static bool stop_all(struct session *session)
{
	uint64_t until = session->stop_until ? session->stop_until : clock_ns() + STOP_NS;
	bool stopped;

	tree_lock(session->requests.tree);
	stopped = runs_stop_all(session->requests.tree, until);
	tree_unlock(session->requests.tree);
	if (!stopped)
		log_error("a kdamond does not stop, held up in the kernel: damonfs unmounts and "
			  "ends without it");
	return stopped;
}

void session_end(struct session *session)
{
	bool stopped = !session->requests.tree || stop_all(session);

	if (stopped && session->requests.damonfs.answerer)
		answerer_stop(session->requests.damonfs.answerer);
	/* Unmounting takes a capability that serving does not. */
	caller_become(NULL);
	if (session->fuse)
		mountpoint_leave(&session->mountpoint, fuse_session_fd(session->fuse));
	mountpoint_clear(&session->mountpoint);
	/* Threads may still use the rest, which stays until the program ends. */
	if (!stopped)
		return;
	if (session->fuse)
		fuse_session_destroy(session->fuse);
	requests_clear(&session->requests);
	tree_free(session->requests.tree);
	saver_clear(&session->saver);
	accounts_free(session->accounts);
	pthread_cond_destroy(&session->requests.damonfs.ended);
	if (!session->shared)
		free(session->buffer.mem);
	free(session->method);
	free(session);
}
