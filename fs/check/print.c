// SPDX-License-Identifier: GPL-2.0-or-later
/* `damonfs check' for people: see print.h. */
#include <stdbool.h>
#include <stdio.h>

#include "fs/check/print.h"
#include "fs/status/say.h"

static bool check_is_true(json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

static void print_attempt(json_t *report, const char *key, const char *what)
{
	json_t *row = json_object_get(report, key);
	bool works = check_is_true(row, "works");

	say(stdout, "%-12s %s%s\n", what,
	    works ? "works" : "does not work: ", works ? "" : say_text(row, "why"));
}

static void print_method(json_t *row)
{
	const char *why = say_text(row, "why");

	if (!check_is_true(row, "works"))
		say(stdout, "  %-10s does not work: %s\n", say_text(row, "method"), why);
	else
		say(stdout, "  %-10s works%s: sees %s%s%s\n", say_text(row, "method"),
		    check_is_true(row, "taken") ? " and is taken" : "", say_text(row, "sees"),
		    *why ? "; but " : "", why);
}

static void print_methods(json_t *methods)
{
	json_t *row;
	size_t i;

	json_array_foreach(methods, i, row) print_method(row);
}

void print_check(json_t *report)
{
	json_t *missing = json_object_get(report, "missing"), *row;
	json_int_t pid = json_integer_value(json_object_get(report, "pid"));
	size_t i;

	say(stdout, "damonfs %s on Linux %s\n", say_text(report, "version"),
	    say_text(report, "kernel"));
	print_attempt(report, "mount", "mounting");
	print_attempt(report, "exec", "damonfs exec");
	if (pid)
		say(stdout, "methods for process %lld:\n", (long long)pid);
	else
		puts("methods for a process of your own:");
	print_methods(json_object_get(report, "methods"));
	if (json_object_get(report, "paddr")) {
		puts("methods for physical memory (paddr):");
		print_methods(json_object_get(report, "paddr"));
	}
	if (json_array_size(missing))
		puts("capabilities that are missing (start damonfs as root, or its container with "
		     "--cap-add):");
	json_array_foreach(missing, i, row)
		say(stdout, "  %s: %s\n", say_text(row, "capability"), say_text(row, "without"));
}
