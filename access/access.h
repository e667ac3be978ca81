/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How memory is seen: the one interface of the access methods.
 *
 * A worker thread opens a session of a method, and in it a space for each process that it watches.
 * Once a sampling interval it hands each space an array of probes, one a region: the address that
 * was armed last time, to be checked, and the one to be armed now.  A method sees arrays, never
 * single addresses, so that it can answer a thousand of them with two system calls.
 *
 * A method may answer for a probe that it could not afford to arm by carrying an earlier answer of
 * the same region forward, for a bounded number of rounds.  What it has to remember for that lives
 * with the region, in access_probe.memory.
 *
 * A session and its spaces belong to the thread that opened the session.
 */
#ifndef DAMONFS_ACCESS_ACCESS_H
#define DAMONFS_ACCESS_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "access/maps.h"
#include "access/process.h"

struct access_probe {
	uint64_t armed; /* address to check: `next' of the last round that armed */
	uint64_t next; /* address to arm */
	uint16_t memory; /* the method's; 0 for a new region, copied when a region is split */
	bool accessed; /* answer of a round that checks: touched since it was armed */
};

enum access_round {
	ACCESS_CHECK = 1, /* answer for the addresses armed last time */
	ACCESS_ARM = 2, /* arm the next ones */
};

struct access_method;

struct access_session {
	const struct access_method *method;
};

struct access_space {
	struct access_session *session;
	struct process *process; /* a reference; NULL for physical memory */
};

struct access_method {
	const char *name;
	const char *sees; /* what it costs or cannot see, for the log */
	bool takes_argument; /* what follows a colon in its name; refused for the others */
	bool notices_exit; /* a round answers -ESRCH as soon as the process is gone */
	bool physical; /* it can watch frames: a space without a process */

	/*
	 * Opens a session for the calling thread.  ARGUMENT is what followed the colon in the
	 * method's name, or NULL.  On failure returns a negative errno and says in WHY, a buffer
	 * of SIZE bytes, what is missing and what to do about it.
	 */
	int (*session_open)(const char *argument, struct access_session **out, char *why,
			    size_t size);
	void (*session_close)(struct access_session *session);

	/* The method keeps no reference to PROCESS, which is NULL for physical memory. */
	int (*space_open)(struct access_session *session, struct process *process,
			  struct access_space **out);
	void (*space_close)(struct access_space *space);

	/* The mappings of the process, or NULL where they are those of maps_read(). */
	int (*maps)(struct access_space *space, struct maps *out);

	/*
	 * A round over N probes, ascending by region; WHAT is of enum access_round.  NOW is the
	 * worker's clock and SAMPLE its sampling interval, both in microseconds.  Never allocates,
	 * locks or logs.
	 *
	 * Return: 0, or -ESRCH when the process has no memory (any more): nothing was accessed
	 * then, or another negative errno when the method fails on it.
	 */
	int (*round)(struct access_space *space, struct access_probe *probes, size_t n,
		     unsigned int what, uint64_t now, uint64_t sample);

	/*
	 * Whether the addresses `next' of N probes, ascending, were accessed since they were armed
	 * by anybody last, without arming anything; NULL where that cannot be told.
	 */
	int (*look)(struct access_space *space, struct access_probe *probes, size_t n);
};

/* Whether NAME, as in "young" or "simulated:FILE", names a method or is "auto". */
bool access_method_known(const char *name);

/*
 * Opens a session of the method that NAME names, or of the best one that works where it is "auto",
 * and tells the log which and why not a better one.
 *
 * Return: 0 and *OUT, or the negative errno of the last method that was tried.
 */
int access_session_open(const char *name, struct access_session **out);
void access_session_close(struct access_session *session);

/* Makes what a session by that NAME needs once and for all, if it can, so that it is not later. */
void access_prepare(const char *name);

/*
 * Opens a space for PROCESS, of which it takes a reference, or for physical memory if that is NULL.
 * Return: 0 and *OUT, or a negative errno.
 */
int access_space_open(struct access_session *session, struct process *process,
		      struct access_space **out);
void access_space_close(struct access_space *space);

int access_space_maps(struct access_space *space, struct maps *out);

/* See access_method.look.  Return: 0 or a negative errno, -EOPNOTSUPP if it cannot be told. */
int access_space_look(struct access_space *space, struct access_probe *probes, size_t n);

/* See access_method.round. */
int access_space_round(struct access_space *space, struct access_probe *probes, size_t n,
		       unsigned int what, uint64_t now, uint64_t sample);

#endif
