// SPDX-License-Identifier: LGPL-2.1-or-later
/* Credentials of callers: see caller.h. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "access/rights/caller.h"
#include "access/rights/status.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/task.h"

/*
 * What the methods themselves need, whoever the caller is: none of these lets the thread look at
 * more processes.
 */
static const cap_value_t technical[] = { CAP_SYS_NICE, CAP_BPF, CAP_PERFMON };

/* The daemon's own credentials; global because a process has one set, constant once it is made. */
static struct {
	bool made;
	pid_t pid; /* ours in /proc, which may be that of another pid namespace */
	uid_t uid;
	gid_t gid;
	gid_t *groups;
	size_t nr_groups;
	char *label;
	bool limited; /* serves only the user who started it, as if without capabilities */
} own;

/* How often a thread tries to return to its caller. */
#define COME_BACK_TRIES 10

/* The caller that the thread works for. */
static _Thread_local const struct caller *current;

static int compare_groups(const void *a, const void *b)
{
	const gid_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void sort_groups(gid_t *groups, size_t nr)
{
	if (nr)
		qsort(groups, nr, sizeof(*groups), compare_groups);
}

static pid_t own_pid(void)
{
	char name[32] = "";

	return readlink("/proc/self", name, sizeof(name) - 1) > 0 ? atoi(name) : 0;
}

int caller_prepare(void)
{
	int nr = getgroups(0, NULL);

	if (own.made)
		return 0;
	own.pid = own_pid();
	own.uid = geteuid();
	own.gid = getegid();
	own.groups = calloc(max_ul((unsigned long)nr, 1), sizeof(*own.groups));
	if (nr < 0 || !own.groups)
		return -ENOMEM;
	nr = getgroups(nr, own.groups);
	own.nr_groups = nr < 0 ? 0 : (size_t)nr;
	sort_groups(own.groups, own.nr_groups);
	own.made = !caller_read_label(AT_FDCWD, "/proc/self", &own.label);
	return own.made ? 0 : -ENOMEM;
}

void caller_limit_to_self(void)
{
	own.limited = true;
}

bool caller_is_self(pid_t pid)
{
	return pid == own.pid;
}

/* ---- taking credentials down ---- */

static int read_label_file(int dir, const char *path, const char *name, char **out)
{
	char file[64], text[4096];
	_cleanup_close_ int fd = -1;
	ssize_t length;

	snprintf(file, sizeof(file), "%s/attr/%s", path, name);
	fd = openat(dir, file, O_RDONLY | O_CLOEXEC);
	length = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (length < 0 && error_is_shortage(-errno))
		return -errno;
	if (length <= 0)
		return -ENOENT;
	text[length] = '\0';
	text[strcspn(text, "\n")] = '\0';
	*out = strdup(text);
	return *out ? 0 : -ENOMEM;
}

int caller_read_label(int dir, const char *path, char **out)
{
	int r = read_label_file(dir, path, "apparmor/current", out);

	*out = r ? NULL : *out;
	if (r == -ENOENT)
		r = read_label_file(dir, path, "current", out);
	return r == -ENOENT ? 0 : r;
}

static int caller_inode_of(int dir, const char *path, ino_t *out)
{
	struct stat st;

	if (fstatat(dir, path, &st, 0))
		return -errno;
	*out = st.st_ino;
	return 0;
}

/* Linux, include/linux/sched.h: a kernel thread that does a process's io_uring requests. */
#define PF_IO_WORKER 0x10UL

/*
 * Whether the task has the credentials that it writes with.  io_uring threads take on those of each
 * request, but /proc shows those of the thread's creation.
 * Return: 0, -EPERM if not, or another negative errno if unknown.
 */
static int check_own_credentials(int dir)
{
	struct task_stat stat;
	int r = stat_read(dir, "stat", &stat);

	if (r)
		return r;
	return stat.flags & PF_IO_WORKER ? -EPERM : 0;
}

static int take_status(struct caller *caller, int dir)
{
	struct task_status status;
	int r = status_read(dir, "status", &status);

	if (r)
		return r;
	/* Another task by now, or one whose ids mean something else here. */
	if (status.uid[STATUS_FILE_SYSTEM] != caller->uid ||
	    status.gid[STATUS_FILE_SYSTEM] != caller->gid || !status.nr_ns_pid) {
		status_clear(&status);
		return -EPERM;
	}
	caller->groups = steal_ptr(status.groups);
	caller->nr_groups = status.nr_groups;
	sort_groups(caller->groups, caller->nr_groups);
	caller->capabilities = status.capabilities;
	caller->pid_ns_depth = status.nr_ns_pid - 1;
	status_clear(&status);
	return 0;
}

/* A label that agents cannot take on. */
#define NO_LABEL "?"

static int caller_take_label(struct caller *caller, int dir)
{
	_cleanup_free_ char *label = NULL;
	int r = caller_read_label(dir, ".", &label);

	if (r || (!label && !own.label) || (label && own.label && !strcmp(label, own.label)))
		return r;
	caller->label = label ? steal_ptr(label) : strdup(NO_LABEL);
	return caller->label ? 0 : -ENOMEM;
}

static int take_namespaces(struct caller *caller, int dir)
{
	ino_t ours = 0, theirs = 0;
	int r = caller_inode_of(dir, "ns/pid", &caller->pid_ns);

	if (!r)
		r = caller_inode_of(dir, "ns/user", &theirs);
	if (!r)
		r = caller_inode_of(AT_FDCWD, "/proc/self/ns/user", &ours);
	if (r)
		return r;
	caller->pid_ns_fd = openat(dir, "ns/pid", O_RDONLY | O_CLOEXEC);
	if (caller->pid_ns_fd < 0)
		return -errno;
	if (ours == theirs)
		return 0;
	caller->user_ns_fd = openat(dir, "ns/user", O_RDONLY | O_CLOEXEC);
	return caller->user_ns_fd < 0 ? -errno : 0;
}

/* A program with more rights than its user lends them to nobody. */
int caller_limit(struct caller *caller)
{
	if (!own.limited)
		return 0;
	caller->capabilities = 0;
	return caller->uid == getuid() && caller->user_ns_fd < 0 ? 0 : -EPERM;
}

int caller_new(pid_t pid, uid_t uid, gid_t gid, struct caller **out)
{
	__attribute__((cleanup(caller_putp))) struct caller *caller = NULL;
	_cleanup_close_ int dir = -1;
	char path[32];
	int r;

	if (pid <= 0)
		return -ESRCH;
	snprintf(path, sizeof(path), "/proc/%d", pid);
	dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	caller = malloc(sizeof(*caller));
	if (!caller)
		return -ENOMEM;
	*caller = (struct caller){
		.refs = 1, .pid = pid, .uid = uid, .gid = gid, .pid_ns_fd = -1, .user_ns_fd = -1
	};
	r = take_status(caller, dir);
	if (!r)
		r = check_own_credentials(dir);
	if (!r)
		r = take_namespaces(caller, dir);
	if (!r)
		r = caller_take_label(caller, dir);
	if (!r)
		r = caller_limit(caller);
	if (r)
		return error_is_shortage(r) || r == -ESRCH ? r : -EPERM;
	*out = steal_ptr(caller);
	return 0;
}

struct caller *caller_get(struct caller *caller)
{
	if (caller)
		atomic_fetch_add(&caller->refs, 1);
	return caller;
}

struct caller *caller_put(struct caller *caller)
{
	if (!caller || atomic_fetch_sub(&caller->refs, 1) != 1)
		return NULL;
	if (caller->pid_ns_fd >= 0)
		close(caller->pid_ns_fd);
	if (caller->user_ns_fd >= 0)
		close(caller->user_ns_fd);
	free(caller->groups);
	free(caller->label);
	free(caller);
	return NULL;
}

void caller_putp(struct caller **caller)
{
	*caller = caller_put(*caller);
}

/* ---- comparing ---- */

static bool in_our_user_ns(const struct caller *caller)
{
	return caller->user_ns_fd < 0;
}

static bool same_user_ns(const struct caller *a, const struct caller *b)
{
	struct stat x, y;

	if (in_our_user_ns(a) || in_our_user_ns(b))
		return in_our_user_ns(a) && in_our_user_ns(b);
	return !fstat(a->user_ns_fd, &x) && !fstat(b->user_ns_fd, &y) && x.st_ino == y.st_ino &&
	       x.st_dev == y.st_dev;
}

static bool same_label(const struct caller *a, const struct caller *b)
{
	if (!a->label || !b->label)
		return !a->label && !b->label;
	return !strcmp(a->label, b->label);
}

static bool same_ids(const struct caller *a, const struct caller *b)
{
	return a->uid == b->uid && a->gid == b->gid && a->nr_groups == b->nr_groups &&
	       (!a->nr_groups || !memcmp(a->groups, b->groups, a->nr_groups * sizeof(*a->groups)));
}

bool caller_capable(const struct caller *caller, int capability)
{
	return !caller || (in_our_user_ns(caller) && caller->capabilities >> capability & 1);
}

/* Whether A may do all that B may, whatever that is. */
static bool may_more(const struct caller *a, const struct caller *b)
{
	bool same = same_user_ns(a, b);

	if (!same_label(a, b))
		return false;
	if (same && (b->capabilities & ~a->capabilities))
		return false;
	if (same && same_ids(a, b))
		return true;
	/* A may become anybody, and look at everybody, anywhere below our user namespace. */
	return caller_capable(a, CAP_SETUID) && caller_capable(a, CAP_SETGID) &&
	       caller_capable(a, CAP_SYS_PTRACE) && caller_capable(a, CAP_SYS_ADMIN);
}

int caller_lesser(struct caller *opener, struct caller *writer, struct caller **out)
{
	/* The pids that are written mean different tasks to the two. */
	if (opener->pid_ns != writer->pid_ns)
		return -EPERM;
	if (may_more(opener, writer))
		*out = caller_get(writer);
	else if (may_more(writer, opener))
		*out = caller_get(opener);
	else
		return -EPERM;
	return 0;
}

bool caller_is_near(const struct caller *caller)
{
	return !caller || (in_our_user_ns(caller) && !caller->label);
}

/* ---- taking credentials on ---- */

static void caller_cap_freep(cap_t *caps)
{
	cap_free(*caps);
}

/* Makes the capabilities in WANTED effective that the thread has, and no others. */
static int caller_set_effective(uint64_t wanted)
{
	__attribute__((cleanup(caller_cap_freep))) cap_t caps = cap_get_proc();

	if (!caps)
		return -ENOMEM;
	for (cap_value_t c = 0; c < cap_max_bits(); c++) {
		cap_flag_value_t has = CAP_CLEAR;

		if (cap_get_flag(caps, c, CAP_PERMITTED, &has))
			break;
		if (!(wanted >> c & 1))
			has = CAP_CLEAR;
		if (cap_set_flag(caps, CAP_EFFECTIVE, 1, &c, has))
			return -errno;
	}
	return cap_set_proc(caps) ? -errno : 0;
}

/* All of them: to change ids, and to come back from a caller without capabilities. */
#define ALL (~0ULL)

static uint64_t technical_capabilities(void)
{
	uint64_t mask = 0;

	for (size_t i = 0; i < ARRAY_SIZE(technical); i++)
		mask |= 1ULL << technical[i];
	return mask;
}

static uint64_t working_capabilities(const struct caller *caller)
{
	/*
	 * Our threads cannot have the capabilities of another user namespace: there the agent's
	 * answer counts, and the thread is let through.
	 */
	if (!in_our_user_ns(caller))
		return technical_capabilities() | 1ULL << CAP_SYS_PTRACE;
	/* Watching takes on nobody else's ids. */
	return technical_capabilities() |
	       (caller->capabilities & ~(1ULL << CAP_SETUID | 1ULL << CAP_SETGID));
}

static bool has_own_groups(const struct caller *caller)
{
	for (size_t i = 0; i < own.nr_groups; i++)
		if (own.groups[i] != caller->gid &&
		    !bsearch(&own.groups[i], caller->groups, caller->nr_groups, sizeof(gid_t),
			     compare_groups))
			return false;
	return true;
}

/*
 * By raw system calls, which change the calling thread alone.  Only the effective ids, so that
 * tasks of the same user can neither signal nor trace the thread.
 */
static int set_ids(uid_t uid, gid_t gid, const gid_t *groups, size_t nr_groups)
{
	if (syscall(SYS_setgroups, nr_groups, groups) || syscall(SYS_setresgid, -1, gid, -1) ||
	    syscall(SYS_setresuid, -1, uid, -1))
		return -errno;
	return 0;
}

/* Without the right to change ids, a thread can still work for its own user. */
static int set_ids_of(const struct caller *caller)
{
	uid_t uid = caller ? caller->uid : own.uid;
	gid_t gid = caller ? caller->gid : own.gid;
	int r = set_ids(uid, gid, caller ? caller->groups : own.groups,
			caller ? caller->nr_groups : own.nr_groups);

	if (r == -EPERM && geteuid() == uid && getegid() == gid &&
	    (!caller || has_own_groups(caller)))
		return 0;
	return r;
}

/* Gives the thread CALLER's ids and CAPABILITIES. */
static int take_on(const struct caller *caller, uint64_t capabilities)
{
	int r;

	if (!own.made)
		return caller ? -EPERM : 0;
	r = caller_set_effective(ALL);
	if (!r)
		r = set_ids_of(caller);
	/* A change of ids has undone it. */
	task_stay_bound();
	return r ? r : caller_set_effective(capabilities);
}

int caller_become(const struct caller *caller)
{
	int r = take_on(caller, caller ? working_capabilities(caller) : ALL);

	if (!r)
		current = caller;
	return r;
}

int caller_come_back(const struct caller *was, int r)
{
	int back = caller_become(was);

	/* The kernel soon has memory again, and the thread must not stay somebody else. */
	for (int i = 0; back && i < COME_BACK_TRIES; i++) {
		usleep(1000);
		back = caller_become(was);
	}
	return back ? -ENOTRECOVERABLE : r;
}

const struct caller *caller_current(void)
{
	return current;
}

int caller_take_ids(const struct caller *caller)
{
	int r = caller_set_effective(ALL);

	if (!r)
		r = set_ids_of(caller);
	/* Changing from user 0 to another clears them. */
	return r ? r : caller_set_effective(ALL);
}

int caller_take_capabilities(const struct caller *caller)
{
	return caller_set_effective(caller->capabilities);
}

int caller_open_as_daemon(int dir, const char *path, int flags)
{
	const struct caller *was = current;
	_cleanup_close_ int fd = -1;
	int r = caller_become(NULL);

	if (!r)
		fd = openat(dir, path, flags | O_CLOEXEC);
	if (!r && fd < 0)
		r = -errno;
	r = caller_come_back(was, r);
	return r ? r : steal_fd(fd);
}

/* ---- asking ---- */

const char *caller_right_file(enum caller_right right)
{
	static const char *const files[] = { [CALLER_WATCH] = "maps", [CALLER_CONTROL] = "mem" };

	return files[right];
}

int caller_try_open(const struct caller *caller, int dir, const char *name)
{
	const struct caller *was = current;
	_cleanup_close_ int fd = -1;
	int r = take_on(caller, caller ? caller->capabilities : ALL);

	if (!r)
		fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	if (!r && fd < 0)
		r = -errno;
	return caller_come_back(was, r);
}
