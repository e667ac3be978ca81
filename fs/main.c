// SPDX-License-Identifier: GPL-2.0-or-later
/* damonfs: the command line. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/check/check.h"
#include "fs/exec/exec.h"
#include "fs/fstab.h"
#include "fs/fuse/borrowed.h"
#include "fs/fuse/daemon.h"
#include "fs/fuse/session.h"
#include "fs/kept.h"
#include "fs/keep/successor.h"
#include "fs/lend.h"
#include "fs/options.h"
#include "fs/serve.h"
#include "fs/status/status.h"
#include "fs/status/upgrade.h"
#include "util/cleanup.h"
#include "util/notify.h"
#include "util/title.h"

/* Commands, by the first word; a mount has none. */
static const struct {
	const char *name;
	int (*main)(int argc, char **argv);
} commands[] = {
	{ "check", check_main },   { "exec", exec_main },	{ "lend", lend_main },
	{ "status", status_main }, { "upgrade", upgrade_main }, { SUCCESSOR_COMMAND, kept_main },
};

static int say_ready(void *daemon)
{
	notify_manager("READY=1", NULL, 0);
	return daemon_is_ready(daemon);
}

/* One daemon, and no other after it. */
static int serve_once(struct options *options, struct daemon *daemon)
{
	_cleanup_close_ int signals = serve_open_signals(NULL, 0);
	struct session *session;
	int r = signals < 0 ? signals : 0;

	if (!r)
		r = session_mount(options, options->mountpoint, &session);
	return r ? r : serve_session(options, say_ready, daemon, session, signals);
}

/* Return: 0 or a negative errno, after saying why. */
static int main_serve(struct options *options)
{
	struct daemon daemon = { .waits = -1 };
	int r;

	if (!options->fdstore)
		kept_forget(options);
	r = options->foreground ? 0 : daemon_begin(&daemon);
	if (r) {
		log_error("cannot start: %s", strerror(-r));
		return r;
	}
	return options->survive ? kept_serve(options, &daemon) : serve_once(options, &daemon);
}

/* Return: as options_parse(). */
static int take_options(int argc, char **argv, struct options *options)
{
	int r = options_parse(argc, argv, options);

	if (r)
		return r;
	if (!options->mountpoint) {
		fprintf(stderr, "damonfs: no mount point given; see damonfs --help\n");
		return -EINVAL;
	}
	return borrowed_check(options);
}

/* Return: the exit status. */
static int main_mount(int argc, char **argv)
{
	__attribute__((cleanup(options_free))) struct options options = { 0 };
	int r = take_options(argc, argv, &options);

	if (r)
		return r == OPTIONS_DONE ? EXIT_SUCCESS : EXIT_FAILURE;
	/* -d is for a person to watch. */
	options.foreground |= options.debug;
	log_setup(options.log_level, false);
	return main_serve(&options) ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* What mount(8) wants done.  Return: the exit status. */
static int main_helper(int argc, char **argv)
{
	__attribute__((cleanup(options_free))) struct options options = { 0 };
	_cleanup_free_ char **words = NULL;
	bool fake;
	int nr = fstab_helper_words(argc, argv, &words, &fake);

	if (nr < 0)
		return EXIT_FAILURE;
	if (!fake)
		return main_mount(nr, words);
	return take_options(nr, words, &options) ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	int r = borrowed_set_aside();

	if (r) {
		fprintf(stderr,
			"damonfs: cannot set aside the program file's privileges (setcap, setuid): "
			"%s\n",
			strerror(-r));
		return EXIT_FAILURE;
	}
	argv = title_take(argc, argv);
	if (fstab_is_helper(argv[0]))
		return main_helper(argc, argv);
	for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(commands); i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].main(argc, argv);
	return main_mount(argc, argv);
}
