/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What /proc/TID tells about a task, as far as it matters here. */
#ifndef DAMONFS_ACCESS_RIGHTS_STATUS_H
#define DAMONFS_ACCESS_RIGHTS_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define STATUS_MAX_NESTING 32 /* of pid namespaces, as the kernel has it */

/* Real, effective, saved, file system: the order of the ids. */
enum { STATUS_FILE_SYSTEM = 3, STATUS_NR_IDS };

struct task_status {
	pid_t tgid;
	uid_t uid[STATUS_NR_IDS];
	gid_t gid[STATUS_NR_IDS];
	gid_t *groups; /* supplementary */
	size_t nr_groups;
	uint64_t capabilities; /* effective */
	pid_t ns_pid[STATUS_MAX_NESTING]; /* from the outermost one that we see to its own */
	size_t nr_ns_pid;
};

/*
 * Reads the file `status' in the directory DIR of /proc, or at PATH if DIR is AT_FDCWD.
 * Return: 0 and *OUT, to be freed by status_clear(); -ESRCH if the task is gone, -ENOMEM, -EINVAL
 * if it is no such file, or another negative errno.
 */
int status_read(int dir, const char *path, struct task_status *out);
void status_clear(struct task_status *status);

/* The file `stat', as far as it matters here. */
struct task_stat {
	char state;
	unsigned long flags; /* PF_* of include/linux/sched.h */
	unsigned long long started; /* ticks since boot: with the pid, the identity of a task */
};

/*
 * Reads the file PATH in the directory DIR of /proc.
 * Return: 0 and *OUT, -EINVAL if it is no such file, or another negative errno.
 */
int stat_read(int dir, const char *path, struct task_stat *out);

/* The fields behind the name in TEXT, the contents of `stat'.  Return: NULL if there are none. */
const char *stat_fields(const char *text);

/*
 * Whether task PID waits in a system call that opens a file, or whose first argument is a
 * descriptor of a file with inode number INODE: so a request may come from it, even if the number
 * may be of another pid namespace than ours.  Waits up to 4 ms for a task that runs to get there.
 * False if unknown.
 */
bool task_waits_for(pid_t pid, uint64_t inode);

#endif
