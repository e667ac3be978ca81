// SPDX-License-Identifier: LGPL-2.1-or-later
/* Asking the kernel in a caller's name: see may.h. */
#include <errno.h>

#include "access/rights/agent.h"
#include "access/rights/may.h"
#include "util/error.h"

int caller_may(const struct caller *caller, int procfd, pid_t pid, enum caller_right right,
	       int timeout_ms)
{
	int r;

	if (!caller)
		return 0;
	/* The kernel lets every thread look at its own process, whoever it works for. */
	if (!caller_is_near(caller) || caller_is_self(pid))
		return agent_may(caller, procfd, right, timeout_ms);
	r = caller_try_open(caller, procfd, caller_right_file(right));
	if (r == -ENOENT)
		r = -ESRCH;
	return !r || r == -ESRCH || r == -ENOTRECOVERABLE || error_is_shortage(r) ? r : -EPERM;
}
