// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Advice for another process's memory: see process_madvise.h.
 *
 * process_madvise(2) gives most advice.  It refuses MADV_HUGEPAGE and MADV_NOHUGEPAGE, which change
 * mappings: the process has to give those itself (agent.h).  If it cannot be made to, MADV_COLLAPSE
 * makes huge pages at once instead; MADV_NOHUGEPAGE has no such substitute.
 */
#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "access/act/process_madvise.h"
#include "access/rights/agent.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/stop.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1 */
#endif

/*
 * One process_madvise() call takes less than 2 GiB, and should take about this long, so that a
 * thread that is told to end can.  Pieces end where huge pages do.
 */
#define LEAST_BYTES (2UL << 20)
#define MOST_BYTES  (1UL << 30)
#define SHORT_NS    1000000
#define LONG_NS	    10000000

#define NO_WAY (-1)

static const struct {
	int behavior; /* for madvise() */
	bool injected;
	int otherwise; /* for process_madvise() if that is not possible, or NO_WAY */
	uint64_t first; /* bytes of the first piece, until their cost is known */
} advices[NR_ADVICES] = {
	[ADVICE_WILLNEED] = { MADV_WILLNEED, false, NO_WAY, 256UL << 20 },
	[ADVICE_COLD] = { MADV_COLD, false, NO_WAY, 256UL << 20 },
	[ADVICE_PAGEOUT] = { MADV_PAGEOUT, false, NO_WAY, 16UL << 20 },
	[ADVICE_HUGEPAGE] = { MADV_HUGEPAGE, true, MADV_COLLAPSE, LEAST_BYTES },
	[ADVICE_NOHUGEPAGE] = { MADV_NOHUGEPAGE, true, NO_WAY, LEAST_BYTES },
	[ADVICE_COLLAPSE] = { MADV_COLLAPSE, false, NO_WAY, LEAST_BYTES },
};

/* The next piece's size, after one of SIZE took NS. */
static uint64_t next_size(uint64_t size, uint64_t ns)
{
	if (ns < SHORT_NS)
		return min_ul(size * 2, MOST_BYTES);
	return ns > LONG_NS ? max_ul(size / 2, LEAST_BYTES) : size;
}

/*
 * Like madvise(), it reports unmapped memory only when all the rest is done; being told to end
 * before that is an error.  SIZE is that of the first piece.
 */
static int madvise_advise(const struct process *process, int behavior, uint64_t size,
			  uint64_t start, uint64_t length)
{
	int r = 0;

	while (length) {
		struct iovec range = { (void *)start, min_ul(length, size - start % LEAST_BYTES) };
		uint64_t began = clock_ns();

		if (stop_asked())
			return -ECANCELED;
		if (syscall(SYS_process_madvise, process->pidfd, &range, 1UL, behavior, 0U) < 0) {
			if (errno != ENOMEM)
				return -errno;
			r = -ENOMEM;
		}
		start += range.iov_len;
		length -= range.iov_len;
		size = next_size(size, clock_ns() - began);
	}
	return r;
}

int process_madvise_range(const struct process *process, enum advice advice, uint64_t start,
			  uint64_t length)
{
	int64_t result;
	int r;

	if (!advices[advice].injected)
		return madvise_advise(process, advices[advice].behavior, advices[advice].first,
				      start, length);
	r = agent_madvise(process->caller, process->procfd, start, length, advices[advice].behavior,
			  &result);
	if (!r)
		return (int)result;
	if (r == -ESRCH || advices[advice].otherwise == NO_WAY)
		return r;
	return madvise_advise(process, advices[advice].otherwise, advices[advice].first, start,
			      length);
}
