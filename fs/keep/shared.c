// SPDX-License-Identifier: GPL-2.0-or-later
/* Memory that outlives a daemon: see shared.h. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/keep/shared.h"
#include "util/cleanup.h"

/* To be raised with each change of what is in the memory that leaves its size as it is. */
#define LAYOUT 3

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static struct shared *map(int fd)
{
	void *memory = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

struct shared *shared_new(int *fd)
{
	_cleanup_close_ int memory = memfd_create("damonfs", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct shared *shared;

	if (memory < 0 || ftruncate(memory, sizeof(*shared)) || fcntl(memory, F_ADD_SEALS, SEALS))
		return NULL;
	shared = map(memory);
	if (!shared)
		return NULL;
	shared->layout = LAYOUT;
	*fd = steal_fd(memory);
	return shared;
}

struct shared *shared_open(int fd)
{
	struct shared *shared;
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;

	if (seals < 0 || fstat(fd, &st))
		return NULL;
	errno = EPROTO;
	/* Others do not matter: the kernel may add F_SEAL_EXEC (vm.memfd_noexec). */
	if ((seals & SEALS) != SEALS || st.st_size != sizeof(*shared))
		return NULL;
	shared = map(fd);
	if (!shared || shared->layout == LAYOUT)
		return shared;
	shared_free(shared);
	errno = EPROTO;
	return NULL;
}

void shared_free(struct shared *shared)
{
	if (shared)
		munmap(shared, sizeof(*shared));
}
