/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Open files and directories.  Only the request thread uses them. */
#ifndef DAMONFS_FS_FUSE_HANDLE_H
#define DAMONFS_FS_FUSE_HANDLE_H

#include "fs/fuse/listing.h"
#include "fs/fuse/stream.h"

/* An open file with the text that was read, or an open directory with its listing. */
struct handle {
	struct account *account; /* of who opened it; a reference, or NULL */
	struct text text; /* of a directory: what the kernel is told of it */
	struct listing listing;
	bool filled;
	off_t end; /* of a text that was read to its end and dropped; else 0 */
	int gone; /* the errno for using a file that is gone */
	/* For a command file that is open for writing: see struct write. */
	struct caller *opener;
	int opener_error;
	struct stream stream;
	struct handle *prev, *next;
};

/* Adds a handle of user UID to ALL.  Return: 0 and *OUT, or -ENOMEM. */
int handle_new(struct handle **all, struct accounts *accounts, uid_t uid, struct handle **out);
void handle_free(struct handle **all, struct handle *handle);

/* The handle by which the kernel knows an open file. */
static inline struct handle *handle_of(const struct fuse_file_info *fi)
{
	return (struct handle *)(uintptr_t)fi->fh;
}

#endif
