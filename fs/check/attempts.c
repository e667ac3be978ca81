// SPDX-License-Identifier: GPL-2.0-or-later
/* Trying: see attempts.h. */
#include <errno.h>
#include <fcntl.h>
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

/*
 * Calls TRY in a child, which leaves nothing of what it changes.
 * Return: what it returned, and the last line that it or a library wrote to stderr, in WHY.
 */
static int try_in_child(int (*try)(void), struct access_why *why)
{
	_cleanup_fclose_ FILE *said = tmpfile();
	char line[sizeof(why->text)];
	int status;
	pid_t pid;

	if (!said)
		return -errno;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (!pid) {
		dup2(fileno(said), STDERR_FILENO);
		/* An exit status has room for errno, but not for its sign. */
		_exit(-try());
	}
	if (waitpid(pid, &status, 0) != pid)
		return -errno;
	rewind(said);
	while (fgets(line, sizeof(line), said)) {
		line[strcspn(line, "\n")] = '\0';
		strcpy(why->text, line);
	}
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EINTR;
}

/* ---- mounting ---- */

/* On a directory that nobody else can enter. */
static int mount_and_leave(void)
{
	char place[] = "/tmp/damonfs-check.XXXXXX";
	struct mountpoint mountpoint;
	int fd;

	if (!mkdtemp(place))
		return -errno;
	fd = mountpoint_mount(place, "fsname=damonfs,subtype=damonfs", false, &mountpoint);
	if (fd >= 0) {
		mountpoint_leave(&mountpoint, fd);
		close(fd);
		mountpoint_clear(&mountpoint);
	}
	rmdir(place);
	return fd < 0 ? fd : 0;
}

int attempt_mount(struct access_why *why)
{
	struct access_why said = { 0 };
	int r = try_in_child(mount_and_leave, &said);

	if (!r || mountpoint_missing(why))
		return r;
	return access_because(why, r,
			      "%s; for a container, the profile of AppArmor or seccomp forbids it: "
			      "--security-opt apparmor=unconfined",
			      *said.text ? said.text : strerror(-r));
}

/* ---- namespaces ---- */

static int enter_namespaces(void)
{
	int r = namespace_become_root();

	return r ? r : namespace_enter();
}

static int enter_and_mount(void)
{
	int r = enter_namespaces();

	return r ? r : mount_and_leave();
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
	r = try_in_child(enter_namespaces, &said);
	if (r)
		return access_because(why, r, "cannot make a mount namespace: %s" NAMESPACE_HINT,
				      strerror(-r));
	r = try_in_child(enter_and_mount, &said);
	return r ? access_because(why, r, "%s", *said.text ? said.text : strerror(-r)) : 0;
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
