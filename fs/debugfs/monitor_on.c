// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * monitor_on: all contexts are turned on and off together.
 *
 * `on' starts a kdamond for each context and is answered when all have said how it went.  `off'
 * ends them one after another, in the order in which the contexts were made, as the kernel does.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>

#include "engine/abi.h"
#include "fs/keep/save.h"
#include "fs/root.h"
#include "fs/tree/parse.h"
#include "util/cleanup.h"

static struct root_dir *root_of(const struct tree *tree)
{
	return (struct root_dir *)tree->root;
}

/*
 * The directory of context number INDEX in the order in which they were made, the root for that of
 * damon/ itself first; or NULL.
 */
static struct dir *dir_at(struct root_dir *root, size_t index)
{
	if (!index)
		return &root->base;
	return index <= root->debugfs.made.nr ? root->debugfs.made.dirs[index - 1] : NULL;
}

int debugfs_show_monitor_on(struct dir *dir, const struct process_caller *reader, struct text *out)
{
	(void)reader;
	return text_add(out, "%s\n", damonfs_of(dir)->nr_running ? "on" : "off");
}

/* ---- on ---- */

/* RUN is on, or failed to and has ended.  The last one answers. */
static void start_is_over(struct run *run)
{
	struct debugfs_root *debugfs = &root_of(run->tree)->debugfs;

	if (run->result)
		debugfs->on.result = run->result;
	if (!--debugfs->nr_starting)
		run->on = (struct held){ steal_ptr(debugfs->on.pending), debugfs->on.result };
}

WITH_LOCK(tree_role) static void monitor_on_started(struct run *run)
{
	if (run->result)
		return;
	start_is_over(run);
	save_on(run);
}

static int stop_next(struct root_dir *root);

WITH_LOCK(tree_role) static void monitor_on_ended(struct run *run)
{
	struct root_dir *root = root_of(run->tree);
	struct debugfs_root *debugfs = &root->debugfs;
	struct dir *dir = run->owner;
	int r;

	save_off(run);
	/* One that could not start keeps what it has; the next daemon may go on with the others. */
	if (run->result) {
		start_is_over(run);
	} else if (!damonfs_of_tree(run->tree)->stopping) {
		debugfs_context_ended(debugfs_context_of(dir));
		debugfs_save(dir, "target_ids");
		debugfs_save(dir, "init_regions");
	}
	if (!debugfs->off.pending || dir != dir_at(root, debugfs->stopping))
		return;
	debugfs->stopping++;
	r = stop_next(root);
	if (r != STORE_HELD)
		run->off = (struct held){ steal_ptr(debugfs->off.pending), r };
}

/* Later kernels treat an unknown watermark metric as no watermarks. */
static void forget_unknown_metrics(struct damon_desc *desc)
{
	for (size_t s = 0; s < desc->nr_schemes; s++)
		if ((unsigned int)desc->schemes[s].wmarks.metric >= NR_DAMOS_WMARK_METRICS)
			desc->schemes[s].wmarks.metric = DAMOS_WMARK_NONE;
}

/* Processes that others named will be opened in the name of CALLER. */
static int hand_over(struct damon_desc *desc, struct caller *caller)
{
	desc->caller = caller_get(caller);
	if (desc->ops == DAMON_OPS_PADDR)
		return caller_capable(caller, CAP_SYS_ADMIN) ? 0 : -EPERM;
	return 0;
}

/* Describes the context of DIR, in the name of CALLER.  Return: 0, or -EINVAL without targets. */
static int describe(struct dir *dir, struct caller *caller, struct damon_desc **out)
{
	const struct damon_desc *written = &debugfs_context_of(dir)->desc;
	struct damon_desc *desc;
	int r;

	if (!written->nr_targets)
		return -EINVAL;
	desc = damon_desc_copy(written);
	if (!desc)
		return -ENOMEM;
	desc->abi = dir->tree->abi;
	r = hand_over(desc, caller);
	if (r) {
		damon_desc_free(desc);
		return r;
	}
	if (abi_forgets_unknown_metrics(dir->tree->abi))
		forget_unknown_metrics(desc);
	*out = desc;
	return 0;
}

/* Starts a kdamond on DESC; takes over DESC and KEPT, even on failure. */
WITH_LOCK(tree_role)
static int monitor_start(struct dir *dir, struct damon_desc *desc, struct text *kept, bool resumed)
{
	const struct run model = { .open = damon_desc_open,
				   .started = monitor_on_started,
				   .ended = monitor_on_ended,
				   .owner = dir,
				   .kept = *kept,
				   .resumed = resumed,
				   .exclusive = true };
	struct debugfs_context *context = debugfs_context_of(dir);
	int r;

	context->run = run_free(context->run);
	r = run_start(dir->tree, desc, &model, &context->run);
	if (r) {
		text_clear(kept);
		return r;
	}
	*kept = (struct text){ 0 };
	strcpy(context->run->place, "damon");
	root_of(dir->tree)->debugfs.nr_starting++;
	damonfs_of(dir)->exclusive = true;
	return 0;
}

WITH_LOCK(tree_role) static int turn_on(struct dir *dir, struct caller *caller)
{
	char path[DEBUGFS_PATH_ROOM];
	struct damon_desc *desc;
	struct text kept;
	int r = describe(dir, caller, &desc);

	if (r)
		return r;
	debugfs_path(dir, "kdamond_pid", path);
	save_block(dir, path, desc, false, &kept);
	return monitor_start(dir, desc, &kept, false);
}

WITH_LOCK(tree_role) static int monitor_turn_on(struct root_dir *root, struct write *write)
{
	__attribute__((cleanup(caller_putp))) struct caller *caller = NULL;
	struct damonfs *damonfs = damonfs_of(&root->base);
	struct dir *dir;
	int r;

	for (size_t i = 0; (dir = dir_at(root, i)); i++)
		if (!debugfs_context_of(dir)->desc.nr_targets)
			return -EINVAL;
	if (damonfs->nr_running)
		return -EBUSY;
	r = write_caller(write, &caller);
	for (size_t i = 0; !r && (dir = dir_at(root, i)); i++)
		r = turn_on(dir, caller);
	if (!root->debugfs.nr_starting)
		return r;
	/* As in the kernel, kdamonds started before one that failed go on. */
	root->debugfs.on = (struct held){ write_hold(write), r };
	return STORE_HELD;
}

/* ---- on again ---- */

/* Whether all that run are those of debugfs. */
WITH_LOCK(tree_role) static bool are_alone(const struct tree *tree)
{
	unsigned int nr = 0;
	struct dir *dir;

	for (size_t i = 0; (dir = dir_at(root_of(tree), i)); i++)
		nr += debugfs_is_running(debugfs_context_of(dir));
	return nr == damonfs_of_tree(tree)->nr_running;
}

/* Its counters are those of the context that it is turned on in. */
static int count_in(const struct debugfs_context *context, struct damon_desc *desc)
{
	if (desc->nr_schemes != context->desc.nr_schemes)
		return -EINVAL;
	for (size_t s = 0; s < desc->nr_schemes; s++)
		desc->schemes[s].live = &context->stats[s];
	return 0;
}

WITH_LOCK(tree_role)
static int start_again(struct dir *dir, struct damon_desc *desc, struct text *kept)
{
	struct debugfs_context *context = debugfs_context_of(dir);
	int r = debugfs_is_running(context) || !are_alone(dir->tree) ? -EBUSY : 0;

	if (!r)
		r = count_in(context, desc);
	if (!r)
		return monitor_start(dir, desc, kept, true);
	damon_desc_free(desc);
	return r;
}

const struct resumption debugfs_resumption = { describe, start_again };

/* ---- off ---- */

/* Return: STORE_HELD while one is ending, 0 when all have, or -EPERM if the next is not running. */
static int stop_next(struct root_dir *root)
{
	struct dir *dir = dir_at(root, root->debugfs.stopping);
	const struct debugfs_context *context = dir ? debugfs_context_of(dir) : NULL;

	if (!context)
		return 0;
	if (!debugfs_is_running(context) || !context->run->kdamond)
		return -EPERM;
	kdamond_stop(context->run->kdamond);
	return STORE_HELD;
}

static int monitor_turn_off(struct root_dir *root, struct write *write)
{
	int r;

	/* After the one that is under way, nothing will be running. */
	if (root->debugfs.off.pending)
		return -EPERM;
	/* No `off' comes while an `on' is held; but what was on may be being turned on again. */
	if (root->debugfs.nr_starting)
		return -EBUSY;
	root->debugfs.stopping = 0;
	r = stop_next(root);
	if (r == STORE_HELD)
		root->debugfs.off.pending = write_hold(write);
	return r;
}

int debugfs_store_monitor_on(struct dir *dir, struct write *write, const char *text)
{
	struct root_dir *root = (struct root_dir *)dir;
	char word[8];
	const char *begin;
	size_t length = scan_word(text, &begin);

	if (!*text)
		return -EINVAL;
	/* The kernel compares as many bytes as were written: a part of the word may do. */
	snprintf(word, sizeof(word), "%.*s", (int)min_ul(length, sizeof(word)), begin);
	if (!strncmp(word, "on", write->size))
		return monitor_turn_on(root, write);
	return strncmp(word, "off", write->size) ? -EINVAL : monitor_turn_off(root, write);
}

int debugfs_show_deprecated(struct dir *dir, const struct process_caller *reader, struct text *out)
{
	(void)dir;
	(void)reader;
	return text_add(out, "The kernel has deprecated DAMON's debugfs files and dropped them in "
			     "Linux 6.14; the files in admin/ of damonfs do all that they do.\n");
}
