// SPDX-License-Identifier: GPL-2.0-or-later
/* `damonfs upgrade': see upgrade.h. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fs/keep/keeper.h"
#include "fs/status/ask.h"
#include "fs/status/say.h"
#include "fs/status/upgrade.h"
#include "util/cleanup.h"
#include "util/clock.h"

/* How long the new daemon may take, which loads BPF programs and waits for held writes. */
#define PATIENCE_NS 30000000000

/* Which daemon serves. */
struct serving {
	pid_t pid, keeper;
	char version[32];
};

/* Return: 0 or a negative errno. */
static int find_serving(const char *mountpoint, struct serving *out)
{
	const char *version;
	json_t *status;
	int pid, keeper, r = ask_status(mountpoint, &status);

	if (r)
		return r;
	r = json_unpack(status, "{si si ss}", "pid", &pid, "keeper", &keeper, "version", &version) ?
		    -EPROTO :
		    0;
	if (!r) {
		*out = (struct serving){ .pid = pid, .keeper = keeper };
		snprintf(out->version, sizeof(out->version), "%s", version);
	}
	json_decref(status);
	return r;
}

/* Whether process PID is a keeper: a mount is anybody's, and may name any process. */
static bool is_keeper(pid_t pid)
{
	char path[32], name[32] = "";
	_cleanup_close_ int fd = -1;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd >= 0 && read(fd, name, sizeof(name) - 1) > 0 && !strcmp(name, KEEPER_NAME "\n");
}

/* Has process PID change to another daemon.  Return: 0, -ESRCH if it is no keeper, or another. */
static int ask_keeper(pid_t pid)
{
	_cleanup_close_ int pidfd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;

	if (pidfd < 0)
		return pid > 0 ? -errno : -ESRCH;
	/* By the descriptor, the signal goes to the process that had that name, or to none. */
	if (!is_keeper(pid))
		return -ESRCH;
	return syscall(SYS_pidfd_send_signal, pidfd, SIGUSR2, NULL, 0) ? -errno : 0;
}

/* Waits until another daemon serves than WAS.  Return: 0 or a negative errno. */
static int wait_for_other(const char *mountpoint, const struct serving *was, struct serving *now)
{
	uint64_t until = clock_ns() + PATIENCE_NS;
	int r;

	do {
		usleep(20000);
		r = find_serving(mountpoint, now);
	} while (!r && now->pid == was->pid && clock_ns() < until);
	return r ? r : now->pid == was->pid ? -ETIMEDOUT : 0;
}

/* Of all mounts. */
struct upgrades {
	bool any, failed;
};

/* Return: 0; whether it failed, which was said, is in UPGRADES. */
static int upgrade(const char *mountpoint, void *argument)
{
	struct upgrades *upgrades = argument;
	struct serving was, now;
	int r = find_serving(mountpoint, &was);

	upgrades->any = true;
	if (!r && !was.keeper) {
		say(stderr,
		    "damonfs upgrade: %s: its daemon has no keeper; mount with -o survive, or "
		    "unmount and mount again\n",
		    mountpoint);
		upgrades->failed = true;
		return 0;
	}
	if (!r)
		r = ask_keeper(was.keeper);
	if (!r)
		r = wait_for_other(mountpoint, &was, &now);
	if (r) {
		ask_explain("upgrade", mountpoint, r);
		upgrades->failed = true;
		return 0;
	}
	say(stdout, "%s: damonfs %s, process %d, took over from %s, process %d\n", mountpoint,
	    now.version, now.pid, was.version, was.pid);
	return 0;
}

static int upgrade_usage(int status)
{
	fprintf(status ? stderr : stdout,
		"Usage: damonfs upgrade [MOUNTPOINT...]\n"
		"\n"
		"Has mounts with -o survive go on with the damonfs that is installed now: all that "
		"can\n"
		"be seen here, or those at MOUNTPOINT.\n");
	return status;
}

int upgrade_main(int argc, char **argv)
{
	static const struct option options[] = { { "help", no_argument, NULL, 'h' }, { 0 } };
	struct upgrades upgrades = { 0 };
	int option, r = 0;

	/* argv[1] is `upgrade'. */
	optind = 2;
	option = getopt_long(argc, argv, "h", options, NULL);
	if (option >= 0)
		return upgrade_usage(option == 'h' ? EXIT_SUCCESS : EXIT_FAILURE);
	if (optind == argc)
		r = ask_mountpoints(upgrade, &upgrades);
	for (int i = optind; !r && i < argc; i++)
		r = upgrade(argv[i], &upgrades);
	if (r)
		fprintf(stderr, "damonfs upgrade: %s\n", strerror(-r));
	else if (!upgrades.any)
		puts("no damonfs is mounted here");
	return r || upgrades.failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
