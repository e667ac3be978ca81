/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A process that is watched: held by pidfd and by its directory in /proc from the moment it is
 * named, so that a reused pid is never mistaken for the old process.
 *
 * A struct process is counted; process_get() and process_put() may be called from any thread, and
 * nothing in it changes after process_open().
 */
#ifndef DAMONFS_ACCESS_PROCESS_H
#define DAMONFS_ACCESS_PROCESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct process {
	atomic_uint refs;
	pid_t tid; /* the task that was named, in our pid namespace */
	pid_t pid; /* its thread group's leader */
	int pidfd; /* of the leader: what process_madvise takes */
	int procfd; /* O_PATH of /proc/PID or, for a thread, of /proc/PID/task/TID */
	/* What it was named, and in which pid namespace (its inode number; 0 if unknown). */
	pid_t given_pid;
	ino_t given_ns;
};

/*
 * Who names a process: pid as FUSE reports the caller (in our pid namespace; 0 if it has none
 * there), and its user.  A null caller is the daemon itself.
 */
struct process_caller {
	pid_t pid;
	uid_t uid;
};

/*
 * Finds the task that CALLER calls PID, in the caller's pid namespace.  Thread ids are taken, as
 * the kernel takes them.  A caller who is not root may name only what it might ptrace.
 *
 * Return: 0 and a reference in *OUT, -ESRCH if there is no such task, -EPERM if it is not the
 * caller's, or another negative errno.
 */
int process_open(pid_t pid, const struct process_caller *caller, struct process **out);

struct process *process_get(struct process *process);
struct process *process_put(struct process *process);
void process_putp(struct process **process);

/* Whether the task still exists; a zombie does until it is reaped. */
bool process_exists(const struct process *process);

/*
 * What READER, which may be NULL for the daemon, calls the task in its pid namespace; 0 if it is
 * not visible there.  Whoever has gone is known only in ours and in the one where it was named.
 */
pid_t process_pid_for(const struct process *process, const struct process_caller *reader);

/* Opens a file of the process's /proc directory.  Return: a descriptor or a negative errno. */
int process_open_file(const struct process *process, const char *name, int flags);

#endif
