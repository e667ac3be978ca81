// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * enabled, commit_inputs and kdamond_pid of the modules, of which one at most is enabled, and only
 * while no other kdamond runs.
 *
 * `enabled' tells what runs, as in Linux 7.1 and before 6.18; in between it told what was written.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/capability.h>

#include "engine/abi.h"
#include "fs/keep/save.h"
#include "fs/modules/modules.h"
#include "fs/tree/parse.h"
#include "util/cleanup.h"

/* A commit_inputs that waits for the kdamond. */
struct module_commit {
	struct damon_command command;
	struct tree *tree;
	struct module *module; /* NULL when its kdamond was left behind; under the tree's lock */
	struct deferred_reply *pending;
	struct event event;
};

static bool is_enabled(const struct module *module)
{
	return run_has_thread(module->run);
}

int module_show_enabled(struct dir *dir, const struct module_type *type, struct text *out)
{
	return text_add(out, "%c\n", is_enabled(type->of(modules_of(dir))) ? 'Y' : 'N');
}

int module_show_pid(struct dir *dir, const struct module_type *type, struct text *out)
{
	const struct run *run = type->of(modules_of(dir))->run;

	return text_add(out, "%d\n",
			run && run->state == RUN_ON ? damon_kdamond_tid(run->kdamond) : -1);
}

/* ---- enabled ---- */

/* Describes what the parameters ask for, in the name of the writer, who needs all of memory. */
static int describe_for(struct dir *dir, const struct module_type *type, const struct write *write,
			struct damon_desc **out)
{
	__attribute__((cleanup(caller_putp))) struct caller *caller = NULL;
	int r = write_caller(write, &caller);

	if (!r && !caller_capable(caller, CAP_SYS_ADMIN))
		r = -EPERM;
	if (!r)
		r = type->describe(modules_of(dir), dir->tree->abi, out);
	if (!r)
		(*out)->caller = steal_ptr(caller);
	return r;
}

WITH_LOCK(tree_role) static void module_on_started(struct run *run)
{
	const struct module_type *type = run->owner;

	run->on.result = run->result;
	if (run->kdamond && type->report_ms)
		damon_set_refresh(run->kdamond, type->report_ms);
	if (!run->result)
		save_on(run);
}

/* A kdamond that is left behind keeps its command: the write is answered now. */
WITH_LOCK(tree_role) static void module_on_ended(struct run *run)
{
	const struct module_type *type = run->owner;
	struct module *module = type->of(modules_of(run->tree->root));
	struct module_commit *commit = module->commit;

	save_off(run);
	if (!commit || !run->left)
		return;
	module->commit = NULL;
	commit->module = NULL;
	run->on = (struct held){ steal_ptr(commit->pending), -ECANCELED };
}

WITH_LOCK(tree_role)
static int enable(struct dir *dir, const struct module_type *type, struct write *write)
{
	const struct run model = { .open = damon_desc_open,
				   .started = module_on_started,
				   .ended = module_on_ended,
				   .owner = (void *)type,
				   .exclusive = true };
	struct module *module = type->of(modules_of(dir));
	struct damonfs *damonfs = damonfs_of(dir);
	struct damon_desc *desc;
	int r;

	if (is_enabled(module))
		return 0;
	r = describe_for(dir, type, write, &desc);
	if (r)
		return r;
	if (damonfs->nr_running) {
		damon_desc_free(desc);
		return -EBUSY;
	}
	module->run = run_free(module->run);
	module->commits = false;
	if (type->reset)
		type->reset(modules_of(dir), dir->tree->abi);
	r = run_start(dir->tree, desc, &model, &module->run);
	if (r)
		return r;
	snprintf(module->run->place, sizeof(module->run->place), "modules/%s", type->name);
	damonfs->exclusive = true;
	module->run->on.pending = write_hold(write);
	return STORE_HELD;
}

static int disable(struct module *module, struct write *write)
{
	struct run *run = module->run;

	if (!is_enabled(module))
		return 0;
	if (run->state == RUN_STARTING || run->off.pending)
		return -EBUSY;
	run->off.pending = write_hold(write);
	run_stop(run);
	return STORE_HELD;
}

int module_store_enabled(struct dir *dir, const struct module_type *type, struct write *write,
			 const char *text)
{
	bool enabled = false;
	int r = parse_flag(text, abi_flags_are_words(dir->tree->abi), &enabled);

	if (r)
		return r;
	return enabled ? enable(dir, type, write) : disable(type->of(modules_of(dir)), write);
}

/* ---- commit_inputs ---- */

int module_show_commit(struct dir *dir, const struct module_type *type, struct text *out)
{
	return text_add(out, "%c\n", type->of(modules_of(dir))->commits ? 'Y' : 'N');
}

static void module_on_done(struct damon_command *command)
{
	struct module_commit *commit = container_of(command, struct module_commit, command);

	answerer_post(damonfs_of_tree(commit->tree)->answerer, &commit->event);
}

static void run_done(struct event *event)
{
	struct module *module = container_of(event, struct module_commit, event)->module;

	if (module)
		module->commit = NULL;
}

static void finish_done(struct event *event)
{
	struct module_commit *commit = container_of(event, struct module_commit, event);

	deferred_reply_send(commit->pending, commit->command.error);
	damon_command_clear(&commit->command);
	free(commit);
}

/* Hands DESC, which it takes over, to the kdamond.  Return: STORE_HELD or a negative errno. */
static int send_commit(struct dir *dir, struct module *module, struct damon_desc *desc,
		       struct write *write)
{
	struct module_commit *commit = calloc(1, sizeof(*commit));
	int r;

	if (!commit) {
		damon_desc_free(desc);
		return -ENOMEM;
	}
	*commit = (struct module_commit){
		.command = { .kind = DAMON_COMMIT, .desc = desc, .done = module_on_done },
		.tree = dir->tree,
		.module = module,
		.event = { .run = run_done, .finish = finish_done },
	};
	desc->max_total_regions = module->run->regions.nr;
	r = damon_call(module->run->kdamond, &commit->command);
	if (r) {
		damon_command_clear(&commit->command);
		free(commit);
		return r;
	}
	/* The answer comes through the tree's lock, which we hold. */
	module->commit = commit;
	commit->pending = write_hold(write);
	return STORE_HELD;
}

/* While it is off, the flag stays until it is enabled; since Linux 7.2 that is an error. */
static int commit_while_off(struct module *module, unsigned int abi)
{
	if (abi_module_commits_wait(abi))
		return -ECANCELED;
	module->commits = true;
	return 0;
}

int module_store_commit(struct dir *dir, const struct module_type *type, struct write *write,
			const char *text)
{
	struct module *module = type->of(modules_of(dir));
	unsigned int abi = dir->tree->abi;
	struct damon_desc *desc;
	bool commit = false;
	int r = parse_flag(text, abi_flags_are_words(abi), &commit);

	if (r)
		return r;
	module->commits = false;
	if (!commit)
		return 0;
	if (module->commit)
		return -EBUSY;
	if (!module->run || module->run->state != RUN_ON)
		return commit_while_off(module, abi);
	r = describe_for(dir, type, write, &desc);
	if (!r)
		return send_commit(dir, module, desc, write);
	/* Before Linux 7.2 it is not told that the old parameters stay. */
	return r == -EPERM || abi_module_commits_wait(abi) ? r : 0;
}
