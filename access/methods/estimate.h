/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Guesses: what a method answers for a page that it could not afford to clear before looking.
 *
 * A bit that says "touched since it was cleared" tells the truth about the coming interval if it
 * was clear when the probe was prepared: the page was not touched for long, or it was cleared for
 * the probe.  Otherwise the probe repeats the answer of its region's last page that was touched
 * already, too, but was cleared.  That is the same conditional chance, while the last answer of the
 * region, of whatever page, would lean towards its cold part.
 *
 * Clearing is what costs, and a region whose cleared pages all answered the same needs few clears:
 * after 100, 250 or 700 such answers (estimate_streaks), an answer is held for 2, 4 or 8 rounds in
 * the mean, until the next random instant of that many (struct estimate_clock).  How long an answer
 * is held is decided before it is known, so the mean of what is told is that of the answers.  One
 * exception makes no difference that counts: "not touched" is held no longer when an untouched page
 * is touched. docs/methods.md has the spread.
 *
 * What is known of a region expires when many untouched pages were found in it since a page was
 * last cleared and looked at.  All of it is kept in access_probe.priv.
 */
#ifndef DAMONFS_ACCESS_METHODS_ESTIMATE_H
#define DAMONFS_ACCESS_METHODS_ESTIMATE_H

#include "access/probe.h"
#include "util/macros.h"
#include "util/random.h"

enum {
	/* Of the region: */
	ESTIMATE_KNOWN = 1, /* a touched page was cleared and looked at again, */
	ESTIMATE_HOT = 2, /* and was touched in between */
	ESTIMATE_MARK = 4, /* the method's own */
	/* Of the probe under way: */
	ESTIMATE_PREPARED = 16, /* the check has a true answer */
	ESTIMATE_CLEARED = 32, /* as the page was cleared for it */
	ESTIMATE_ANSWER = 64, /* not prepared: the answer */
	ESTIMATE_PROBE = ESTIMATE_PREPARED | ESTIMATE_CLEARED | ESTIMATE_ANSWER,
	/* Of the region, counts: how many untouched pages were found since it is known, */
	ESTIMATE_QUIET = 1 << 8,
	ESTIMATE_QUIET_MAX = 0xff << 8,
	/* how many cleared pages in a row answered the same, */
	ESTIMATE_STREAK = 1 << 16,
	ESTIMATE_STREAK_MAX = 0x3ff << 16,
	/* and for how long the last answer is held: 1, 2, 4 or 8 rounds. */
	ESTIMATE_HOLD = 1 << 26,
	ESTIMATE_HOLD_MAX = 3 << 26,
	ESTIMATE_HISTORY = ESTIMATE_STREAK_MAX | ESTIMATE_HOLD_MAX,
};

/*
 * Streaks after which answers are held longer.  They bound the spread that holding adds: the number
 * of accesses in 20 rounds varies by at most 1.3 times a full sampler's deviation where it is from
 * 0.4 to 19.6 in the mean, and by less than 0.8 elsewhere (tests/unit/test-estimate.c).
 */
static const uint32_t estimate_streaks[] = { 100, 250, 700 };
#define ESTIMATE_LEVELS 3 /* of them */

/*
 * Random instants: of each two rounds one has level 1 or more, of each four one level 2 or more, of
 * each eight one level 3.  They are the same for all regions, so that other rounds clear nothing.
 */
struct estimate_clock {
	uint64_t random[4]; /* seeded by random_seed() */
	uint32_t round, choice; /* which of the halves, by a bit each */
	uint32_t level; /* of this round, 0 to ESTIMATE_LEVELS */
};

/* Begins a round. */
static inline void estimate_next_round(struct estimate_clock *clock)
{
	uint32_t block = 1U << ESTIMATE_LEVELS, half = clock->round++ % block, choice;

	if (!half)
		clock->choice = (uint32_t)(random_next(clock->random) >> 32);
	choice = clock->choice;
	clock->level = 0;
	for (uint32_t i = 1; i <= ESTIMATE_LEVELS && (half & 1) == (choice >> (half >> 1) & 1);
	     i++) {
		clock->level = i;
		half >>= 1;
		choice >>= block >> i;
	}
}

/* Whether the region's last answer is held no longer, so that a touched page is to be cleared. */
static inline bool estimate_is_due(const struct estimate_clock *clock,
				   const struct access_probe *probe)
{
	return (probe->priv & ESTIMATE_HOLD_MAX) / ESTIMATE_HOLD <= clock->level;
}

/* Whether the region's cleared pages have long been untouched afterwards. */
static inline bool estimate_is_cold(const struct access_probe *probe)
{
	return probe->priv & ESTIMATE_KNOWN && !(probe->priv & ESTIMATE_HOT) &&
	       (probe->priv & ESTIMATE_STREAK_MAX) / ESTIMATE_STREAK >= estimate_streaks[0];
}

/* A touched page was due and could not be cleared: the region is due until one is. */
static inline void estimate_stay_due(struct access_probe *probe)
{
	probe->priv &= ~(uint32_t)ESTIMATE_HOLD_MAX;
}

/* The next page can be looked at as it is. */
static inline void estimate_prepare(struct access_probe *probe, uint32_t flags)
{
	probe->priv = (probe->priv & ~(uint32_t)ESTIMATE_PROBE) | ESTIMATE_PREPARED | flags;
}

/* The next page was not touched: it is prepared as it is. */
static inline void estimate_prepare_untouched(struct access_probe *probe)
{
	estimate_prepare(probe, 0);
	/* What stood in the way of clearing may be gone. */
	probe->priv &= ~(uint32_t)ESTIMATE_MARK;
	if ((probe->priv & ESTIMATE_QUIET_MAX) < ESTIMATE_QUIET_MAX)
		probe->priv += ESTIMATE_QUIET;
	else
		probe->priv &= ~(uint32_t)(ESTIMATE_KNOWN | ESTIMATE_HOT | ESTIMATE_HISTORY);
}

/* The next page was touched, and has just been cleared; decides how long its answer is held. */
static inline void estimate_prepare_cleared(struct access_probe *probe)
{
	uint32_t streak = (probe->priv & ESTIMATE_STREAK_MAX) / ESTIMATE_STREAK, hold = 0;

	while (hold < ARRAY_SIZE(estimate_streaks) && streak >= estimate_streaks[hold])
		hold++;
	probe->priv &= ~(uint32_t)ESTIMATE_HOLD_MAX;
	estimate_prepare(probe, ESTIMATE_CLEARED | hold * ESTIMATE_HOLD);
}

/* The next page was touched and is not cleared; UNKNOWN answers if nothing is known of the region. */
static inline void estimate_instead(struct access_probe *probe, bool unknown)
{
	bool answer = probe->priv & ESTIMATE_KNOWN ? probe->priv & ESTIMATE_HOT : unknown;

	probe->priv &= ~(uint32_t)ESTIMATE_PROBE;
	probe->priv |= answer ? ESTIMATE_ANSWER : 0;
}

/* Counts a cleared page that was TOUCHED, or not, like the one before it, or not. */
static inline void estimate_count_streak(struct access_probe *probe, bool touched)
{
	bool same = probe->priv & ESTIMATE_KNOWN && !(probe->priv & ESTIMATE_HOT) == !touched;

	if (!same)
		probe->priv &= ~(uint32_t)ESTIMATE_STREAK_MAX;
	else if ((probe->priv & ESTIMATE_STREAK_MAX) < ESTIMATE_STREAK_MAX)
		probe->priv += ESTIMATE_STREAK;
}

/* Answers for a probe whose page was looked at: TOUCHED or not. */
static inline void estimate_check(struct access_probe *probe, bool touched)
{
	if (!(probe->priv & ESTIMATE_PREPARED)) {
		probe->accessed = probe->priv & ESTIMATE_ANSWER;
		return;
	}
	probe->accessed = touched;
	/*
	 * An untouched page that stayed so tells nothing about the touched ones of the region; one
	 * that was touched says that the region is in use: if that is new, the next is cleared.
	 */
	if (probe->priv & ESTIMATE_CLEARED)
		estimate_count_streak(probe, touched);
	else if (!touched)
		return;
	else if (!(probe->priv & ESTIMATE_HOT))
		probe->priv &= ~(uint32_t)ESTIMATE_HISTORY;
	probe->priv &= ~(uint32_t)(ESTIMATE_QUIET_MAX | ESTIMATE_HOT);
	probe->priv |= ESTIMATE_KNOWN | (touched ? ESTIMATE_HOT : 0);
}

#endif
