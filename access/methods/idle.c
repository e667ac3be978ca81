// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The method `idle': the page_idle bitmap of kernels with CONFIG_IDLE_PAGE_TRACKING, where BPF
 * cannot be had (else young.c), or not for what is watched.
 *
 * A bit that was written is read again an interval later.  So shared memory is right by nature, and
 * nothing else is done to the page.  The kernel's DAMON does the same, but without the three system
 * calls that a check costs here.
 *
 * /proc/PID/pagemap tells the frame of an address; neighbouring addresses share a read.  The bitmap
 * is read and written in words of 64 frames, so frames are sorted for neighbours to share a word.
 * A frame that cannot be tracked reads as accessed: the tail of a huge page, which is tracked by
 * its head, or a page on no list, like the zero page.  So /proc/kpageflags is read for frames that
 * look accessed, and for all frames in regions where tails were found.
 */
#include <errno.h>
#include <linux/kernel-page-flags.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <unistd.h>

#include "access/methods/methods.h"
#include "access/proc/idle_bitmap.h"
#include "access/proc/pagemap.h"
#include "access/proc/words.h"
#include "util/cleanup.h"
#include "util/stop.h"

#define NO_FRAME UINT64_MAX

/* The largest folio, as a power of two of pages. */
#define MAX_ORDER 9

/*
 * access_probe.priv holds the order of the folio whose tail was found last in the region, or 0 if
 * there was none.
 */
#define UNKNOWN_ORDER MAX_ORDER

/* A probe's frame, kept from preparing to checking. */
struct prepared_frame {
	uint64_t frame;
	uint64_t address;
	size_t probe;
};

struct idle_session {
	struct access_session base;
	int bitmap, kpageflags;
};

struct idle_space {
	struct access_space base;
	bool physical; /* addresses are those of frames */
	struct pagemap pagemap; /* of the process, if there is one */
	struct prepared_frame *prepared; /* ascending by frame */
	size_t nr, room;
};

static void idle_session_close(struct access_session *base)
{
	struct idle_session *s = (struct idle_session *)base;

	if (s->bitmap >= 0)
		close(s->bitmap);
	if (s->kpageflags >= 0)
		close(s->kpageflags);
	free(s);
}

static int idle_session_open(const char *argument, struct access_session **out,
			     struct access_why *why)
{
	struct idle_session *s;
	int r = 0;

	(void)argument;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->kpageflags = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
	if (s->kpageflags < 0)
		r = access_because(
			why, -errno,
			"cannot open /proc/kpageflags: %s; " ACCESS_ADD_CAPABILITY("SYS_ADMIN"),
			strerror(errno));
	s->bitmap = idle_bitmap_open(why);
	if (s->bitmap < 0)
		r = s->bitmap;
	if (r)
		idle_session_close(&s->base);
	else
		*out = &s->base;
	return r;
}

static void idle_space_close(struct access_space *base)
{
	struct idle_space *space = (struct idle_space *)base;

	if (!space->physical)
		pagemap_close(&space->pagemap);
	free(space->prepared);
	free(space);
}

/*
 * A frame is idle until anybody uses it, so it shows the watcher of one process what others do with
 * memory that they share.  Only those who may see everybody's memory may use it.
 */
int idle_may_watch(const struct process *process, struct access_why *why)
{
	if (!process || caller_capable(process->caller, CAP_SYS_ADMIN))
		return 0;
	return access_because(why, -EPERM,
			      "it would show user %u what others do with shared memory; only users "
			      "with CAP_SYS_ADMIN may use it",
			      process->caller->uid);
}

static int idle_space_open(struct access_session *session, struct process *process,
			   struct access_space **out, struct access_why *why)
{
	struct idle_space *space;
	int r = idle_may_watch(process, why);

	(void)session;
	if (r)
		return r;
	space = calloc(1, sizeof(*space));
	if (!space)
		return -ENOMEM;
	space->physical = !process;
	r = process ? pagemap_open(&space->pagemap, process) : 0;
	if (r) {
		idle_space_close(&space->base);
		return pagemap_why(why, r);
	}
	*out = &space->base;
	return 0;
}

static bool idle_has_flag(uint64_t flags, int bit)
{
	return flags >> bit & 1;
}

static uint64_t aligned_frame(uint64_t frame, uint32_t order)
{
	return frame & ~((1ULL << order) - 1);
}

static bool is_head(const struct idle_session *s, uint64_t frame)
{
	uint64_t flags;

	return words_read(s->kpageflags, frame, &flags, 1) == 1 &&
	       idle_has_flag(flags, KPF_COMPOUND_HEAD);
}

/* Whether the folio of the tail FRAME is likely of ORDER: nothing smaller begins in between. */
static bool is_of_order(const struct idle_session *s, uint64_t frame, uint32_t order)
{
	uint64_t head = aligned_frame(frame, order), half = aligned_frame(frame, order - 1);

	return is_head(s, head) && (half == head || !is_head(s, half));
}

/*
 * The frame that tracks FRAME: the head of a larger folio, found by its alignment; the order that
 * was found last in the region is tried first.
 */
static uint64_t tracked_frame(const struct idle_session *s, uint64_t frame, uint32_t *memory)
{
	uint64_t flags;

	if (words_read(s->kpageflags, frame, &flags, 1) != 1 ||
	    !idle_has_flag(flags, KPF_COMPOUND_TAIL))
		return frame;
	if (is_of_order(s, frame, *memory))
		return aligned_frame(frame, *memory);
	for (uint32_t order = 1; order <= MAX_ORDER; order++) {
		if (!is_head(s, aligned_frame(frame, order)))
			continue;
		*memory = order;
		return aligned_frame(frame, order);
	}
	return frame;
}

static int compare_frames(const void *a, const void *b)
{
	const struct prepared_frame *x = a, *y = b;

	return x->frame < y->frame ? -1 : x->frame > y->frame;
}

/* The frame at the next address of probe I, or NO_FRAME.  Return: 0 or a negative errno. */
static int find_frame(struct idle_space *space, const struct access_probe *probes, size_t i,
		      size_t n, uint64_t *frame)
{
	uint64_t entry;
	int r;

	if (space->physical) {
		*frame = probes[i].next / 4096;
		return 0;
	}
	r = pagemap_read(&space->pagemap, probes, i, n, PAGEMAP_NEXT, &entry);
	*frame = !r && entry & PAGEMAP_PRESENT ? entry & PAGEMAP_FRAME : NO_FRAME;
	return r;
}

/* Notes the frames of the N probes; pages that are not present have none. */
static int idle_find_frames(struct idle_session *s, struct idle_space *space,
			    struct access_probe *probes, size_t n)
{
	pagemap_forget(&space->pagemap);
	for (size_t i = 0; i < n; i++) {
		uint64_t frame;
		int r = stop_asked() ? -ECANCELED : find_frame(space, probes, i, n, &frame);

		if (r)
			return r;
		if (frame == NO_FRAME)
			continue;
		if (probes[i].priv)
			frame = tracked_frame(s, frame, &probes[i].priv);
		space->prepared[space->nr++] = (struct prepared_frame){ frame, probes[i].next, i };
	}
	return 0;
}

/* Marks all prepared frames idle. */
static int mark_idle(const struct idle_session *s, const struct idle_space *space)
{
	struct idle_marks marks = { .bitmap = s->bitmap };

	for (size_t i = 0; i < space->nr; i++) {
		int r = stop_asked() ? -ECANCELED : idle_mark(&marks, space->prepared[i].frame);

		if (r)
			return r;
	}
	return idle_marks_write(&marks);
}

static int idle_prepare(struct idle_session *s, struct idle_space *space,
			struct access_probe *probes, size_t n)
{
	int r;

	space->nr = 0;
	r = idle_find_frames(s, space, probes, n);
	if (r)
		return r;
	qsort(space->prepared, space->nr, sizeof(*space->prepared), compare_frames);
	return mark_idle(s, space);
}

/* Whether a frame that is not idle was accessed, or cannot be told. */
static bool really_accessed(const struct idle_session *s, uint64_t frame,
			    struct access_probe *probe)
{
	uint64_t flags;

	if (words_read(s->kpageflags, frame, &flags, 1) != 1)
		return false;
	if (idle_has_flag(flags, KPF_COMPOUND_TAIL)) {
		probe->priv = UNKNOWN_ORDER;
		return false;
	}
	/* The huge pages of the region may be gone. */
	if (!idle_has_flag(flags, KPF_COMPOUND_HEAD))
		probe->priv = 0;
	return idle_has_flag(flags, KPF_LRU) && !idle_has_flag(flags, KPF_ZERO_PAGE);
}

static int idle_check(const struct idle_session *s, const struct idle_space *space,
		      struct access_probe *probes, size_t n)
{
	uint64_t word = 0, index = UINT64_MAX;

	for (size_t i = 0; i < n; i++)
		probes[i].accessed = false;
	for (size_t i = 0; i < space->nr; i++) {
		const struct prepared_frame *prepared = &space->prepared[i];

		if (stop_asked())
			return -ECANCELED;
		if (prepared->probe >= n || probes[prepared->probe].prepared != prepared->address)
			continue;
		if (prepared->frame / IDLE_WORD_FRAMES != index) {
			index = prepared->frame / IDLE_WORD_FRAMES;
			ssize_t found = words_read(s->bitmap, index, &word, 1);

			if (found < 0)
				return (int)found;
			/* Frames that are no memory are idle. */
			if (!found)
				word = ~0ULL;
		}
		if (!(word >> prepared->frame % IDLE_WORD_FRAMES & 1))
			probes[prepared->probe].accessed =
				really_accessed(s, prepared->frame, &probes[prepared->probe]);
	}
	return 0;
}

/* Room grows with the number of regions, not in each round. */
static int idle_reserve(struct idle_space *space, size_t n)
{
	void *more;

	if (n <= space->room)
		return 0;
	more = reallocarray(space->prepared, n * 2, sizeof(*space->prepared));
	if (!more)
		return -ENOMEM;
	space->prepared = more;
	space->room = n * 2;
	return 0;
}

static int idle_round(struct access_space *base, struct access_probe *probes, size_t n,
		      unsigned int what, uint64_t now, uint64_t sample)
{
	struct idle_session *s = (struct idle_session *)base->session;
	struct idle_space *space = (struct idle_space *)base;
	int r = idle_reserve(space, n);

	(void)now;
	(void)sample;
	if (!r && what & ACCESS_CHECK)
		r = idle_check(s, space, probes, n);
	if (!r && what & ACCESS_PREPARE)
		r = idle_prepare(s, space, probes, n);
	return r;
}

/* Marks a frame idle, and sees whether it can be told from one that is not. */
static int idle_attempt(struct access_space *base, const uint64_t *addresses, size_t nr,
			struct access_why *why)
{
	struct idle_session *s = (struct idle_session *)base->session;
	struct idle_space *space = (struct idle_space *)base;
	struct access_probe probe = { .priv = UNKNOWN_ORDER };
	int r = idle_reserve(space, 1);

	space->nr = 0;
	for (size_t i = nr; !r && !space->nr && i; i--) {
		probe.prepared = probe.next = addresses[i - 1];
		r = idle_prepare(s, space, &probe, 1);
	}
	if (!r && space->nr && !space->prepared->frame)
		return access_because(
			why, -EPERM,
			"its page frame numbers are hidden; " ACCESS_ADD_CAPABILITY("SYS_ADMIN"));
	if (!r)
		r = idle_check(s, space, &probe, 1);
	if (r)
		access_because(why, r, "cannot use page_idle/bitmap: %s", strerror(-r));
	return r;
}

static int idle_peek(struct access_space *base, struct access_probe *probes, size_t n)
{
	struct idle_session *s = (struct idle_session *)base->session;
	struct idle_space *space = (struct idle_space *)base;

	pagemap_forget(&space->pagemap);
	for (size_t i = 0; i < n; i++) {
		uint64_t frame, word;
		uint32_t order = UNKNOWN_ORDER;
		int r = find_frame(space, probes, i, n, &frame);

		if (r)
			return r;
		probes[i].accessed = false;
		if (frame == NO_FRAME)
			continue;
		frame = tracked_frame(s, frame, &order);
		if (words_read(s->bitmap, frame / IDLE_WORD_FRAMES, &word, 1) == 1 &&
		    !(word >> frame % IDLE_WORD_FRAMES & 1))
			probes[i].accessed = really_accessed(s, frame, &probes[i]);
	}
	return 0;
}

const struct access_method access_idle = {
	.name = "idle",
	.sees = "reads and writes, page by page, by every process that has the page mapped",
	.exact = true,
	.physical = true,
	.session_open = idle_session_open,
	.session_close = idle_session_close,
	.space_open = idle_space_open,
	.space_close = idle_space_close,
	.attempt = idle_attempt,
	.round = idle_round,
	.peek = idle_peek,
};
