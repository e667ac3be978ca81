// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kdamonds/N: turning on and off, and commands to a running kdamond.
 *
 * `on', `off' and the commands that the kdamond carries out hold the write that asked for them; the
 * kdamond's call-backs post events to the answerer, which takes the results into the tree and
 * answers. A kdamond has one command at a time; what runs beside it on another is none of its
 * business.
 */
#include <errno.h>
#include <stdlib.h>

#include "access/cleanup.h"
#include "fs/parse.h"
#include "fs/sysfs/sysfs.h"

/* The command under way; what it needs to be answered. */
struct command_run {
	struct damon_command command;
	struct kdamond_dir *dir;
	struct pending *pending;
	int result;
	/* Takes the answers into the tree. */
	void (*apply)(struct context_dir *context, const struct damon_command *command);
	struct event event;
};

static struct context_dir *context_of(const struct kdamond_dir *dir)
{
	return dir->contexts.nr ? (struct context_dir *)dir->contexts.dirs[0] : NULL;
}

bool kdamond_is_busy(const struct kdamond_dir *dir)
{
	return run_has_thread(dir->run) || dir->command;
}

/* ---- on and off ---- */

static void kdamond_clear(struct dir *dir)
{
	run_free(((struct kdamond_dir *)dir)->run);
}

/* `on' is told how the start went. */
static void on_started(struct run *run)
{
	run->on.result = run->result;
}

static int turn_on(struct kdamond_dir *dir, struct write *write)
{
	static const struct run model = { .started = on_started };
	struct damon_desc *desc;
	int r;

	if (kdamond_is_busy(dir))
		return -EBUSY;
	dir->run = run_free(dir->run);
	r = describe_context(context_of(dir), &write->caller, &desc);
	if (r)
		return r;
	/* Those of the debugfs files want to be alone. */
	if (damonfs_of(&dir->base)->exclusive) {
		damon_desc_free(desc);
		return -EBUSY;
	}
	r = run_start(dir->base.tree, desc, &model, &dir->run);
	if (r)
		return r;
	damon_set_refresh(dir->run->kdamond, dir->refresh_ms);
	dir->run->on.pending = write_hold(write);
	return STORE_HELD;
}

static int turn_off(struct kdamond_dir *dir, struct write *write)
{
	struct run *run = dir->run;

	if (run && (run->state == RUN_STARTING || run->off.pending))
		return -EBUSY;
	/* One that failed to start is as if it had never been turned on. */
	if (!run || run->result)
		return -EINVAL;
	if (run->state == RUN_ENDED)
		return -EPERM;
	run->off.pending = write_hold(write);
	damon_stop(run->kdamond);
	return STORE_HELD;
}

/* ---- commands to a running kdamond ---- */

static void on_command_done(struct damon_command *command)
{
	struct command_run *c = container_of(command, struct command_run, command);

	answerer_post(damonfs_of(&c->dir->base)->answerer, &c->event);
}

static void run_command_done(struct event *event)
{
	struct command_run *c = container_of(event, struct command_run, event);
	struct context_dir *context = context_of(c->dir);

	c->dir->command = NULL;
	/* Before Linux 6.14 it is not told how the command went: it shows in `state'. */
	c->result = c->dir->base.tree->abi < V(6, 14) ? 0 : c->command.error;
	kdamond_refresh(c->dir);
	if (c->apply && context && (!c->command.error || c->dir->base.tree->abi < V(6, 14)))
		c->apply(context, &c->command);
}

static void finish_command_done(struct event *event)
{
	struct command_run *c = container_of(event, struct command_run, event);

	pending_answer(c->pending, c->result);
	damon_command_clear(&c->command);
	free(c);
}

static int send(struct kdamond_dir *dir, struct write *write, struct damon_command command,
		void (*apply)(struct context_dir *context, const struct damon_command *command))
{
	struct command_run *c = calloc(1, sizeof(*c));
	int r = c ? 0 : -ENOMEM;

	if (!r) {
		c->command = command;
		c->command.done = on_command_done;
		c->dir = dir;
		c->apply = apply;
		c->event = (struct event){ .run = run_command_done, .finish = finish_command_done };
		r = damon_call(dir->run->kdamond, &c->command);
	}
	if (r) {
		damon_command_clear(&command);
		free(c);
		return r;
	}
	/* The answer comes through the tree's lock, which we hold. */
	dir->command = c;
	c->pending = write_hold(write);
	return STORE_HELD;
}

static int commit(struct kdamond_dir *dir, struct write *write)
{
	struct damon_command command = { .kind = DAMON_COMMIT };

	kdamond_refresh(dir);
	command.error = describe_context(context_of(dir), &write->caller, &command.desc);
	/* Before Linux 6.14 what is wrong with it ends the kdamond, not the write. */
	if (command.error && dir->base.tree->abi >= V(6, 14))
		return command.error;
	return send(dir, write, command, NULL);
}

static int commit_goals(struct kdamond_dir *dir, struct write *write)
{
	struct damon_command command = { .kind = DAMON_COMMIT_QUOTA_GOALS };
	int r = describe_goals(context_of(dir), &command.desc);

	return r ? r : send(dir, write, command, NULL);
}

static struct scheme_dir *scheme_of(struct context_dir *context, size_t index)
{
	return index < context->schemes.nr ? (struct scheme_dir *)context->schemes.dirs[index] :
					     NULL;
}

static void take_stats(struct context_dir *context, const struct damon_report *report)
{
	for (size_t s = 0; s < report->nr_schemes && s < context->schemes.nr; s++)
		scheme_of(context, s)->stats = report->stats[s];
}

static void take_effective(struct context_dir *context, const struct damon_report *report)
{
	for (size_t s = 0; s < report->nr_schemes && s < context->schemes.nr; s++)
		scheme_of(context, s)->quotas.effective_bytes = report->effective_sz[s];
}

static void take_intervals(struct context_dir *context, const struct damon_report *report)
{
	context->attrs.sample_interval = report->sample_interval;
	context->attrs.aggr_interval = report->aggr_interval;
}

static void apply_stats(struct context_dir *context, const struct damon_command *command)
{
	take_stats(context, &command->report);
}

static void apply_effective(struct context_dir *context, const struct damon_command *command)
{
	take_effective(context, &command->report);
}

static void apply_intervals(struct context_dir *context, const struct damon_command *command)
{
	take_intervals(context, &command->report);
}

static int update_stats(struct kdamond_dir *dir, struct write *write)
{
	return send(dir, write, (struct damon_command){ .kind = DAMON_REPORT }, apply_stats);
}

static int update_effective(struct kdamond_dir *dir, struct write *write)
{
	return send(dir, write, (struct damon_command){ .kind = DAMON_REPORT }, apply_effective);
}

static int update_intervals(struct kdamond_dir *dir, struct write *write)
{
	return send(dir, write, (struct damon_command){ .kind = DAMON_REPORT }, apply_intervals);
}

void kdamond_refresh(struct kdamond_dir *dir)
{
	struct context_dir *context = context_of(dir);
	struct damon_report report;

	if (!dir->run || !context || !damon_take_report(dir->run->kdamond, &report))
		return;
	if (dir->refresh_ms) {
		take_intervals(context, &report);
		take_stats(context, &report);
		take_effective(context, &report);
	}
	damon_report_clear(&report);
}

static const struct file_type *tried_regions_file(void)
{
	return dir_file(&scheme_kind, "tried_regions");
}

static void clear_tried(struct context_dir *context)
{
	const struct file_type *file = tried_regions_file();

	for (size_t s = 0; s < context->schemes.nr; s++) {
		struct scheme_dir *scheme = scheme_of(context, s);

		scheme->tried_bytes = 0;
		dir_populate(&scheme->base, file, 0);
	}
}

static void apply_tried_bytes(struct context_dir *context, const struct damon_command *command)
{
	clear_tried(context);
	for (size_t i = 0; i < command->nr_tried; i++) {
		const struct damos_tried_region *tried = &command->tried[i];
		struct scheme_dir *scheme = scheme_of(context, tried->scheme);

		if (scheme)
			scheme->tried_bytes += tried->end - tried->start;
	}
}

/* The number of a directory is that of the region among those of all schemes, or of its own. */
static void apply_tried_regions(struct context_dir *context, const struct damon_command *command)
{
	const struct file_type *file = tried_regions_file();
	bool own = context->base.tree->abi >= V(6, 14);

	apply_tried_bytes(context, command);
	for (size_t i = 0; i < command->nr_tried; i++) {
		const struct damos_tried_region *tried = &command->tried[i];
		struct scheme_dir *scheme = scheme_of(context, tried->scheme);
		struct tried_region_dir *region =
			scheme ? (struct tried_region_dir *)dir_add(
					 &scheme->base, file, own ? scheme->tried_regions.nr : i) :
				 NULL;

		if (!region)
			continue;
		region->start = tried->start;
		region->end = tried->end;
		region->nr_accesses = tried->nr_accesses;
		region->age = tried->age;
		region->sz_filter_passed = tried->sz_filter_passed;
	}
}

/* Since Linux 6.14 what was there is gone, however it goes on. */
static void clear_before(struct kdamond_dir *dir)
{
	if (dir->base.tree->abi >= V(6, 14))
		clear_tried(context_of(dir));
}

static int update_tried_regions(struct kdamond_dir *dir, struct write *write)
{
	clear_before(dir);
	return send(dir, write, (struct damon_command){ .kind = DAMON_COLLECT_TRIED },
		    apply_tried_regions);
}

static int update_tried_bytes(struct kdamond_dir *dir, struct write *write)
{
	clear_before(dir);
	return send(dir, write, (struct damon_command){ .kind = DAMON_COLLECT_TRIED },
		    apply_tried_bytes);
}

static int clear_tried_regions(struct kdamond_dir *dir, struct write *write)
{
	(void)write;
	clear_tried(context_of(dir));
	return 0;
}

/* ---- the files ---- */

static const struct {
	const char *word;
	unsigned int since;
	bool running_only; /* and one at a time */
	bool clears; /* what was tried, also if there is nobody to ask any more */
	int (*act)(struct kdamond_dir *dir, struct write *write);
} commands[] = {
	{ "on", 0, false, false, turn_on },
	{ "off", 0, false, false, turn_off },
	{ "commit", 0, true, false, commit },
	{ "update_schemes_stats", 0, true, false, update_stats },
	{ "update_schemes_tried_regions", V(6, 2), true, true, update_tried_regions },
	{ "clear_schemes_tried_regions", V(6, 2), true, false, clear_tried_regions },
	{ "update_schemes_tried_bytes", V(6, 6), true, true, update_tried_bytes },
	{ "commit_schemes_quota_goals", V(6, 8), true, false, commit_goals },
	{ "update_schemes_effective_quotas", V(6, 9), true, false, update_effective },
	{ "update_tuned_intervals", V(6, 15), true, false, update_intervals },
};

/* Whether a command to a running kdamond can be given.  Return: 0 or a negative errno. */
static int check_running(const struct kdamond_dir *dir)
{
	if (dir->command)
		return -EBUSY;
	if (dir->run && dir->run->state == RUN_ON)
		return 0;
	if (dir->run && dir->run->state == RUN_STARTING && dir->base.tree->abi >= V(6, 18))
		return -EBUSY;
	/* Stable kernels 6.18 tell one that has ended from one that never was. */
	return dir->run && !dir->run->result && dir->base.tree->abi >= V(6, 18) ? -ECANCELED :
										  -EINVAL;
}

/* Clears what the kdamond left behind, since Linux 6.14 also when there is none any more. */
static bool needs_running(const struct kdamond_dir *dir, size_t command)
{
	return commands[command].running_only &&
	       !(commands[command].act == clear_tried_regions && dir->base.tree->abi >= V(6, 14));
}

static int store_state(struct dir *base, struct write *write, const char *text)
{
	struct kdamond_dir *dir = (struct kdamond_dir *)base;

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (commands[i].since > base->tree->abi || !parse_is_word(text, commands[i].word))
			continue;
		if (commands[i].act != turn_off && !context_of(dir))
			return -EINVAL;
		if (needs_running(dir, i)) {
			int r = check_running(dir);

			if (r && dir->run && commands[i].clears)
				clear_before(dir);
			if (r)
				return r;
		}
		return commands[i].act(dir, write);
	}
	return -EINVAL;
}

static int show_state(struct dir *base, const struct process_caller *reader, struct text *out)
{
	const struct run *run = ((struct kdamond_dir *)base)->run;

	(void)reader;
	return text_add(out, "%s\n", run && run->state == RUN_ON ? "on" : "off");
}

static int show_pid(struct dir *base, const struct process_caller *reader, struct text *out)
{
	const struct run *run = ((struct kdamond_dir *)base)->run;

	(void)reader;
	return text_add(out, "%d\n",
			run && run->state == RUN_ON ? damon_kdamond_tid(run->kdamond) : -1);
}

static int show_refresh_ms(struct dir *base, const struct process_caller *reader, struct text *out)
{
	(void)reader;
	return text_add(out, "%u\n", ((struct kdamond_dir *)base)->refresh_ms);
}

static int store_refresh_ms(struct dir *base, struct write *write, const char *text)
{
	struct kdamond_dir *dir = (struct kdamond_dir *)base;
	uint64_t ms;
	int r = parse_unsigned(text, UINT32_MAX, &ms);

	(void)write;
	if (r)
		return r;
	dir->refresh_ms = (uint32_t)ms;
	if (dir->run)
		damon_set_refresh(dir->run->kdamond, ms);
	return 0;
}

/* More than one context is for a kernel to come. */
static int check_nr_contexts(struct dir *dir, int count)
{
	(void)dir;
	return count > 1 ? -EINVAL : 0;
}

static const struct file_type kdamond_files[] = {
	OWN("state", 0600, show_state, store_state),
	OWN("pid", 0400, show_pid, NULL),
	OWN("refresh_ms", 0600, show_refresh_ms, store_refresh_ms, .since = V(6, 17)),
	COUNT("contexts/nr_contexts", 0600, struct kdamond_dir, contexts, &context_kind,
	      .check_count = check_nr_contexts),
};

const struct dir_kind kdamond_kind = {
	.name = "kdamond",
	.size = sizeof(struct kdamond_dir),
	.files = kdamond_files,
	.nr_files = ARRAY_SIZE(kdamond_files),
	.clear = kdamond_clear,
};
