// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The method `young' reads accessed bits by a BPF program (young.bpf.c) and clears those that are
 * set by process_madvise(MADV_COLD).  Memory that nobody touches stays old and needs no clearing,
 * which makes cold memory nearly free.
 *
 * The method `idle' is the same where the kernel has a page_idle bitmap, which clears them (see
 * clearing.h); where BPF cannot be had, and for physical memory, it is that of
 * access/methods/idle.c.
 *
 * A round is two system calls: one BPF call tells which of the prepared addresses were touched and
 * what is mapped at the next ones, and one process_madvise clears what is young there (clearing.h).
 * Where the kernel has timers for BPF, rounds that clear nothing are made by one (ticks.h).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "access/methods/estimate.h"
#include "access/methods/methods.h"
#include "access/proc/idle_bitmap.h"
#include "access/rights/privileges.h"
#include "access/young/clearing.h"
#include "access/young/program.h"
#include "access/young/ticks.h"
#include "util/macros.h"
#include "util/stop.h"

struct young_session {
	struct access_session base;
	struct young_slot slot;
	struct clearing_room room;
	int bitmap; /* the idle bitmap, or -1 */
};

struct young_space {
	struct access_space base;
	struct young_task task;
	struct clearing clearing;
};

static void young_session_close(struct access_session *base)
{
	struct young_session *s = (struct young_session *)base;

	young_slot_leave(&s->slot);
	if (s->bitmap >= 0)
		close(s->bitmap);
	free(s);
}

/* Opens a session that clears by BITMAP, which becomes its own, or by process_madvise if it is -1. */
static int session_open(int bitmap, struct access_session **out, struct access_why *why)
{
	struct young_session *s = calloc(1, sizeof(*s));
	int r;

	if (!s) {
		if (bitmap >= 0)
			close(bitmap);
		return -ENOMEM;
	}
	s->bitmap = bitmap;
	s->slot = (struct young_slot){ .map = -1, .wake.fd = -1 };
	r = young_program_get(why->text, sizeof(why->text));
	if (r) {
		young_session_close(&s->base);
		return r;
	}
	r = young_slot_take(&s->slot);
	if (r) {
		young_session_close(&s->base);
		return access_because(why, r, "no batch for the BPF program: %s", strerror(-r));
	}
	*out = &s->base;
	return 0;
}

static int young_session_open(const char *argument, struct access_session **out,
			      struct access_why *why)
{
	(void)argument;
	if (!capable_of(CAP_SYS_NICE))
		return access_because(why, -EPERM,
				      "accessed bits may not be cleared by "
				      "process_madvise; " ACCESS_ADD_CAPABILITY("SYS_NICE"));
	return session_open(-1, out, why);
}

static int idle_walk_session_open(const char *argument, struct access_session **out,
				  struct access_why *why)
{
	int bitmap = idle_bitmap_open(why);

	(void)argument;
	return bitmap < 0 ? bitmap : session_open(bitmap, out, why);
}

static void young_space_close(struct access_space *base)
{
	struct young_space *space = (struct young_space *)base;

	clearing_close(&space->clearing);
	young_task_close(&space->task);
	free(space);
}

static int young_space_open(struct access_session *session, struct process *process,
			    struct access_space **out, struct access_why *why)
{
	struct young_session *s = (struct young_session *)session;
	struct young_space *space = calloc(1, sizeof(*space));
	int r;

	if (!space)
		return -ENOMEM;
	space->task.iterator = -1;
	r = clearing_open(&space->clearing, process, s->bitmap,
			  s->bitmap >= 0 || young_keeps_folios(), why);
	if (!r) {
		r = young_task_open(&s->slot, process->tid, &space->task);
		if (r)
			access_because(why, r, "cannot find its page tables by BPF: %s",
				       strerror(-r));
	}
	space->task.by_bitmap = s->bitmap >= 0;
	if (r) {
		young_space_close(&space->base);
		return r;
	}
	*out = &space->base;
	return 0;
}

static int idle_walk_space_open(struct access_session *session, struct process *process,
				struct access_space **out, struct access_why *why)
{
	int r = idle_may_watch(process, why);

	return r ? r : young_space_open(session, process, out, why);
}

/* Why process_madvise does not take a page. */
static int madvise_why(struct access_why *why, int r)
{
	if (r == -EPERM && !capable_of(CAP_SYS_NICE))
		return access_because(
			why, r, "process_madvise is refused; " ACCESS_ADD_CAPABILITY("SYS_NICE"));
	if (r == -EACCES)
		return access_because(why, r,
				      "process_madvise: the kernel does not let damonfs trace "
				      "it; " ACCESS_ADD_CAPABILITY("SYS_PTRACE"));
	return access_because(why, r,
			      "a seccomp filter forbids process_madvise (%s); for a container add "
			      "--cap-add SYS_PTRACE, with which the default profiles let it "
			      "through, or a profile of your own (--security-opt seccomp=...)",
			      strerror(-r));
}

/* Whether MADV_COLD does nothing to this page but what is wanted, and shows it. */
static bool is_harmless(const struct young_leaf *leaf)
{
	return leaf->flags & YOUNG_YOUNG &&
	       !(leaf->flags & (YOUNG_SHARED | YOUNG_HUGE | YOUNG_FOLIO));
}

/* Looks at the NR addresses, or as many as a batch has room for. */
static int look(struct young_space *space, const uint64_t *addresses, size_t nr,
		struct access_why *why)
{
	struct young_session *s = (struct young_session *)space->base.session;
	struct young_batch *b = s->slot.batch;
	int r;

	b->nr_prepared = 0;
	b->nr_next = (__u32)min_ul(nr, YOUNG_BATCH);
	for (size_t i = 0; i < b->nr_next; i++)
		b->next[i] = addresses[i];
	r = young_walk(&s->slot, &space->task);
	/* It executes another program just now: then it is opened anew. */
	if (!r || r == -ESTALE)
		return 0;
	if (r == -EOPNOTSUPP)
		return access_because(why, r,
				      "a virtual machine or a device uses its memory by page "
				      "tables of its own");
	return access_because(why, r, "cannot read its page tables: %s", strerror(-r));
}

/*
 * Looks at the pages and clears one that is young, small and the process's alone.  Without one it
 * makes the call for no page, which the kernel checks as well.
 */
static int young_attempt(struct access_space *base, const uint64_t *addresses, size_t nr,
			 struct access_why *why)
{
	struct young_space *space = (struct young_space *)base;
	struct young_session *s = (struct young_session *)base->session;
	struct young_batch *b = s->slot.batch;
	struct iovec range = { 0 };
	size_t found = 0;
	int r = look(space, addresses, nr, why);

	if (r)
		return r;
	while (found < b->nr_next && !is_harmless(&b->leaf[found]))
		found++;
	if (found < b->nr_next)
		range = clearing_range(&b->leaf[found], b->next[found]);
	if (clearing_madvise(base->process, &range, found < b->nr_next) >= 0)
		return 0;
	/* Locked, or gone meanwhile: that tells nothing. */
	if (errno == EINVAL || errno == ENOMEM)
		return 0;
	return errno == ESRCH ? -ESRCH : madvise_why(why, -errno);
}

/* That the bitmap may be written is known since it was opened for that. */
static int idle_walk_attempt(struct access_space *base, const uint64_t *addresses, size_t nr,
			     struct access_why *why)
{
	return look((struct young_space *)base, addresses, nr, why);
}

static int young_round(struct access_space *base, struct access_probe *probes, size_t n,
		       unsigned int what, uint64_t now, uint64_t sample)
{
	struct young_space *space = (struct young_space *)base;
	struct young_session *s = (struct young_session *)base->session;
	struct young_batch *b = s->slot.batch;

	if (what & ACCESS_PREPARE)
		clearing_next_round(&space->clearing);
	for (size_t done = 0; done < n;) {
		size_t nr = min_ul(n - done, YOUNG_BATCH);
		struct access_probe *part = &probes[done];
		int r;

		if (stop_asked())
			return -ECANCELED;
		b->nr_prepared = what & ACCESS_CHECK ? (__u32)nr : 0;
		b->nr_next = what & ACCESS_PREPARE ? (__u32)nr : 0;
		for (size_t i = 0; i < nr; i++) {
			b->prepared[i] = part[i].prepared;
			b->next[i] = part[i].next;
		}
		r = young_walk(&s->slot, &space->task);
		for (size_t i = 0; !r && what & ACCESS_CHECK && i < nr; i++)
			estimate_check(&part[i], b->prepared_flags[i] & YOUNG_YOUNG);
		if (!r && what & ACCESS_PREPARE)
			r = clearing_prepare(&space->clearing, &s->room, b->leaf, part, nr,
					     done / YOUNG_BATCH, now, sample * nr / n);
		if (r)
			return r;
		done += nr;
	}
	return 0;
}

static int young_peek(struct access_space *base, struct access_probe *probes, size_t n)
{
	struct young_space *space = (struct young_space *)base;
	struct young_session *s = (struct young_session *)base->session;
	struct young_batch *b = s->slot.batch;

	for (size_t done = 0; done < n;) {
		size_t nr = min_ul(n - done, YOUNG_BATCH);
		int r;

		b->nr_prepared = (__u32)nr;
		b->nr_next = 0;
		for (size_t i = 0; i < nr; i++)
			b->prepared[i] = probes[done + i].next;
		r = young_walk(&s->slot, &space->task);
		if (r)
			return r;
		for (size_t i = 0; i < nr; i++)
			probes[done + i].accessed = b->prepared_flags[i] & YOUNG_YOUNG;
		done += nr;
	}
	return 0;
}

static struct access_run *young_room(struct access_space *base, size_t n, uint64_t sample)
{
	struct young_session *s = (struct young_session *)base->session;

	return ticks_room(&s->slot, n, sample);
}

static int young_leave(struct access_space *base, size_t n, uint64_t deadline, uint64_t first,
		       uint64_t sample, uint64_t rounds, int *wake)
{
	struct young_space *space = (struct young_space *)base;
	struct young_session *s = (struct young_session *)base->session;

	*wake = s->slot.wake.fd;
	return ticks_leave(&s->slot, &space->task, &space->clearing, n, deadline, first, sample,
			   rounds);
}

static int young_resume(struct access_space *base, uint64_t now, const struct access_run **runs,
			uint64_t *rounds, uint64_t *prepared)
{
	struct young_space *space = (struct young_space *)base;
	struct young_session *s = (struct young_session *)base->session;

	*runs = s->slot.batch->ticks.run;
	return ticks_resume(&s->slot, &space->task, &space->clearing, &s->room, now, rounds,
			    prepared);
}

static const struct access_unattended young_unattended = {
	.room = young_room,
	.leave = young_leave,
	.resume = young_resume,
};

const struct access_method access_young = {
	.name = "young",
	.sees = "reads and writes, page by page; memory shared with other processes with a delay",
	.exact = true,
	.notices_exit = true,
	.session_open = young_session_open,
	.session_close = young_session_close,
	.space_open = young_space_open,
	.space_close = young_space_close,
	.attempt = young_attempt,
	.round = young_round,
	.peek = young_peek,
	.unattended = &young_unattended,
};

const struct access_method access_idle_walk = {
	.name = "idle",
	.way = " by BPF",
	.sees = "reads and writes, page by page, by walking page tables",
	.exact = true,
	.notices_exit = true,
	.session_open = idle_walk_session_open,
	.session_close = young_session_close,
	.space_open = idle_walk_space_open,
	.space_close = young_space_close,
	.attempt = idle_walk_attempt,
	.round = young_round,
	.peek = young_peek,
	.unattended = &young_unattended,
};
