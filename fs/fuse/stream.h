/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How an open debugfs file takes writes: one command per descriptor, at its start, of up to
 * STREAM_MAX bytes, which FUSE hands over in pieces.
 */
#ifndef DAMONFS_FS_FUSE_STREAM_H
#define DAMONFS_FS_FUSE_STREAM_H

#include "fs/tree/node.h"

struct stream {
	off_t position; /* where the next read or write is */
	struct text written; /* a write that may continue in another piece */
};

/*
 * Takes SIZE bytes at OFFSET for the file NODE; FLAGS are the descriptor's.  The tree is locked.
 * Return: as file_store(), -EINVAL where no write may begin, or -ENOMEM for too much.
 */
int stream_store(struct stream *stream, struct node node, struct write *write, const char *data,
		 size_t size, off_t offset, int flags);

#endif
