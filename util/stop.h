/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whether the thread has to end: for everything that may take long, however deep it is called from.
 *
 * A thread that can be told to end registers its flag once.  Loops whose length others choose
 * (pages of a process, its mappings, regions) check it at each turn or at each hundredth, and give
 * up: nobody uses what they return then.
 */
#ifndef DAMONFS_UTIL_STOP_H
#define DAMONFS_UTIL_STOP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* The calling thread's flag; NULL: nobody tells it to end. */
extern _Thread_local const atomic_bool *stop_flag;

/* FLAG, which is borrowed, tells the calling thread to end. */
static inline void stop_listen(const atomic_bool *flag)
{
	stop_flag = flag;
}

/* Whether the calling thread is told to end.  Costs a load. */
static inline bool stop_asked(void)
{
	return stop_flag && atomic_load_explicit(stop_flag, memory_order_relaxed);
}

#endif
