// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * damonfs exec: see exec.h.
 *
 * We are the daemon of the mount, or the parent of its keeper, and the parent of the command, all
 * in a new mount namespace.  When the command ends, the mount and we end with it, and the namespace
 * with the last process in it.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "access/access.h"
#include "access/rights/agent.h"
#include "access/rights/privileges.h"
#include "engine/damon.h"
#include "fs/exec/command.h"
#include "fs/exec/exec.h"
#include "fs/exec/isolate.h"
#include "fs/exec/namespace.h"
#include "fs/exec/place.h"
#include "fs/exec/surviving.h"
#include "fs/exec/tracing.h"
#include "fs/fuse/borrowed.h"
#include "fs/fuse/session.h"
#include "fs/janitor.h"
#include "fs/options.h"
#include "fs/serve.h"
#include "util/cleanup.h"
#include "util/log.h"

static int fail(const char *what, int r)
{
	fprintf(stderr, "damonfs exec: %s: %s\n", what, strerror(-r));
	return EXIT_OURS;
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

/* Where the command sees what. */
struct view {
	const char *dir; /* where all of the mount is */
	const char *only;
};

static int bind_view(void *argument)
{
	const struct view *view = argument;

	return place_bind(view->dir, view->only);
}

/* Ends with the command.  Other signals, which ask us to end, are passed on to it. */
static enum session_next on_signal(int number, void *argument)
{
	struct command *command = argument;

	command_signal(command, number);
	return command->ended ? SESSION_END : SESSION_GO_ON;
}

/* Runs the command on a damonfs that is already mounted. */
static int run_at(const char *at, const char *only, char **argv)
{
	char kdamonds[4096 + 32], dir[4096];
	struct stat st;

	/* A relative path may lead elsewhere when something is covered. */
	if (!realpath(at, dir))
		return fail(at, -errno);
	snprintf(kdamonds, sizeof(kdamonds), "%s/admin/kdamonds", dir);
	if (stat(kdamonds, &st))
		return fail(at, -errno);
	if (place_enter_namespace(only) || place_bind(dir, only))
		return EXIT_OURS;
	/* Its janitor sees the end of the command, which we become. */
	isolate_tools(DAMON_ABI_DEFAULT, NULL);
	return command_become(argv);
}

/* Serves until the command has ended; what it may do is given up first. */
static int serve(const struct options *options, struct session *session, int signals,
		 struct command *command)
{
	int r = serve_prepare(options, false);

	if (!r)
		r = privileges_settle(access_method_uses(options->method), options->sandbox);
	if (!r)
		r = session_serve(session, signals, on_signal, command);
	return r;
}

/* Starts the command on the mount of OPTIONS.  Return: 0, or the exit status if it cannot. */
static int begin(const struct options *options, const char *only, char **argv,
		 const sigset_t *before, struct command *command, struct janitor **janitor)
{
	struct view view = { place_of_mount(only), only };
	int r;

	isolate_tools(options->abi, janitor);
	r = command_start(command, argv, before, bind_view, &view);
	return r ? fail("fork", r) : 0;
}

/* Runs the command on a mount of its own, which a keeper's daemons serve. */
static int run_on_kept(struct options *options, const char *only, char **argv, int signals,
		       const sigset_t *before)
{
	struct command command = { 0 };
	struct janitor *janitor = NULL;
	pid_t keeper;
	int r = surviving_start(options, place_of_mount(only), &keeper);

	if (r)
		return r == -ECHILD ? EXIT_OURS : fail("mount", r);
	r = begin(options, only, argv, before, &command, &janitor);
	if (!r)
		command_wait(&command, signals);
	surviving_end(keeper);
	janitor_end(janitor);
	return r ? r : command_status(&command);
}

/* Runs the command on a mount of its own, whose daemon we are. */
static int run_on_own(struct options *options, const char *only, char **argv, int signals,
		      const sigset_t *before)
{
	struct command command = { 0 };
	struct janitor *janitor = NULL;
	struct session *session;
	int r = session_mount(options, place_of_mount(only), &session);

	if (r)
		return fail("mount", r);
	r = begin(options, only, argv, before, &command, &janitor);
	if (r) {
		session_end(session);
		janitor_end(janitor);
		return r;
	}
	r = serve(options, session, signals, &command);
	session_end(session);
	agents_stop();
	/* Somebody unmounted it under the command. */
	if (!command.ended)
		waitpid(command.pid, &command.status, 0);
	janitor_end(janitor);
	return r ? fail("serve", r) : command_status(&command);
}

/* Runs the command on a mount of its own, in a new mount namespace. */
static int run_isolated(struct options *options, const char *only, char **argv)
{
	sigset_t before;
	_cleanup_close_ int signals = command_open_signals(&before);

	if (signals < 0)
		return fail("signals", signals);
	if (place_enter_namespace(only))
		return EXIT_OURS;
	return options->survive ? run_on_kept(options, only, argv, signals, &before) :
				  run_on_own(options, only, argv, signals, &before);
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
		"damonfs's, as are\nthe events damon:* if you may record events.  All of it ends "
		"with `exit'.\n");
	return argv;
}

static int usage(int status)
{
	fprintf(status ? stderr : stdout,
		"Usage: damonfs exec [--at DIR] [--only sysfs|debugfs] [-o OPTIONS] [--] "
		"[COMMAND [ARGUMENT...]]\n"
		"\n"
		"Runs COMMAND, or a shell, where /sys/kernel/mm/damon and /sys/kernel/debug/damon "
		"are\n"
		"those of a damonfs: of one with OPTIONS that ends with COMMAND, or of the one at "
		"DIR.\n"
		"With --only, COMMAND sees no other tree.\n");
	return status;
}

/* The command line. */
struct request {
	const char *at, *only; /* NULL: not given */
	char mount_options[4096]; /* every -o, joined by commas */
	char **command; /* NULL: a shell */
};

/* Return: 0, or -EINVAL if that is too long. */
static int add_mount_options(struct request *request, const char *options)
{
	size_t length = strlen(request->mount_options);
	size_t room = sizeof(request->mount_options) - length;
	int added = snprintf(request->mount_options + length, room, ",%s", options);

	return (size_t)added < room ? 0 : -EINVAL;
}

/* Return: -1, or the exit status: there is nothing to run. */
static int parse_request(int argc, char **argv, struct request *request)
{
	static const struct option longs[] = { { "at", required_argument, NULL, 'a' },
					       { "only", required_argument, NULL, 'y' },
					       { "help", no_argument, NULL, 'h' },
					       { 0 } };
	int c;

	*request = (struct request){ .mount_options = "log=error" };
	optind = 2; /* behind "exec" */
	while ((c = getopt_long(argc, argv, "+o:h", longs, NULL)) != -1) {
		if (c == 'h')
			return usage(0);
		if (c == 'a')
			request->at = optarg;
		else if (c == 'y' && place_known(optarg))
			request->only = optarg;
		else if (c != 'o' || add_mount_options(request, optarg))
			return usage(EXIT_OURS);
	}
	if (optind < argc)
		request->command = argv + optind;
	return -1;
}

static int run_request(struct request *request)
{
	char **command = request->command ? request->command : shell();
	/* Parsing wants an existing mount point; ours may have to be made first. */
	char *mount_argv[] = { "damonfs", "-o", request->mount_options, "/", NULL };
	__attribute__((cleanup(options_free))) struct options options = { 0 };
	int r;

	if (request->at)
		return run_at(request->at, request->only, command);
	r = options_parse(4, mount_argv, &options);
	if (r)
		return r == OPTIONS_DONE ? 0 : EXIT_OURS;
	if (command_refuses("exec", &options))
		return EXIT_OURS;
	/* Users other than root may look: the modes say who may write. */
	if (!options.uid && fuse_opt_add_arg(&options.args, "-oallow_other"))
		return fail("options", -ENOMEM);
	log_setup(options.log_level, false);
	return run_isolated(&options, request->only, command);
}

int exec_main(int argc, char **argv)
{
	struct request request;
	int status, r;

	if (borrowed_privileges()) {
		fprintf(stderr, "damonfs exec: this program file has privileges that you do not "
				"have (setcap, setuid): it may only be used to mount\n");
		return EXIT_OURS;
	}
	status = parse_request(argc, argv, &request);
	if (status >= 0)
		return status;
	r = namespace_become_root();
	if (r) {
		fprintf(stderr, "damonfs exec: cannot make a user namespace: %s%s\n", strerror(-r),
			namespace_hint(r));
		return EXIT_OURS;
	}
	if (!request.at)
		isolate_program(argv);
	return run_request(&request);
}
