/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What must hold in a fuzz target: libFuzzer reports the input that breaks it. */
#ifndef DAMONFS_TESTS_FUZZ_REQUIRE_H
#define DAMONFS_TESTS_FUZZ_REQUIRE_H

#include <stdlib.h>

#define REQUIRE(condition)        \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

#endif
