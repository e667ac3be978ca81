// SPDX-License-Identifier: GPL-2.0-or-later
/* Cleaning up after our end: see janitor.h. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fs/janitor.h"
#include "util/cleanup.h"

/* How long janitor_end() waits: a clean-up may wait for others who still use its object. */
#define PATIENCE_MS 1000

#define MAX_CLEAN_UPS 4

struct janitor {
	int socket; /* tells each side that the other has ended */
};

/* Closes all descriptors but NR that are KEPT. */
static void close_others(const int *kept, size_t nr)
{
	unsigned int from = 0;

	for (;;) {
		unsigned int next = ~0U;

		for (size_t i = 0; i < nr; i++)
			if (kept[i] >= 0 && (unsigned int)kept[i] >= from)
				next = (unsigned int)min_ul(next, (unsigned int)kept[i]);
		if (next > from)
			close_range(from, next == ~0U ? next : next - 1, 0);
		if (next == ~0U)
			return;
		from = next + 1;
	}
}

/* Gives up what no clean-up needs. */
static void drop_privileges(const struct clean_up *clean_ups, size_t nr)
{
	static const cap_value_t for_mounts[] = { CAP_SYS_ADMIN, CAP_DAC_READ_SEARCH };
	enum clean_up_needs needs = NEEDS_NOTHING;
	cap_t kept = cap_init();

	for (size_t i = 0; i < nr; i++)
		if (needs < clean_ups[i].needs)
			needs = clean_ups[i].needs;
	if (needs == NEEDS_ALL)
		return;
	for (size_t i = 0; kept && needs == NEEDS_MOUNTS && i < ARRAY_SIZE(for_mounts); i++) {
		cap_set_flag(kept, CAP_PERMITTED, 1, &for_mounts[i], CAP_SET);
		cap_set_flag(kept, CAP_EFFECTIVE, 1, &for_mounts[i], CAP_SET);
	}
	if (!kept || cap_set_proc(kept) || setresgid(getgid(), getgid(), getgid()) ||
	    setresuid(getuid(), getuid(), getuid()))
		_exit(1);
	cap_free(kept);
}

static _Noreturn void janitor_main(const struct clean_up *clean_ups, size_t nr, int socket,
				   int parent)
{
	struct pollfd fds[] = { { .fd = parent, .events = POLLIN },
				{ .fd = socket, .events = POLLIN } };
	int kept[2 + 2 * MAX_CLEAN_UPS] = { socket, parent };
	sigset_t none;

	prctl(PR_SET_NAME, "damonfs: janitor");
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (size_t i = 0; i < nr; i++)
		memcpy(&kept[2 + 2 * i], clean_ups[i].fds, sizeof(clean_ups[i].fds));
	close_others(kept, 2 + 2 * nr);
	drop_privileges(clean_ups, nr);
	while (poll(fds, 2, -1) < 0 && errno == EINTR)
		;
	for (size_t i = 0; i < nr; i++)
		clean_ups[i].run(clean_ups[i].argument);
	_exit(0);
}

int janitor_start(const struct clean_up *clean_ups, size_t nr, struct janitor **out)
{
	_cleanup_close_ int parent = (int)syscall(SYS_pidfd_open, getpid(), 0);
	_cleanup_close_ int ours = -1, its = -1;
	_cleanup_free_ struct janitor *janitor = malloc(sizeof(*janitor));
	int ends[2];
	pid_t child;

	if (!janitor || nr > MAX_CLEAN_UPS)
		return -ENOMEM;
	if (parent < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return -errno;
	ours = ends[0];
	its = ends[1];
	child = fork();
	if (child < 0)
		return -errno;
	if (!child) {
		setsid();
		if (fork() || chdir("/"))
			_exit(0);
		janitor_main(clean_ups, nr, out ? its : -1, parent);
	}
	waitpid(child, NULL, 0);
	if (!out)
		return 0;
	janitor->socket = steal_fd(ours);
	*out = steal_ptr(janitor);
	return 0;
}

void clean_up_forget(struct clean_up *clean_up)
{
	for (size_t i = 0; i < ARRAY_SIZE(clean_up->fds); i++)
		if (clean_up->fds[i] >= 0)
			close(clean_up->fds[i]);
	free(clean_up->argument);
}

void janitor_forget(struct janitor *janitor)
{
	if (janitor)
		close(janitor->socket);
	free(janitor);
}

void janitor_end(struct janitor *janitor)
{
	struct pollfd fd = { .events = POLLIN };

	if (!janitor)
		return;
	shutdown(janitor->socket, SHUT_WR);
	fd.fd = janitor->socket;
	/* Its end of it is closed when it ends. */
	(void)poll(&fd, 1, PATIENCE_MS);
	janitor_forget(janitor);
}
