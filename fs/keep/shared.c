// SPDX-License-Identifier: GPL-2.0-or-later
/* Memory that outlives a daemon: see shared.h. */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fs/keep/shared.h"
#include "util/cleanup.h"

struct shared *shared_new(void)
{
	_cleanup_close_ int fd = memfd_create("damonfs", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	void *memory;

	if (fd < 0 || ftruncate(fd, sizeof(struct shared)) ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		return NULL;
	memory = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return memory == MAP_FAILED ? NULL : memory;
}

void shared_free(struct shared *shared)
{
	if (shared)
		munmap(shared, sizeof(*shared));
}
