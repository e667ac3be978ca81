/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The clocks that deadlines, time-outs and costs go by.  None of them jumps when somebody sets the
 * time, or when the machine was suspended.
 */
#ifndef DAMONFS_UTIL_CLOCK_H
#define DAMONFS_UTIL_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Nanoseconds of CLOCK_MONOTONIC. */
static inline uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* clock_ns() in microseconds. */
static inline uint64_t clock_us(void)
{
	return clock_ns() / 1000;
}

/* Nanoseconds that this thread has run.  What it costs is not how long it was kept waiting. */
static inline uint64_t clock_run_ns(void)
{
	struct timespec run;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &run);
	return (uint64_t)run.tv_sec * 1000000000 + (uint64_t)run.tv_nsec;
}

#endif
