/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A daemon by another program file: how a mount changes to a new version of damonfs.
 *
 * The keeper executes what is at its own program's path by now, and hands it what a daemon needs by
 * descriptors: those of /dev/fuse and of the shared memory, and its ends of the keeper's pipes.
 */
#ifndef DAMONFS_FS_KEEP_SUCCESSOR_H
#define DAMONFS_FS_KEEP_SUCCESSOR_H

#include "fs/keep/keeper.h"
#include "fs/options.h"

/* The first word of its command line. */
#define SUCCESSOR_COMMAND "successor"

/* How a keeper executes daemons. */
struct successor {
	char *path; /* of the program file */
	/*
	 * Descriptors of the programs that are, and were, executed, or -1: what is at the path may
	 * change again, to one that cannot take over.
	 */
	int program, before;
	char **words; /* its arguments, with room for what differs from daemon to daemon */
	int fuse_fd, memory_fd; /* borrowed */
};

/*
 * Notes how to execute a daemon like us, of OPTIONS, which must outlive *OUT.
 * Return: 0, or -ENOMEM or another negative errno; clear it in any case.
 */
int successor_init(struct successor *out, const struct options *options, int fuse_fd,
		   int memory_fd);
void successor_clear(struct successor *successor);

/* Chooses what is at the path by now.  Return: 0 or a negative errno. */
int successor_choose(struct successor *successor);

/* Goes back to the one before. */
void successor_go_back(struct successor *successor);

/*
 * In a child of the keeper: executes the daemon.
 * Return: 0 if no program was chosen, or a negative errno if it cannot.
 */
int successor_execute(const struct successor *successor, const struct keeper *keeper);

/* What it finds. */
struct succession {
	struct keeper keeper; /* pid, generation, ready and go */
	int fuse_fd, memory_fd;
	char *mountpoint; /* of ARGV */
	int argc; /* the words of the mount, without its mountpoint */
	char **argv;
};

/* In the daemon: takes what main() was given.  Return: 0, or -EINVAL or another negative errno. */
int successor_take(int argc, char **argv, struct succession *out);

#endif
