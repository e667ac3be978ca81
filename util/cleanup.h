/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Clean-up of variables that go out of scope. */
#ifndef DAMONFS_UTIL_CLEANUP_H
#define DAMONFS_UTIL_CLEANUP_H

#include <dirent.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "util/macros.h"

/* For the attribute; use the macros below. */
static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

/* The same. */
static inline void cleanup_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

/* The same. */
static inline void cleanup_fclose(FILE **file)
{
	if (*file)
		fclose(*file);
}

/* The same. */
static inline void cleanup_closedir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

#define _cleanup_free_	   __attribute__((cleanup(cleanup_free)))
#define _cleanup_close_	   __attribute__((cleanup(cleanup_close)))
#define _cleanup_fclose_   __attribute__((cleanup(cleanup_fclose)))
#define _cleanup_closedir_ __attribute__((cleanup(cleanup_closedir)))

/* The value of a variable, taken away from its cleanup to hand it to somebody else. */
#define steal_ptr(p)                         \
	({                                   \
		__typeof__(p) stolen_ = (p); \
		(p) = NULL;                  \
		stolen_;                     \
	})
#define steal_fd(fd)                \
	({                          \
		int stolen_ = (fd); \
		(fd) = -1;          \
		stolen_;            \
	})

#endif
