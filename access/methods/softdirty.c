// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The method `softdirty' sees which pages were written since 4 was written to clear_refs, by bit 55
 * of /proc/PID/pagemap.  For kernels with CONFIG_MEM_SOFT_DIRTY (Debian's have it) where BPF may
 * not be used.
 *
 * It sees writes only; memory that is only read looks cold.  A clear write-protects every resident
 * page of the process and costs it a fault for each page that it writes first afterwards, so
 * clear_refs.h rations it.  A page that was written since the last clear counts as in use until the
 * next: just after a clear, the faults slow the process down so much that a look at the first
 * interval would tell less.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "access/methods/methods.h"
#include "access/proc/clear_refs.h"
#include "access/proc/pagemap.h"
#include "util/cleanup.h"
#include "util/stop.h"

/* What access_probe.priv holds: the page was written already when the probe was prepared. */
#define MEMORY_WRITTEN 1

struct softdirty_space {
	struct access_space base;
	struct clear_refs refs;
	struct pagemap pagemap;
};

static int softdirty_session_open(const char *argument, struct access_session **out,
				  struct access_why *why)
{
	(void)argument;
	if (!softdirty_works())
		return access_because(why, -EOPNOTSUPP,
				      "the kernel keeps no soft-dirty bits "
				      "(CONFIG_MEM_SOFT_DIRTY)");
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

static void softdirty_session_close(struct access_session *session)
{
	free(session);
}

static void softdirty_space_close(struct access_space *base)
{
	struct softdirty_space *space = (struct softdirty_space *)base;

	clear_refs_close(&space->refs);
	pagemap_close(&space->pagemap);
	free(space);
}

static int softdirty_space_open(struct access_session *session, struct process *process,
				struct access_space **out, struct access_why *why)
{
	struct softdirty_space *space = calloc(1, sizeof(*space));
	int r, opened;

	(void)session;
	if (!space)
		return -ENOMEM;
	/* Open both in any case, so that both can be closed. */
	r = clear_refs_open(&space->refs, process);
	opened = pagemap_open(&space->pagemap, process);
	space->refs.stat_fd = process_open_file(process, "stat", O_RDONLY);
	if (r || opened)
		softdirty_space_close(&space->base);
	if (r)
		return clear_refs_why(why, r);
	if (opened)
		return pagemap_why(why, opened);
	*out = &space->base;
	return 0;
}

/* Like `referenced', without a clear: that costs the process more than a try is worth. */
static int softdirty_attempt(struct access_space *base, const uint64_t *addresses, size_t nr,
			     struct access_why *why)
{
	struct softdirty_space *space = (struct softdirty_space *)base;
	struct access_probe probe = { .next = nr ? addresses[nr - 1] : 0 };
	uint64_t entry;
	int r;

	pagemap_forget(&space->pagemap);
	r = pagemap_read(&space->pagemap, &probe, 0, 1, PAGEMAP_NEXT, &entry);
	return r ? pagemap_why(why, r) : 0;
}

/*
 * Whether the page of probe I, its next or its prepared one, was written since the last clear.
 * Return: 1 or 0, or a negative errno.
 */
static int is_dirty(struct softdirty_space *space, const struct access_probe *probes, size_t i,
		    size_t n, enum pagemap_address which)
{
	uint64_t entry;
	int r = stop_asked() ? -ECANCELED :
			       pagemap_read(&space->pagemap, probes, i, n, which, &entry);

	return r ? r : !!(entry & PAGEMAP_SOFT_DIRTY);
}

static int softdirty_check(struct softdirty_space *space, struct access_probe *probes, size_t n)
{
	pagemap_forget(&space->pagemap);
	for (size_t i = 0; i < n; i++) {
		int dirty = is_dirty(space, probes, i, n, PAGEMAP_ARMED);

		if (dirty < 0)
			return dirty;
		probes[i].accessed = dirty || probes[i].priv & MEMORY_WRITTEN;
	}
	return 0;
}

static int softdirty_prepare(struct softdirty_space *space, struct access_probe *probes, size_t n,
			     uint64_t now, uint64_t sample)
{
	bool any = false;
	int r;

	pagemap_forget(&space->pagemap);
	for (size_t i = 0; i < n; i++) {
		int dirty = is_dirty(space, probes, i, n, PAGEMAP_NEXT);

		if (dirty < 0)
			return dirty;
		/* Before the first clear, everything was written at some time. */
		probes[i].priv = dirty && space->refs.last_us ? MEMORY_WRITTEN : 0;
		any |= dirty;
	}
	if (!any || !clear_refs_due(&space->refs, now, sample))
		return 0;
	r = clear_refs_clear(&space->refs, CLEAR_REFS_SOFT_DIRTY, now);
	for (size_t i = 0; !r && i < n; i++)
		probes[i].priv = 0;
	return r;
}

static int softdirty_round(struct access_space *base, struct access_probe *probes, size_t n,
			   unsigned int what, uint64_t now, uint64_t sample)
{
	struct softdirty_space *space = (struct softdirty_space *)base;
	int r = 0;

	if (what & ACCESS_CHECK)
		r = softdirty_check(space, probes, n);
	if (!r && what & ACCESS_PREPARE)
		r = softdirty_prepare(space, probes, n, now, sample);
	return r;
}

const struct access_method access_softdirty = {
	.name = "softdirty",
	.sees = "writes only, page by page, with a delay; the process pays a page fault for its "
		"first write to each page after a clear",
	.session_open = softdirty_session_open,
	.session_close = softdirty_session_close,
	.space_open = softdirty_space_open,
	.space_close = softdirty_space_close,
	.attempt = softdirty_attempt,
	.round = softdirty_round,
};
