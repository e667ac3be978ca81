// SPDX-License-Identifier: GPL-2.0-or-later
/* The status of a mount: see report.h. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <utlist.h>

#include "fs/damonfs.h"
#include "fs/run.h"
#include "fs/status/report.h"
#include "fs/status/say.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "version.h"

static const char *const run_states[] = {
	[RUN_STARTING] = "starting",
	[RUN_FAILED] = "failed",
	[RUN_ON] = "on",
	[RUN_ENDED] = "ending",
};

static const char *const target_states[NR_DAMON_TARGET_STATES] = {
	[DAMON_TARGET_WATCHED] = "watched",
	[DAMON_TARGET_UNSEEN] = "unseen",
	[DAMON_TARGET_UNANSWERED] = "unanswered",
	[DAMON_TARGET_GONE] = "gone",
};

static double seconds(uint64_t ns)
{
	return (double)ns / 1e9;
}

static double seconds_since(uint64_t ns)
{
	return seconds(clock_ns() - ns);
}

/* The daemon's own threads: kdamonds may be processes. */
static double cpu_of_daemon(void)
{
	struct timespec time;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Bytes that are resident, or 0 if they are not known. */
static json_int_t memory_of_daemon(void)
{
	_cleanup_fclose_ FILE *file = fopen("/proc/self/statm", "re");
	long pages;

	if (!file || fscanf(file, "%*d %ld", &pages) != 1)
		return 0;
	return (json_int_t)pages * sysconf(_SC_PAGESIZE);
}

/* The targets' array.  Return: it, or NULL if there is no memory. */
static json_t *describe_targets(const struct damon_status *status)
{
	json_t *all = json_array();

	for (size_t t = 0; t < status->nr_targets; t++) {
		const struct damon_target_status *target = &status->targets[t];

		/* Either takes the other over, also if it fails. */
		if (json_array_append_new(
			    all, json_pack("{si ss so? so sI}", "pid", target->pid, "state",
					   target_states[target->state], "method",
					   target->method ? say_json(target->method) : NULL, "why",
					   say_json(target->why.text), "regions",
					   (json_int_t)target->nr_regions))) {
			json_decref(all);
			return NULL;
		}
	}
	return all;
}

/* Adds what its kdamond says of itself to OBJECT.  Return: 0 or -ENOMEM. */
static int add_status(json_t *object, const struct damon_status *status)
{
	json_t *more = json_pack("{sf sf sI sI sI sI so}", "said_s",
				 seconds_since(status->told * 1000), "cpu_s",
				 seconds(status->cpu_ns), "sample_us",
				 (json_int_t)status->sample_interval, "aggr_us",
				 (json_int_t)status->aggr_interval, "samples",
				 (json_int_t)status->samples, "missed", (json_int_t)status->missed,
				 "targets", describe_targets(status));
	int r = more ? json_object_update(object, more) : -1;

	json_decref(more);
	return r ? -ENOMEM : 0;
}

/* Return: NULL if there is no memory. */
static json_t *describe_run(const struct run *run)
{
	const char *state = run->left ? "held up" : run_states[run->state];
	json_t *object = json_pack("{ss ss sf}", "place", run->place, "state", state, "on_s",
				   seconds_since(run->since));
	struct damon_status status = { 0 };
	char name[32];
	int r = object ? 0 : -ENOMEM;

	snprintf(name, sizeof(name), "kdamond.%u", run->number);
	if (!r && run->kdamond)
		r = json_object_set_new(object, "name", json_string(name)) ||
				    json_object_set_new(object, "pid",
							json_integer(kdamond_tid(run->kdamond))) ?
			    -ENOMEM :
			    kdamond_get_status(run->kdamond, &status);
	if (!r && status.told)
		r = add_status(object, &status);
	damon_status_clear(&status);
	if (!r)
		return object;
	json_decref(object);
	return NULL;
}

WITH_LOCK(tree_role) static json_t *describe_runs(const struct damonfs *damonfs)
{
	json_t *all = json_array();
	const struct run *run;

	DL_FOREACH(damonfs->runs, run) {
		if (json_array_append_new(all, describe_run(run))) {
			json_decref(all);
			return NULL;
		}
	}
	return all;
}

WITH_LOCK(tree_role) static json_t *describe_mount(const struct tree *tree)
{
	const struct damonfs *damonfs = damonfs_of_tree(tree);
	char abi[16];

	snprintf(abi, sizeof(abi), "%u.%u", tree->abi / 1000, tree->abi % 1000);
	return json_pack("{ss ss so si si sf sf sb si sI sf so}", "version", DAMONFS_VERSION, "abi",
			 abi, "method", say_json(damonfs->method), "pid", getpid(), "keeper",
			 damonfs->saver ? getppid() : 0, "mounted_s",
			 seconds_since(damonfs->mounted_since), "serves_s",
			 seconds_since(damonfs->serves_since), "survives", damonfs->saver != NULL,
			 "restarts", (int)damonfs->restarts, "memory_bytes", memory_of_daemon(),
			 "cpu_s", cpu_of_daemon(), "kdamonds", describe_runs(damonfs));
}

int report_status(struct tree *tree, struct text *out)
{
	json_t *mount;
	char *text;
	int r;

	/* The keys are our own: nobody can have them collide.  Otherwise it would read a file. */
	json_object_seed(1);
	mount = describe_mount(tree);
	text = mount ? json_dumps(mount, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
	json_decref(mount);
	r = text ? text_add(out, "%s\n", text) : -ENOMEM;
	free(text);
	return r;
}
