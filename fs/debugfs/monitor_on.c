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

/* Context number INDEX in the order in which they were made, that of damon/ itself first; or NULL. */
static struct debugfs_context *context_at(struct root_dir *root, size_t index)
{
	if (!index)
		return &root->debugfs.context;
	if (index > root->debugfs.made.nr)
		return NULL;
	return &((struct debugfs_dir *)root->debugfs.made.dirs[index - 1])->context;
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
	struct debugfs_context *context = run->owner;
	int r;

	save_off(run);
	/* One that could not start keeps what it has. */
	if (run->result)
		start_is_over(run);
	else
		debugfs_context_ended(context);
	if (!debugfs->off.pending || context != context_at(root, debugfs->stopping))
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

WITH_LOCK(tree_role)
static int monitor_start(struct root_dir *root, struct debugfs_context *context,
			 struct caller *caller)
{
	const struct run model = { .open = damon_desc_open,
				   .started = monitor_on_started,
				   .ended = monitor_on_ended,
				   .owner = context,
				   .exclusive = true };
	struct damon_desc *desc = damon_desc_copy(&context->desc);
	int r;

	if (!desc)
		return -ENOMEM;
	desc->abi = root->base.tree->abi;
	r = hand_over(desc, caller);
	if (r) {
		damon_desc_free(desc);
		return r;
	}
	if (abi_forgets_unknown_metrics(root->base.tree->abi))
		forget_unknown_metrics(desc);
	context->run = run_free(context->run);
	r = run_start(root->base.tree, desc, &model, &context->run);
	if (r)
		return r;
	strcpy(context->run->place, "damon");
	root->debugfs.nr_starting++;
	return 0;
}

WITH_LOCK(tree_role) static int monitor_turn_on(struct root_dir *root, struct write *write)
{
	__attribute__((cleanup(caller_putp))) struct caller *caller = NULL;
	struct damonfs *damonfs = damonfs_of(&root->base);
	struct debugfs_context *context;
	int r;

	for (size_t i = 0; (context = context_at(root, i)); i++)
		if (!context->desc.nr_targets)
			return -EINVAL;
	if (damonfs->nr_running)
		return -EBUSY;
	r = write_caller(write, &caller);
	for (size_t i = 0; !r && (context = context_at(root, i)); i++)
		r = monitor_start(root, context, caller);
	if (!root->debugfs.nr_starting)
		return r;
	damonfs->exclusive = true;
	/* As in the kernel, kdamonds started before one that failed go on. */
	root->debugfs.on = (struct held){ write_hold(write), r };
	return STORE_HELD;
}

/* ---- off ---- */

/* Return: STORE_HELD while one is ending, 0 when all have, or -EPERM if the next is not running. */
static int stop_next(struct root_dir *root)
{
	struct debugfs_context *context = context_at(root, root->debugfs.stopping);

	if (!context)
		return 0;
	/* No `off' comes while an `on' is held. */
	if (!debugfs_is_running(context) || !context->run->kdamond)
		return -EPERM;
	damon_stop(context->run->kdamond);
	return STORE_HELD;
}

static int monitor_turn_off(struct root_dir *root, struct write *write)
{
	int r;

	/* After the one that is under way, nothing will be running. */
	if (root->debugfs.off.pending)
		return -EPERM;
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
