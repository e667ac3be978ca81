// SPDX-License-Identifier: GPL-2.0-or-later
/* The command line of a mount. */
#include <errno.h>
#include <stdlib.h>

#include "fs/options.h"
#include "tests/unit/unit.h"

/* options_free() frees it all. */
START_TEST(what_is_refused_is_freed)
{
	char *words[] = { (char *)"damonfs", (char *)"/", (char *)"/tmp", NULL };
	struct options options;

	ck_assert_int_eq(options_parse(3, words, &options), -EINVAL);
	ck_assert_str_eq(options.mountpoint, "/");
	options_free(&options);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("options");
	TCase *tcase = tcase_create("options");

	tcase_add_test(tcase, what_is_refused_is_freed);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
