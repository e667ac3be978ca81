// SPDX-License-Identifier: LGPL-2.1-or-later
/* Naming a process and holding on to it; see process.h. */
#include <errno.h>
#include <fcntl.h>
#include <libproc2/pids.h>
#include <linux/ioctl.h>
#include <linux/nsfs.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "access/proc/process.h"
#include "access/rights/may.h"
#include "access/rights/status.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/log.h"

#ifndef NS_GET_TGID_IN_PIDNS
/* Linux 6.11: translates pids between the descriptor's namespace and ours. */
#define NS_GET_PID_FROM_PIDNS _IOR(0xb7, 0x6, int)
#endif

/* How long an agent may take to answer whether a process may be named. */
#define NAMING_MS 1000

static int process_inode_of(const char *path, ino_t *out)
{
	struct stat st;

	if (stat(path, &st))
		return -errno;
	*out = st.st_ino;
	return 0;
}

static int pid_namespace_of(pid_t pid, ino_t *out)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/pid", pid);
	return process_inode_of(path, out);
}

/* Not by number: /proc may be that of another pid namespace. */
static int our_pid_namespace(ino_t *out)
{
	return process_inode_of("/proc/self/ns/pid", out);
}

/*
 * Finds our pid of task PID of the namespace with inode NS, nested DEPTH deep, by looking at every
 * task: for kernels without the ioctl.
 */
static int scan_for(pid_t pid, ino_t ns, size_t depth, pid_t *out)
{
	enum pids_item items[] = { PIDS_ID_TID };
	struct pids_info *info = NULL;
	struct pids_stack *stack;
	int r = -ESRCH;

	if (procps_pids_new(&info, items, ARRAY_SIZE(items)) < 0)
		return -ENOMEM;
	while (r && (stack = procps_pids_get(info, PIDS_FETCH_THREADS_TOO))) {
		pid_t tid = stack->head[0].result.s_int;
		struct task_status status;
		char path[64];
		ino_t its = 0;

		snprintf(path, sizeof(path), "/proc/%d/status", tid);
		if (status_read(AT_FDCWD, path, &status))
			continue;
		status_clear(&status);
		if (status.nr_ns_pid <= depth || status.ns_pid[depth] != pid)
			continue;
		/* A task of a deeper namespace has a pid in NS too. */
		if (status.nr_ns_pid == depth + 1 && (pid_namespace_of(tid, &its) || its != ns))
			continue;
		*out = tid;
		r = 0;
	}
	procps_pids_unref(&info);
	return r;
}

/* Translates PID as CALLER sees it into our own pid namespace. */
static int translate(pid_t pid, const struct caller *caller, pid_t *out)
{
	ino_t ours = 0;
	int r = our_pid_namespace(&ours);

	*out = pid;
	if (!caller)
		return 0;
	if (r)
		return r;
	if (ours == caller->pid_ns)
		return 0;
	r = ioctl(caller->pid_ns_fd, NS_GET_PID_FROM_PIDNS, pid);
	if (r > 0) {
		*out = r;
		return 0;
	}
	if (r < 0 && errno == ESRCH)
		return -ESRCH;
	return scan_for(pid, caller->pid_ns, caller->pid_ns_depth, out);
}

/* The inode number of the pid namespace of READER, or of our own; 0 if it cannot be told. */
static ino_t process_namespace_of(const struct process_caller *reader)
{
	ino_t ns = 0;

	if (!reader)
		our_pid_namespace(&ns);
	else if (reader->pid > 0 && pid_namespace_of(reader->pid, &ns))
		ns = 0;
	return ns;
}

/*
 * Takes PROCESS's pids from STATUS, up the namespaces from its own; none if we may not see these.
 * Return: 0, or a negative errno if they cannot be seen now.
 */
static int take_names(struct process *process, const struct task_status *status)
{
	int fd = process_open_file(process, "ns/pid", O_RDONLY);
	struct stat st;

	process->names = calloc(status->nr_ns_pid + 1, sizeof(*process->names));
	for (size_t level = status->nr_ns_pid; process->names && fd >= 0 && level; level--) {
		int parent;

		if (!fstat(fd, &st))
			process->names[process->nr_names++] =
				(struct process_name){ st.st_ino, status->ns_pid[level - 1] };
		parent = ioctl(fd, NS_GET_PARENT);
		if (parent < 0)
			parent = -errno;
		close(fd);
		fd = parent;
	}
	if (fd >= 0)
		close(fd);
	if (!process->names)
		return -ENOMEM;
	return error_is_shortage(fd) ? fd : 0;
}

static int copy_names(const struct process *from, struct process *to)
{
	to->names = calloc(from->nr_names + 1, sizeof(*to->names));
	if (!to->names)
		return -ENOMEM;
	for (; to->nr_names < from->nr_names; to->nr_names++)
		to->names[to->nr_names] = from->names[to->nr_names];
	return 0;
}

static pid_t pid_in(const struct process *process, ino_t ns)
{
	for (size_t i = 0; i < process->nr_names; i++)
		if (process->names[i].ns == ns)
			return process->names[i].pid;
	return 0;
}

pid_t process_pid_for(const struct process *process, const struct process_caller *reader)
{
	ino_t ns = process_namespace_of(reader);

	if (!ns)
		return 0;
	if (ns == process->given_ns)
		return process->given_pid;
	return ns == process_namespace_of(NULL) ? process->tid : pid_in(process, ns);
}

/* Whether PROCESS's caller may watch it.  Return: as process_may(), but never -EAGAIN. */
static int process_ask(const struct process *process)
{
	int r = process_may(process, CALLER_WATCH, NAMING_MS);

	if (r == -EPERM)
		log_info("user %u may not watch pid %d: the kernel does not let them trace it, "
			 "unless it is theirs and has no capabilities that they lack, or they have "
			 "CAP_SYS_PTRACE",
			 process->caller->uid, process->given_pid);
	if (r == -EAGAIN)
		log_info("user %u cannot watch pid %d: the process `damonfs:agent', which asks the "
			 "kernel on their behalf, did not answer in time",
			 process->caller->uid, process->given_pid);
	return r == -EAGAIN ? -EPERM : r;
}

int process_open(pid_t pid, struct caller *caller, struct process **out)
{
	__attribute__((cleanup(process_putp))) struct process *process = NULL;
	struct task_status status;
	pid_t given = pid;
	char path[64];
	int r;

	if (pid <= 0)
		return -ESRCH;
	r = translate(pid, caller, &pid);
	if (r)
		return r;
	process = malloc(sizeof(*process));
	if (!process)
		return -ENOMEM;
	*process = (struct process){ .refs = 1,
				     .caller = caller_get(caller),
				     .tid = pid,
				     .pidfd = -1,
				     .procfd = -1,
				     .given_pid = given,
				     .given_ns = caller ? caller->pid_ns :
							  process_namespace_of(NULL) };

	snprintf(path, sizeof(path), "/proc/%d", pid);
	process->procfd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (process->procfd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	r = status_read(process->procfd, "status", &status);
	if (r)
		return r;
	process->pid = status.tgid;
	r = take_names(process, &status);
	status_clear(&status);
	if (r)
		return r;
	process->pidfd = (int)syscall(SYS_pidfd_open, process->pid, 0);
	/* Without pidfds (before Linux 5.3) it can be watched, if not acted upon. */
	if (process->pidfd < 0 && errno != ENOSYS)
		return -errno;
	/* Both were found by number: the first still exists, so both are the same process. */
	if (!process_exists(process))
		return -ESRCH;
	r = process_ask(process);
	if (r)
		return r;
	*out = steal_ptr(process);
	return 0;
}

int process_for(const struct process *process, struct caller *caller, struct process **out)
{
	__attribute__((cleanup(process_putp))) struct process *other = malloc(sizeof(*other));
	int r;

	if (!other)
		return -ENOMEM;
	*other = (struct process){ .refs = 1,
				   .caller = caller_get(caller),
				   .tid = process->tid,
				   .pid = process->pid,
				   .pidfd = -1,
				   .procfd = -1,
				   .given_pid = process->given_pid,
				   .given_ns = process->given_ns };
	other->procfd = fcntl(process->procfd, F_DUPFD_CLOEXEC, 0);
	if (process->pidfd >= 0)
		other->pidfd = fcntl(process->pidfd, F_DUPFD_CLOEXEC, 0);
	if (other->procfd < 0 || (process->pidfd >= 0 && other->pidfd < 0))
		return -errno;
	r = copy_names(process, other);
	if (!r)
		r = process_ask(other);
	/* Nobody needs a right over a process that has gone since. */
	if (r && r != -ESRCH)
		return r;
	*out = steal_ptr(other);
	return 0;
}

int process_may(const struct process *process, enum caller_right right, int timeout_ms)
{
	return caller_may(process->caller, process->procfd, process->pid, right, timeout_ms);
}

struct process *process_get(struct process *process)
{
	atomic_fetch_add(&process->refs, 1);
	return process;
}

struct process *process_put(struct process *process)
{
	if (!process || atomic_fetch_sub(&process->refs, 1) != 1)
		return NULL;
	if (process->pidfd >= 0)
		close(process->pidfd);
	if (process->procfd >= 0)
		close(process->procfd);
	caller_put(process->caller);
	free(process->names);
	free(process);
	return NULL;
}

void process_putp(struct process **process)
{
	*process = process_put(*process);
}

bool process_exists(const struct process *process)
{
	/* An open directory of /proc stands for the task, not for its number. */
	return !faccessat(process->procfd, "stat", F_OK, 0);
}

int process_open_file(const struct process *process, const char *name, int flags)
{
	int fd = openat(process->procfd, name, flags | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int process_open_file_as_daemon(const struct process *process, const char *name, int flags)
{
	int r = process_may(process, CALLER_WATCH, NAMING_MS), fd;

	if (r)
		return r;
	fd = caller_open_as_daemon(process->procfd, name, flags);
	if (fd < 0)
		return fd;
	/* It may have executed a program of other privileges meanwhile. */
	r = process_may(process, CALLER_WATCH, NAMING_MS);
	if (!r)
		return fd;
	close(fd);
	return r;
}

uint64_t process_started(pid_t pid)
{
	struct task_stat stat;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	return stat_read(AT_FDCWD, path, &stat) ? 0 : stat.started;
}
