/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command line of a mount. */
#ifndef DAMONFS_FS_OPTIONS_H
#define DAMONFS_FS_OPTIONS_H

#include <fuse_lowlevel.h>
#include <stdbool.h>

#include "access/rights/sandbox.h"
#include "fs/account.h"
#include "util/log.h"

struct options {
	struct fuse_args args; /* what is left for libfuse */
	char *mountpoint;
	/* How the same was asked for, but for the mount point: argv[0], and the words after it. */
	char *program;
	char **words; /* NULL at the end; they are main()'s, but for absolute_method */
	char *absolute_method; /* the last of them, if it is needed */
	int foreground, debug;
	int survive; /* another daemon takes over from one that is killed */
	int fdstore; /* and another keeper, from the service manager's store of descriptors */
	char *abi_name, *method, *log_name, *sandbox_name, *user_name, *group_name, *max_read_text;
	unsigned int abi; /* DAMON_ABI() */
	uid_t uid;
	gid_t gid;
	unsigned int max_read; /* 0: no limit */
	char *limit_text[NR_ACCOUNT_RESOURCES];
	struct account_limits limits; /* 0: the default */
	enum log_level log_level;
	enum sandbox_mode sandbox;
};

/* What options_parse() returns besides an error. */
enum { OPTIONS_DONE = 1 /* help or version was shown: exit with success */ };

/*
 * Parses the command line.  Return: 0, OPTIONS_DONE, or -EINVAL after saying on stderr what is
 * wrong.  Call options_free() in any case.
 */
int options_parse(int argc, char **argv, struct options *out);
void options_free(struct options *options);

/* Whether WORD is among the options that are left for libfuse; a name may hold it, too. */
bool options_have(const struct options *options, const char *word);

/*
 * Mount options for the kernel and fusermount3, to be freed.  Return: NULL if there is no memory.
 */
char *options_for_mount(const struct options *options);

#endif
