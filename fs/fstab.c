// SPDX-License-Identifier: GPL-2.0-or-later
/* mount(8) and fstab(5): see fstab.h. */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/fstab.h"
#include "util/cleanup.h"

/* For mount(8), service managers and people; or of times that FUSE leaves to the daemon. */
static const char *const ignored[] = {
	"defaults", "auto",	  "noauto",   "nofail",	    "_netdev",	   "user",
	"users",    "nouser",	  "owner",    "noowner",    "group",	   "nogroup",
	"diratime", "nodiratime", "relatime", "norelatime", "strictatime", "nostrictatime",
	"lazytime", "nolazytime", "iversion", "noiversion", "mand",	   "nomand",
	"silent",   "loud",
};
/* Whatever follows. */
static const char *const ignored_prefixes[] = { "x-", "X-", "comment=", "uhelper=" };

bool fstab_ignores(const char *option)
{
	for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
		if (!strcmp(option, ignored[i]))
			return true;
	for (size_t i = 0; i < ARRAY_SIZE(ignored_prefixes); i++)
		if (!strncmp(option, ignored_prefixes[i], strlen(ignored_prefixes[i])))
			return true;
	return false;
}

bool fstab_is_helper(const char *program)
{
	static const char prefix[] = "mount.";
	const char *slash = strrchr(program, '/');

	return !strncmp(slash ? slash + 1 : program, prefix, strlen(prefix));
}

int fstab_helper_words(int argc, char **argv, char ***out, bool *fake)
{
	/* -o takes two words, and may have been one; the others none. */
	char **words = calloc(2 * (size_t)argc + 2, sizeof(*words));
	int nr = 0, c;

	*out = words;
	*fake = false;
	if (!words)
		return -ENOMEM;
	/* The daemon that stands by, and ps, know it by this name. */
	words[nr++] = (char *)"damonfs";
	/* -s, -n and -v ask for what is so anyway; the type is known. */
	while ((c = getopt(argc, argv, "sfnvo:t:")) != -1) {
		if (c == '?') {
			fprintf(stderr, "Usage: mount.damonfs SOURCE MOUNTPOINT [-sfnv] "
					"[-o OPTIONS] [-t TYPE]\n");
			return -EINVAL;
		}
		if (c == 'f')
			*fake = true;
		if (c != 'o')
			continue;
		words[nr++] = (char *)"-o";
		words[nr++] = optarg;
	}
	words[nr++] = (char *)"--";
	while (optind < argc)
		words[nr++] = argv[optind++];
	return nr;
}
