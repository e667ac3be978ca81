// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer target: the command line of a mount, as words that end in NUL.  They may come from
 * somebody with fewer privileges than the program file has (fs/fuse/borrowed.h).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/fuse/borrowed.h"
#include "fs/options.h"
#include "tests/fuzz/require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_WORDS 16

static void check(const struct options *options)
{
	char *list = options_for_mount(options);

	REQUIRE(options->method && options->abi);
	REQUIRE(options->uid != (uid_t)-1 && options->gid != (gid_t)-1);
	REQUIRE(list && strstr(list, "default_permissions"));
	free(list);
	if (options->mountpoint)
		borrowed_check(options);
}

/* For its version libfuse starts a program. */
static bool asks_version(const char *word)
{
	return strstr(word, "-V") || strstr(word, "--version");
}

static void parse(int argc, char **argv)
{
	struct options options;
	int r = options_parse(argc, argv, &options);

	REQUIRE(!r || r == OPTIONS_DONE || r == -EINVAL);
	if (!r)
		check(&options);
	options_free(&options);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static FILE *nowhere;
	FILE *was[] = { stdout, stderr };
	char *words[MAX_WORDS + 2] = { (char *)"damonfs" }, *text = malloc(size + 1);
	int nr = 1;

	if (!nowhere)
		nowhere = fopen("/dev/null", "w");
	REQUIRE(nowhere && text);
	memcpy(text, data, size);
	text[size] = '\0';
	for (size_t at = 0; at < size && nr <= MAX_WORDS; at += strlen(text + at) + 1)
		if (!asks_version(text + at))
			words[nr++] = text + at;
	/* What is said of it is for a person. */
	stdout = stderr = nowhere;
	parse(nr, words);
	stdout = was[0];
	stderr = was[1];
	free(text);
	return 0;
}
