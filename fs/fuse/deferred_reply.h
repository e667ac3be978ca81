/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A FUSE write being handled, which may be held and answered later by another thread (see
 * answer.h).  A held write can be interrupted: it then gets EINTR, and its work goes on.
 */
#ifndef DAMONFS_FS_FUSE_DEFERRED_REPLY_H
#define DAMONFS_FS_FUSE_DEFERRED_REPLY_H

#include <fuse_lowlevel.h>

#include "fs/keep/outstanding.h"
#include "fs/tree/answer.h"

/*
 * For the request at hand, of which a success answers SIZE.  OUTSTANDING is for
 * deferred_reply_keep(); NULL: there will be no other daemon.  Return: NULL if there is no memory.
 */
struct deferred_reply *deferred_reply_new(fuse_req_t req, size_t size,
					  struct outstanding *outstanding);

/* The next daemon answers it, if we cannot; call it while nobody can answer the write. */
void deferred_reply_keep(struct deferred_reply *pending);

/* Lets the kernel interrupt it; call it while nobody can answer the write. */
void deferred_reply_allow_interrupt(struct deferred_reply *pending);

/* Answers with RESULT once nobody can still see the tree before its last changes. */
void deferred_reply_send_after_changes(struct deferred_reply *pending, struct answerer *answerer,
				       int result);

#endif
