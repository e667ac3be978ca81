// SPDX-License-Identifier: GPL-2.0-or-later
/* A mount's status, for people: see print.h. */
#include <stdbool.h>
#include <stdio.h>

#include "fs/status/print.h"
#include "fs/status/say.h"
#include "util/cleanup.h"

/* "12 s", "3 min", "2 h", "5 days", in TEXT. */
static const char *duration(double seconds, char text[static 32])
{
	static const struct {
		double of, until;
		const char *name;
	} units[] = { { 1, 120, "s" }, { 60, 7200, "min" }, { 3600, 172800, "h" } };

	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		if (seconds >= units[i].until)
			continue;
		snprintf(text, 32, "%.0f %s", seconds / units[i].of, units[i].name);
		return text;
	}
	snprintf(text, 32, "%.0f days", seconds / 86400);
	return text;
}

static double number_of(json_t *object, const char *key)
{
	return json_number_value(json_object_get(object, key));
}

static void print_target(json_t *target)
{
	double pid = number_of(target, "pid");
	const char *why = say_text(target, "why"), *method = say_text(target, "method");

	if (pid > 0)
		say(stdout, "    pid %.0f: ", pid);
	else
		say(stdout, "    %s: ", *method ? "physical memory" : "a process");
	say(stdout, "%s%s%s", say_text(target, "state"), *method ? " by " : "", method);
	say(stdout, ", %.0f regions", number_of(target, "regions"));
	say(stdout, "%s%s\n", *why ? "; " : "", why);
}

static void print_kdamond(json_t *kdamond)
{
	json_t *targets = json_object_get(kdamond, "targets"), *target;
	double on = number_of(kdamond, "on_s"), pid = number_of(kdamond, "pid");
	double said_at = on - number_of(kdamond, "said_s");
	char text[32];
	size_t i;

	say(stdout, "  %s: %s for %s", say_text(kdamond, "place"), say_text(kdamond, "state"),
	    duration(on, text));
	if (pid > 0)
		say(stdout, "; %s, pid %.0f", say_text(kdamond, "name"), pid);
	if (!targets) {
		puts("");
		return;
	}
	say(stdout, ", %.2f %% of a core\n",
	    said_at > 0 ? number_of(kdamond, "cpu_s") / said_at * 100 : 0);
	say(stdout,
	    "    samples every %.15g ms, aggregates every %.15g ms; %.0f samples, %.0f missed\n",
	    number_of(kdamond, "sample_us") / 1000, number_of(kdamond, "aggr_us") / 1000,
	    number_of(kdamond, "samples"), number_of(kdamond, "missed"));
	json_array_foreach(targets, i, target) print_target(target);
}

void print_status(json_t *mount)
{
	json_t *kdamonds = json_object_get(mount, "kdamonds"), *kdamond;
	double restarts = number_of(mount, "restarts");
	char text[32];
	size_t i;

	say(stdout, "%s: damonfs %s, as Linux %s, method %s\n", say_text(mount, "mountpoint"),
	    say_text(mount, "version"), say_text(mount, "abi"), say_text(mount, "method"));
	say(stdout, "  mounted %s ago; pid %.0f", duration(number_of(mount, "mounted_s"), text),
	    number_of(mount, "pid"));
	if (restarts > 0)
		say(stdout, " for %s, after %.0f other%s",
		    duration(number_of(mount, "serves_s"), text), restarts,
		    restarts > 1 ? "s" : "");
	say(stdout, "; %.1f MiB, %.2f s of CPU\n", number_of(mount, "memory_bytes") / (1 << 20),
	    number_of(mount, "cpu_s"));
	if (!json_array_size(kdamonds))
		puts("  nothing is on");
	json_array_foreach(kdamonds, i, kdamond) print_kdamond(kdamond);
}
