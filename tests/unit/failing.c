// SPDX-License-Identifier: GPL-2.0-or-later
/* An allocator that fails: see failing.h. */
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/failing.h"

static atomic_long countdown; /* to the one that fails; 0: none does */
static atomic_bool for_ever; /* and all after it */
static atomic_bool failed;
static _Atomic pid_t spared; /* the thread that is not counted; 0: all are */

static bool fails(void)
{
	long left;

	if (!atomic_load(&countdown) || (atomic_load(&spared) && gettid() == atomic_load(&spared)))
		return false;
	left = atomic_fetch_sub(&countdown, 1) - 1;
	if (left > 0)
		return false;
	atomic_store(&failed, true);
	/* Never back to zero by itself: that would be the beginning. */
	atomic_store(&countdown, atomic_load(&for_ever) ? 1 : 0);
	return true;
}

#define WRAP(type, name, parameters, arguments)                  \
	type __real_##name parameters;                           \
	type __wrap_##name parameters;                           \
	type __wrap_##name parameters                            \
	{                                                        \
		return fails() ? NULL : __real_##name arguments; \
	}

WRAP(void *, malloc, (size_t size), (size))
WRAP(void *, calloc, (size_t nr, size_t size), (nr, size))
WRAP(void *, realloc, (void *was, size_t size), (was, size))
WRAP(void *, reallocarray, (void *was, size_t nr, size_t size), (was, nr, size))
WRAP(char *, strdup, (const char *text), (text))
WRAP(char *, strndup, (const char *text, size_t size), (text, size))

void fail_at(long n, bool ever)
{
	atomic_store(&failed, false);
	atomic_store(&for_ever, ever);
	atomic_store(&countdown, n);
}

void fail_others_at(long n, bool ever)
{
	atomic_store(&spared, gettid());
	fail_at(n, ever);
}

bool no_more_failures(void)
{
	atomic_store(&countdown, 0);
	atomic_store(&spared, 0);
	return atomic_load(&failed);
}
