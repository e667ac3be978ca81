// SPDX-License-Identifier: GPL-2.0-or-later
/* Printing what others wrote: see say.h. */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "fs/status/say.h"
#include "util/cleanup.h"

/* Return: how many bytes a control character of Unicode at TEXT has; 0: there is none. */
static size_t control_length(const char *text)
{
	const unsigned char *bytes = (const unsigned char *)text;

	if (bytes[0] < ' ' || bytes[0] == 0x7f)
		return 1;
	return bytes[0] == 0xc2 && bytes[1] >= 0x80 && bytes[1] < 0xa0 ? 2 : 0;
}

void say(FILE *file, const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	bool line = format[strlen(format) - 1] == '\n';
	va_list args;
	int length;

	va_start(args, format);
	length = vasprintf(&text, format, args);
	va_end(args);
	if (length < 0) {
		text = NULL;
		return;
	}
	for (int i = 0; i < length - line; i++)
		memset(&text[i], '?', control_length(&text[i]));
	fputs(text, file);
}

const char *say_text(json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

int say_document(const json_t *document)
{
	const size_t flags = JSON_INDENT(2) | JSON_REAL_PRECISION(9) | JSON_ENSURE_ASCII;

	return json_dumpf(document, stdout, flags) || puts("") < 0 ? -EIO : 0;
}

static void replace_others(char *text)
{
	for (; *text; text++)
		if (*text & 0x80)
			*text = '?';
}

json_t *say_json(const char *text)
{
	json_t *string = json_string(text);
	char *copy;

	if (string)
		return string;
	copy = strdup(text);
	if (!copy)
		return NULL;
	replace_others(copy);
	string = json_string(copy);
	free(copy);
	return string;
}
