// SPDX-License-Identifier: GPL-2.0-or-later
/* What inputs find around them: see surroundings.h. */
#include <fuse_lowlevel.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "access/rights/caller.h"
#include "tests/fuzz/requests/surroundings.h"
#include "tests/fuzz/require.h"
#include "util/log.h"

struct surroundings surroundings;

/* The rest of the program runs as the first process of a pid namespace of its own. */
static void enter_namespace(void)
{
	int status;
	pid_t child;

	if (unshare(CLONE_NEWPID | CLONE_NEWNS)) {
		fprintf(stderr, "SKIPPED what needs a pid namespace: MISSING root\n");
		return;
	}
	child = fork();
	REQUIRE(child >= 0);
	if (child) {
		REQUIRE(waitpid(child, &status, 0) == child);
		_exit(WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE);
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	REQUIRE(!mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	REQUIRE(!mount("proc", "/proc", "proc", 0, NULL));
}

static pid_t start_child(uid_t id)
{
	pid_t child = fork();

	REQUIRE(child >= 0);
	if (child)
		return child;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (id && (setgid(id) || setuid(id)))
		_exit(1);
	for (;;)
		pause();
}

/* Nothing is done to memory: advice succeeds and does nothing, and no page moves. */
static void forbid_actions(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

	REQUIRE(filter);
	REQUIRE(!seccomp_rule_add(filter, SCMP_ACT_ERRNO(0), SCMP_SYS(process_madvise), 0));
	REQUIRE(!seccomp_rule_add(filter, SCMP_ACT_ERRNO(1), SCMP_SYS(move_pages), 0));
	REQUIRE(!seccomp_load(filter));
	seccomp_release(filter);
}

static void make_script(void)
{
	static const char script[] = "map 0x10000000 16M\naccess 0x10000000 4M 100%\n"
				     "at 2ms map 0x20000000 1M\nat 4ms unmap 0x10000000 16M\n"
				     "at 8ms repeat\n";
	int fd = memfd_create("script", MFD_CLOEXEC);

	REQUIRE(fd >= 0 && write(fd, script, strlen(script)) == (ssize_t)strlen(script));
	snprintf(surroundings.method, sizeof(surroundings.method), "simulated:/proc/self/fd/%d",
		 fd);
}

static void log_nothing(enum fuse_log_level level, const char *format, va_list arguments)
{
	(void)level;
	(void)format;
	(void)arguments;
}

void surroundings_prepare(void)
{
	enter_namespace();
	surroundings.child_of_root = start_child(0);
	surroundings.child_of_nobody = start_child(NOBODY);
	REQUIRE(!caller_prepare());
	forbid_actions();
	log_setup(LOG_LEVEL_ERROR, false);
	fuse_set_log_func(log_nothing);
	make_script();
}
