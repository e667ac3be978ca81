/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guesses: what a method answers for a page that it could not afford to clear before looking.
 *
 * A bit that says "touched since it was cleared" tells the truth about the coming interval if it
 * was clear when the probe was armed: because the page was not touched for long, or because it was
 * cleared for the probe.  Otherwise the probe answers what the last one of its region answered that
 * was in the same position, its page being touched already and then cleared: it is the same
 * conditional chance, where the region's last answer would lean to its cold part.
 *
 * What a region knows expires when nothing but untouched pages were found in it for long.  All of
 * it is kept in access_probe.memory.
 */
#ifndef DAMONFS_ACCESS_METHODS_ESTIMATE_H
#define DAMONFS_ACCESS_METHODS_ESTIMATE_H

#include "access/access.h"

enum {
	/* Of the region: */
	GUESS_KNOWN = 1, /* a touched page was cleared and looked at again, */
	GUESS_HOT = 2, /* and was touched in between */
	GUESS_MARK = 4, /* the method's own */
	/* Of the probe under way: */
	GUESS_ARMED = 16, /* the check has a true answer */
	GUESS_CLEARED = 32, /* as the page was cleared for it */
	GUESS_ANSWER = 64, /* not armed: the answer */
	GUESS_PROBE = GUESS_ARMED | GUESS_CLEARED | GUESS_ANSWER,
	/* How many untouched pages were found since GUESS_KNOWN was set: the upper byte. */
	GUESS_QUIET = 256,
	GUESS_QUIET_MAX = 255 * GUESS_QUIET,
};

static inline void guess_arm(struct access_probe *probe, uint16_t flags)
{
	probe->memory = (uint16_t)((probe->memory & ~GUESS_PROBE) | GUESS_ARMED | flags);
}

/* The next page was not touched: it is armed as it is. */
static inline void guess_arm_untouched(struct access_probe *probe)
{
	guess_arm(probe, 0);
	/* What stood in the way of clearing may be gone. */
	probe->memory &= (uint16_t)~GUESS_MARK;
	if (probe->memory < GUESS_QUIET_MAX)
		probe->memory += GUESS_QUIET;
	else
		probe->memory &= (uint16_t) ~(GUESS_KNOWN | GUESS_HOT);
}

/* The next page was touched, and has just been cleared. */
static inline void guess_arm_cleared(struct access_probe *probe)
{
	guess_arm(probe, GUESS_CLEARED);
}

/* The next page was touched and is not cleared; UNKNOWN answers if nothing is known of the region. */
static inline void guess_instead(struct access_probe *probe, bool unknown)
{
	bool answer = probe->memory & GUESS_KNOWN ? probe->memory & GUESS_HOT : unknown;

	probe->memory = (uint16_t)((probe->memory & ~GUESS_PROBE) | (answer ? GUESS_ANSWER : 0));
}

/* Answers for a probe whose page was looked at: TOUCHED or not. */
static inline void guess_check(struct access_probe *probe, bool touched)
{
	if (!(probe->memory & GUESS_ARMED)) {
		probe->accessed = probe->memory & GUESS_ANSWER;
		return;
	}
	probe->accessed = touched;
	/*
	 * An untouched page that stayed so tells nothing about the touched ones of the region; one
	 * that was touched says that the region is in use.
	 */
	if (!touched && !(probe->memory & GUESS_CLEARED))
		return;
	probe->memory &= GUESS_MARK | GUESS_PROBE;
	probe->memory |= GUESS_KNOWN | (touched ? GUESS_HOT : 0);
}

#endif
