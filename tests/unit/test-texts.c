// SPDX-License-Identifier: GPL-2.0-or-later
/* Texts that are read on from the next daemon. */
#include <string.h>

#include "fs/keep/texts.h"
#include "tests/unit/unit.h"

static struct texts *new_texts(uint64_t made)
{
	struct texts *texts = calloc(1, sizeof(*texts));

	ck_assert_ptr_nonnull(texts);
	texts->made = made;
	return texts;
}

START_TEST(the_last_ones_are_found)
{
	/* Also when the number of all of them starts anew. */
	struct texts *texts = new_texts(_i ? UINT64_MAX - TEXTS : 0);
	struct text_copy found;

	for (uint64_t handle = 1; handle <= 2 * TEXTS; handle++)
		texts_keep(texts, handle, (const char *)&handle, sizeof(handle));
	texts_keep(texts, 2 * TEXTS, "newer", 5);
	for (uint64_t handle = 1; handle <= 2 * TEXTS; handle++)
		ck_assert(texts_find(texts, handle, &found) == (handle > TEXTS + 1));
	ck_assert(found.length == 5 && !memcmp(found.text, "newer", 5));
	free(texts);
}
END_TEST

START_TEST(any_length_is_kept)
{
	static const char text[TEXTS_ROOM + 1] = { [TEXTS_ROOM] = 'x' };
	struct texts *texts = new_texts(0);
	struct text_copy found;

	texts_keep(texts, 1, text, sizeof(text));
	ck_assert(texts_find(texts, 1, &found) && found.length == sizeof(text));
	ck_assert_int_eq(texts->of[1].text[0], 0);
	texts_keep(texts, 2, NULL, 0);
	ck_assert(texts_find(texts, 2, &found) && !found.length);
	free(texts);
}
END_TEST

/* The daemon before may have been taken over by somebody who still has the memory. */
START_TEST(what_was_found_stays_as_it_is)
{
	struct texts *texts = new_texts(0);
	struct text_copy found;

	texts_keep(texts, 1, "1\n", 2);
	ck_assert(texts_find(texts, 1, &found));
	texts->of[0].length = UINT64_MAX;
	texts->of[0].text[0] = '2';
	ck_assert(found.length == 2 && !memcmp(found.text, "1\n", 2));
	free(texts);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("texts");
	TCase *tcase = tcase_create("texts");

	tcase_add_loop_test(tcase, the_last_ones_are_found, 0, 2);
	tcase_add_test(tcase, any_length_is_kept);
	tcase_add_test(tcase, what_was_found_stays_as_it_is);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
