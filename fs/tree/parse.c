// SPDX-License-Identifier: GPL-2.0-or-later
/* Parsing as the kernel does it: see parse.h. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "fs/tree/parse.h"

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
}

/* The digits and at most one newline, with the base that they say. */
static int parse_digits(const char *text, uint64_t *out)
{
	uint64_t value = 0, base = 10;
	bool any = false, overflow = false;

	if (text[0] == '0' && (text[1] | 0x20) == 'x' && digit_of(text[2]) < 16) {
		base = 16;
		text += 2;
	} else if (text[0] == '0') {
		base = 8;
	}
	for (; *text; text++, any = true) {
		uint64_t digit = (uint64_t)digit_of(*text);

		if (digit >= base)
			break;
		overflow |= __builtin_mul_overflow(value, base, &value) ||
			    __builtin_add_overflow(value, digit, &value);
	}
	/* The kernel looks at the number before what follows it. */
	if (overflow)
		return -ERANGE;
	if (*text == '\n')
		text++;
	if (!any || *text)
		return -EINVAL;
	*out = value;
	return 0;
}

int parse_unsigned(const char *text, uint64_t max, uint64_t *out)
{
	uint64_t value;
	int r = parse_digits(text + (*text == '+'), &value);

	if (r)
		return r;
	if (value > max)
		return -ERANGE;
	*out = value;
	return 0;
}

int parse_int(const char *text, int *out)
{
	bool negative = *text == '-';
	uint64_t value;
	int r;

	r = parse_digits(text + (negative || *text == '+'), &value);
	if (r)
		return r;
	if (value > (uint64_t)INT_MAX + negative)
		return -ERANGE;
	*out = negative ? (int)-(int64_t)value : (int)value;
	return 0;
}

int parse_flag(const char *text, bool words, bool *out)
{
	bool by_next = *text == 'o' || *text == 'O';
	const char *on = by_next ? "nN" : words ? "yYtT1eE" : "yYtT1";
	const char *off = by_next ? "fF" : words ? "nNfF0dD" : "nNfF0";
	char c = by_next ? text[1] : *text;

	if (c && strchr(on, c))
		*out = true;
	else if (c && strchr(off, c))
		*out = false;
	else
		return -EINVAL;
	return 0;
}

bool parse_is_word(const char *text, const char *word)
{
	size_t length = strlen(word);

	return !strncmp(text, word, length) &&
	       (!text[length] || (text[length] == '\n' && !text[length + 1]));
}

/* The kernel takes the no-break space of Latin-1 for one too. */
static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r') || c == '\xa0';
}

static const char *skip_spaces(const char *text)
{
	while (is_space(*text))
		text++;
	return text;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool scan_digits(const char **text, uint64_t *out)
{
	const char *c = *text;

	if (!is_digit(*c))
		return false;
	for (*out = 0; is_digit(*c); c++)
		*out = *out * 10 + (uint64_t)(*c - '0');
	*text = c;
	return true;
}

bool scan_unsigned(const char **text, uint64_t *out)
{
	const char *c = skip_spaces(*text);

	if (!scan_digits(&c, out))
		return false;
	*text = c;
	return true;
}

bool scan_int(const char **text, int *out)
{
	const char *c = skip_spaces(*text);
	bool negative = *c == '-';
	uint64_t value;

	c += negative;
	if (!scan_digits(&c, &value))
		return false;
	*out = (int)(uint32_t)(negative ? -value : value);
	*text = c;
	return true;
}

size_t scan_word(const char *text, const char **word)
{
	const char *end;

	*word = skip_spaces(text);
	for (end = *word; *end && !is_space(*end);)
		end++;
	return (size_t)(end - *word);
}
