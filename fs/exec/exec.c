// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * damonfs exec: see exec.h.
 *
 * We are the daemon of the mount and the parent of the command, both in a new mount namespace. When
 * the command ends, the mount and we end with it, and the namespace with the last process in it.
 */
#include <errno.h>
#include <getopt.h>
#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "access/access.h"
#include "access/rights/agent.h"
#include "access/rights/privileges.h"
#include "engine/damon.h"
#include "fs/exec/exec.h"
#include "fs/exec/isolate.h"
#include "fs/exec/overmount.h"
#include "fs/exec/tracing.h"
#include "fs/fuse/borrowed.h"
#include "fs/fuse/session.h"
#include "fs/janitor.h"
#include "fs/options.h"
#include "util/cleanup.h"
#include "util/log.h"

#define DEBUGFS "/sys/kernel/debug"

/* Where a part of the mount is to stand. */
struct place {
	const char *what; /* for --only */
	const char *parent;
	const char *path; /* NAME in PARENT */
	const char *part; /* of the mount; "" is all of it */
};

#define NAME "damon"

static const struct place places[] = {
	{ "sysfs", "/sys/kernel/mm", "/sys/kernel/mm/" NAME, "" },
	{ "debugfs", DEBUGFS, DEBUGFS "/" NAME, "/" NAME },
};

/* Exit statuses, as env(1) and timeout(1) have them. */
enum { EXIT_OURS = 125, EXIT_NOT_EXECUTABLE = 126, EXIT_NOT_FOUND = 127 };

struct command {
	pid_t pid;
	int status; /* of waitpid(), once it ended */
	bool ended;
};

static int fail(const char *what, int r)
{
	fprintf(stderr, "damonfs exec: %s: %s\n", what, strerror(-r));
	return EXIT_OURS;
}

static bool is_wanted(const struct place *place, const char *only)
{
	return !only || !strcmp(only, place->what);
}

/* Mounts debugfs where none is mounted: tools look for it. */
static void mount_debugfs(void)
{
	struct statfs fs;

	if (!statfs(DEBUGFS, &fs) && fs.f_type != DEBUGFS_MAGIC &&
	    mount("debugfs", DEBUGFS, "debugfs", 0, NULL))
		log_debug("debugfs cannot be mounted: %s", strerror(errno));
}

/* After damonfs an empty directory is left: survivors must not meet the kernel's own. */
static int make_place(const struct place *place)
{
	int r = overmount_directory(place->parent, NAME);

	if (!r && mount("damonfs", place->path, "tmpfs",
			MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=555"))
		r = -errno;
	return r;
}

/* Enters a namespace with a mount point for each wanted part, and without the other parts. */
static int enter_namespace(const char *only)
{
	int r = 0;

	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_SLAVE, NULL))
		return fail("a mount namespace", -errno);
	mount_debugfs();
	for (size_t i = 0; !r && i < ARRAY_SIZE(places); i++) {
		r = is_wanted(&places[i], only) ? make_place(&places[i]) :
						  overmount_hide(places[i].parent, NAME);
		if (r)
			fail(places[i].path, r);
	}
	return r;
}

/*
 * Isolates what else tools look at; we can do without.  JANITOR may be NULL: it works until our
 * process ends.  *JANITOR is NULL if there is nothing to clean up.
 */
static void isolate_tools(unsigned int abi, struct janitor **janitor)
{
	struct clean_up clean_ups[2];
	struct tracing *tracing = NULL;
	size_t nr = 0;
	int r, no_janitor;

	if (janitor)
		*janitor = NULL;
	isolate_modules();
	if (!isolate_damo(&clean_ups[nr]))
		nr++;
	r = tracing_prepare(&tracing, &clean_ups[nr]);
	if (!r)
		nr++;
	no_janitor = nr ? janitor_start(clean_ups, nr, janitor) : 0;
	if (no_janitor)
		log_info("nobody will clean up after damonfs: %s", strerror(-no_janitor));
	if (!r)
		r = tracing_start(tracing, abi, "/proc/self/exe");
	if (r)
		log_info("events cannot be recorded: %s", strerror(-r));
	while (nr)
		clean_up_forget(&clean_ups[--nr]);
}

/* Binds a part of the mount at DIR to its place; the daemon must already be answering. */
static int bind_part(const char *dir, const struct place *place)
{
	char part[4096];

	snprintf(part, sizeof(part), "%s%s", dir, place->part);
	if (!strcmp(part, place->path))
		return 0;
	if (mount(part, place->path, NULL, MS_BIND, NULL))
		return fail(place->path, -errno);
	return 0;
}

static int bind_parts(const char *dir, const char *only)
{
	int r = 0;

	for (size_t i = 0; !r && i < ARRAY_SIZE(places); i++)
		if (is_wanted(&places[i], only))
			r = bind_part(dir, &places[i]);
	return r;
}

/* DIR is where all of the mount is. */
static pid_t start_command(const char *dir, const char *only, char **argv, const sigset_t *mask)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	sigprocmask(SIG_SETMASK, mask, NULL);
	if (bind_parts(dir, only))
		_exit(EXIT_OURS);
	execvp(argv[0], argv);
	fprintf(stderr, "damonfs exec: %s: %s\n", argv[0], strerror(errno));
	_exit(errno == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE);
}

static int status_of(const struct command *command)
{
	if (WIFSIGNALED(command->status))
		return 128 + WTERMSIG(command->status);
	return WEXITSTATUS(command->status);
}

/* Whether the command has ended.  Other signals, which ask us to end, are passed on to it. */
static bool on_signal(int number, void *argument)
{
	struct command *command = argument;

	if (number != SIGCHLD)
		kill(command->pid, number);
	else if (waitpid(command->pid, &command->status, WNOHANG) == command->pid)
		command->ended = true;
	return command->ended;
}

/*
 * A terminal's SIGINT and SIGQUIT reach the command directly and are not for us; the others are
 * passed on.
 */
static int exec_open_signals(sigset_t *before)
{
	sigset_t set;

	/* If ignored, it would never report the command's end. */
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, before);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void ignore_terminal(void)
{
	signal(SIGINT, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
}

/* Runs the command on a damonfs that is already mounted. */
static int run_at(const char *at, const char *only, char **argv)
{
	char kdamonds[4096 + 32], dir[4096];
	struct stat st;
	int r;

	/* A relative path may lead elsewhere when something is covered. */
	if (!realpath(at, dir))
		return fail(at, -errno);
	snprintf(kdamonds, sizeof(kdamonds), "%s/admin/kdamonds", dir);
	if (stat(kdamonds, &st))
		return fail(at, -errno);
	if (enter_namespace(only) || bind_parts(dir, only))
		return EXIT_OURS;
	/* Its janitor sees the end of the command, which we become. */
	isolate_tools(DAMON_ABI(6, 18), NULL);
	execvp(argv[0], argv);
	r = -errno;
	fail(argv[0], r);
	return r == -ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
}

/* All of the mount stands at the first place that is wanted; a part of it may cover it there. */
static const char *mount_place(const char *only)
{
	return is_wanted(&places[0], only) ? places[0].path : places[1].path;
}

static int run_on_own(struct options *options, const char *only, char **argv)
{
	struct command command = { 0 };
	struct janitor *janitor = NULL;
	struct session *session;
	sigset_t before;
	_cleanup_close_ int signals = exec_open_signals(&before);
	int r;

	if (signals < 0)
		return fail("signals", -errno);
	if (enter_namespace(only))
		return EXIT_OURS;
	r = session_mount(options, mount_place(only), &session);
	if (r)
		return fail("mount", r);
	isolate_tools(options->abi, &janitor);
	command.pid = start_command(mount_place(only), only, argv, &before);
	if (command.pid < 0) {
		r = fail("fork", -errno);
		session_end(session);
		janitor_end(janitor);
		return r;
	}
	ignore_terminal();
	r = caller_prepare();
	if (!r)
		r = agents_start();
	access_prepare(options->method);
	if (!r)
		r = privileges_settle(access_method_uses(options->method), options->sandbox);
	if (!r)
		r = session_serve(session, signals, on_signal, &command);
	session_end(session);
	agents_stop();
	/* Somebody unmounted it under the command. */
	if (!command.ended)
		waitpid(command.pid, &command.status, 0);
	janitor_end(janitor);
	return r ? fail("serve", r) : status_of(&command);
}

/* The shell to run without a command; its prompt says where it is (in bash as on Debian). */
static char **shell(void)
{
	static char *argv[] = { NULL, NULL };

	argv[0] = getenv("SHELL");
	if (!argv[0] || !*argv[0])
		argv[0] = "/bin/sh";
	setenv("debian_chroot", "damonfs", 1);
	setenv("PS1", "(damonfs) # ", 1);
	fprintf(stderr,
		"damonfs: in this shell, /sys/kernel/mm/damon and /sys/kernel/debug/damon are "
		"damonfs's, as are the\nevents damon:*.  Everything of it ends with `exit'.\n");
	return argv;
}

static int usage(int status)
{
	fprintf(status ? stderr : stdout,
		"Usage: damonfs exec [--at DIR] [--only sysfs|debugfs] [-o OPTIONS] [--] "
		"[COMMAND [ARGUMENT...]]\n");
	return status;
}

int exec_main(int argc, char **argv)
{
	static const struct option longs[] = { { "at", required_argument, NULL, 'a' },
					       { "only", required_argument, NULL, 'y' },
					       { "help", no_argument, NULL, 'h' },
					       { 0 } };
	__attribute__((cleanup(options_free))) struct options options = { 0 };
	char given[4096] = "log=error", *mount_argv[] = { "damonfs", "-o", given, "/", NULL };
	const char *at = NULL, *only = NULL;
	char **command;
	int c, r;

	if (borrowed_privileges()) {
		fprintf(stderr, "damonfs exec: this program file has privileges that you have not "
				"(setcap, setuid), and is for mounts of your own\n");
		return EXIT_OURS;
	}
	optind = 2; /* behind "exec" */
	while ((c = getopt_long(argc, argv, "+o:h", longs, NULL)) != -1) {
		size_t length = strlen(given);

		if (c == 'h')
			return usage(0);
		if (c == 'a')
			at = optarg;
		else if (c == 'y' &&
			 (is_wanted(&places[0], optarg) || is_wanted(&places[1], optarg)))
			only = optarg;
		else if (c != 'o' || (size_t)snprintf(given + length, sizeof(given) - length, ",%s",
						      optarg) >= sizeof(given) - length)
			return usage(EXIT_OURS);
	}
	if (!at)
		isolate_program(argv);
	command = optind < argc ? argv + optind : shell();
	if (at)
		return run_at(at, only, command);
	/* Parsing wants an existing mount point; ours may have to be made first. */
	r = options_parse(4, mount_argv, &options);
	if (r)
		return r == OPTIONS_DONE ? 0 : EXIT_OURS;
	/* Users other than root may look: the modes say who may write. */
	if (!options.uid && fuse_opt_add_arg(&options.args, "-oallow_other"))
		return fail("options", -ENOMEM);
	log_setup(options.log_level, false);
	return run_on_own(&options, only, command);
}
