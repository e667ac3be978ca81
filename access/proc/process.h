/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A process that is watched: held by pidfd and by its directory in /proc from the moment it is
 * named, so that a reused pid is never mistaken for the old process.
 *
 * A struct process is counted; process_get() and process_put() may be called from any thread, and
 * nothing in it changes after process_open().
 */
#ifndef DAMONFS_ACCESS_PROC_PROCESS_H
#define DAMONFS_ACCESS_PROC_PROCESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "access/rights/caller.h"

struct process {
	atomic_uint refs;
	struct caller *caller; /* who named it, in whose name it is watched; NULL: the daemon */
	pid_t tid; /* the task that was named, in our pid namespace */
	pid_t pid; /* its thread group's leader */
	int pidfd; /* of the leader: what process_madvise takes */
	int procfd; /* O_PATH of /proc/PID or, for a thread, of /proc/PID/task/TID */
	/*
	 * What it is called in each pid namespace that it is in, from its own outwards.  It is
	 * looked up when it is named, as its files can make whoever opens them wait.
	 */
	struct process_name {
		ino_t ns;
		pid_t pid;
	} * names;
	size_t nr_names;
	/* What it was named, and in which pid namespace (its inode number; 0 if unknown). */
	pid_t given_pid;
	ino_t given_ns;
};

/*
 * Who reads or writes a file, as FUSE tells: pid in our pid namespace, 0 if it has none there.  A
 * null one is the daemon itself.
 */
struct process_caller {
	pid_t pid;
	uid_t uid;
	gid_t gid;
};

/*
 * Finds the task that CALLER, of whom it takes a reference, calls PID, in the caller's pid
 * namespace.  Thread ids are taken, as the kernel takes them.  The kernel is asked whether the
 * caller may watch it; NULL is the daemon, who may.
 *
 * Return: 0 and a reference in *OUT, -ESRCH if there is no such task, -EPERM if the caller may not
 * watch it, or another negative errno.
 */
int process_open(pid_t pid, struct caller *caller, struct process **out);

/*
 * The same process in the name of CALLER, of whom it takes a reference.
 * Return: as process_open(); one that has gone is found nevertheless.
 */
int process_for(const struct process *process, struct caller *caller, struct process **out);

/* Asks the kernel whether who named the process has RIGHT over it now: see caller_may(). */
int process_may(const struct process *process, enum caller_right right, int timeout_ms);

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

/*
 * Opens a file of the process's /proc directory, as whom the thread works for.
 * Return: a descriptor or a negative errno.
 */
int process_open_file(const struct process *process, const char *name, int flags);

/*
 * The same as the daemon, when the kernel has been asked, before and after, whether who named the
 * process may watch it: for what the daemon has to know and the caller is not shown, as the numbers
 * of frames.
 */
int process_open_file_as_daemon(const struct process *process, const char *name, int flags);

#endif
