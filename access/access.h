/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How memory is seen: the one interface of the access methods.
 *
 * A worker thread opens the methods that a name means, and with the best of them that can see it a
 * space for each process that it watches: each method is tried on each process, in the name of whom
 * it is watched, because what is open to one may be closed to another.  Once a sampling interval
 * the worker hands each space an array of probes, one a region: the address that was prepared last
 * time, to be checked, and the one to be prepared now.  A method sees arrays, never single
 * addresses, so that it can answer a thousand of them with two system calls.
 *
 * A method may answer for a probe that it could not afford to prepare by carrying an earlier answer
 * of the same region forward, for a bounded number of rounds.  What it has to remember for that
 * lives with the region, in access_probe.priv.
 *
 * Sessions and their spaces belong to the thread that opened them.
 */
#ifndef DAMONFS_ACCESS_ACCESS_H
#define DAMONFS_ACCESS_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "access/probe.h"
#include "access/proc/maps.h"
#include "access/proc/process.h"
#include "access/why.h"

struct access_method;

/* A thread's use of a method. */
struct access_session {
	const struct access_method *method;
};

struct access_space {
	struct access_session *session;
	/* What it is seen by: `session'; of physical memory through mappings, that of processes. */
	struct access_session *source;
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
	 * method's name, or NULL.  Return: 0 and *OUT, or a negative errno and WHY.
	 */
	int (*session_open)(const char *argument, struct access_session **out,
			    struct access_why *why);
	void (*session_close)(struct access_session *session);

	/*
	 * The method keeps no reference to PROCESS, which is NULL for physical memory.
	 * Return: 0 and *OUT, and in WHY what is not seen for lack of what, if anything; -ESRCH if
	 * the process has no memory; or another negative errno and WHY.
	 */
	int (*space_open)(struct access_session *session, struct process *process,
			  struct access_space **out, struct access_why *why);
	void (*space_close)(struct access_space *space);

	/*
	 * Tries once whether the process can be seen: reads an accessed bit and clears one, at
	 * an address of the NR that ascend, if there is a page that is the process's alone.  NULL
	 * where opening the space has shown it.
	 * Return: 0, also where nothing could be told, -ESRCH, or another negative errno and WHY.
	 */
	int (*attempt)(struct access_space *space, const uint64_t *addresses, size_t nr,
		       struct access_why *why);

	/* The mappings of the process, or NULL where they are those of maps_read(). */
	int (*maps)(struct access_space *space, struct maps *out);

	/*
	 * A round over N probes, ascending by region; WHAT is of enum access_round.  NOW is the
	 * worker's clock and SAMPLE its sampling interval, both in microseconds.
	 *
	 * It never logs.  It allocates only to hold more than ever before: more probes (idle,
	 * physical memory), more mappings (referenced), a new reverse map (physical memory), which
	 * is all that it takes a lock for.
	 *
	 * Return: 0, or -ESRCH when the process has no memory (any more): nothing was accessed
	 * then, -ESTALE when it has executed another program since the space was opened,
	 * -ECANCELED when the thread is told to end, or another negative errno when the method
	 * fails on it.
	 */
	int (*round)(struct access_space *space, struct access_probe *probes, size_t n,
		     unsigned int what, uint64_t now, uint64_t sample);

	/*
	 * Whether the addresses `next' of N probes, ascending, were accessed since they were
	 * prepared by anybody last, without preparing anything; NULL where that cannot be told.
	 */
	int (*peek)(struct access_space *space, struct access_probe *probes, size_t n);
};

/* Whether NAME, as in "young" or "simulated:FILE", names a method or is "auto". */
bool access_method_known(const char *name);

/* The methods that a worker may use, in the order of preference. */
struct access_sessions;

/*
 * Opens the method that NAME names, or the best one that works here where it is "auto", and tells
 * the log which and why not a better one.  Others are opened when the first that were tried on a
 * process failed.
 *
 * Return: 0 and *OUT, or the negative errno of the last method that was tried.
 */
int access_sessions_open(const char *name, struct access_sessions **out);
void access_sessions_close(struct access_sessions *sessions);

/* What capabilities are for (enum privileges_use) where NAME names the method. */
unsigned int access_method_uses(const char *name);

/* Makes what sessions by that NAME need once and for all, if it can, so that it is not later. */
void access_prepare(const char *name);

/*
 * Opens a space for PROCESS, of which it takes a reference, or for physical memory if that is NULL,
 * by the first method that can see it.  If TELL is set the log is told which, if that is not the
 * worker's first, and what stood in the way of the others.
 *
 * Return: 0 and *OUT; or
 *   -ESRCH            the process is gone, or has no memory
 *   -ENOMEM, -EMFILE, -ENFILE
 *   -ECANCELED        the thread is told to end
 *   -ENOTRECOVERABLE  the thread could not go back to whom it works for, and may not go on
 *   or another negative errno: no method can see it
 */
int access_space_open(struct access_sessions *sessions, struct process *process, bool tell,
		      struct access_space **out);
void access_space_close(struct access_space *space);

/* The same by the method of SESSION, which is not tried.  Return: 0 and *OUT, or a negative errno. */
int access_session_space(struct access_session *session, struct process *process,
			 struct access_space **out);

/* The mappings of a space, as its method sees them.  Return: as maps_read(). */
int access_space_maps(struct access_space *space, struct maps *out);

/* See access_method.peek.  Return: 0 or a negative errno, -EOPNOTSUPP if it cannot be told. */
int access_space_peek(struct access_space *space, struct access_probe *probes, size_t n);

/* See access_method.round. */
int access_space_round(struct access_space *space, struct access_probe *probes, size_t n,
		       unsigned int what, uint64_t now, uint64_t sample);

#endif
