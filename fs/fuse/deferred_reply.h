/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A write of FUSE that is being handled, and may be held and answered later by another thread (see
 * answer.h).  A held write can be interrupted: it is answered with EINTR then, and what it asked
 * for goes on.
 */
#ifndef DAMONFS_FS_FUSE_DEFERRED_REPLY_H
#define DAMONFS_FS_FUSE_DEFERRED_REPLY_H

#include <fuse_lowlevel.h>

#include "fs/tree/answer.h"

/* A success answers SIZE.  Return: NULL if there is no memory. */
struct deferred_reply *deferred_reply_new(fuse_req_t req, size_t size);

/* Lets the kernel interrupt it; nobody may be able to answer it meanwhile. */
void deferred_reply_allow_interrupt(struct deferred_reply *pending);

/* Answers with RESULT when nobody can see any more what the tree was before its last changes. */
void deferred_reply_send_after_changes(struct deferred_reply *pending, struct answerer *answerer,
				       int result);

#endif
