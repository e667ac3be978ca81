// SPDX-License-Identifier: LGPL-2.1-or-later
/* A thread's turns on a processor: see slice.h. */
#include <sched.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/slice.h"

/* The shortest that Linux allows. */
#define SHORTEST_NS 100000

/* SCHED_FLAG_RESET_ON_FORK: what the thread starts gets the usual slice. */
#define OWN_ONLY 1

/* struct sched_attr, which only newer C libraries have. */
struct attributes {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period; /* ns; before 6.12 not for SCHED_OTHER, and ignored */
};

void slice_shorten(void)
{
	struct attributes attributes;

	if (syscall(SYS_sched_getattr, 0, &attributes, sizeof(attributes), 0))
		return;
	/* OWN_ONLY would take the priority from what it starts. */
	if (attributes.policy != SCHED_OTHER || attributes.nice < 0)
		return;
	attributes.runtime = SHORTEST_NS;
	attributes.flags |= OWN_ONLY;
	/* Where it is forbidden, turns come as late as everybody's. */
	syscall(SYS_sched_setattr, 0, &attributes, 0);
}
