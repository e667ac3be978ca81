/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guesses: what a method answers for a page that it could not afford to clear before looking.
 *
 * A bit that says "touched since it was cleared" tells the truth about the coming interval if it
 * was clear when the probe was prepared: the page was not touched for long, or it was cleared for
 * the probe.  Otherwise the probe repeats the answer of its region's last page that was touched
 * already, too, but was cleared.  That is the same conditional chance, while the last answer of the
 * region, of whatever page, would lean towards its cold part.
 *
 * What is known of a region expires when only untouched pages were found in it for long.  All of it
 * is kept in access_probe.priv.
 */
#ifndef DAMONFS_ACCESS_METHODS_ESTIMATE_H
#define DAMONFS_ACCESS_METHODS_ESTIMATE_H

#include "access/access.h"

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
	/* How many untouched pages were found since ESTIMATE_KNOWN was set: the upper byte. */
	ESTIMATE_QUIET = 256,
	ESTIMATE_QUIET_MAX = 255 * ESTIMATE_QUIET,
};

/* The next page can be looked at as it is. */
static inline void estimate_prepare(struct access_probe *probe, uint16_t flags)
{
	probe->priv = (uint16_t)((probe->priv & ~ESTIMATE_PROBE) | ESTIMATE_PREPARED | flags);
}

/* The next page was not touched: it is prepared as it is. */
static inline void estimate_prepare_untouched(struct access_probe *probe)
{
	estimate_prepare(probe, 0);
	/* What stood in the way of clearing may be gone. */
	probe->priv &= (uint16_t)~ESTIMATE_MARK;
	if (probe->priv < ESTIMATE_QUIET_MAX)
		probe->priv += ESTIMATE_QUIET;
	else
		probe->priv &= (uint16_t) ~(ESTIMATE_KNOWN | ESTIMATE_HOT);
}

/* The next page was touched, and has just been cleared. */
static inline void estimate_prepare_cleared(struct access_probe *probe)
{
	estimate_prepare(probe, ESTIMATE_CLEARED);
}

/* The next page was touched and is not cleared; UNKNOWN answers if nothing is known of the region. */
static inline void estimate_instead(struct access_probe *probe, bool unknown)
{
	bool answer = probe->priv & ESTIMATE_KNOWN ? probe->priv & ESTIMATE_HOT : unknown;

	probe->priv = (uint16_t)((probe->priv & ~ESTIMATE_PROBE) | (answer ? ESTIMATE_ANSWER : 0));
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
	 * that was touched says that the region is in use.
	 */
	if (!touched && !(probe->priv & ESTIMATE_CLEARED))
		return;
	probe->priv &= ESTIMATE_MARK | ESTIMATE_PROBE;
	probe->priv |= ESTIMATE_KNOWN | (touched ? ESTIMATE_HOT : 0);
}

#endif
