// SPDX-License-Identifier: GPL-2.0-or-later
/* Naming a process and holding on to it; see process.h. */
#include <errno.h>
#include <fcntl.h>
#include <libproc2/pids.h>
#include <linux/ioctl.h>
#include <linux/nsfs.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "access/cleanup.h"
#include "access/log.h"
#include "access/process.h"

#ifndef NS_GET_TGID_IN_PIDNS
/* Linux 6.11: what a pid of the namespace of the descriptor is called here, and the other way. */
#define NS_GET_PID_FROM_PIDNS _IOR(0xb7, 0x6, int)
#endif

/* The figures of /proc/TID/status that matter here. */
struct task_status {
	pid_t tgid;
	uid_t uid[4]; /* real, effective, saved, file system */
	gid_t gid[4];
	pid_t ns_pid[32]; /* from the outermost namespace that we can see to the task's own */
	int nr_ns_pid;
};

static int read_status(const char *path, struct task_status *status)
{
	_cleanup_fclose_ FILE *file = fopen(path, "re");
	char line[512];

	if (!file)
		return -errno;
	*status = (struct task_status){ 0 };
	while (fgets(line, sizeof(line), file)) {
		char *rest = strchr(line, ':');

		if (!rest)
			continue;
		*rest++ = '\0';
		if (!strcmp(line, "Tgid")) {
			status->tgid = (pid_t)strtol(rest, NULL, 10);
		} else if (!strcmp(line, "Uid") || !strcmp(line, "Gid")) {
			unsigned int *id = line[0] == 'U' ? status->uid : status->gid;

			for (int i = 0; i < 4; i++)
				id[i] = (unsigned int)strtoul(rest, &rest, 10);
		} else if (!strcmp(line, "NSpid")) {
			for (char *word = strtok(rest, " \t\n");
			     word && status->nr_ns_pid < (int)ARRAY_SIZE(status->ns_pid);
			     word = strtok(NULL, " \t\n"))
				status->ns_pid[status->nr_ns_pid++] = (pid_t)strtol(word, NULL, 10);
		}
	}
	/* The file could be opened, but the task is gone: nothing was in it. */
	return status->tgid ? 0 : -ESRCH;
}

static int pid_namespace_of(pid_t pid, ino_t *out)
{
	struct stat st;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/pid", pid);
	if (stat(path, &st))
		return -errno;
	*out = st.st_ino;
	return 0;
}

/*
 * What task PID of the namespace with inode NS, nested DEPTH deep, is called here, by looking at
 * every task: for kernels that cannot be asked.
 */
static int scan_for(pid_t pid, ino_t ns, int depth, pid_t *out)
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
		if (read_status(path, &status) || status.nr_ns_pid <= depth ||
		    status.ns_pid[depth] != pid)
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
static int translate(pid_t pid, const struct process_caller *caller, pid_t *out)
{
	struct task_status status;
	ino_t ours = 0, theirs = 0;
	char path[64];
	int r;

	*out = pid;
	if (!caller || caller->pid <= 0)
		return 0;
	r = pid_namespace_of(caller->pid, &theirs);
	/* The caller went away or is not ours to look at: it is in our own namespace, or lost. */
	if (r)
		return 0;
	r = pid_namespace_of(getpid(), &ours);
	if (r)
		return r;
	if (ours == theirs)
		return 0;

	snprintf(path, sizeof(path), "/proc/%d/ns/pid", caller->pid);
	_cleanup_close_ int ns = open(path, O_RDONLY | O_CLOEXEC);

	if (ns >= 0) {
		r = ioctl(ns, NS_GET_PID_FROM_PIDNS, pid);
		if (r > 0) {
			*out = r;
			return 0;
		}
		if (errno == ESRCH)
			return -ESRCH;
	}
	snprintf(path, sizeof(path), "/proc/%d/status", caller->pid);
	r = read_status(path, &status);
	if (r)
		return r;
	return scan_for(pid, theirs, status.nr_ns_pid - 1, out);
}

/* The inode number of the pid namespace of CALLER, or of our own; 0 if it cannot be told. */
static ino_t namespace_of(const struct process_caller *caller)
{
	ino_t ns = 0;

	if (!caller || caller->pid <= 0 || pid_namespace_of(caller->pid, &ns))
		pid_namespace_of(getpid(), &ns);
	return ns;
}

/* What PROCESS is called in the namespace NS, up the namespaces from its own; 0 if it is in none. */
static pid_t pid_in(const struct process *process, ino_t ns)
{
	struct task_status status;
	char path[64];
	struct stat st;
	int fd, parent;

	snprintf(path, sizeof(path), "/proc/%d/status", process->tid);
	fd = process_open_file(process, "ns/pid", O_RDONLY);
	if (fd < 0)
		return 0;
	/* It still exists, then the number is its own. */
	if (read_status(path, &status) || !process_exists(process))
		status.nr_ns_pid = 0;
	for (int level = status.nr_ns_pid - 1; level >= 0; level--) {
		if (!fstat(fd, &st) && st.st_ino == ns) {
			close(fd);
			return status.ns_pid[level];
		}
		parent = ioctl(fd, NS_GET_PARENT);
		if (parent < 0)
			break;
		close(fd);
		fd = parent;
	}
	close(fd);
	return 0;
}

pid_t process_pid_for(const struct process *process, const struct process_caller *reader)
{
	ino_t ns = namespace_of(reader);

	if (ns == process->given_ns)
		return process->given_pid;
	return ns == namespace_of(NULL) ? process->tid : pid_in(process, ns);
}

/* PTRACE_MODE_READ as ptrace(2) has it, for a caller without capabilities. */
static int check_owner(const struct process *process, const struct task_status *status,
		       const struct process_caller *caller)
{
	struct stat st;

	if (!caller || caller->uid == 0)
		return 0;
	for (int i = 0; i < 3; i++)
		if (status->uid[i] != caller->uid)
			return -EPERM;
	/* A process that must not be dumped belongs to root in /proc. */
	if (fstat(process->procfd, &st))
		return -errno;
	return st.st_uid == caller->uid ? 0 : -EPERM;
}

int process_open(pid_t pid, const struct process_caller *caller, struct process **out)
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
				     .tid = pid,
				     .pidfd = -1,
				     .procfd = -1,
				     .given_pid = given,
				     .given_ns = namespace_of(caller) };

	snprintf(path, sizeof(path), "/proc/%d", pid);
	process->procfd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (process->procfd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	r = read_status(path, &status);
	if (r)
		return r == -ENOENT ? -ESRCH : r;
	process->pid = status.tgid;
	process->pidfd = (int)syscall(SYS_pidfd_open, process->pid, 0);
	/* Without pidfds (before Linux 5.3) it can be watched, if not acted upon. */
	if (process->pidfd < 0 && errno != ENOSYS)
		return -errno;
	/* Both were found by number; as the first still exists now, the second is of it. */
	if (!process_exists(process))
		return -ESRCH;
	r = check_owner(process, &status, caller);
	if (r == -EPERM)
		log_info("pid %d may not be targeted by user %u, who may not trace it", given,
			 caller->uid);
	if (r)
		return r;
	*out = steal_ptr(process);
	return 0;
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
	free(process);
	return NULL;
}

void process_putp(struct process **process)
{
	*process = process_put(*process);
}

bool process_exists(const struct process *process)
{
	/* A directory of /proc that is held open stands for the task, not for its number. */
	return !faccessat(process->procfd, "stat", F_OK, 0);
}

int process_open_file(const struct process *process, const char *name, int flags)
{
	int fd = openat(process->procfd, name, flags | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}
