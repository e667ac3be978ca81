// SPDX-License-Identifier: LGPL-2.1-or-later
/* Why something cannot be seen: see why.h. */
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include "access/why.h"
#include "util/cleanup.h"

int access_because(struct access_why *why, int r, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why->text, sizeof(why->text), format, args);
	va_end(args);
	return r;
}

bool access_is_fatal(int error)
{
	static const int fatal[] = { ENOMEM, EMFILE, ENFILE, ECANCELED, ENOTRECOVERABLE };

	for (size_t i = 0; i < ARRAY_SIZE(fatal); i++)
		if (error == -fatal[i])
			return true;
	return false;
}
