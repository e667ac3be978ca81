// SPDX-License-Identifier: GPL-2.0-or-later
/* kdamonds/N: its files but `state', which is in state.c. */
#include <errno.h>

#include "fs/sysfs/sysfs.h"
#include "fs/tree/parse.h"
#include "util/cleanup.h"

bool kdamond_is_busy(const struct kdamond_dir *dir)
{
	return run_has_thread(dir->run) || dir->command;
}

static void kdamond_clear(struct dir *dir)
{
	run_free(((struct kdamond_dir *)dir)->run);
}

static int show_pid(struct dir *base, const struct process_caller *reader, struct text *out)
{
	const struct run *run = ((struct kdamond_dir *)base)->run;

	(void)reader;
	return text_add(out, "%d\n", run && run->state == RUN_ON ? kdamond_tid(run->kdamond) : -1);
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
	if (dir->run && dir->run->kdamond)
		kdamond_set_refresh(dir->run->kdamond, ms);
	return 0;
}

/* More than one context is left to later kernels. */
static int check_nr_contexts(struct dir *dir, int count)
{
	(void)dir;
	return count > 1 ? -EINVAL : 0;
}

static const struct file_type kdamond_files[] = {
	OWN("state", 0600, state_show, state_store, .commands = true,
	    .resumption = &state_resumption),
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
