/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command line of a mount. */
#ifndef DAMONFS_FS_OPTIONS_H
#define DAMONFS_FS_OPTIONS_H

#include <fuse_lowlevel.h>

#include "access/log.h"

struct options {
	struct fuse_args args; /* what is left for libfuse */
	char *mountpoint;
	int foreground, debug;
	char *abi_name, *method, *log_name;
	unsigned int abi; /* DAMON_ABI() */
	unsigned int uid, gid;
	enum log_level log_level;
};

/* What options_parse() answers besides an error. */
enum { OPTIONS_DONE = 1 /* help or version was shown: exit with success */ };

/*
 * Parses the command line.  Return: 0, OPTIONS_DONE, or -EINVAL after saying on stderr what is
 * wrong. options_free() is to be called in any case.
 */
int options_parse(int argc, char **argv, struct options *out);
void options_free(struct options *options);

#endif
