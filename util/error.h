/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The rules for errors.
 *
 * A function that can fail returns an int: 0, or a negative errno, which is fatal to the request
 * and passed up unchanged.  Then it has changed nothing, or its comment says what.  A positive
 * result is an answer that its comment names (STORE_HELD, OPTIONS_DONE).  *OUT is set if the result
 * is 0.  A function that makes an object and fails only for lack of memory may return NULL instead.
 * Only the code that made a system call reads errno.  A clean-up or a library's callback, which
 * cannot pass an error up, logs it: what happened, to what, and what to do.
 */
#ifndef DAMONFS_UTIL_ERROR_H
#define DAMONFS_UTIL_ERROR_H

#include <errno.h>
#include <stdbool.h>

/* Whether ERROR, negative, means a shortage of memory or descriptors, not a missing right. */
static inline bool error_is_shortage(int error)
{
	return error == -ENOMEM || error == -EMFILE || error == -ENFILE;
}

#endif
