// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer target: what is written to the files of the tree.  The first byte chooses the parser;
 * each must answer 0, -EINVAL or -ERANGE, and leave its result alone where it refuses.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/tree/parse.h"
#include "tests/fuzz/require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_unsigned(const char *text)
{
	uint64_t value = 0x5a5a, max = strlen(text) & 1 ? UINT64_MAX : UINT32_MAX;
	int r = parse_unsigned(text, max, &value);

	REQUIRE(r == 0 || r == -EINVAL || r == -ERANGE);
	REQUIRE(r ? value == 0x5a5a : value <= max);
}

static void fuzz_int(const char *text)
{
	int value = 0x5a5a, r = parse_int(text, &value);

	REQUIRE(r == 0 || r == -EINVAL || r == -ERANGE);
	REQUIRE(!r || value == 0x5a5a);
}

static void fuzz_flag(const char *text)
{
	for (int words = 0; words < 2; words++) {
		bool value = true;
		int r = parse_flag(text, words, &value);

		REQUIRE(r == 0 || (r == -EINVAL && value));
	}
}

static void fuzz_word(const char *text)
{
	bool is = parse_is_word(text, "update_schemes_stats");

	REQUIRE(!is || !strncmp(text, "update_schemes_stats", 20));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const parsers[])(const char *text) = { fuzz_unsigned, fuzz_int, fuzz_flag,
							     fuzz_word };
	char *text;

	if (!size)
		return 0;
	text = malloc(size);
	REQUIRE(text);
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	parsers[data[0] % 4](text);
	free(text);
	return 0;
}
