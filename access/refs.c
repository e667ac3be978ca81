// SPDX-License-Identifier: GPL-2.0-or-later
/* clear_refs within a budget: see refs.h. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "access/cleanup.h"
#include "access/refs.h"

/* A clear may cost this part of the time since the last one. */
#define DUTY 50

#define PAGEMAP_SOFT_DIRTY (1ULL << 55)

/* Global because it is a property of the kernel; written once, under the control below. */
static bool softdirty;
static pthread_once_t softdirty_once = PTHREAD_ONCE_INIT;

/* Writing 4 to clear_refs succeeds also where there are no such bits: touch a page and look. */
static void softdirty_try(void)
{
	_cleanup_close_ int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	volatile char *page =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t entry = 0;

	if (page == MAP_FAILED)
		return;
	*page = 1;
	if (fd >= 0 &&
	    pread(fd, &entry, sizeof(entry), (off_t)((uintptr_t)page / 4096 * 8)) == sizeof(entry))
		softdirty = entry & PAGEMAP_SOFT_DIRTY;
	munmap((void *)page, 4096);
}

bool softdirty_works(void)
{
	pthread_once(&softdirty_once, softdirty_try);
	return softdirty;
}

uint64_t cost_clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

int refs_open(struct refs *refs, const struct process *process)
{
	/* Where there are soft-dirty bits, a write of 4 would write-protect every page. */
	*refs = (struct refs){ .flush = !softdirty_works() };
	refs->fd = process_open_file(process, "clear_refs", O_WRONLY);
	return refs->fd < 0 ? refs->fd : 0;
}

void refs_close(struct refs *refs)
{
	if (refs->fd >= 0)
		close(refs->fd);
	refs->fd = -1;
}

bool refs_due(const struct refs *refs, uint64_t now, uint64_t sample)
{
	uint64_t wait = max_ul(sample, refs->cost_ns * DUTY / 1000);

	/* It is in the future for the other batches of the round that cleared. */
	return !refs->last_us || (now >= refs->last_us && now - refs->last_us >= wait);
}

int refs_clear(struct refs *refs, uint64_t now)
{
	uint64_t start = cost_clock_ns();

	if (pwrite(refs->fd, refs->what == REFS_SOFT_DIRTY ? "4" : "1", 1, 0) != 1)
		return -errno;
	/*
	 * The first write leaves the TLB as it is, and a page that is in it would not be marked
	 * again until it drops out.
	 */
	if (refs->flush && pwrite(refs->fd, "4", 1, 0) != 1)
		return -errno;
	refs->cost_ns = cost_clock_ns() - start;
	refs->last_us = now + refs->cost_ns / 1000;
	return 0;
}
