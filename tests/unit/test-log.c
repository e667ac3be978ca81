// SPDX-License-Identifier: GPL-2.0-or-later
/* The log: it cannot be made to flood, nor to tell lies by what is in a line. */
#include <string.h>
#include <sys/stat.h>

#include "tests/unit/unit.h"

/* What was told to stderr since start_log(), of which the end is at *TEXT. */
struct told {
	FILE *file;
	int stderr_was;
	char text[65536];
};

static void start_log(struct told *told)
{
	told->file = tmpfile();
	ck_assert_ptr_nonnull(told->file);
	fflush(stderr);
	told->stderr_was = dup(STDERR_FILENO);
	ck_assert_int_ge(dup2(fileno(told->file), STDERR_FILENO), 0);
}

static void end_log(struct told *told)
{
	size_t length;

	fflush(stderr);
	dup2(told->stderr_was, STDERR_FILENO);
	close(told->stderr_was);
	rewind(told->file);
	length = fread(told->text, 1, sizeof(told->text) - 1, told->file);
	told->text[length] = '\0';
	fclose(told->file);
}

static size_t count(const char *text, const char *word)
{
	size_t nr = 0;

	while ((text = strstr(text, word))) {
		nr++;
		text += strlen(word);
	}
	return nr;
}

START_TEST(one_place_cannot_flood)
{
	struct told told;

	log_setup(LOG_LEVEL_INFO, false);
	start_log(&told);
	for (int i = 0; i < 10000; i++)
		log_info("refused %d", i);
	/* Others are not hushed up by it. */
	log_info("something else");
	end_log(&told);
	ck_assert_uint_eq(count(told.text, "refused"), LOG_BURST);
	ck_assert_uint_eq(count(told.text, "something else"), 1);
}
END_TEST

START_TEST(what_is_left_out_is_told)
{
	struct log_site site = { 0 };
	struct told told;

	log_setup(LOG_LEVEL_INFO, false);
	start_log(&told);
	for (int i = 0; i < LOG_BURST + 7; i++)
		log_from(&site, LOG_LEVEL_INFO, "refused");
	/* As if time had passed. */
	site.since -= 3 * LOG_PAUSE;
	for (int i = 0; i < 5; i++)
		log_from(&site, LOG_LEVEL_ERROR, "again");
	end_log(&told);
	ck_assert_uint_eq(count(told.text, "refused"), LOG_BURST);
	ck_assert_uint_eq(count(told.text, "7 lines like the next one were left out\n"), 1);
	ck_assert_uint_eq(count(told.text, "left out"), 1);
	ck_assert_uint_eq(count(told.text, "again"), 3);
}
END_TEST

START_TEST(levels_are_kept)
{
	struct told told;

	log_setup(LOG_LEVEL_ERROR, false);
	start_log(&told);
	log_info("quiet");
	log_error("loud");
	end_log(&told);
	ck_assert_str_eq(told.text, "damonfs: loud\n");
	log_setup(LOG_LEVEL_DEBUG, false);
	start_log(&told);
	for (int i = 0; i < 3 * LOG_BURST; i++)
		log_debug("detail");
	end_log(&told);
	ck_assert_uint_eq(count(told.text, "detail"), 3 * LOG_BURST);
}
END_TEST

START_TEST(a_line_is_one_line)
{
	struct told told;

	log_setup(LOG_LEVEL_INFO, false);
	start_log(&told);
	log_info("a name: %s", "x\ndamonfs: all is well\x1b[2J");
	end_log(&told);
	ck_assert_str_eq(told.text, "damonfs: a name: x?damonfs: all is well?[2J\n");
}
END_TEST

START_TEST(the_journal_names_us_itself)
{
	struct told told;
	struct stat st;
	char stream[64];

	start_log(&told);
	ck_assert_int_eq(fstat(STDERR_FILENO, &st), 0);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	log_setup(LOG_LEVEL_INFO, false);
	log_info("once");
	log_error("twice");
	/* It is of another stream. */
	setenv("JOURNAL_STREAM", "1:2", 1);
	log_setup(LOG_LEVEL_INFO, false);
	log_info("elsewhere");
	unsetenv("JOURNAL_STREAM");
	end_log(&told);
	ck_assert_str_eq(told.text, "<6>once\n<3>twice\ndamonfs: elsewhere\n");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("log");
	TCase *tcase = tcase_create("log");

	tcase_add_test(tcase, one_place_cannot_flood);
	tcase_add_test(tcase, what_is_left_out_is_told);
	tcase_add_test(tcase, levels_are_kept);
	tcase_add_test(tcase, a_line_is_one_line);
	tcase_add_test(tcase, the_journal_names_us_itself);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
