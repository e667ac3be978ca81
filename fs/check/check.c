// SPDX-License-Identifier: GPL-2.0-or-later
/* `damonfs check': see check.h. */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "access/access.h"
#include "access/rights/privileges.h"
#include "fs/check/attempts.h"
#include "fs/check/check.h"
#include "fs/check/print.h"
#include "fs/fuse/borrowed.h"
#include "fs/status/say.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "util/number.h"
#include "version.h"

enum { EVERY_ACCESS, LESS, NOTHING }; /* exit statuses */

/* Return: what was tried, as JSON, or NULL if there is no memory; WHY is of the error R, or empty. */
static json_t *attempted(int r, const struct access_why *why)
{
	return json_pack("{sb ss}", "works", !r, "why",
			 !r || *why->text ? why->text : strerror(-r));
}

/* What auto takes of the NR CHECKS, or NULL. */
static const struct access_method *first_that_works(const struct access_check *checks, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (!checks[i].error)
			return checks[i].method;
	return NULL;
}

/*
 * Adds the methods on PROCESS, or on physical memory if that is NULL, to REPORT as KEY, and to
 * *BEST, which may be NULL, the one that auto takes.
 */
static int add_methods(json_t *report, const char *key, struct process *process,
		       const struct access_method **best)
{
	struct access_check checks[ACCESS_CHECKS];
	const struct access_method *first;
	json_t *list = json_array();
	size_t nr;
	int r = list ? access_check(process, checks, &nr) : -ENOMEM;

	if (r) {
		json_decref(list);
		return r;
	}
	first = first_that_works(checks, nr);
	for (size_t i = 0; !r && i < nr; i++) {
		json_t *row = attempted(checks[i].error, &checks[i].why);

		if (!row || json_array_append_new(list, row) ||
		    json_object_set_new(row, "method", json_string(checks[i].method->name)) ||
		    json_object_set_new(row, "sees", json_string(checks[i].method->sees)) ||
		    json_object_set_new(row, "taken", json_boolean(checks[i].method == first)))
			r = -ENOMEM;
	}
	if (best)
		*best = first;
	if (json_object_set_new(report, key, list))
		return -ENOMEM;
	return r;
}

/* The process PID, or for 0 a sample. */
static int add_process(json_t *report, pid_t pid, const struct access_method **best)
{
	__attribute__((cleanup(process_putp))) struct process *process = NULL;
	pid_t sample = pid ? 0 : attempt_start_sample();
	int r = sample < 0 ? sample : process_open(pid ? pid : sample, NULL, &process);

	if (!r)
		r = add_methods(report, "methods", process, best);
	if (sample > 0)
		attempt_end_sample(sample);
	return r;
}

static int add_attempt(json_t *report, const char *key, int (*attempt)(struct access_why *why),
		       bool *works)
{
	struct access_why why = { 0 };
	int r = attempt(&why);

	*works = !r;
	return json_object_set_new(report, key, attempted(r, &why)) ? -ENOMEM : 0;
}

static int add_missing(const char *name, const char *without, void *list)
{
	return json_array_append_new(list,
				     json_pack("{ss ss}", "capability", name, "without", without)) ?
		       -ENOMEM :
		       0;
}

/* Return: 0, the exit status in *STATUS, or a negative errno. */
static int fill_report(json_t *report, pid_t pid, int *status)
{
	const struct access_method *best = NULL;
	json_t *missing = json_array();
	bool mounts, execs;
	int r = missing ? 0 : -ENOMEM;

	if (!r)
		r = json_object_set_new(report, "missing", missing) ? -ENOMEM : 0;
	/* While there is one thread. */
	if (!r)
		r = add_attempt(report, "mount", attempt_mount, &mounts);
	if (!r)
		r = add_attempt(report, "exec", attempt_exec, &execs);
	if (!r)
		r = borrowed_take_up();
	if (!r)
		r = add_process(report, pid, &best);
	/* Privileges of the program file are for the user's own processes. */
	if (!r && !pid && !borrowed_privileges())
		r = add_methods(report, "paddr", NULL, NULL);
	if (!r)
		r = privileges_missing(access_method_uses("auto"), add_missing, missing);
	if (r)
		return r;
	*status = (!mounts && !execs) || !best ? NOTHING :
		  best->exact && mounts	       ? EVERY_ACCESS :
						 LESS;
	return 0;
}

/* Return: the exit status. */
static int check(pid_t pid, bool json)
{
	__attribute__((cleanup(json_decrefp))) json_t *report = NULL;
	struct utsname kernel;
	int status = NOTHING, r;

	uname(&kernel);
	report = json_pack("{ss ss si}", "version", DAMONFS_VERSION, "kernel", kernel.release,
			   "pid", pid);
	r = report ? fill_report(report, pid, &status) : -ENOMEM;
	if (!r && json)
		r = say_document(report);
	else if (!r)
		print_check(report);
	if (!r && fflush(stdout))
		r = -errno;
	if (!r)
		return status;
	if (pid)
		fprintf(stderr, "damonfs check: process %d: %s\n", pid, strerror(-r));
	else
		fprintf(stderr, "damonfs check: %s\n", strerror(-r));
	return NOTHING;
}

static int usage(int status)
{
	fprintf(status ? stderr : stdout,
		"Usage: damonfs check [--json] [PID]\n"
		"\n"
		"Tries what works here, for process PID or one of your own, and says what adds "
		"what "
		"does not.\n"
		"Exit status: 0 if every access is seen, 1 if less, 2 if damonfs is of no use "
		"here.\n");
	return status;
}

int check_main(int argc, char **argv)
{
	static const struct option options[] = { { "json", no_argument, NULL, 'j' },
						 { "help", no_argument, NULL, 'h' },
						 { 0 } };
	unsigned int pid = 0;
	bool json = false;
	int option;

	/* argv[1] is `check'. */
	optind = 2;
	while ((option = getopt_long(argc, argv, "jh", options, NULL)) >= 0) {
		if (option != 'j')
			return usage(option == 'h' ? 0 : NOTHING);
		json = true;
	}
	if (optind < argc &&
	    (number_scan(argv[optind], INT_MAX, &pid) || !pid || argc - optind > 1))
		return usage(NOTHING);
	if (pid && borrowed_privileges()) {
		fprintf(stderr, "damonfs check: this program file has privileges that you do not "
				"have (setcap, setuid): leave PID out\n");
		return NOTHING;
	}
	/* If it were ignored, nobody could wait for a child. */
	signal(SIGCHLD, SIG_DFL);
	/* What lines of the log would say, the report says. */
	log_setup(LOG_LEVEL_ERROR, false);
	return check((pid_t)pid, json);
}
