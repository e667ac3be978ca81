// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Advice for another process's memory: see advice.h.
 *
 * process_madvise(2) gives most.  It refuses MADV_HUGEPAGE and MADV_NOHUGEPAGE, which change
 * mappings: these the process has to give itself (inject.h).  Where it cannot be made to, huge
 * pages are made at once by MADV_COLLAPSE instead; there is no such way out for the contrary.
 */
#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "access/advice.h"
#include "access/cleanup.h"
#include "access/inject.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1 */
#endif

/* process_madvise() takes less than 2 GiB in a call. */
#define MAX_BYTES (1UL << 30)

#define NO_WAY (-1)

static const struct {
	int behavior; /* for madvise() */
	bool injected;
	int otherwise; /* what process_madvise() takes where that is not possible, or NO_WAY */
} advices[NR_ADVICES] = {
	[ADVICE_WILLNEED] = { MADV_WILLNEED, false, NO_WAY },
	[ADVICE_COLD] = { MADV_COLD, false, NO_WAY },
	[ADVICE_PAGEOUT] = { MADV_PAGEOUT, false, NO_WAY },
	[ADVICE_HUGEPAGE] = { MADV_HUGEPAGE, true, MADV_COLLAPSE },
	[ADVICE_NOHUGEPAGE] = { MADV_NOHUGEPAGE, true, NO_WAY },
};

/* Like madvise(), what is not mapped is an error only when all the rest is done. */
static int advise(const struct process *process, int behavior, uint64_t start, uint64_t length)
{
	int r = 0;

	while (length) {
		struct iovec range = { (void *)start, min_ul(length, MAX_BYTES) };

		if (syscall(SYS_process_madvise, process->pidfd, &range, 1UL, behavior, 0U) < 0) {
			if (errno != ENOMEM)
				return -errno;
			r = -ENOMEM;
		}
		start += range.iov_len;
		length -= range.iov_len;
	}
	return r;
}

int advice_give(const struct process *process, enum advice advice, uint64_t start, uint64_t length)
{
	const uint64_t arguments[INJECT_ARGUMENTS] = { start, length,
						       (uint64_t)advices[advice].behavior };
	int64_t result;
	int r;

	if (!advices[advice].injected)
		return advise(process, advices[advice].behavior, start, length);
	r = inject_syscall(process, SYS_madvise, arguments, &result);
	if (!r)
		return (int)result;
	if (r == -ESRCH || advices[advice].otherwise == NO_WAY)
		return r;
	return advise(process, advices[advice].otherwise, start, length);
}
