// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Parsing of what is written to files: every example of the ABI (docs/abi/sysfs.md sections 2
 * and 14) and the corners of kstrtoul(), kstrtoint(), kstrtobool() and sysfs_streq().
 */
#include <errno.h>
#include <limits.h>

#include "fs/tree/parse.h"
#include "tests/unit/unit.h"

/* What a result is before a parser that must not touch it. */
#define UNTOUCHED 4711

static const struct {
	const char *text;
	uint64_t max;
	int result;
	uint64_t value;
} unsigned_vectors[] = {
	/* The base. */
	{ "0", UINT64_MAX, 0, 0 },
	{ "00", UINT64_MAX, 0, 0 },
	{ "5", UINT64_MAX, 0, 5 },
	{ "010", UINT64_MAX, 0, 8 },
	{ "0777", UINT64_MAX, 0, 511 },
	{ "0x10", UINT64_MAX, 0, 16 },
	{ "0X1f", UINT64_MAX, 0, 31 },
	{ "0xAbCdEf", UINT64_MAX, 0, 0xabcdef },
	{ "0x0", UINT64_MAX, 0, 0 },
	{ "0000000000000000000000000000000000000001", UINT64_MAX, 0, 1 },
	{ "08", UINT64_MAX, -EINVAL, 0 },
	{ "019", UINT64_MAX, -EINVAL, 0 },
	{ "0x", UINT64_MAX, -EINVAL, 0 },
	{ "0X\n", UINT64_MAX, -EINVAL, 0 },
	{ "0xg", UINT64_MAX, -EINVAL, 0 },
	{ "x10", UINT64_MAX, -EINVAL, 0 },
	{ "00x10", UINT64_MAX, -EINVAL, 0 },
	{ "a", UINT64_MAX, -EINVAL, 0 },
	{ "1a", UINT64_MAX, -EINVAL, 0 },
	/* One sign. */
	{ "+5", UINT64_MAX, 0, 5 },
	{ "+7", UINT64_MAX, 0, 7 },
	{ "+0x10", UINT64_MAX, 0, 16 },
	{ "+010", UINT64_MAX, 0, 8 },
	{ "+", UINT64_MAX, -EINVAL, 0 },
	{ "++5", UINT64_MAX, -EINVAL, 0 },
	{ "+-5", UINT64_MAX, -EINVAL, 0 },
	{ "-+5", UINT64_MAX, -EINVAL, 0 },
	{ "-1", UINT64_MAX, -EINVAL, 0 },
	{ "-0", UINT64_MAX, -EINVAL, 0 },
	{ "-", UINT64_MAX, -EINVAL, 0 },
	/* One newline, no blanks. */
	{ "5\n", UINT64_MAX, 0, 5 },
	{ "0x10\n", UINT64_MAX, 0, 16 },
	{ "0\n", UINT64_MAX, 0, 0 },
	{ "5\n\n", UINT64_MAX, -EINVAL, 0 },
	{ "\n", UINT64_MAX, -EINVAL, 0 },
	{ "", UINT64_MAX, -EINVAL, 0 },
	{ "\n5", UINT64_MAX, -EINVAL, 0 },
	{ " 5", UINT64_MAX, -EINVAL, 0 },
	{ "5 ", UINT64_MAX, -EINVAL, 0 },
	{ "5 \n", UINT64_MAX, -EINVAL, 0 },
	{ "5\r\n", UINT64_MAX, -EINVAL, 0 },
	{ "5\t", UINT64_MAX, -EINVAL, 0 },
	{ "1 2", UINT64_MAX, -EINVAL, 0 },
	/* Nothing else. */
	{ "1k", UINT64_MAX, -EINVAL, 0 },
	{ "1.0", UINT64_MAX, -EINVAL, 0 },
	{ "1e3", UINT64_MAX, -EINVAL, 0 },
	{ "abc", UINT64_MAX, -EINVAL, 0 },
	{ "\xff", UINT64_MAX, -EINVAL, 0 },
	{ "1\x80", UINT64_MAX, -EINVAL, 0 },
	{ "1:", UINT64_MAX, -EINVAL, 0 }, /* what comes after `9' */
	{ "1/", UINT64_MAX, -EINVAL, 0 }, /* and before `0' */
	{ "0x1@", UINT64_MAX, -EINVAL, 0 },
	{ "0x1`", UINT64_MAX, -EINVAL, 0 },
	/* The range of 64 bits. */
	{ "18446744073709551615", UINT64_MAX, 0, UINT64_MAX },
	{ "+18446744073709551615\n", UINT64_MAX, 0, UINT64_MAX },
	{ "0xffffffffffffffff", UINT64_MAX, 0, UINT64_MAX },
	{ "01777777777777777777777", UINT64_MAX, 0, UINT64_MAX },
	{ "18446744073709551616", UINT64_MAX, -ERANGE, 0 },
	{ "18446744073709551620", UINT64_MAX, -ERANGE, 0 },
	{ "184467440737095516150", UINT64_MAX, -ERANGE, 0 },
	{ "184467440737095516160", UINT64_MAX, -ERANGE, 0 }, /* wraps to 0 on the way */
	{ "0x100000000000000000", UINT64_MAX, -ERANGE, 0 },
	{ "0x10000000000000000", UINT64_MAX, -ERANGE, 0 },
	{ "02000000000000000000000", UINT64_MAX, -ERANGE, 0 },
	{ "99999999999999999999999999999999999999999999", UINT64_MAX, -ERANGE, 0 },
	/* It is out of range before it is junk. */
	{ "18446744073709551616x", UINT64_MAX, -ERANGE, 0 },
	{ "18446744073709551616\n\n", UINT64_MAX, -ERANGE, 0 },
	{ "18446744073709551615x", UINT64_MAX, -EINVAL, 0 },
	{ "-18446744073709551616", UINT64_MAX, -EINVAL, 0 },
	/* A smaller range: of the text first, of the number then. */
	{ "4294967295", UINT32_MAX, 0, UINT32_MAX },
	{ "4294967296", UINT32_MAX, -ERANGE, 0 },
	{ "4294967296x", UINT32_MAX, -EINVAL, 0 },
	{ "0x100000000\n", UINT32_MAX, -ERANGE, 0 },
	{ "18446744073709551616", UINT32_MAX, -ERANGE, 0 },
	{ "-1", UINT32_MAX, -EINVAL, 0 },
	{ "1", 0, -ERANGE, 0 },
	{ "0", 0, 0, 0 },
};

START_TEST(unsigned_is_read_as_by_kstrtoul)
{
	uint64_t value = UNTOUCHED;

	ck_assert_int_eq(parse_unsigned(unsigned_vectors[_i].text, unsigned_vectors[_i].max,
					&value),
			 unsigned_vectors[_i].result);
	/* Nothing is changed on an error. */
	ck_assert_uint_eq(value,
			  unsigned_vectors[_i].result ? UNTOUCHED : unsigned_vectors[_i].value);
}
END_TEST

static const struct {
	const char *text;
	int result, value;
} int_vectors[] = {
	{ "0", 0, 0 },
	{ "-0", 0, 0 },
	{ "+0", 0, 0 },
	{ "1", 0, 1 },
	{ "-1", 0, -1 },
	{ "-1\n", 0, -1 },
	{ "+5", 0, 5 },
	{ "-010", 0, -8 },
	{ "-0x10", 0, -16 },
	{ "010", 0, 8 },
	{ "2147483647", 0, INT_MAX },
	{ "-2147483648", 0, INT_MIN },
	{ "-0x80000000", 0, INT_MIN },
	{ "2147483648", -ERANGE, 0 },
	{ "-2147483649", -ERANGE, 0 },
	{ "4294967295", -ERANGE, 0 },
	{ "4294967296", -ERANGE, 0 },
	{ "99999999999", -ERANGE, 0 },
	{ "9223372036854775808", -ERANGE, 0 },
	{ "-9223372036854775808", -ERANGE, 0 },
	{ "-9223372036854775809", -ERANGE, 0 },
	{ "18446744073709551615", -ERANGE, 0 },
	{ "-18446744073709551615", -ERANGE, 0 },
	{ "18446744073709551616", -ERANGE, 0 },
	{ "-18446744073709551616", -ERANGE, 0 },
	{ "-18446744073709551616 ", -ERANGE, 0 },
	{ "", -EINVAL, 0 },
	{ "\n", -EINVAL, 0 },
	{ "-", -EINVAL, 0 },
	{ "-\n", -EINVAL, 0 },
	{ "-+5", -EINVAL, 0 },
	{ "+-5", -EINVAL, 0 },
	{ "--5", -EINVAL, 0 },
	{ "- 5", -EINVAL, 0 },
	{ "-08", -EINVAL, 0 },
	{ "-0x", -EINVAL, 0 },
	{ "5\n\n", -EINVAL, 0 },
	{ " 5", -EINVAL, 0 },
	{ "abc", -EINVAL, 0 },
	{ "2147483648x", -EINVAL, 0 },
};

START_TEST(int_is_read_as_by_kstrtoint)
{
	int value = UNTOUCHED;

	ck_assert_int_eq(parse_int(int_vectors[_i].text, &value), int_vectors[_i].result);
	ck_assert_int_eq(value, int_vectors[_i].result ? UNTOUCHED : int_vectors[_i].value);
}
END_TEST

static const struct {
	const char *text;
	int result;
	bool value;
} flag_vectors[] = {
	{ "y", 0, true },	  { "Y", 0, true },
	{ "t", 0, true },	  { "T", 0, true },
	{ "1", 0, true },	  { "n", 0, false },
	{ "N", 0, false },	  { "f", 0, false },
	{ "F", 0, false },	  { "0", 0, false },
	{ "on", 0, true },	  { "On", 0, true },
	{ "oN", 0, true },	  { "ON", 0, true },
	{ "of", 0, false },	  { "off", 0, false },
	{ "oF", 0, false },	  { "OFF", 0, false },
	{ "yes\n", 0, true },	  { "yes", 0, true },
	{ "Nope", 0, false },	  { "1xyz", 0, true },
	{ "10", 0, true },	  { "0x1", 0, false },
	{ "once", 0, true },	  { "offer", 0, false },
	{ "true", 0, true },	  { "false\n", 0, false },
	{ "Y\n\n", 0, true },	  { "", -EINVAL, false },
	{ "\n", -EINVAL, false }, { "maybe", -EINVAL, false },
	{ "o", -EINVAL, false },  { "O\n", -EINVAL, false },
	{ "oo", -EINVAL, false }, { "oO", -EINVAL, false },
	{ "OO", -EINVAL, false }, { "oy", -EINVAL, false },
	{ "o1", -EINVAL, false }, { "ot", -EINVAL, false },
	{ "o0", -EINVAL, false }, { "2", -EINVAL, false },
	{ " y", -EINVAL, false }, { "-1", -EINVAL, false },
	{ "+1", -EINVAL, false },
};

START_TEST(flag_is_decided_by_its_first_character)
{
	/* An error leaves either value as it is. */
	for (int before = 0; before < 2; before++) {
		bool value = before;

		ck_assert_int_eq(parse_flag(flag_vectors[_i].text, _i % 2, &value),
				 flag_vectors[_i].result);
		ck_assert_int_eq(value, flag_vectors[_i].result ? before : flag_vectors[_i].value);
	}
}
END_TEST

/* Since Linux 6.16. */
START_TEST(flag_may_be_a_word)
{
	static const char *const words[] = { "enable", "E\n", "e", "disable", "D\n", "d" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		bool value = i >= 3;

		ck_assert_int_eq(parse_flag(words[i], false, &value), -EINVAL);
		ck_assert(value == (i >= 3));
		ck_assert_int_eq(parse_flag(words[i], true, &value), 0);
		ck_assert(value == (i < 3));
	}
}
END_TEST

static const struct {
	const char *text, *word;
	bool is;
} word_vectors[] = {
	{ "on", "on", true },	  { "on\n", "on", true },   { "on\n\n", "on", false },
	{ "ON", "on", false },	  { "On", "on", false },    { " on", "on", false },
	{ "on ", "on", false },	  { "on \n", "on", false }, { "o", "on", false },
	{ "o\n", "on", false },	  { "", "on", false },	    { "\n", "on", false },
	{ "once", "on", false },  { "on\nx", "on", false }, { "on\r\n", "on", false },
	{ "stat", "stat", true }, { "stat", "sta", false }, { "sta", "stat", false },
	{ "", "", true },	  { "\n", "", true },	    { "\n\n", "", false },
};

START_TEST(word_may_be_followed_by_one_newline)
{
	ck_assert_int_eq(parse_is_word(word_vectors[_i].text, word_vectors[_i].word),
			 word_vectors[_i].is);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("parse");
	TCase *tcase = tcase_create("parse");

	ADD_VECTORS(tcase, unsigned_is_read_as_by_kstrtoul, unsigned_vectors);
	ADD_VECTORS(tcase, int_is_read_as_by_kstrtoint, int_vectors);
	ADD_VECTORS(tcase, flag_is_decided_by_its_first_character, flag_vectors);
	tcase_add_test(tcase, flag_may_be_a_word);
	ADD_VECTORS(tcase, word_may_be_followed_by_one_newline, word_vectors);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
