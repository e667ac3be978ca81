/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Why something cannot be seen. */
#ifndef DAMONFS_ACCESS_WHY_H
#define DAMONFS_ACCESS_WHY_H

#include <stdbool.h>

/* What stands in the way, and what to do about it: a part of a line of the log. */
struct access_why {
	char text[256];
};

/* What adds the capability NAME, which is without CAP_: the end of a reason. */
#define ACCESS_ADD_CAPABILITY(name) "add CAP_" name " (for a container: --cap-add " name ")"

/* Writes the reason to WHY.  Return: R. */
int access_because(struct access_why *why, int r, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Whether ERROR is about us, not about whether the memory can be seen: see access_space_open(). */
bool access_is_fatal(int error);

#endif
