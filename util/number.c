// SPDX-License-Identifier: LGPL-2.1-or-later
/* Numbers on a command line: see number.h. */
#include <errno.h>
#include <stdlib.h>

#include "util/number.h"

int number_scan(const char *text, unsigned int max, unsigned int *out)
{
	unsigned long number;
	char *end;

	/* strtoul() takes signs and spaces before it. */
	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	number = strtoul(text, &end, 10);
	if (errno || *end || number > max)
		return -EINVAL;
	*out = (unsigned int)number;
	return 0;
}
