// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kdamonds/N/state: turning on and off, and commands to a running kdamond.
 *
 * `on', `off' and the commands that the kdamond carries out hold the write that asked for them.
 * The kdamond's call-backs post events to the answerer, which puts the results into the tree and
 * answers.  A kdamond has one command at a time, whatever others do.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/abi.h"
#include "fs/keep/save.h"
#include "fs/sysfs/sysfs.h"
#include "fs/tree/parse.h"
#include "util/cleanup.h"
#include "util/log.h"

/* The command under way; what it needs to be answered. */
struct command_run {
	struct damon_command command;
	struct tree *tree;
	struct kdamond_dir *dir; /* NULL when its kdamond was left behind; under the tree's lock */
	struct deferred_reply *pending;
	int result;
	uint64_t nr_regions; /* DAMON_COMMIT: how many it may have then; 0: any number */
	/* Takes the answers into the tree.  Return: 0, or -ENOMEM and nothing is taken. */
	int (*apply)(struct context_dir *context, const struct damon_command *command);
	struct event event;
	struct errand errand; /* DAMON_COMMIT: opens the processes */
	bool sent; /* the kdamond has it, or had */
	struct text kept; /* DAMON_COMMIT: the new struct run.kept */
};

/* ---- on ---- */

/* Gives `on' the result of the start. */
WITH_LOCK(tree_role) static void state_on_started(struct run *run)
{
	struct kdamond_dir *dir = run->owner;

	run->on.result = run->result;
	if (run->kdamond)
		kdamond_set_refresh(run->kdamond, dir->refresh_ms);
	/* One that was on before is kept already, with what it had found. */
	if (!run->result && !run->resumed)
		save_on(run);
}

/*
 * A kdamond that is left behind keeps its command, even a commit whose processes are still being
 * opened, which may take for ever: the write is answered now.
 */
WITH_LOCK(tree_role) static void state_on_ended(struct run *run)
{
	struct kdamond_dir *dir = run->owner;
	struct command_run *c = dir->command;

	save_off(run);
	if (!c || (!run->left && (c->sent || !c->errand.go)))
		return;
	dir->command = NULL;
	c->dir = NULL;
	run->on = (struct held){ steal_ptr(c->pending), -ECANCELED };
}

/* Describes the context of DIR, and takes down in *KEPT how another daemon does. */
WITH_LOCK(tree_role)
static int describe_for(struct kdamond_dir *dir, const struct write *write, bool commits,
			struct damon_desc **out, struct text *kept)
{
	__attribute__((cleanup(caller_putp))) struct caller *caller = NULL;
	int r = write_caller(write, &caller);

	if (!r)
		r = describe_context(kdamond_context(dir), caller, out);
	if (!r)
		save_block(&dir->base, "state", *out, commits, kept);
	return r;
}

static bool any_obsolete(const struct damon_desc *desc)
{
	for (size_t t = 0; t < desc->nr_targets; t++)
		if (desc->targets[t].obsolete)
			return true;
	return false;
}

/* Starts a kdamond on DESC; takes over DESC and KEPT, even on failure. */
WITH_LOCK(tree_role)
static int state_start(struct kdamond_dir *dir, struct damon_desc *desc, struct text *kept,
		       bool resumed)
{
	const struct run model = { .open = describe_processes,
				   .started = state_on_started,
				   .ended = state_on_ended,
				   .owner = dir,
				   .kept = *kept,
				   .resumed = resumed };
	int r = run_start(dir->base.tree, desc, &model, &dir->run);

	if (r)
		text_clear(kept);
	else
		snprintf(dir->run->place, sizeof(dir->run->place), "admin/kdamonds/%u",
			 dir->base.number);
	*kept = (struct text){ 0 };
	return r;
}

WITH_LOCK(tree_role) static int state_turn_on(struct kdamond_dir *dir, struct write *write)
{
	struct damon_desc *desc;
	struct text kept;
	int r;

	if (kdamond_is_busy(dir))
		return -EBUSY;
	dir->run = run_free(dir->run);
	r = describe_for(dir, write, false, &desc, &kept);
	if (r)
		return r;
	if (abi_checks_on_as_commit(dir->base.tree->abi) && any_obsolete(desc)) {
		damon_desc_free(desc);
		text_clear(&kept);
		return -EINVAL;
	}
	r = state_start(dir, desc, &kept, false);
	if (r)
		return r;
	dir->run->on.pending = write_hold(write);
	return STORE_HELD;
}

/* ---- on again ---- */

static int describe_again(struct dir *base, struct caller *caller, struct damon_desc **out)
{
	struct context_dir *context = kdamond_context((struct kdamond_dir *)base);

	return context ? describe_context(context, caller, out) : -EINVAL;
}

WITH_LOCK(tree_role)
static int start_again(struct dir *base, struct damon_desc *desc, struct text *kept)
{
	struct kdamond_dir *dir = (struct kdamond_dir *)base;

	if (kdamond_is_busy(dir)) {
		damon_desc_free(desc);
		return -EBUSY;
	}
	dir->run = run_free(dir->run);
	return state_start(dir, desc, kept, true);
}

const struct resumption state_resumption = { describe_again, start_again };

/* ---- off ---- */

static int state_turn_off(struct kdamond_dir *dir, struct write *write)
{
	struct run *run = dir->run;

	if (run && (run->state == RUN_STARTING || run->off.pending))
		return -EBUSY;
	/* One that failed to start is as if it had never been turned on. */
	if (!run || run->result)
		return -EINVAL;
	if (run->state == RUN_ENDED)
		return abi_off_again_is_done(dir->base.tree->abi) ? 0 : -EPERM;
	run->off.pending = write_hold(write);
	run_stop(run);
	return STORE_HELD;
}

/* ---- commands to a running kdamond ---- */

static void on_command_done(struct damon_command *command)
{
	struct command_run *c = container_of(command, struct command_run, command);

	answerer_post(damonfs_of_tree(c->tree)->answerer, &c->event);
}

/*
 * The result of the write.  Before Linux 6.14 a failed command shows only in `state'; but lack of
 * memory for an answer is always reported.
 */
static int result_of(const struct command_run *c)
{
	bool no_answer = c->command.error == -ENOMEM && c->command.kind != DAMON_COMMIT;

	return no_answer || abi_reports_command_errors(c->tree->abi) ? c->command.error : 0;
}

/* From now on what was committed is charged, and kept. */
WITH_LOCK(tree_role) static void was_committed(struct command_run *c)
{
	struct run *run = c->dir->run;

	if (c->nr_regions)
		account_hold(&run->regions, run->regions.account, ACCOUNT_REGIONS, c->nr_regions);
	save_on_anew(run, &c->kept);
}

WITH_LOCK(tree_role) static void run_command_done(struct event *event)
{
	struct command_run *c = container_of(event, struct command_run, event);
	struct context_dir *context;

	if (!c->dir)
		return;
	context = kdamond_context(c->dir);
	c->dir->command = NULL;
	c->result = result_of(c);
	kdamond_refresh(c->dir);
	if (c->command.too_many_tried && !c->result) {
		log_info("update_schemes_tried_regions or _bytes failed: there are more regions "
			 "than the %zu objects that the scheme's owner has left; raise the limit "
			 "with -o max_objects=N",
			 c->command.max_tried);
		c->result = -ENOMEM;
	}
	if (c->apply && context && !c->result)
		c->result = c->apply(context, &c->command);
	if (c->command.found)
		save_found(c->dir->run, c->command.found, c->command.nr_found);
	if (c->command.kind == DAMON_COMMIT && !c->command.error)
		was_committed(c);
	/* Tried regions got numbers. */
	save_serial(c->tree);
}

static void command_free(struct command_run *c)
{
	damon_command_clear(&c->command);
	text_clear(&c->kept);
	free(c);
}

static void finish_command_done(struct event *event)
{
	struct command_run *c = container_of(event, struct command_run, event);

	deferred_reply_send(c->pending, c->result);
	command_free(c);
}

/* Takes COMMAND over.  Return: NULL if there is no memory. */
static struct command_run *command_new(struct kdamond_dir *dir, struct damon_command *command,
				       int (*apply)(struct context_dir *context,
						    const struct damon_command *command))
{
	struct command_run *c = calloc(1, sizeof(*c));

	if (!c) {
		damon_command_clear(command);
		return NULL;
	}
	c->command = *command;
	c->command.done = on_command_done;
	c->tree = dir->base.tree;
	c->dir = dir;
	c->apply = apply;
	c->event = (struct event){ .run = run_command_done, .finish = finish_command_done };
	return c;
}

/* Holds the write of C, if R, the result of starting C, is 0.  Return: for a store. */
static int hold_for(struct command_run *c, struct write *write, int r)
{
	if (r) {
		command_free(c);
		return r;
	}
	/* The answer comes through the tree's lock, which we hold. */
	c->dir->command = c;
	c->pending = write_hold(write);
	return STORE_HELD;
}

static int send(struct kdamond_dir *dir, struct write *write, struct damon_command command,
		int (*apply)(struct context_dir *context, const struct damon_command *command))
{
	struct command_run *c = command_new(dir, &command, apply);

	return c ? hold_for(c, write, kdamond_call(dir->run->kdamond, &c->command)) : -ENOMEM;
}

/* ---- commit: the processes are opened first ---- */

static void open_for_commit(struct errand *errand)
{
	struct command_run *c = container_of(errand, struct command_run, errand);

	if (!c->command.error)
		c->command.error = describe_processes(c->command.desc);
}

/* Return: 0, and then the kdamond has it, or a negative errno. */
static int send_commit(struct command_run *c)
{
	struct run *run = c->dir->run;
	int r;

	/* Before Linux 6.14 an error ends the kdamond, and does not fail the write. */
	if (c->command.error && abi_reports_command_errors(c->tree->abi))
		return c->command.error;
	if (run->state != RUN_ON)
		return -EINVAL;
	if (c->command.error) {
		c->command.desc = damon_desc_free(c->command.desc);
	} else {
		r = run_hold_regions(c->dir->base.tree, c->command.desc, &run->regions,
				     run->regions.nr);
		if (r)
			return r;
		c->nr_regions = c->command.desc->max_total_regions;
	}
	return kdamond_call(run->kdamond, &c->command);
}

static void opened_for_commit(struct errand *errand)
{
	struct command_run *c = container_of(errand, struct command_run, errand);

	c->result = c->dir ? send_commit(c) : -EINVAL;
	c->sent = !c->result;
	if (c->dir && !c->sent)
		c->dir->command = NULL;
}

static void finish_unsent(struct errand *errand)
{
	struct command_run *c = container_of(errand, struct command_run, errand);

	if (c->sent)
		return;
	deferred_reply_send(c->pending, c->result);
	command_free(c);
}

WITH_LOCK(tree_role) static int state_commit(struct kdamond_dir *dir, struct write *write)
{
	static const struct errand errand = { .go = open_for_commit,
					      .done = opened_for_commit,
					      .finish = finish_unsent };
	struct damon_command command = { .kind = DAMON_COMMIT };
	struct text kept = { 0 };
	struct command_run *c;

	kdamond_refresh(dir);
	command.error = describe_for(dir, write, true, &command.desc, &kept);
	if (command.error && abi_reports_command_errors(dir->base.tree->abi))
		return command.error;
	c = command_new(dir, &command, NULL);
	if (!c) {
		text_clear(&kept);
		return -ENOMEM;
	}
	c->kept = kept;
	c->errand = errand;
	return hold_for(c, write, errand_start(dir->base.tree, &c->errand));
}

static int commit_goals(struct kdamond_dir *dir, struct write *write)
{
	struct damon_command command = { .kind = DAMON_COMMIT_QUOTA_GOALS };
	int r = describe_goals(kdamond_context(dir), &command.desc);

	return r ? r : send(dir, write, command, NULL);
}

static int apply_stats(struct context_dir *context, const struct damon_command *command)
{
	report_take_stats(context, &command->report);
	return 0;
}

static int apply_effective(struct context_dir *context, const struct damon_command *command)
{
	report_take_effective(context, &command->report);
	return 0;
}

WITH_LOCK(tree_role)
static int apply_intervals(struct context_dir *context, const struct damon_command *command)
{
	report_take_intervals(context, &command->report);
	/* Nobody wrote them. */
	save_all(context->base.tree);
	return 0;
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

/* Since Linux 6.14 old tried regions are cleared, whatever follows. */
WITH_LOCK(tree_role) static void clear_before(struct kdamond_dir *dir)
{
	if (abi_clears_tried_first(dir->base.tree->abi))
		tried_regions_clear(kdamond_context(dir));
}

/* Collects no more than can be shown. */
static int collect_tried(struct kdamond_dir *dir, struct write *write,
			 int (*apply)(struct context_dir *context,
				      const struct damon_command *command))
{
	struct account *account = kdamond_context(dir)->base.account;

	return send(dir, write,
		    (struct damon_command){
			    .kind = DAMON_COLLECT_TRIED,
			    .wants_found = save_is_on(dir->base.tree),
			    .max_tried = max_ul(account_left(account, ACCOUNT_OBJECTS), 1) },
		    apply);
}

WITH_LOCK(tree_role) static int update_tried_regions(struct kdamond_dir *dir, struct write *write)
{
	clear_before(dir);
	return collect_tried(dir, write, tried_regions_take);
}

WITH_LOCK(tree_role) static int update_tried_bytes(struct kdamond_dir *dir, struct write *write)
{
	clear_before(dir);
	return collect_tried(dir, write, tried_regions_take_bytes);
}

WITH_LOCK(tree_role) static int clear_tried_regions(struct kdamond_dir *dir, struct write *write)
{
	(void)write;
	tried_regions_clear(kdamond_context(dir));
	return 0;
}

/* ---- the files ---- */

/* What a command needs, and does without it. */
enum {
	CONTEXT = 1, /* or EINVAL */
	RUNNING = 2, /* a kdamond that is on, and has no other command */
	RUNNING_ONCE = 4, /* the same, but not since Linux 6.14 */
	CLEARS = 8, /* clears tried regions even if the kdamond has ended */
};

static const struct state_command {
	const char *word;
	unsigned int since;
	unsigned int needs;
	int (*act)(struct kdamond_dir *dir, struct write *write);
} commands[] = {
	{ "on", 0, CONTEXT, state_turn_on },
	{ "off", 0, 0, state_turn_off },
	{ "commit", 0, CONTEXT | RUNNING, state_commit },
	{ "update_schemes_stats", 0, CONTEXT | RUNNING, update_stats },
	{ "update_schemes_tried_regions", V(6, 2), CONTEXT | RUNNING | CLEARS,
	  update_tried_regions },
	{ "clear_schemes_tried_regions", V(6, 2), CONTEXT | RUNNING_ONCE, clear_tried_regions },
	{ "update_schemes_tried_bytes", V(6, 6), CONTEXT | RUNNING | CLEARS, update_tried_bytes },
	{ "commit_schemes_quota_goals", V(6, 8), CONTEXT | RUNNING, commit_goals },
	{ "update_schemes_effective_quotas", V(6, 9), CONTEXT | RUNNING, update_effective },
	{ "update_tuned_intervals", V(6, 15), CONTEXT | RUNNING, update_intervals },
};

/* Whether a command to a running kdamond can be given.  Return: 0 or a negative errno. */
static int check_running(const struct kdamond_dir *dir)
{
	const struct run *run = dir->run;
	unsigned int abi = dir->base.tree->abi;

	if (dir->command)
		return -EBUSY;
	if (!run)
		return -EINVAL;
	if (run->state == RUN_ON)
		return 0;
	if (run->state == RUN_STARTING)
		return -EBUSY;
	/* Stable kernels 6.18 tell a kdamond that ended from one that never was. */
	return !run->result && abi_tells_ended_from_never(abi) ? -ECANCELED : -EINVAL;
}

/* Whether COMMAND can be given now.  Return: 0 or a negative errno. */
WITH_LOCK(tree_role)
static int check_needs(const struct state_command *command, struct kdamond_dir *dir)
{
	bool running = command->needs & RUNNING || (command->needs & RUNNING_ONCE &&
						    !abi_clears_tried_first(dir->base.tree->abi));
	int r;

	if (command->needs & CONTEXT && !kdamond_context(dir))
		return -EINVAL;
	r = running ? check_running(dir) : 0;
	/* Not while somebody else has a command, nor after an `on' that failed. */
	if (r && r != -EBUSY && dir->run && !dir->run->result && command->needs & CLEARS)
		clear_before(dir);
	return r;
}

static const struct state_command *find_command(unsigned int abi, const char *text)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (commands[i].since <= abi && parse_is_word(text, commands[i].word))
			return &commands[i];
	return NULL;
}

int state_store(struct dir *base, struct write *write, const char *text)
{
	const struct state_command *command = find_command(base->tree->abi, text);
	struct kdamond_dir *dir = (struct kdamond_dir *)base;
	int r = command ? check_needs(command, dir) : -EINVAL;

	return r ? r : command->act(dir, write);
}

int state_show(struct dir *base, const struct process_caller *reader, struct text *out)
{
	const struct run *run = ((struct kdamond_dir *)base)->run;

	(void)reader;
	return text_add(out, "%s\n", run && run->state == RUN_ON ? "on" : "off");
}
