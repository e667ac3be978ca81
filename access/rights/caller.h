/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who asks: the credentials of a task that opened or wrote a file of the mount.
 *
 * They are read from the kernel while the task waits for our answer, so that they are its own, and
 * stay what they were then.  What they allow is never worked out here: a thread that has taken them
 * on asks the kernel, or where a thread cannot, an agent (agent.h).
 *
 * A struct caller is counted and may be used from any thread; nothing in it changes after it is
 * made.
 */
#ifndef DAMONFS_ACCESS_RIGHTS_CALLER_H
#define DAMONFS_ACCESS_RIGHTS_CALLER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What a caller may do to a process; the kernel's words for it are in ptrace(2). */
enum caller_right {
	CALLER_WATCH, /* PTRACE_MODE_READ: read its mappings, its accessed bits, advise it */
	CALLER_CONTROL, /* PTRACE_MODE_ATTACH: have it make a system call */
};

struct caller {
	atomic_uint refs;
	pid_t pid; /* the task, in our pid namespace */
	uid_t uid; /* of the file system, as FUSE tells them */
	gid_t gid;
	gid_t *groups; /* supplementary */
	size_t nr_groups;
	uint64_t capabilities; /* effective, by number of the bit; of its user namespace */
	ino_t pid_ns; /* inode number of its pid namespace */
	size_t pid_ns_depth; /* how deep it is below the outermost one that we can see */
	int pid_ns_fd;
	int user_ns_fd; /* of its user namespace where that is not ours; else -1 */
	char *label; /* of a security module (AppArmor, SELinux) where that is not ours; else NULL */
};

/*
 * Takes the credentials of task PID, which waits for an answer of ours and is UID and GID by what
 * FUSE says.  PID is 0 where the task is not visible in our pid namespace.
 *
 * Return: 0 and a reference in *OUT; -ESRCH if the task cannot be seen, -EPERM if it is not UID and
 * GID or its credentials cannot be read, or -ENOMEM.
 */
int caller_new(pid_t pid, uid_t uid, gid_t gid, struct caller **out);

struct caller *caller_get(struct caller *caller);
struct caller *caller_put(struct caller *caller);
void caller_putp(struct caller **caller);

/*
 * Of who opened a file and who writes to it, the one in whose name the write counts: the one who
 * may do less.  Neither can lend the other what it has not.
 * Return: 0 and a reference in *OUT, or -EPERM where neither may do everything that the other may,
 * or they are of different pid namespaces.
 */
int caller_lesser(struct caller *opener, struct caller *writer, struct caller **out);

/* Whether the caller has CAPABILITY (CAP_*) in our user namespace.  NULL is the daemon: yes. */
bool caller_capable(const struct caller *caller, int capability);

/* The file of /proc/PID that only whoever has RIGHT can open. */
const char *caller_right_file(enum caller_right right);

/*
 * Keeps the daemon's own credentials for caller_become(NULL).  To be called once, before there are
 * threads.  Return: 0 or -ENOMEM.
 */
int caller_prepare(void);

/*
 * From now on nobody but the user who started the program is served, and as if they had no
 * capabilities: for a program that has more rights than who started it.
 */
void caller_limit_to_self(void);

/*
 * Makes the calling thread work in the caller's name: with its user, groups and capabilities, but
 * for the capabilities that the access methods cannot do without (CAP_SYS_NICE, CAP_BPF,
 * CAP_PERFMON).  Every file that the thread opens and every process that it advises is checked by
 * the kernel for the caller from then on.  The real and saved user stay, so that nobody can signal
 * the thread.  May be called again for another caller.  NULL: the daemon's own.
 * Return: 0 or a negative errno, and then the thread may not go on.
 */
int caller_become(const struct caller *caller);

/*
 * Makes the calling thread work for WAS again, after caller_become() for something that came to R,
 * also if that failed half-way; patiently, where the kernel has no memory for it.
 * Return: R, or -ENOTRECOVERABLE, and then the thread may not go on.
 */
int caller_come_back(const struct caller *was, int r);

/* Whether PID is ours, as /proc counts. */
bool caller_is_self(pid_t pid);

/*
 * Opens PATH, as openat() does, as the daemon, whoever the thread works for.
 * Return: a descriptor or a negative errno.
 */
int caller_open_as_daemon(int dir, const char *path, int flags);

/* In whose name the calling thread works; NULL: the daemon's. */
const struct caller *caller_current(void);

/* ---- for agents ---- */

/* Whether a thread of ours can take CALLER's credentials on, who may be NULL. */
bool caller_is_near(const struct caller *caller);

/*
 * Whether such a caller may open NAME in the directory DIR for reading: with its credentials and
 * nothing besides.  Return: 0 or a negative errno.
 */
int caller_try_open(const struct caller *caller, int dir, const char *name);

/* Takes on for good, of any caller: its user and groups; its effective capabilities. */
int caller_take_ids(const struct caller *caller);
int caller_take_capabilities(const struct caller *caller);

/*
 * The label that a security module gave the task whose directory in /proc is PATH in DIR.
 * Return: 0 and *OUT, to be freed, NULL where there is none; -ENOMEM.
 */
int caller_read_label(int dir, const char *path, char **out);

#endif
