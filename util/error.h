/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The law of errors.
 *
 * A function that can fail returns an int: 0, or a negative errno, which is fatal to what was asked
 * for and handed up unchanged.  Then it has changed nothing, or its comment says what.  A positive
 * result is an answer that its comment names (STORE_HELD, OPTIONS_DONE).  *OUT is set where the
 * result is 0.  A function that makes an object and fails for lack of memory alone may return NULL
 * instead.  Nobody reads errno but whoever made the system call.  A clean-up or a call-back of a
 * library, which cannot hand an error up, logs it: what happened, to what, and what to do.
 */
#ifndef DAMONFS_UTIL_ERROR_H
#define DAMONFS_UTIL_ERROR_H

#include <errno.h>
#include <stdbool.h>

/* Whether ERROR, negative, tells of memory or descriptors, and nothing of who may do what. */
static inline bool error_is_shortage(int error)
{
	return error == -ENOMEM || error == -EMFILE || error == -ENFILE;
}

#endif
