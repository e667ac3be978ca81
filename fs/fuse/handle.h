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
	bool may_status; /* may be told the status of the mount, */
	bool tells_status; /* and is: it reads that instead of the file */
	struct stream stream;
	uint64_t number; /* by which the kernel knows it */
	UT_hash_handle hh;
};

struct handles {
	struct handle *all; /* hash by number */
	uint64_t next; /* number */
};

/*
 * Adds a handle of user UID.  Its NUMBER is of a handle that a daemon before us had, or 0: a new
 * one.
 * Return: 0 and *OUT, or -ENOMEM.
 */
int handle_new(struct handles *handles, struct accounts *accounts, uid_t uid, uint64_t number,
	       struct handle **out);
void handle_free(struct handles *handles, struct handle *handle);

/* Return: the handle, or NULL: it may be of a daemon before us. */
struct handle *handle_find(const struct handles *handles, uint64_t number);

#endif
