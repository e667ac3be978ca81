/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The interface of the access methods: how damonfs sees memory.
 *
 * A worker thread opens the methods that a name stands for, and a space for each process that it
 * watches, by the best method that can see the process.  It tries each method on each process, in
 * the name of whoever watches it, because what works for one may fail for another.  Every sampling
 * interval the worker hands each space an array of probes, one per region: the address that was
 * prepared last time, to check, and the next one, to prepare.  Methods get arrays, never single
 * addresses, so that two system calls can answer a thousand of them.
 *
 * A method need not prepare a probe that it cannot afford: it may carry an earlier answer of the
 * region forward, for a bounded number of rounds.  What it has to remember for that lives with the
 * region, in access_probe.priv.
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
	/* The session that sees it; for physical memory through mappings, that of processes. */
	struct access_session *source;
	struct process *process; /* a reference; NULL for physical memory */
};

/*
 * Rounds without the worker, which sleeps meanwhile and does nothing else with the space: they are
 * left to the kernel and taken back.
 */
struct access_unattended {
	/*
	 * Room for N regions, to be filled before they are left: `next', `priv', `start' and `end'.
	 * Return: it, borrowed, or NULL if so many cannot be left with a sampling interval of
	 * SAMPLE us, now.
	 */
	struct access_run *(*room)(struct access_space *space, size_t n, uint64_t sample);

	/*
	 * Leaves the N regions in that room for ROUNDS rounds that check and prepare: the first at
	 * FIRST, if that is later than DEADLINE, and the others in steps of SAMPLE from DEADLINE on
	 * (all in microseconds of the monotonic clock).  The file *WAKE, which is borrowed, becomes
	 * readable if the worker is needed before the last round.
	 * Return: 0, or a negative errno, and nothing is left.
	 */
	int (*leave)(struct access_space *space, size_t n, uint64_t deadline, uint64_t first,
		     uint64_t sample, uint64_t rounds, int *wake);

	/*
	 * Takes them back at NOW, at any time: *RUNS, borrowed until the space is used again, are
	 * the regions with their `hits'; *ROUNDS is how many rounds there were, and *PREPARED when
	 * the regions were prepared last, in microseconds, if there was one.
	 * Return: as access_method.round.
	 */
	int (*resume)(struct access_space *space, uint64_t now, const struct access_run **runs,
		      uint64_t *rounds, uint64_t *prepared);
};

struct access_method {
	const char *name;
	/*
	 * How it does it, for the log, if a plainer method of that name comes after it, which
	 * watches physical memory, too; else NULL.
	 */
	const char *way;
	const char *sees; /* what it costs or cannot see, for the log */
	bool exact; /* it sees every access, page by page */
	bool takes_argument; /* its name may have an argument after a colon; the others refuse it */
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
	 * Return: 0 and *OUT, with WHY naming what it cannot see and what it lacks for that, if
	 * anything; -ESRCH if the process has no memory; or another negative errno and WHY.
	 */
	int (*space_open)(struct access_session *session, struct process *process,
			  struct access_space **out, struct access_why *why);
	void (*space_close)(struct access_space *space);

	/*
	 * Tries once whether it can see the process: reads and clears an accessed bit at one of the
	 * NR ascending addresses, if one is in a page that is the process's alone.  NULL if opening
	 * the space has shown it.
	 * Return: 0, also if the try told nothing, -ESRCH, or another negative errno and WHY.
	 */
	int (*attempt)(struct access_space *space, const uint64_t *addresses, size_t nr,
		       struct access_why *why);

	/* The mappings of the process, or NULL where they are those of maps_read(). */
	int (*maps)(struct access_space *space, struct maps *out);

	/*
	 * Does a round over N probes, ascending by region; WHAT is of enum access_round.  NOW is
	 * the worker's clock and SAMPLE its sampling interval, both in microseconds.
	 *
	 * It never logs.  It allocates only to hold more than ever before: more probes (idle,
	 * physical memory), more mappings (referenced, and the stream that it reads them by), a new
	 * reverse map (physical memory).  The reverse map is all that it takes a lock for.
	 *
	 * Return: 0; -ESRCH if the process has no memory (any more), and nothing was accessed;
	 * -ESTALE if it has executed another program since the space was opened; -ECANCELED if the
	 * thread is told to end; or another negative errno if the method fails on it.
	 */
	int (*round)(struct access_space *space, struct access_probe *probes, size_t n,
		     unsigned int what, uint64_t now, uint64_t sample);

	/*
	 * Tells whether the addresses `next' of N probes, ascending, were accessed since anybody
	 * prepared them last, and prepares nothing.  NULL if the method cannot tell.
	 */
	int (*peek)(struct access_space *space, struct access_probe *probes, size_t n);

	const struct access_unattended *unattended; /* NULL: each round needs the worker */
};

/* Whether NAME, as in "young" or "simulated:FILE", names a method or is "auto". */
bool access_method_known(const char *name);

/* The methods that a worker may use, in the order of preference. */
struct access_sessions;

/*
 * Opens the method NAME, or for "auto" the best one that works here, and logs which, and why not a
 * better one.  It opens other methods when the first ones have failed on a process.
 *
 * Return: 0 and *OUT, or the negative errno of the last method that was tried.
 */
int access_sessions_open(const char *name, struct access_sessions **out);
void access_sessions_close(struct access_sessions *sessions);

/* What the method NAME needs capabilities for: a set of enum privileges_use. */
unsigned int access_method_uses(const char *name);

/* Sets up now, if it can, what sessions by NAME need once per process, to save the time later. */
void access_prepare(const char *name);

/* What a method can do here: see access_check(). */
struct access_check {
	const struct access_method *method;
	int error; /* 0: it works; else a negative errno */
	struct access_why why; /* of the error; else what it does not see, if anything */
};

/*
 * Tries each method that `auto' may take, in the order of preference, on PROCESS, or on physical
 * memory if that is NULL.  Logs nothing.  For programs that do not monitor.
 * Return: 0 and how many there are in *NR and what they can do in OUT, which has room for
 * ACCESS_CHECKS; -ESRCH if the process is gone; or a negative errno of access_is_fatal().
 */
#define ACCESS_CHECKS 8
int access_check(struct process *process, struct access_check *out, size_t *nr);

/*
 * Starts the threads that sessions share and that a session of a task which is a process may not
 * start itself (util/task.h).  Return: 0 or a negative errno.
 */
int access_start_shared(void);

/*
 * Opens a space for PROCESS, or for physical memory if that is NULL, by the first method that can
 * see it, and takes a reference to PROCESS.  If TELL, it logs why other methods failed, and which
 * one it uses unless that is the worker's first.  WHY, which may be NULL, says why it is not a
 * better one, or what it cannot see; it is empty if there is nothing to say.
 *
 * Return: 0 and *OUT; or
 *   -ESRCH            the process is gone, or has no memory
 *   -ENOMEM, -EMFILE, -ENFILE
 *   -ECANCELED        the thread is told to end
 *   -ENOTRECOVERABLE  the thread could not return to its caller's credentials, and must not go on
 *   or another negative errno: no method can see it
 */
int access_space_open(struct access_sessions *sessions, struct process *process, bool tell,
		      struct access_space **out, struct access_why *why);
void access_space_close(struct access_space *space);

/* The same by SESSION's method, without trying it.  Return: 0 and *OUT, or a negative errno. */
int access_session_space(struct access_session *session, struct process *process,
			 struct access_space **out);

/* The mappings of a space, as its method sees them.  Return: as maps_read(). */
int access_space_maps(struct access_space *space, struct maps *out);

/* See access_method.peek.  Return: 0 or a negative errno, -EOPNOTSUPP if the method cannot tell. */
int access_space_peek(struct access_space *space, struct access_probe *probes, size_t n);

/* See access_method.round. */
int access_space_round(struct access_space *space, struct access_probe *probes, size_t n,
		       unsigned int what, uint64_t now, uint64_t sample);

/* The same for rounds without the worker: see access_unattended.  NULL where there are none. */
static inline const struct access_unattended *access_unattended_of(const struct access_space *space)
{
	return space->session->method->unattended;
}

#endif
