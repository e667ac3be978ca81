// SPDX-License-Identifier: GPL-2.0-or-later
/* Parsing the command line of a mount: see options.h. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "access/access.h"
#include "access/cleanup.h"
#include "engine/damon.h"
#include "fs/options.h"
#include "version.h"

#define OPTION(template, member)                              \
	{                                                     \
		template, offsetof(struct options, member), 1 \
	}

static const struct fuse_opt table[] = {
	OPTION("abi=%s", abi_name), OPTION("method=%s", method), OPTION("log=%s", log_name),
	OPTION("uid=%u", uid),	    OPTION("gid=%u", gid),	 FUSE_OPT_END,
};

static const struct {
	const char *name;
	int value;
} abis[] = { { "6.1", DAMON_ABI(6, 1) },
	     { "6.12", DAMON_ABI(6, 12) },
	     { "6.18", DAMON_ABI(6, 18) } },
  levels[] = { { "error", LOG_LEVEL_ERROR },
	       { "info", LOG_LEVEL_INFO },
	       { "debug", LOG_LEVEL_DEBUG } };

static void show_help(const char *program)
{
	printf("Usage: %s [options] MOUNTPOINT\n"
	       "       %s exec [--at DIR] [-o options] -- COMMAND [ARGUMENT...]\n"
	       "\n"
	       "Mounts the trees of the kernel's DAMON and monitors in user space.  With exec, "
	       "runs\n"
	       "COMMAND where such a tree stands at /sys/kernel/mm/damon, in a mount namespace of "
	       "its\n"
	       "own.  damonfs(8) tells more.\n"
	       "\n"
	       "    -o abi=6.1|6.12|6.18   the tree of which kernel (default: 6.18)\n"
	       "    -o method=METHOD       how accesses are seen: auto (default), idle, "
	       "young,\n"
	       "                           softdirty, referenced, simulated:FILE\n"
	       "    -o uid=N,gid=N         who owns the tree, and may target only own processes\n"
	       "    -o log=LEVEL           error, info (default) or debug\n"
	       "\n"
	       "FUSE options:\n",
	       program, program);
	fuse_cmdline_help();
	fuse_lowlevel_help();
}

static int find(const char *what, const char *name, const void *rows, size_t nr, int fallback,
		int *out)
{
	const __typeof__(abis[0]) *row = rows;

	*out = fallback;
	if (!name)
		return 0;
	for (size_t i = 0; i < nr; i++) {
		if (!strcmp(row[i].name, name)) {
			*out = row[i].value;
			return 0;
		}
	}
	fprintf(stderr, "damonfs: %s=%s is not known; see damonfs --help\n", what, name);
	return -EINVAL;
}

/* A script is opened when monitoring starts, after the daemon has left its directory. */
static int absolute_method(struct options *options)
{
	static const char prefix[] = "simulated:";
	char *path, *whole;

	if (strncmp(options->method, prefix, strlen(prefix)))
		return 0;
	path = realpath(options->method + strlen(prefix), NULL);
	if (!path) {
		fprintf(stderr, "damonfs: %s: %s\n", options->method, strerror(errno));
		return -EINVAL;
	}
	if (asprintf(&whole, "%s%s", prefix, path) < 0)
		whole = NULL;
	free(path);
	free(options->method);
	options->method = whole;
	return whole ? 0 : -ENOMEM;
}

static int check(struct options *options)
{
	int abi, level;

	if (find("abi", options->abi_name, abis, ARRAY_SIZE(abis), DAMON_ABI(6, 18), &abi) ||
	    find("log", options->log_name, levels, ARRAY_SIZE(levels), LOG_LEVEL_INFO, &level))
		return -EINVAL;
	options->abi = (unsigned int)abi;
	options->log_level = options->debug ? LOG_LEVEL_DEBUG : (enum log_level)level;
	if (!options->method)
		options->method = strdup("auto");
	if (!options->method)
		return -ENOMEM;
	if (!access_method_known(options->method)) {
		fprintf(stderr, "damonfs: method=%s is not known; see damonfs --help\n",
			options->method);
		return -EINVAL;
	}
	return absolute_method(options);
}

/* What the mount is given without being asked for. */
static int add_defaults(struct options *options)
{
	/* First, so that the user's own come later and win. */
	if (fuse_opt_insert_arg(&options->args, 1,
				"-ofsname=damonfs,subtype=damonfs,default_permissions"))
		return -ENOMEM;
	/* A tree that was given to somebody else is of no use if they may not enter. */
	if (geteuid() == 0 && options->uid && fuse_opt_add_arg(&options->args, "-oallow_other"))
		return -ENOMEM;
	return 0;
}

int options_parse(int argc, char **argv, struct options *out)
{
	struct fuse_cmdline_opts cmdline = { 0 };
	struct fuse_args args = FUSE_ARGS_INIT(argc, argv);
	int r;

	*out = (struct options){ .args = args, .uid = geteuid(), .gid = getegid() };
	if (fuse_parse_cmdline(&out->args, &cmdline)) {
		fprintf(stderr, "see damonfs --help\n");
		return -EINVAL;
	}
	out->mountpoint = cmdline.mountpoint;
	out->foreground = cmdline.foreground;
	out->debug = cmdline.debug;
	if (cmdline.show_help) {
		show_help(argv[0]);
		return OPTIONS_DONE;
	}
	if (cmdline.show_version) {
		printf("damonfs version %s\n", DAMONFS_VERSION);
		fflush(stdout);
		fuse_lowlevel_version();
		return OPTIONS_DONE;
	}
	if (fuse_opt_parse(&out->args, out, table, NULL))
		return -EINVAL;
	r = check(out);
	return r ? r : add_defaults(out);
}

void options_free(struct options *options)
{
	fuse_opt_free_args(&options->args);
	free(options->mountpoint);
	free(options->abi_name);
	free(options->method);
	free(options->log_name);
}
