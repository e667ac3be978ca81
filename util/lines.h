/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The lines of a file, of any length, and how they end: a file that is read in part only, for lack
 * of memory or by an error of read(), is an error here and looks like a short file elsewhere.
 */
#ifndef DAMONFS_UTIL_LINES_H
#define DAMONFS_UTIL_LINES_H

#include <stdbool.h>
#include <stdio.h>

/* Zeros but for a FILE, it reads that. */
struct lines {
	FILE *file;
	char *line; /* the one that lines_next() found */
	size_t size;
	int error; /* 0, or the negative errno that ended it */
};

/* Reads FD, which is its own now; a negative FD is an error to begin with. */
void lines_open(struct lines *out, int fd);
void lines_open_path(struct lines *out, const char *path);

/* Whether there is a next line, in lines->line; where not, see lines->error. */
bool lines_next(struct lines *lines);

/* LINES may be zeros. */
void lines_close(struct lines *lines);

#define _cleanup_lines_ __attribute__((cleanup(lines_close)))

#endif
