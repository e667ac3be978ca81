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
	struct text kept; /* the new struct run.kept */
	struct event event;
};

/* Room for the path of a parameter in the mount. */
#define PATH_ROOM 80

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

	return text_add(out, "%d\n", run && run->state == RUN_ON ? kdamond_tid(run->kdamond) : -1);
}

/* ---- enabled ---- */

static void parameter_path(const struct module_type *type, const char *name,
			   char out[static PATH_ROOM])
{
	snprintf(out, PATH_ROOM, "modules/%s/parameters/%s", type->name, name);
}

/* Describes what the parameters ask for, in the name of CALLER, who needs all of memory. */
int module_describe_again(struct dir *dir, const struct module_type *type, struct caller *caller,
			  struct damon_desc **out)
{
	int r = caller_capable(caller, CAP_SYS_ADMIN) ? 0 : -EPERM;

	if (!r)
		r = type->describe(modules_of(dir), dir->tree->abi, out);
	if (!r)
		(*out)->caller = caller_get(caller);
	return r;
}

/* Saves the parameters that were left to the module, which it filled in. */
WITH_LOCK(tree_role) static void save_filled_in(struct dir *dir, const struct module_type *type)
{
	static const char *const names[] = { "monitor_region_start", "monitor_region_end",
					     "addr_unit" };
	char path[PATH_ROOM];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		parameter_path(type, names[i], path);
		save_file(dir, path);
	}
}

/* The same in the name of the writer, and takes down in *KEPT how another daemon does. */
WITH_LOCK(tree_role)
static int describe_for(struct dir *dir, const struct module_type *type, const struct write *write,
			bool commits, struct damon_desc **out, struct text *kept)
{
	__attribute__((cleanup(caller_putp))) struct caller *caller = NULL;
	int r = write_caller(write, &caller);
	char path[PATH_ROOM];

	if (r)
		return r;
	r = module_describe_again(dir, type, caller, out);
	save_filled_in(dir, type);
	parameter_path(type, "enabled", path);
	if (!r)
		save_block(dir, path, *out, commits, kept);
	return r;
}

WITH_LOCK(tree_role) static void module_on_started(struct run *run)
{
	const struct module_type *type = run->owner;

	run->on.result = run->result;
	if (run->kdamond && type->report_ms)
		kdamond_set_refresh(run->kdamond, type->report_ms);
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

/* Starts a kdamond on DESC, unless there is one; takes over DESC and KEPT, even on failure. */
WITH_LOCK(tree_role)
static int module_start(struct dir *dir, const struct module_type *type, struct damon_desc *desc,
			struct text *kept, bool resumed)
{
	const struct run model = { .open = damon_desc_open,
				   .started = module_on_started,
				   .ended = module_on_ended,
				   .owner = (void *)type,
				   .kept = *kept,
				   .resumed = resumed,
				   .exclusive = true };
	struct module *module = type->of(modules_of(dir));
	struct damonfs *damonfs = damonfs_of(dir);
	int r = -EBUSY;

	if (damonfs->nr_running) {
		damon_desc_free(desc);
	} else {
		module->run = run_free(module->run);
		module->commits = false;
		if (type->reset)
			type->reset(modules_of(dir), dir->tree->abi);
		if (type->count)
			type->count(modules_of(dir), desc);
		r = run_start(dir->tree, desc, &model, &module->run);
	}
	if (r) {
		text_clear(kept);
		return r;
	}
	*kept = (struct text){ 0 };
	snprintf(module->run->place, sizeof(module->run->place), "modules/%s", type->name);
	damonfs->exclusive = true;
	return 0;
}

int module_start_again(struct dir *dir, const struct module_type *type, struct damon_desc *desc,
		       struct text *kept)
{
	return module_start(dir, type, desc, kept, true);
}

WITH_LOCK(tree_role)
static int enable(struct dir *dir, const struct module_type *type, struct write *write)
{
	struct module *module = type->of(modules_of(dir));
	struct damon_desc *desc;
	struct text kept;
	int r;

	if (is_enabled(module))
		return 0;
	r = describe_for(dir, type, write, false, &desc, &kept);
	if (!r)
		r = module_start(dir, type, desc, &kept, false);
	if (r)
		return r;
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

WITH_LOCK(tree_role) static void run_done(struct event *event)
{
	struct module_commit *commit = container_of(event, struct module_commit, event);

	if (!commit->module)
		return;
	commit->module->commit = NULL;
	if (!commit->command.error)
		save_on_anew(commit->module->run, &commit->kept);
}

static void commit_free(struct module_commit *commit)
{
	damon_command_clear(&commit->command);
	text_clear(&commit->kept);
	free(commit);
}

static void finish_done(struct event *event)
{
	struct module_commit *commit = container_of(event, struct module_commit, event);

	deferred_reply_send(commit->pending, commit->command.error);
	commit_free(commit);
}

/*
 * Hands DESC to the kdamond; takes over DESC and KEPT, even on failure.
 * Return: STORE_HELD or a negative errno.
 */
static int send_commit(struct dir *dir, struct module *module, struct damon_desc *desc,
		       struct text *kept, struct write *write)
{
	struct module_commit *commit = calloc(1, sizeof(*commit));
	int r;

	if (!commit) {
		damon_desc_free(desc);
		text_clear(kept);
		return -ENOMEM;
	}
	*commit = (struct module_commit){
		.command = { .kind = DAMON_COMMIT, .desc = desc, .done = module_on_done },
		.tree = dir->tree,
		.module = module,
		.kept = *kept,
		.event = { .run = run_done, .finish = finish_done },
	};
	desc->max_total_regions = module->run->regions.nr;
	r = kdamond_call(module->run->kdamond, &commit->command);
	if (r) {
		commit_free(commit);
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
	struct text kept;
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
	r = describe_for(dir, type, write, true, &desc, &kept);
	if (!r && type->count)
		type->count(modules_of(dir), desc);
	if (!r)
		return send_commit(dir, module, desc, &kept, write);
	/* Before Linux 7.2 it is not told that the old parameters stay. */
	return r == -EPERM || abi_module_commits_wait(abi) ? r : 0;
}
