/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A watched process, held by pidfd and by its /proc directory from the moment somebody names it, so
 * that a reused pid is never mistaken for it.
 *
 * A struct process is reference-counted; any thread may call process_get() and process_put().
 * Nothing in it changes after process_open().
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
	struct caller *caller; /* who named it, and for whom it is watched; NULL: the daemon */
	pid_t tid; /* the task that was named, in our pid namespace */
	pid_t pid; /* its thread group's leader */
	int pidfd; /* of the leader: what process_madvise takes */
	int procfd; /* O_PATH of /proc/PID or, for a thread, of /proc/PID/task/TID */
	/*
	 * Its pid in each pid namespace that it is in, from its own outwards.  They are looked up
	 * when it is named, because opening its files may block.
	 */
	struct process_name {
		ino_t ns;
		pid_t pid;
	} * names;
	size_t nr_names;
	/* The pid that it was named by, and that pid namespace (its inode number; 0 if unknown). */
	pid_t given_pid;
	ino_t given_ns;
};

/*
 * Who reads or writes a file, as FUSE tells; pid is in our pid namespace, 0 if it has none there.
 * A NULL one is the daemon itself.
 */
struct process_caller {
	pid_t pid;
	uid_t uid;
	gid_t gid;
};

/*
 * Finds task PID of CALLER's pid namespace; takes thread ids, as the kernel does.  Asks the kernel
 * whether CALLER may watch it; NULL is the daemon, which may.  Takes a reference to CALLER.
 *
 * Return: 0 and a reference in *OUT, -ESRCH if there is no such task, -EPERM if the caller may not
 * watch it, or another negative errno.
 */
int process_open(pid_t pid, struct caller *caller, struct process **out);

/*
 * The same process in the name of CALLER, to whom it takes a reference.
 * Return: as process_open(), but a process that is gone is found, too.
 */
int process_for(const struct process *process, struct caller *caller, struct process **out);

/* Asks the kernel whether the process's caller has RIGHT over it now: see caller_may(). */
int process_may(const struct process *process, enum caller_right right, int timeout_ms);

struct process *process_get(struct process *process);
struct process *process_put(struct process *process);
void process_putp(struct process **process);

/* Whether the task still exists; a zombie does until it is reaped. */
bool process_exists(const struct process *process);

/*
 * The task's pid in the pid namespace of READER, which may be NULL for the daemon; 0 if it is not
 * visible there.  It is what it was when it was named, also of a task that has gone since.
 */
pid_t process_pid_for(const struct process *process, const struct process_caller *reader);

/*
 * Opens a file of the process's /proc directory, with the credentials that the thread works with.
 * Return: a descriptor or a negative errno.
 */
int process_open_file(const struct process *process, const char *name, int flags);

/*
 * The same as the daemon, for what the daemon has to know but the caller may not see, such as frame
 * numbers.  Asks the kernel before and after whether the process's caller may watch it.
 */
int process_open_file_as_daemon(const struct process *process, const char *name, int flags);

/*
 * When process PID, as our pid namespace counts, was started: with the pid, that is its identity.
 * Return: ticks since boot, or 0 if that is unknown.
 */
uint64_t process_started(pid_t pid);

#endif
