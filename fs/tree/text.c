// SPDX-License-Identifier: GPL-2.0-or-later
/* Text that grows: see text.h. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "fs/account.h"
#include "fs/tree/text.h"
#include "util/cleanup.h"

int text_reserve(struct text *text, size_t more)
{
	size_t room = max_ul(text->room, 64);
	char *data;

	if (text->length + more <= text->room)
		return 0;
	while (room < text->length + more)
		room *= 2;
	if (account_charge(text->account, ACCOUNT_BYTES, room - text->room))
		return -ENOMEM;
	data = realloc(text->data, room);
	if (!data) {
		account_refund(text->account, ACCOUNT_BYTES, room - text->room);
		return -ENOMEM;
	}
	text->data = data;
	text->room = room;
	return 0;
}

void text_clear(struct text *text)
{
	account_refund(text->account, ACCOUNT_BYTES, text->room);
	free(text->data);
	*text = (struct text){ .account = text->account };
}

int text_add(struct text *text, const char *format, ...)
{
	va_list args, again;
	int length, r;

	va_start(args, format);
	va_copy(again, args);
	length = vsnprintf(NULL, 0, format, args);
	va_end(args);
	r = text_reserve(text, (size_t)length + 1);
	if (!r) {
		vsnprintf(text->data + text->length, (size_t)length + 1, format, again);
		text->length += (size_t)length;
	}
	va_end(again);
	return r;
}
