// SPDX-License-Identifier: GPL-2.0-or-later
/* The files of a context but `schemes': attrs, target_ids, init_regions, kdamond_pid. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "access/cleanup.h"
#include "fs/parse.h"
#include "fs/root.h"

/* A write names so many pids at most. */
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
}

static void clear_regions(struct debugfs_context *context)
{
	for (size_t i = 0; i < context->desc.nr_targets; i++) {
		struct damon_target_desc *target = &context->desc.targets[i];

		free(target->ranges);
		target->ranges = NULL;
		target->nr_ranges = 0;
	}
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
		const struct process *process = context->desc.targets[i].process;

		/* A target without a process is called 42. */
		r = text_add(out, i + 1 < nr ? "%d " : "%d",
			     process ? process_pid_for(process, reader) : 42);
	}
	return r ? r : text_add(out, "\n");
}

/* What is written ends in NUL for strncmp(), and need not be all of the word. */
static bool is_paddr(const struct write *write, const char *text)
{
	return !strncmp(text, "paddr\n", write->size);
}

static int open_processes(const char *text, const struct process_caller *caller,
			  struct damon_target_desc *targets, size_t *nr)
{
	int pid, r = 0;

	for (*nr = 0; !r && *nr < MAX_PIDS && scan_int(&text, &pid); ++*nr) {
		targets[*nr].as_they_stand = true;
		r = process_open(pid, caller, &targets[*nr].process);
	}
	/* The kernel says ENOMEM for whatever is wrong with a pid. */
	return r == -EPERM ? r : r ? -ENOMEM : 0;
}

static void targets_free(struct damon_target_desc **targets)
{
	for (size_t i = 0; *targets && i < MAX_PIDS; i++)
		damon_target_desc_clear(&(*targets)[i]);
	free(*targets);
}

int debugfs_store_target_ids(struct dir *dir, struct write *write, const char *text)
{
	struct debugfs_context *context = debugfs_context_of(dir);
	__attribute__((cleanup(targets_free))) struct damon_target_desc *targets =
		calloc(MAX_PIDS, sizeof(*targets));
	bool paddr = is_paddr(write, text);
	size_t nr = 1;
	int r = 0;

	if (!targets)
		return -ENOMEM;
	targets[0].as_they_stand = true;
	/* Physical memory is everybody's. */
	if (paddr)
		r = write->caller.uid ? -EPERM : 0;
	else
		r = open_processes(text, &write->caller, targets, &nr);
	if (r)
		return r;
	if (debugfs_is_running(context))
		return -EBUSY;
	clear_targets(context);
	/* Without targets the operations stay what they were. */
	if (nr)
		context->desc.ops = paddr ? DAMON_OPS_PADDR : DAMON_OPS_VADDR;
	context->desc.targets = steal_ptr(targets);
	context->desc.nr_targets = nr;
	return 0;
}

/* ---- init_regions ---- */

int debugfs_show_init_regions(struct dir *dir, const struct process_caller *reader,
			      struct text *out)
{
	const struct debugfs_context *context = debugfs_context_of(dir);
	int r = debugfs_is_running(context) ? -EBUSY : 0;

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
	/* Room is doubled when the number is a power of two. */
	if (!(nr & (nr - 1))) {
		void *more = reallocarray(target->ranges, nr ? nr * 2 : 1, sizeof(range));

		if (!more)
			return -ENOMEM;
		target->ranges = more;
	}
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

int debugfs_store_init_regions(struct dir *dir, struct write *write, const char *text)
{
	struct debugfs_context *context = debugfs_context_of(dir);
	int r;

	(void)write;
	if (debugfs_is_running(context))
		return -EBUSY;
	clear_regions(context);
	r = add_regions(context, text);
	if (r)
		clear_regions(context);
	return r;
}

/* ---- kdamond_pid ---- */

int debugfs_show_kdamond_pid(struct dir *dir, const struct process_caller *reader, struct text *out)
{
	const struct run *run = debugfs_context_of(dir)->run;
	pid_t tid = run_has_thread(run) ? damon_kdamond_tid(run->kdamond) : 0;

	(void)reader;
	return tid ? text_add(out, "%d\n", tid) : text_add(out, "none\n");
}

static const struct file_type context_files[] = { DEBUGFS_CONTEXT_FILES("") };

static void context_init(struct dir *dir)
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
	.init = context_init,
	.clear = context_clear,
};
