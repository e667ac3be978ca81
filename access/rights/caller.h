/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Callers: the credentials of a task that opened or wrote a file of the mount.
 *
 * They are read from the kernel while the task waits for our answer, so that they are its own, and
 * stay what they were then.  We never work out what they allow: a thread takes them on and asks the
 * kernel, or an agent does where a thread cannot (agent.h).
 *
 * A struct caller is reference-counted, and any thread may use it; nothing in it changes after it
 * is made.
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
	uint64_t capabilities; /* effective, one per bit, in its user namespace */
	ino_t pid_ns; /* inode number of its pid namespace */
	size_t pid_ns_depth; /* how deep it is below the outermost one that we can see */
	int pid_ns_fd;
	int user_ns_fd; /* of its user namespace where that is not ours; else -1 */
	char *label; /* of a security module (AppArmor, SELinux) where that is not ours; else NULL */
};

/*
 * Reads the credentials of task PID, which waits for our answer and has UID and GID according to
 * FUSE.  PID is 0 if the task is not visible in our pid namespace.
 *
 * Return: 0 and a reference in *OUT; -ESRCH if the task cannot be seen, -EPERM if its ids are not
 * UID and GID or its credentials cannot be read, or -ENOMEM.
 */
int caller_new(pid_t pid, uid_t uid, gid_t gid, struct caller **out);

/*
 * Bytes by which another daemon of ours, in the same namespaces and with the same label, can have
 * the same caller: caller_save() puts them into OUT, of ROOM bytes.
 * Return: how many; 0 if they do not fit, or the caller is of other namespaces or another label.
 */
size_t caller_save(const struct caller *caller, void *out, size_t room);

/* The room for CALLER. */
#define CALLER_SAVED_ROOM(caller) (64 + (caller)->nr_groups * sizeof(gid_t))

/*
 * The caller of SIZE bytes, which are not trusted to be whole.
 * Return: 0 and a reference in *OUT, -EINVAL, -EPERM in other namespaces, or another negative errno.
 */
int caller_load(const void *bytes, size_t size, struct caller **out);

/* Applies caller_limit_to_self() to a new caller.  Return: 0, or -EPERM. */
int caller_limit(struct caller *caller);

struct caller *caller_get(struct caller *caller);
struct caller *caller_put(struct caller *caller);
void caller_putp(struct caller **caller);

/*
 * Chooses in whose name a write counts: of the opener and the writer of a file, the one who may do
 * less, so that neither lends the other rights.
 * Return: 0 and a reference in *OUT, or -EPERM if neither may do all that the other may, or if they
 * are of different pid namespaces.
 */
int caller_lesser(struct caller *opener, struct caller *writer, struct caller **out);

/* Whether the caller has CAPABILITY (CAP_*) in our user namespace.  NULL is the daemon: yes. */
bool caller_capable(const struct caller *caller, int capability);

/* The file of /proc/PID that nobody can open without RIGHT. */
const char *caller_right_file(enum caller_right right);

/*
 * Keeps the daemon's own credentials for caller_become(NULL).  Call it once, before there are
 * threads.  Return: 0 or -ENOMEM.
 */
int caller_prepare(void);

/*
 * From now on serves only the user who started the program, as if without capabilities: for a
 * program with more rights than that user.
 */
void caller_limit_to_self(void);

/*
 * Makes the calling thread work in the caller's name: with its user, groups and capabilities, plus
 * those that the access methods cannot do without (CAP_SYS_NICE, CAP_BPF, CAP_PERFMON).  From then
 * on the kernel checks every file that the thread opens, and every process that it advises, for the
 * caller.  The real and saved user stay, so that nobody can signal the thread.  May be called again
 * for another caller.  NULL: the daemon's own.
 * Return: 0, or a negative errno, and then the thread must not go on.
 */
int caller_become(const struct caller *caller);

/*
 * Makes the calling thread work for WAS again, after a caller_become(), even a half-failed one, and
 * work that returned R.  Tries again if the kernel has no memory for it.
 * Return: R, or -ENOTRECOVERABLE, and then the thread must not go on.
 */
int caller_come_back(const struct caller *was, int r);

/* Whether PID is our own pid, as /proc counts. */
bool caller_is_self(pid_t pid);

/*
 * Opens PATH, as openat() does, as the daemon, whoever the thread works for.
 * Return: a descriptor or a negative errno.
 */
int caller_open_as_daemon(int dir, const char *path, int flags);

/* In whose name the calling thread works; NULL: the daemon's. */
const struct caller *caller_current(void);

/* ---- for agents ---- */

/* Whether our threads can take on the credentials of CALLER, which may be NULL. */
bool caller_is_near(const struct caller *caller);

/*
 * Tries whether such a caller may open NAME in the directory DIR for reading, with its credentials
 * and nothing besides.  Return: 0 or a negative errno.
 */
int caller_try_open(const struct caller *caller, int dir, const char *name);

/* Take on for good, for any caller: its user and groups; its effective capabilities. */
int caller_take_ids(const struct caller *caller);
int caller_take_capabilities(const struct caller *caller);

/*
 * The label that a security module gave the task whose directory in /proc is PATH in DIR.
 * Return: 0 and *OUT, to be freed, NULL where there is none; -ENOMEM.
 */
int caller_read_label(int dir, const char *path, char **out);

#endif
