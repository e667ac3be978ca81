// SPDX-License-Identifier: GPL-2.0-or-later
/* The service manager's store: see store.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/keep/store.h"
#include "util/log.h"
#include "util/macros.h"
#include "util/notify.h"

/* As sd_listen_fds(3) has it: they begin with this one. */
#define FIRST_FD 3

/* More are of a manager that is none. */
#define MAX_FDS 64

static const char *const names[] = { "damonfs-fuse", "damonfs-memory" };

/* The number in the environment variable NAME, or 0. */
static long number_of(const char *name)
{
	const char *text = secure_getenv(name);

	return text ? strtol(text, NULL, 10) : 0;
}

/* Takes FD, of which the manager says that it is called NAME, LENGTH bytes. */
static void take(int fd, const char *name, size_t length, int *const out[])
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strlen(names[i]) != length || memcmp(name, names[i], length) || *out[i] >= 0)
			continue;
		*out[i] = fd;
		fcntl(fd, F_SETFD, FD_CLOEXEC);
		return;
	}
	close(fd);
}

bool store_take(int *fuse_fd, int *memory_fd)
{
	int *const out[] = { fuse_fd, memory_fd };
	const char *name = secure_getenv("LISTEN_FDNAMES");
	long nr = number_of("LISTEN_FDS");

	*fuse_fd = *memory_fd = -1;
	if (!name || number_of("LISTEN_PID") != getpid() || nr <= 0 || nr > MAX_FDS)
		return false;
	for (int i = 0; i < nr; i++) {
		size_t length = strcspn(name, ":");

		take(FIRST_FD + i, name, length, out);
		name += length + (name[length] == ':');
	}
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	if (*fuse_fd >= 0 && *memory_fd >= 0)
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (*out[i] >= 0)
			close(*out[i]);
		*out[i] = -1;
	}
	/* While the manager has one of them, the old mount waits for answers. */
	store_drop();
	return false;
}

int store_put(int fuse_fd, int memory_fd)
{
	int r = notify_manager("FDSTORE=1\nFDNAME=damonfs-fuse", &fuse_fd, 1);

	if (r > 0)
		r = notify_manager("FDSTORE=1\nFDNAME=damonfs-memory", &memory_fd, 1);
	if (r > 0)
		return 0;
	log_error("-o fdstore: cannot tell the service manager: %s",
		  r ? strerror(-r) : "there is none (NOTIFY_SOCKET)");
	return r ? r : -ENOTCONN;
}

void store_drop(void)
{
	notify_manager("FDSTOREREMOVE=1\nFDNAME=damonfs-fuse", NULL, 0);
	notify_manager("FDSTOREREMOVE=1\nFDNAME=damonfs-memory", NULL, 0);
}
