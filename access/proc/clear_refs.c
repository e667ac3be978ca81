// SPDX-License-Identifier: LGPL-2.1-or-later
/* clear_refs within a budget: see clear_refs.h. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "access/proc/clear_refs.h"
#include "access/proc/pagemap.h"
#include "access/rights/status.h"
#include "util/cleanup.h"
#include "util/clock.h"

/* A clear may cost this part of the time since the last one. */
#define DUTY 50

/* Pages of our own to try soft-dirty bits on. */
#define TRY_PAGES 64
#define TRY_SIZE  (TRY_PAGES * 4096UL)

/* Global because they are properties of the kernel; the first two are written under the lock. */
static enum { UNKNOWN, MISSING, THERE } softdirty;
static uint64_t fault_ns = 1000; /* what a first write after a clear costs */
static pthread_mutex_t softdirty_lock = PTHREAD_MUTEX_INITIALIZER;

static uint64_t touch(volatile char *memory)
{
	uint64_t start = clock_ns();

	for (size_t i = 0; i < TRY_SIZE; i += 4096)
		memory[i]++;
	return clock_ns() - start;
}

static void measure_fault(volatile char *memory)
{
	_cleanup_close_ int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);

	if (fd >= 0 && write(fd, "4", 1) == 1)
		fault_ns = min_ul(max_ul(touch(memory) / TRY_PAGES, 300), 50000);
}

/*
 * Writing 4 to clear_refs succeeds even without soft-dirty bits: touch a page and look.  If it
 * cannot look now, the answer stays unknown and the next call tries again.
 */
static void softdirty_try(void)
{
	_cleanup_close_ int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	volatile char *memory =
		mmap(NULL, TRY_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t entry;

	if (memory == MAP_FAILED)
		return;
	touch(memory);
	entry = fd >= 0 ? pagemap_entry(fd, (uintptr_t)memory) : 0;
	if (entry)
		softdirty = entry & PAGEMAP_SOFT_DIRTY ? THERE : MISSING;
	if (softdirty == THERE)
		measure_fault(memory);
	munmap((void *)memory, TRY_SIZE);
}

bool softdirty_works(void)
{
	bool works;

	pthread_mutex_lock(&softdirty_lock);
	if (softdirty == UNKNOWN)
		softdirty_try();
	works = softdirty == THERE;
	pthread_mutex_unlock(&softdirty_lock);
	return works;
}

int clear_refs_open(struct clear_refs *refs, const struct process *process)
{
	/* Where there are soft-dirty bits, a write of 4 would write-protect every page. */
	*refs = (struct clear_refs){ .flush = !softdirty_works() };
	refs->fd = process_open_file(process, "clear_refs", O_WRONLY);
	refs->stat_fd = -1;
	return refs->fd < 0 ? refs->fd : 0;
}

int clear_refs_why(struct access_why *why, int r)
{
	return access_because(why, r,
			      "cannot open its clear_refs for writing: %s; " ACCESS_ADD_CAPABILITY(
				      "DAC_OVERRIDE") ", or start damonfs as its user",
			      strerror(-r));
}

void clear_refs_close(struct clear_refs *refs)
{
	if (refs->fd >= 0)
		close(refs->fd);
	if (refs->stat_fd >= 0)
		close(refs->stat_fd);
	refs->fd = -1;
	refs->stat_fd = -1;
}

/*
 * The faults that the last clear cost: those since then, but at most one per page.  Keeps the total
 * number for the next time.
 */
static uint64_t faults_since(struct clear_refs *refs)
{
	char text[1024];
	ssize_t length = refs->stat_fd < 0 ? 0 : pread(refs->stat_fd, text, sizeof(text) - 1, 0);
	const char *rest;
	uint64_t nr, pages, since;

	text[length > 0 ? length : 0] = '\0';
	rest = stat_fields(text);
	if (!rest || sscanf(rest,
			    " %*c %*d %*d %*d %*d %*d %*u %" SCNu64
			    " %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %*u %*u %" SCNu64,
			    &nr, &pages) != 2)
		return 0;
	since = refs->nr_faults ? nr - refs->nr_faults : 0;
	refs->nr_faults = nr;
	return min_ul(since, pages);
}

uint64_t clear_refs_next(const struct clear_refs *refs, uint64_t sample)
{
	if (!refs->last_us)
		return 0;
	return refs->last_us + max_ul(sample, refs->cost_ns * DUTY / 1000);
}

int clear_refs_clear(struct clear_refs *refs, enum clear_refs_what what, uint64_t now)
{
	static const char *const commands[] = {
		[CLEAR_REFS_ACCESSED] = "1",
		[CLEAR_REFS_ACCESSED_FILES] = "3",
		[CLEAR_REFS_SOFT_DIRTY] = "4",
	};
	uint64_t start = clock_us(), ran = clock_run_ns();

	if (pwrite(refs->fd, commands[what], 1, 0) != 1)
		return -errno;
	/*
	 * The first write does not flush the TLB, and the processor would not mark a page again
	 * while the TLB holds its entry.
	 */
	if (refs->flush && pwrite(refs->fd, "4", 1, 0) != 1)
		return -errno;
	refs->cost_ns = clock_run_ns() - ran;
	refs->last_us = now + clock_us() - start;
	if (what == CLEAR_REFS_SOFT_DIRTY)
		refs->cost_ns += faults_since(refs) * fault_ns;
	return 0;
}
