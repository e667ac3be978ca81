// SPDX-License-Identifier: GPL-2.0-or-later
/* The command line of a mount. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/fstab.h"
#include "fs/options.h"
#include "tests/unit/unit.h"

/* options_free() frees it all. */
START_TEST(what_is_refused_is_freed)
{
	char *words[] = { (char *)"damonfs", (char *)"-oabi=5.0", (char *)"/", NULL };
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

/* A source is a name for /proc/mounts, whatever it holds; -o fsname= is a better one. */
START_TEST(a_source)
{
	static const struct {
		const char *source, *option, *expected;
	} rows[] = {
		{ "thing", "-oro", "subtype=damonfs,default_permissions,fsname=thing,ro" },
		{ "a,allow_root", "-oro",
		  "subtype=damonfs,default_permissions,fsname=a\\,allow_root,ro" },
		{ "", "-oro", "subtype=damonfs,default_permissions,fsname=damonfs,ro" },
		{ "thing", "-ofsname=own",
		  "subtype=damonfs,default_permissions,fsname=thing,fsname=own" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char *words[] = { (char *)"damonfs", (char *)rows[i].source, (char *)"/tmp",
				  (char *)rows[i].option, NULL };
		struct options options;

		ck_assert_int_eq(options_parse(4, words, &options), 0);
		ck_assert_str_eq(options.mountpoint, "/tmp");
		ck_assert_str_eq(options.args.argv[2], rows[i].expected);
		ck_assert_str_eq(options.words[0], rows[i].option);
		ck_assert_str_eq(options.words[1], "-o");
		options_free(&options);
	}
}
END_TEST

START_TEST(no_third_place)
{
	char *words[] = { (char *)"damonfs", (char *)"thing", (char *)"/tmp", (char *)"/", NULL };
	struct options options;

	ck_assert_int_eq(options_parse(4, words, &options), -EINVAL);
	options_free(&options);
}
END_TEST

/* An option is dropped whole, and nothing with it. */
START_TEST(options_of_fstab)
{
	static const struct {
		const char *options, *left; /* behind the defaults */
		int r;
	} rows[] = {
		{ "defaults,nofail,_netdev,ro", ",ro", 0 },
		{ "x-systemd.automount,X-mount.mkdir,x-,noatime", ",noatime", 0 },
		{ "comment=x\\,allow_root,uhelper=a,relatime", "", 0 },
		{ "default,ro", ",default,ro", 0 }, /* for libfuse to refuse */
		{ "automatic,relatimes,xx-a", ",automatic,relatimes,xx-a", 0 },
		{ "nofail,method=nofail", NULL, -EINVAL },
		{ "nofail,abi=defaults", NULL, -EINVAL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char *words[] = { (char *)"damonfs", (char *)"-o", (char *)rows[i].options,
				  (char *)"/tmp", NULL };
		struct options options;
		char expected[128];

		snprintf(expected, sizeof(expected),
			 "subtype=damonfs,default_permissions,fsname=damonfs%s",
			 rows[i].left ?: "");
		ck_assert_int_eq(options_parse(4, words, &options), rows[i].r);
		if (!rows[i].r)
			ck_assert_str_eq(options.args.argv[2], expected);
		options_free(&options);
	}
}
END_TEST

/* mount(8) gives flags of its own; words that look like options are none. */
START_TEST(words_of_a_helper)
{
	char *given[] = { (char *)"/sbin/mount.damonfs",
			  (char *)"none",
			  (char *)"/tmp",
			  (char *)"-sn",
			  (char *)"-v",
			  (char *)"-f",
			  (char *)"-o",
			  (char *)"rw",
			  (char *)"-t",
			  (char *)"fuse.damonfs",
			  NULL };
	const char *expected[] = { "damonfs", "-o", "rw", "--", "none", "/tmp" };
	char **words;
	bool fake;
	int nr;

	ck_assert(fstab_is_helper(given[0]) && fstab_is_helper("mount.fuse.damonfs"));
	ck_assert(!fstab_is_helper("/sbin/mount.damonfs/damonfs"));
	nr = fstab_helper_words(10, given, &words, &fake);
	ck_assert_int_eq(nr, (int)ARRAY_SIZE(expected));
	for (int i = 0; i < nr; i++)
		ck_assert_str_eq(words[i], expected[i]);
	ck_assert(fake && !words[nr]);
	free(words);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("options");
	TCase *tcase = tcase_create("options");

	tcase_add_test(tcase, what_is_refused_is_freed);
	tcase_add_test(tcase, words_without_the_mount_point);
	tcase_add_test(tcase, mount_points_like_options);
	tcase_add_test(tcase, a_source);
	tcase_add_test(tcase, no_third_place);
	tcase_add_test(tcase, options_of_fstab);
	tcase_add_test(tcase, words_of_a_helper);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
