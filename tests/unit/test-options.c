// SPDX-License-Identifier: GPL-2.0-or-later
/* The command line of a mount. */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* What a daemon by another program file is given: the same, but for the mount point. */
START_TEST(words_without_the_mount_point)
{
	char *words[] = { (char *)"damonfs",
			  (char *)"-f",
			  (char *)"-o",
			  (char *)"survive",
			  (char *)"/tmp",
			  (char *)"-olog=error,method=simulated:/dev/../dev/null",
			  NULL };
	const char *expected[] = { "-f",      "-o",
				   "survive", "-olog=error,method=simulated:/dev/../dev/null",
				   "-o",      "method=simulated:/dev/null" };
	struct options options;
	size_t nr = 0;

	ck_assert_int_eq(options_parse(6, words, &options), 0);
	for (; options.words[nr]; nr++)
		ck_assert_str_eq(options.words[nr], expected[nr]);
	ck_assert_uint_eq(nr, ARRAY_SIZE(expected));
	ck_assert_str_eq(options.program, "damonfs");
	options_free(&options);
}
END_TEST

START_TEST(mount_points_like_options)
{
	char place[] = "/tmp/damonfs-test-XXXXXX";
	char *words[] = { (char *)"damonfs", (char *)"-f", (char *)"--", (char *)"-m", NULL };
	const char *expected[] = { "-f", "-o", "method=auto" };
	struct options options;
	size_t nr = 0;

	ck_assert_ptr_nonnull(mkdtemp(place));
	ck_assert_int_eq(chdir(place) || mkdir("-m", 0700), 0);
	ck_assert_int_eq(options_parse(4, words, &options), 0);
	ck_assert_int_eq(rmdir("-m") || rmdir(place), 0);
	for (; options.words[nr]; nr++)
		ck_assert_str_eq(options.words[nr], expected[nr]);
	ck_assert_uint_eq(nr, ARRAY_SIZE(expected));
	options_free(&options);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("options");
	TCase *tcase = tcase_create("options");

	tcase_add_test(tcase, what_is_refused_is_freed);
	tcase_add_test(tcase, words_without_the_mount_point);
	tcase_add_test(tcase, mount_points_like_options);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
