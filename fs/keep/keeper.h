/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The keeper: the process that starts the daemon, and another one when it is killed.
 *
 * It holds what a daemon needs to go on where the last one was: the descriptor of /dev/fuse, and
 * memory in which it does not look at what daemons keep.  SIGUSR2 has it change to the program file
 * that is at its path by now: the daemon that stands by is executed, and once it is ready the other
 * one hands over.  It has one thread, reads nothing but signals, and so has little to die of; if it
 * is killed, its daemon is killed, too, and the mount taken away, unless a service manager has it.
 */
#ifndef DAMONFS_FS_KEEP_KEEPER_H
#define DAMONFS_FS_KEEP_KEEPER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The name of its process. */
#define KEEPER_NAME "damonfs:keeper"

/* A daemon, as the keeper sees it. */
struct kept_daemon {
	pid_t pid; /* 0: none */
	int ready; /* it says that it is prepared, and that it serves; -1: it has */
	int go; /* it is told to take over */
	bool prepared; /* it has said so */
};

struct keeper;

/* The program that daemons are executed by; with the argument of keeper_run(). */
struct keeper_programs {
	/* Chooses the one that is there by now.  Return: 0 or a negative errno. */
	int (*choose)(void *argument);
	/* It is the one before again. */
	void (*go_back)(void *argument);
	/* In a child.  Return: 0 if none was chosen: it goes on as our copy; or a negative errno. */
	int (*execute)(const struct keeper *keeper, void *argument);
};

struct keeper {
	int signals; /* of signalfd(2): those that end damonfs, and SIGCHLD */
	pid_t pid;
	struct kept_daemon active, standby;
	unsigned int generation; /* of the next daemon */
	bool begun; /* a daemon has served */
	bool ending; /* it was told to end */
	bool leaves; /* the mount outlives us: told to end, the daemon hands over */
	const struct keeper_programs *programs;
	void *argument; /* of keeper_run() */
	bool upgrading; /* to the one that stands by */
	uint64_t upgrade_until; /* ns of clock_ns(): then it is given up */
	uint64_t trial_until; /* if the new program dies before, the old one takes over; 0: none */
	bool alone; /* none stands by, and another one is to */
	uint64_t standby_ended; /* ns of clock_ns(): when one that stood by ended; 0: never */
	/* The daemon's own ends of the pipes. */
	int ready, go;
};

/* What keeper_run() returns besides an error. */
enum {
	KEEPER_DAEMON = 1, /* in a new daemon: get ready, and call keeper_serves() */
	KEEPER_ENDED = 2, /* the daemon has ended by itself: *STATUS is its exit status */
};

/* Where there is none. */
#define KEEPER_NO_DAEMON              \
	(struct kept_daemon)          \
	{                             \
		.ready = -1, .go = -1 \
	}

/* The exit status of a daemon that has handed over. */
#define KEEPER_HANDED_OVER 3

/*
 * Starts daemons, each a child that has returned KEEPER_DAEMON from this call, until the one that
 * serves ends by itself, with success or before any has served.  Another one stands by: getting
 * ready takes longer than taking over. BEGUN is called when the first says that it serves; it
 * returns 0, or a negative errno, and then the daemon is ended. Return: see above; -ELOOP if three
 * died of the same kind of cause within ten seconds (20 of SIGKILL, which others send), after
 * saying so in the log; or another negative errno.
 */
int keeper_run(struct keeper *keeper, int (*begun)(void *argument), void *argument, int *status);

/*
 * The daemon's, once it is ready: says so, waits until it is its turn, and says that it serves.
 * Return: 0, -EINTR if one of SIGNALS (of signalfd(2)) came before, or another negative errno.
 */
int keeper_serves(struct keeper *keeper, int signals);

#endif
