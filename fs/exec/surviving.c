// SPDX-License-Identifier: GPL-2.0-or-later
/* A keeper for the mount of `damonfs exec': see surviving.h. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fs/exec/surviving.h"
#include "fs/fuse/daemon.h"
#include "fs/kept.h"

int surviving_start(struct options *options, const char *place, pid_t *keeper)
{
	struct daemon daemon = { .waits = -1, .talks = true };
	pid_t self = getpid();
	int r;

	free(options->mountpoint);
	options->mountpoint = strdup(place);
	options->foreground = true;
	if (!options->mountpoint)
		return -ENOMEM;
	r = daemon_fork(&daemon, keeper);
	if (r)
		return r == DAEMON_IS_READY ? 0 : r;
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	/* Else it was too late for that. */
	if (getppid() != self)
		_exit(EXIT_FAILURE);
	/* It is the command that the service manager is to hear of. */
	unsetenv("NOTIFY_SOCKET");
	_exit(kept_serve(options, &daemon) ? EXIT_FAILURE : EXIT_SUCCESS);
}

void surviving_end(pid_t keeper)
{
	kill(keeper, SIGTERM);
	while (waitpid(keeper, NULL, 0) < 0 && errno == EINTR)
		;
}
