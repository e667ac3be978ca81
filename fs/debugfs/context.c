// SPDX-License-Identifier: GPL-2.0-or-later
/* The files of a context but `schemes': attrs, target_ids, init_regions, kdamond_pid. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>

#include "fs/keep/save.h"
#include "fs/root.h"
#include "fs/tree/parse.h"
#include "util/array.h"
#include "util/cleanup.h"

/* The most pids that a write names. */
#define MAX_PIDS 32

void debugfs_context_init(struct debugfs_context *context)
{
	context->desc = (struct damon_desc){ .ops = DAMON_OPS_VADDR,
					     .addr_unit = 1,
					     .attrs = damon_default_attrs };
}

void debugfs_context_clear(struct debugfs_context *context)
{
	context->run = run_free(context->run);
	damon_desc_clear(&context->desc);
	free(context->stats);
	account_hold(&context->schemes_held, NULL, ACCOUNT_BYTES, 0);
	account_hold(&context->regions_held, NULL, ACCOUNT_BYTES, 0);
}

struct debugfs_context *debugfs_context_of(struct dir *dir)
{
	return dir->parent ? &((struct debugfs_dir *)dir)->context :
			     &((struct root_dir *)dir)->debugfs.context;
}

static void clear_targets(struct debugfs_context *context)
{
	for (size_t i = 0; i < context->desc.nr_targets; i++)
		damon_target_desc_clear(&context->desc.targets[i]);
	free(context->desc.targets);
	context->desc.targets = NULL;
	context->desc.nr_targets = 0;
	account_hold(&context->regions_held, NULL, ACCOUNT_BYTES, 0);
}

static void clear_regions(struct debugfs_context *context)
{
	for (size_t i = 0; i < context->desc.nr_targets; i++) {
		struct damon_target_desc *target = &context->desc.targets[i];

		free(target->ranges);
		target->ranges = NULL;
		target->nr_ranges = 0;
	}
	account_hold(&context->regions_held, NULL, ACCOUNT_BYTES, 0);
}

void debugfs_path(const struct dir *dir, const char *name, char out[static DEBUGFS_PATH_ROOM])
{
	snprintf(out, DEBUGFS_PATH_ROOM, "%s%s", dir->parent ? "" : "damon/", name);
}

void debugfs_save(struct dir *dir, const char *name)
{
	char path[DEBUGFS_PATH_ROOM];

	debugfs_path(dir, name, path);
	save_file(dir, path);
}

void debugfs_context_ended(struct debugfs_context *context)
{
	if (context->desc.ops == DAMON_OPS_PADDR)
		clear_regions(context);
	else
		clear_targets(context);
}

/* ---- attrs ---- */

int debugfs_show_attrs(struct dir *dir, const struct process_caller *reader, struct text *out)
{
	const struct damon_attrs *attrs = &debugfs_context_of(dir)->desc.attrs;

	(void)reader;
	return text_add(out, "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
			attrs->sample_interval, attrs->aggr_interval, attrs->ops_update_interval,
			attrs->min_nr_regions, attrs->max_nr_regions);
}

int debugfs_store_attrs(struct dir *dir, struct write *write, const char *text)
{
	struct debugfs_context *context = debugfs_context_of(dir);
	struct damon_attrs attrs = context->desc.attrs;
	uint64_t *const fields[] = { &attrs.sample_interval, &attrs.aggr_interval,
				     &attrs.ops_update_interval, &attrs.min_nr_regions,
				     &attrs.max_nr_regions };
	int r;

	(void)write;
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		if (!scan_unsigned(&text, fields[i]))
			return -EINVAL;
	if (debugfs_is_running(context))
		return -EBUSY;
	r = damon_check_attrs(&attrs, dir->tree->abi);
	if (!r)
		context->desc.attrs = attrs;
	return r;
}

/* ---- target_ids ---- */

int debugfs_show_target_ids(struct dir *dir, const struct process_caller *reader, struct text *out)
{
	const struct debugfs_context *context = debugfs_context_of(dir);
	size_t nr = context->desc.nr_targets;
	int r = 0;

	for (size_t i = 0; !r && i < nr; i++) {
		const struct damon_target_desc *target = &context->desc.targets[i];

		/* A target without a process is called 42. */
		r = text_add(out, i + 1 < nr ? "%d " : "%d",
			     target->process ? process_pid_for(target->process, reader) :
			     target->pid     ? target->pid :
					       42);
	}
	return r ? r : text_add(out, "\n");
}

/* Pids, as our pid namespace counts, and when each process was started. */
int debugfs_keep_target_ids(struct dir *dir, const struct process_caller *reader, struct text *out)
{
	const struct debugfs_context *context = debugfs_context_of(dir);
	size_t nr = context->desc.nr_targets;
	int r = 0;

	(void)reader;
	if (nr && context->desc.ops == DAMON_OPS_PADDR)
		return text_add(out, "paddr\n");
	for (size_t i = 0; !r && i < nr; i++) {
		const struct damon_target_desc *target = &context->desc.targets[i];

		r = text_add(out, "%d %" PRIu64 "\n",
			     target->process ? target->process->tid : target->pid, target->started);
	}
	return r;
}

/* What is written ends in NUL for strncmp(), and need not be all of the word. */
static bool is_paddr(const struct write *write, const char *text)
{
	return !strncmp(text, "paddr\n", write->size);
}

/* What is written to target_ids, until it is taken. */
struct naming {
	uint64_t dir; /* inode number of the directory: it may be gone by then */
	struct damon_desc *targets; /* ... of a description that has nothing else */
	struct deferred_reply *pending;
	int result;
	struct account_held thread; /* it has one, as a kdamond */
	struct errand errand;
};

static void naming_freep(struct naming **naming)
{
	if (*naming) {
		damon_desc_free((*naming)->targets);
		account_hold(&(*naming)->thread, NULL, ACCOUNT_KDAMONDS, 0);
	}
	free(*naming);
}

static void scan_targets(const struct write *write, const char *text, struct damon_desc *desc)
{
	size_t nr = 0;
	int pid;

	desc->ops = is_paddr(write, text) ? DAMON_OPS_PADDR : DAMON_OPS_VADDR;
	if (desc->ops == DAMON_OPS_PADDR)
		desc->targets[nr++].as_they_stand = true;
	while (desc->ops != DAMON_OPS_PADDR && nr < MAX_PIDS && scan_int(&text, &pid))
		/* There is no process 0, and a target without a pid would have none to open. */
		desc->targets[nr++] =
			(struct damon_target_desc){ .as_they_stand = true, .pid = pid ? pid : -1 };
	desc->nr_targets = nr;
}

static int naming_new(const struct dir *dir, const struct write *write, const char *text,
		      struct naming **out)
{
	__attribute__((cleanup(naming_freep))) struct naming *naming = calloc(1, sizeof(*naming));

	if (!naming)
		return -ENOMEM;
	naming->targets = damon_desc_new(MAX_PIDS, 0);
	if (!naming->targets)
		return -ENOMEM;
	naming->dir = node_ino((struct node){ (struct dir *)dir, 0 });
	scan_targets(write, text, naming->targets);
	*out = steal_ptr(naming);
	return write_caller(write, &(*out)->targets->caller);
}

static void open_named(struct errand *errand)
{
	struct naming *naming = container_of(errand, struct naming, errand);
	int r = damon_desc_open(naming->targets);

	for (size_t i = 0; !r && i < naming->targets->nr_targets; i++) {
		struct damon_target_desc *target = &naming->targets->targets[i];

		/* Of one that has gone by now it is unknown: no other is taken for it. */
		if (target->process)
			target->started = max_ul(process_started(target->process->tid), 1);
	}
	/* The kernel says ENOMEM to any error with a pid. */
	naming->result = r == -EPERM ? r : r ? -ENOMEM : 0;
}

static int take_named(struct debugfs_context *context, struct damon_desc *named)
{
	if (debugfs_is_running(context))
		return -EBUSY;
	clear_targets(context);
	/* Without targets the operations stay what they were. */
	if (named->nr_targets)
		context->desc.ops = named->ops;
	context->desc.targets = steal_ptr(named->targets);
	context->desc.nr_targets = named->nr_targets;
	named->nr_targets = 0;
	return 0;
}

WITH_LOCK(tree_role) static void opened_named(struct errand *errand)
{
	struct naming *naming = container_of(errand, struct naming, errand);
	struct node node;

	if (naming->result)
		return;
	naming->result = tree_find(errand->tree, naming->dir, &node) ?
				 take_named(debugfs_context_of(node.dir), naming->targets) :
				 -EIO;
	if (!naming->result)
		debugfs_save(node.dir, "target_ids");
}

static void finish_naming(struct errand *errand)
{
	struct naming *naming = container_of(errand, struct naming, errand);

	deferred_reply_send(naming->pending, naming->result);
	naming_freep(&naming);
}

int debugfs_store_target_ids(struct dir *dir, struct write *write, const char *text)
{
	static const struct errand errand = { .go = open_named,
					      .done = opened_named,
					      .finish = finish_naming };
	__attribute__((cleanup(naming_freep))) struct naming *naming = NULL;
	int r = naming_new(dir, write, text, &naming);

	if (r)
		return r;
	/* Physical memory is everybody's. */
	if (naming->targets->ops == DAMON_OPS_PADDR &&
	    !caller_capable(naming->targets->caller, CAP_SYS_ADMIN))
		return -EPERM;
	naming->errand = errand;
	/* Nobody holds the program's own writes, as in tests. */
	if (!write->pending) {
		open_named(&naming->errand);
		return naming->result ? naming->result :
					take_named(debugfs_context_of(dir), naming->targets);
	}
	r = account_hold(&naming->thread, write->account, ACCOUNT_KDAMONDS, 1);
	if (!r)
		r = errand_start(dir->tree, &naming->errand);
	if (r)
		return r;
	naming->pending = write_hold(write);
	naming = NULL;
	return STORE_HELD;
}

/* Their processes are opened when they are watched, in the name of who turns that on. */
int debugfs_restore_target_ids(struct dir *dir, struct write *write, const char *text)
{
	struct damon_desc *named = damon_desc_new(MAX_PIDS, 0);
	size_t nr = 0;
	uint64_t started;
	int pid, r;

	(void)write;
	if (!named)
		return -ENOMEM;
	named->ops = strcmp(text, "paddr\n") ? DAMON_OPS_VADDR : DAMON_OPS_PADDR;
	if (named->ops == DAMON_OPS_PADDR)
		named->targets[nr++].as_they_stand = true;
	while (nr < MAX_PIDS && scan_int(&text, &pid) && scan_unsigned(&text, &started) &&
	       pid > 0 && started)
		named->targets[nr++] = (struct damon_target_desc){ .as_they_stand = true,
								   .pid = pid,
								   .started = started };
	named->nr_targets = nr;
	r = take_named(debugfs_context_of(dir), named);
	damon_desc_free(named);
	return r;
}

/* ---- init_regions ---- */

int debugfs_show_init_regions(struct dir *dir, const struct process_caller *reader,
			      struct text *out)
{
	return debugfs_is_running(debugfs_context_of(dir)) ?
		       -EBUSY :
		       debugfs_keep_init_regions(dir, reader, out);
}

int debugfs_keep_init_regions(struct dir *dir, const struct process_caller *reader,
			      struct text *out)
{
	const struct debugfs_context *context = debugfs_context_of(dir);
	int r = 0;

	(void)reader;
	for (size_t i = 0; !r && i < context->desc.nr_targets; i++) {
		const struct damon_target_desc *target = &context->desc.targets[i];

		for (size_t k = 0; !r && k < target->nr_ranges; k++)
			r = text_add(out, "%zu %" PRIu64 " %" PRIu64 "\n", i,
				     target->ranges[k].start, target->ranges[k].end);
	}
	return r;
}

/* Return: 0, -EINVAL if it overlaps the one before it, or -ENOMEM. */
static int add_region(struct damon_target_desc *target, struct damon_addr_range range)
{
	size_t nr = target->nr_ranges;

	if (nr && target->ranges[nr - 1].end > range.start)
		return -EINVAL;
	if (array_more(target->ranges, nr))
		return -ENOMEM;
	target->ranges[target->nr_ranges++] = range;
	return 0;
}

static int add_regions(struct debugfs_context *context, const char *text)
{
	struct damon_addr_range range;
	int index, r = 0;

	while (!r && scan_int(&text, &index) && scan_unsigned(&text, &range.start) &&
	       scan_unsigned(&text, &range.end)) {
		if (range.start >= range.end || index < 0 ||
		    (size_t)index >= context->desc.nr_targets)
			return -EINVAL;
		r = add_region(&context->desc.targets[index], range);
	}
	return r;
}

static uint64_t bytes_of_regions(const struct debugfs_context *context)
{
	uint64_t nr = 0;

	for (size_t t = 0; t < context->desc.nr_targets; t++)
		nr += context->desc.targets[t].nr_ranges;
	return nr * sizeof(struct damon_addr_range);
}

int debugfs_store_init_regions(struct dir *dir, struct write *write, const char *text)
{
	struct debugfs_context *context = debugfs_context_of(dir);
	int r;

	if (debugfs_is_running(context))
		return -EBUSY;
	clear_regions(context);
	r = add_regions(context, text);
	if (!r)
		r = account_hold(&context->regions_held, write->account, ACCOUNT_BYTES,
				 bytes_of_regions(context));
	if (r)
		clear_regions(context);
	return r;
}

/* ---- kdamond_pid ---- */

int debugfs_show_kdamond_pid(struct dir *dir, const struct process_caller *reader, struct text *out)
{
	const struct run *run = debugfs_context_of(dir)->run;
	/* While its processes are being opened it has none. */
	pid_t tid = run_has_thread(run) && run->kdamond ? kdamond_tid(run->kdamond) : 0;

	(void)reader;
	return tid ? text_add(out, "%d\n", tid) : text_add(out, "none\n");
}

static const struct file_type context_files[] = { DEBUGFS_CONTEXT_FILES("") };

static void made_context_init(struct dir *dir)
{
	debugfs_context_init(&((struct debugfs_dir *)dir)->context);
}

static void context_clear(struct dir *dir)
{
	debugfs_context_clear(&((struct debugfs_dir *)dir)->context);
}

const struct dir_kind debugfs_context_kind = {
	.name = "debugfs context",
	.size = sizeof(struct debugfs_dir),
	.files = context_files,
	.nr_files = ARRAY_SIZE(context_files),
	.init = made_context_init,
	.clear = context_clear,
};
