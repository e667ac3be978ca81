// SPDX-License-Identifier: GPL-2.0-or-later
/* A file's lines: all of them, or an error. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "access/methods/script.h"
#include "tests/unit/unit.h"
#include "util/lines.h"

START_TEST(every_line_is_read)
{
	char path[64];
	_cleanup_lines_ struct lines lines = { 0 };

	write_temporary(path, "one\n\nthree, without an end");
	lines_open_path(&lines, path);
	unlink(path);
	ck_assert(lines_next(&lines));
	ck_assert_str_eq(lines.line, "one\n");
	ck_assert(lines_next(&lines));
	ck_assert_str_eq(lines.line, "\n");
	ck_assert(lines_next(&lines));
	ck_assert_str_eq(lines.line, "three, without an end");
	ck_assert(!lines_next(&lines));
	ck_assert_int_eq(lines.error, 0);
}
END_TEST

START_TEST(what_cannot_be_read_is_no_short_file)
{
	_cleanup_lines_ struct lines missing = { 0 }, directory = { 0 };

	lines_open_path(&missing, "/no such file");
	ck_assert(!lines_next(&missing));
	ck_assert_int_eq(missing.error, -ENOENT);
	lines_open(&directory, open("/", O_RDONLY | O_CLOEXEC));
	ck_assert(!lines_next(&directory));
	ck_assert_int_eq(directory.error, -EISDIR);
	/* Nor is it forgotten. */
	ck_assert(!lines_next(&directory));
	ck_assert_int_eq(directory.error, -EISDIR);
}
END_TEST

/* It was an empty script. */
START_TEST(a_script_that_cannot_be_read_is_an_error)
{
	_cleanup_fclose_ FILE *directory = fopen("/", "re");
	struct script script;
	char why[128] = "";

	ck_assert_ptr_nonnull(directory);
	ck_assert_int_eq(script_read(directory, &script, why, sizeof(why)), -EISDIR);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lines");
	TCase *tcase = tcase_create("lines");

	tcase_add_test(tcase, every_line_is_read);
	tcase_add_test(tcase, what_cannot_be_read_is_no_short_file);
	tcase_add_test(tcase, a_script_that_cannot_be_read_is_an_error);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
