// SPDX-License-Identifier: GPL-2.0-or-later
/* Trying: see attempts.h. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fs/check/attempts.h"
#include "fs/exec/namespace.h"
#include "fs/fuse/borrowed.h"
#include "fs/fuse/mountpoint.h"
#include "util/cleanup.h"

/* Where a directory to mount on may be made: containers that may not write to /tmp have the second.
 */
static const char *const directories[] = { "/tmp", "/dev/shm" };

struct place {
	char path[PATH_MAX + 32];
};

/* Makes a directory that nobody else can enter.  Return: 0, or a negative errno and WHY. */
static int make_place(struct place *out, struct access_why *why)
{
	int r = -ENOENT;

	for (size_t i = 0; i < ARRAY_SIZE(directories); i++) {
		char real[PATH_MAX];

		/* The mount is found by a path without links. */
		if (realpath(directories[i], real)) {
			snprintf(out->path, sizeof(out->path), "%s/damonfs-check.XXXXXX", real);
			if (mkdtemp(out->path))
				return 0;
		}
		r = -errno;
	}
	return access_because(why, r,
			      "cannot be tried, as no directory can be made in /tmp or /dev/shm: "
			      "%s",
			      strerror(-r));
}

/* A file in memory: it needs no directory.  Return: NULL and errno. */
static FILE *open_memory(void)
{
	int fd = memfd_create("damonfs", MFD_CLOEXEC);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "re");

	if (!file && fd >= 0)
		close(fd);
	return file;
}

/* Whether LINE is by fusermount3, the helper that mounts for users. */
static bool is_of_helper(const char *line)
{
	static const char name[] = "fusermount3: ";

	return !strncmp(line, name, strlen(name));
}

/*
 * Calls TRY in a child, which leaves nothing of what it changes.
 * Return: what it returned, and the last line on stderr, in SAID: of the helper, or else of it or a
 * library; if it could not be called, a negative errno and WHY.
 */
static int try_in_child(int (*try)(const struct place *place), const struct place *place,
			struct access_why *said, struct access_why *why)
{
	_cleanup_fclose_ FILE *lines = open_memory();
	pid_t pid = lines ? fork() : -1;
	char line[sizeof(said->text)];
	int status;

	if (!pid) {
		dup2(fileno(lines), STDERR_FILENO);
		/* An exit status has room for errno, but not for its sign. */
		_exit(-try(place));
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return access_because(why, -errno, "cannot be tried: %s", strerror(errno));
	rewind(lines);
	while (fgets(line, sizeof(line), lines)) {
		line[strcspn(line, "\n")] = '\0';
		if (is_of_helper(line) || !is_of_helper(said->text))
			strcpy(said->text, line);
	}
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EINTR;
}

/* ---- mounting ---- */

static int mount_and_leave(const struct place *place)
{
	struct mountpoint mountpoint;
	int fd =
		mountpoint_mount(place->path, "fsname=damonfs,subtype=damonfs", false, &mountpoint);

	if (fd < 0)
		return fd;
	mountpoint_leave(&mountpoint, fd);
	close(fd);
	mountpoint_clear(&mountpoint);
	return 0;
}

/* Calls TRY, which is to mount, as try_in_child(). */
static int try_to_mount(int (*try)(const struct place *place), struct access_why *said,
			struct access_why *why)
{
	struct place place;
	int r = make_place(&place, why);

	if (r)
		return r;
	r = try_in_child(try, &place, said, why);
	rmdir(place.path);
	return r;
}

/* fusermount3 knows more than that there must be one. */
static void add_what_helper_said(struct access_why *why, const char *said)
{
	size_t length = strlen(why->text);

	if (is_of_helper(said))
		snprintf(why->text + length, sizeof(why->text) - length, "; %s", said);
}

int attempt_mount(struct access_why *why)
{
	struct access_why said = { 0 };
	int r = try_to_mount(mount_and_leave, &said, why);

	if (!r || *why->text)
		return r;
	if (mountpoint_missing(why)) {
		add_what_helper_said(why, said.text);
		return r;
	}
	return access_because(why, r,
			      "%s; for a container, the profile of AppArmor or seccomp forbids it: "
			      "--security-opt apparmor=unconfined",
			      *said.text ? said.text : strerror(-r));
}

/* ---- namespaces ---- */

static int enter_namespaces(const struct place *unused)
{
	int r = namespace_become_root();

	(void)unused;
	return r ? r : namespace_enter();
}

static int enter_and_mount(const struct place *place)
{
	int r = enter_namespaces(NULL);

	return r ? r : mount_and_leave(place);
}

int attempt_exec(struct access_why *why)
{
	struct access_why said = { 0 };
	int r;

	if (borrowed_privileges())
		return access_because(why, -EPERM,
				      "refused to a program file with privileges (setcap, setuid)");
	r = mountpoint_try_device(why);
	if (r)
		return r;
	r = try_in_child(enter_namespaces, NULL, &said, why);
	if (r && !*why->text)
		access_because(why, r, "cannot make a mount namespace: %s%s", strerror(-r),
			       namespace_hint(r));
	if (!r)
		r = try_to_mount(enter_and_mount, &said, why);
	if (r && !*why->text)
		access_because(why, r, "%s", *said.text ? said.text : strerror(-r));
	return r;
}

/* ---- a process ---- */

/* Tells through READY that it has a page that is its alone. */
static void be_a_sample(int ready)
{
	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (page == MAP_FAILED)
		_exit(1);
	*page = 1;
	if (write(ready, page, 1) == 1)
		pause();
	_exit(1);
}

pid_t attempt_start_sample(void)
{
	int ends[2];
	char byte;
	pid_t pid;
	int r;

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	pid = fork();
	r = pid < 0 ? -errno : pid;
	if (!pid) {
		close(ends[0]);
		be_a_sample(ends[1]);
	}
	close(ends[1]);
	if (pid > 0 && read(ends[0], &byte, 1) != 1) {
		attempt_end_sample(pid);
		r = -ENOMEM;
	}
	close(ends[0]);
	return r;
}

void attempt_end_sample(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}
