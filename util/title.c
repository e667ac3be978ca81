// SPDX-License-Identifier: LGPL-2.1-or-later
/* The command line that ps shows: see title.h. */
#include <stdlib.h>
#include <string.h>

#include "util/title.h"

/* A process has one command line, and it is the C library's to find. */
static struct {
	char *start;
	size_t length; /* to the end of the last argument; 0 if it was not taken */
	char **copy;
} title;

char **title_take(int argc, char **argv)
{
	if (argc > 0)
		title.copy = calloc((size_t)argc + 1, sizeof(*title.copy));
	if (!title.copy)
		return argv;
	for (int i = 0; i < argc; i++) {
		title.copy[i] = strdup(argv[i]);
		if (!title.copy[i])
			return argv;
	}
	title.start = argv[0];
	title.length = (size_t)(argv[argc - 1] + strlen(argv[argc - 1]) - argv[0]);
	return title.copy;
}

void title_join(void)
{
	for (size_t i = 0; i < title.length; i++)
		if (!title.start[i])
			title.start[i] = ' ';
}
