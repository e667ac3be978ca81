// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer target: /proc/PID/status, a line of which is a name that the process gives itself.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "access/rights/status.h"
#include "tests/fuzz/require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("status", MFD_CLOEXEC), r;
	struct task_status status;
	uint64_t sum = 0;
	char path[32];

	REQUIRE(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	r = status_read(-1, path, &status);
	close(fd);
	REQUIRE(!r || r == -ESRCH || r == -EINVAL);
	if (r) {
		REQUIRE(!status.groups && !status.nr_groups);
		return 0;
	}
	REQUIRE(status.tgid && status.nr_ns_pid <= STATUS_MAX_NESTING);
	for (size_t i = 0; i < status.nr_groups; i++)
		sum += status.groups[i];
	REQUIRE(sum <= (uint64_t)status.nr_groups << 32);
	status_clear(&status);
	return 0;
}
