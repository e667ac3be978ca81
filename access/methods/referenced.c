// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The method `referenced' reads in /proc/PID/smaps how much of each mapping was referenced since
 * clear_refs cleared the bits.  For where BPF may not be used.
 *
 * There is one figure per mapping: an address answers "accessed" with the chance that a resident
 * page of its mapping had.  Reading and clearing cost 30-40 ms a GiB and are limited to 2 % of the
 * time.  An answer is that of the last such period, in which a page that was touched once counts
 * like one that was touched without pause.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "access/methods/methods.h"
#include "access/proc/clear_refs.h"
#include "util/array.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/lines.h"
#include "util/stop.h"

struct figure {
	uint64_t start, end;
	uint64_t resident_kb, referenced_kb;
};

struct referenced_space {
	struct access_space base;
	struct clear_refs refs;
	struct figure *figures; /* ascending */
	size_t nr, room;
};

static int referenced_session_open(const char *argument, struct access_session **out,
				   struct access_why *why)
{
	(void)argument;
	/* Root owns ours, because we may not be traced: whether we can write it says nothing. */
	if (access("/proc/self/clear_refs", F_OK) && errno == ENOENT)
		return access_because(why, -EOPNOTSUPP, "the kernel has no /proc/PID/clear_refs");
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

static void referenced_session_close(struct access_session *session)
{
	free(session);
}

static void referenced_space_close(struct access_space *base)
{
	struct referenced_space *space = (struct referenced_space *)base;

	clear_refs_close(&space->refs);
	free(space->figures);
	free(space);
}

static int referenced_space_open(struct access_session *session, struct process *process,
				 struct access_space **out, struct access_why *why)
{
	struct referenced_space *space = calloc(1, sizeof(*space));
	int r;

	(void)session;
	if (!space)
		return -ENOMEM;
	r = clear_refs_open(&space->refs, process);
	if (r) {
		referenced_space_close(&space->base);
		return clear_refs_why(why, r);
	}
	*out = &space->base;
	return 0;
}

/* Does not write clear_refs, which costs the process: that it could be opened is the check. */
static int referenced_attempt(struct access_space *space, const uint64_t *addresses, size_t nr,
			      struct access_why *why)
{
	_cleanup_close_ int fd = process_open_file(space->process, "smaps", O_RDONLY);
	char byte;

	(void)addresses;
	(void)nr;
	if (fd >= 0 && read(fd, &byte, 1) >= 0)
		return 0;
	return access_because(why, fd < 0 ? fd : -errno,
			      "cannot read its smaps: %s; " ACCESS_ADD_CAPABILITY("SYS_PTRACE"),
			      strerror(fd < 0 ? -fd : errno));
}

static int add_figure(struct referenced_space *space, uint64_t start, uint64_t end)
{
	if (array_room(space->figures, space->room, space->nr, 64))
		return -ENOMEM;
	space->figures[space->nr++] = (struct figure){ .start = start, .end = end };
	return 0;
}

static int read_figures(struct referenced_space *space)
{
	_cleanup_lines_ struct lines lines = { 0 };
	int r = 0;

	lines_open(&lines, process_open_file(space->base.process, "smaps", O_RDONLY));
	space->nr = 0;
	while (!r && lines_next(&lines)) {
		uint64_t a, b;
		struct figure *last = space->nr ? &space->figures[space->nr - 1] : NULL;

		if (stop_asked())
			return -ECANCELED;
		if (sscanf(lines.line, "%" SCNx64 "-%" SCNx64, &a, &b) == 2)
			r = add_figure(space, a, b);
		else if (last && sscanf(lines.line, "Rss: %" SCNu64, &a) == 1)
			last->resident_kb = a;
		else if (last && sscanf(lines.line, "Referenced: %" SCNu64, &a) == 1)
			last->referenced_kb = a;
	}
	/* A missing mapping would look cold. */
	return r ? r : lines.error;
}

/* Takes the figures of the period that ends and starts another. */
static int referenced_refresh(struct referenced_space *space, uint64_t now)
{
	uint64_t start = clock_run_ns();
	bool first = !space->refs.last_us;
	int r = first ? 0 : read_figures(space);

	if (!r)
		r = clear_refs_clear(&space->refs, CLEAR_REFS_ACCESSED, now);
	space->refs.cost_ns = clock_run_ns() - start;
	return r;
}

static const struct figure *find_figure(const struct referenced_space *space, uint64_t address)
{
	size_t low = 0, high = space->nr;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct figure *figure = &space->figures[middle];

		if (address < figure->start)
			high = middle;
		else if (address >= figure->end)
			low = middle + 1;
		else
			return figure;
	}
	return NULL;
}

static bool lucky(const struct figure *figure, uint64_t address, uint64_t now)
{
	/* Any page of the mapping is as likely: decide by a hash, so that a round can be repeated. */
	uint64_t hash = (address / 4096 ^ now) * 0x9e3779b97f4a7c15ULL;

	return figure->resident_kb && (hash >> 32) % figure->resident_kb < figure->referenced_kb;
}

static int referenced_round(struct access_space *base, struct access_probe *probes, size_t n,
			    unsigned int what, uint64_t now, uint64_t sample)
{
	struct referenced_space *space = (struct referenced_space *)base;

	if (n && clear_refs_due(&space->refs, now, sample)) {
		int r = referenced_refresh(space, now);

		if (r)
			return r;
	}
	for (size_t i = 0; what & ACCESS_CHECK && i < n; i++) {
		const struct figure *figure = find_figure(space, probes[i].prepared);

		probes[i].accessed = figure && lucky(figure, probes[i].prepared, now);
	}
	return 0;
}

const struct access_method access_referenced = {
	.name = "referenced",
	.sees = "one figure for each mapping, refreshed as often as 2 % of the time allows; hot "
		"and cold parts of a mapping look alike",
	.session_open = referenced_session_open,
	.session_close = referenced_session_close,
	.space_open = referenced_space_open,
	.space_close = referenced_space_close,
	.attempt = referenced_attempt,
	.round = referenced_round,
};
