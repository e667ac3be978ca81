// SPDX-License-Identifier: LGPL-2.1-or-later
/* Choosing an access method: see access.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access/methods/methods.h"
#include "access/methods/physical.h"
#include "access/proc/clear_refs.h"
#include "access/proc/iomem.h"
#include "access/proc/rmap.h"
#include "access/rights/privileges.h"
#include "util/cleanup.h"
#include "util/log.h"

/* In the order of preference. */
static const struct {
	const struct access_method *method;
	bool automatic; /* `auto' may take it */
} methods[] = {
#ifdef HAVE_YOUNG
	{ &access_idle_walk, true },
#endif
	{ &access_idle, true },
#ifdef HAVE_YOUNG
	{ &access_young, true },
#endif
	{ &access_softdirty, true }, { &access_referenced, true }, { &access_simulated, false },
};

#define NR_METHODS ARRAY_SIZE(methods)

/* How many of the highest mappings are tried; the stack is one of them. */
#define NR_TRIED 64

struct access_sessions {
	struct access_session *session[NR_METHODS]; /* NULL until it is needed */
	int error[NR_METHODS]; /* with which it cannot be opened, */
	struct access_why why[NR_METHODS]; /* and why */
	size_t first; /* the first that worked */
	char name[];
};

/* ---- names ---- */

/* What follows the colon of NAME if it names METHOD: "" without one, NULL if it does not. */
static const char *argument_for(const struct access_method *method, const char *name)
{
	size_t length = strlen(method->name);

	if (strncmp(name, method->name, length))
		return NULL;
	if (!name[length])
		return "";
	return name[length] == ':' ? name + length + 1 : NULL;
}

static bool is_automatic(const char *name)
{
	return !strcmp(name, "auto");
}

bool access_method_known(const char *name)
{
	if (is_automatic(name))
		return true;
	for (size_t i = 0; i < NR_METHODS; i++)
		if (argument_for(methods[i].method, name))
			return true;
	return false;
}

unsigned int access_method_uses(const char *name)
{
	unsigned int uses = PRIVILEGES_OTHERS | PRIVILEGES_CALLERS;

	if (!argument_for(&access_simulated, name))
		uses |= PRIVILEGES_FRAMES | PRIVILEGES_ADVICE;
#ifdef HAVE_YOUNG
	if (is_automatic(name) || argument_for(&access_young, name) ||
	    argument_for(&access_idle_walk, name))
		uses |= PRIVILEGES_BPF;
#endif
	return uses;
}

/* The argument for method number I if NAME means it, "" without one; else NULL. */
static const char *meant(const char *name, size_t i)
{
	if (is_automatic(name))
		return methods[i].automatic ? "" : NULL;
	return argument_for(methods[i].method, name);
}

/* ---- sessions ---- */

static int open_session(const struct access_method *method, const char *argument,
			struct access_session **out, struct access_why *why)
{
	int r;

	*why = (struct access_why){ 0 };
	if (*argument && !method->takes_argument)
		return access_because(why, -EINVAL, "%s takes no argument", method->name);
	r = method->session_open(*argument ? argument : NULL, out, why);
	if (!r)
		(*out)->method = method;
	return r;
}

/* That a way of a method does not work is no news: there is a plainer one. */
static enum log_level telling(const struct access_method *method, enum log_level level)
{
	return method->way ? LOG_LEVEL_DEBUG : level;
}

static const char *reason(const struct access_why *why, int r)
{
	return *why->text ? why->text : strerror(-r);
}

/* Opens number I of SESSIONS as the daemon, whoever the thread works for. */
static int open_as_daemon(struct access_sessions *sessions, size_t i, struct access_why *why)
{
	const struct caller *was = caller_current();
	int r = was ? caller_become(NULL) : 0;

	if (!r)
		r = open_session(methods[i].method, meant(sessions->name, i), &sessions->session[i],
				 why);
	return was ? caller_come_back(was, r) : r;
}

/*
 * Opens number I of SESSIONS unless it is open.  If TELL, logs the first time that it cannot.
 * Return: 0 or a negative errno.
 */
static int need_session(struct access_sessions *sessions, size_t i, bool tell)
{
	const struct access_method *method = methods[i].method;
	struct access_why *why = &sessions->why[i];
	int r;

	if (sessions->session[i] || sessions->error[i])
		return sessions->error[i];
	r = open_as_daemon(sessions, i, why);
	if (access_is_fatal(r))
		return r;
	sessions->error[i] = r;
	if (r && tell)
		log_line(telling(method,
				 is_automatic(sessions->name) ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR),
			 "access method %s%s is not available: %s", method->name, method->way ?: "",
			 reason(why, r));
	return r;
}

/* Opens the first that works. */
static int open_first(const char *name, bool tell, struct access_sessions **out)
{
	struct access_sessions *sessions = calloc(1, sizeof(*sessions) + strlen(name) + 1);
	int r = -EINVAL;

	if (!sessions)
		return -ENOMEM;
	strcpy(sessions->name, name);
	for (size_t i = 0; i < NR_METHODS && r && !access_is_fatal(r); i++) {
		if (!meant(name, i))
			continue;
		sessions->first = i;
		r = need_session(sessions, i, tell);
	}
	if (r)
		access_sessions_close(sessions);
	else
		*out = sessions;
	return r;
}

int access_sessions_open(const char *name, struct access_sessions **out)
{
	const struct access_method *method;
	int r = open_first(name, true, out);

	if (r) {
		log_error("no access method works for method=%s: %s", name,
			  access_is_fatal(r) ? strerror(-r) : "see the lines above");
		return r;
	}
	method = methods[(*out)->first].method;
	log_info("using access method %s: it sees %s", method->name, method->sees);
	return 0;
}

void access_sessions_close(struct access_sessions *sessions)
{
	if (!sessions)
		return;
	for (size_t i = 0; i < NR_METHODS; i++)
		if (sessions->session[i])
			methods[i].method->session_close(sessions->session[i]);
	free(sessions);
}

void access_prepare(const char *name)
{
	struct access_sessions *sessions;

	/* Now, because a daemon that may not be traced cannot find it out. */
	softdirty_works();
	iomem_prepare();
	if (!open_first(name, false, &sessions))
		access_sessions_close(sessions);
}

int access_start_shared(void)
{
	return rmap_prepare();
}

/* ---- spaces ---- */

/* Opens a space by SESSION's method, without trying it. */
static int method_open_space(struct access_session *session, struct process *process,
			     struct access_space **out, struct access_why *why)
{
	int r;

	*why = (struct access_why){ 0 };
	if (!process && !session->method->physical)
		return physical_space_open(session, out, why);
	r = session->method->space_open(session, process, out, why);
	if (r)
		return r;
	(*out)->session = session;
	(*out)->source = session;
	(*out)->process = process ? process_get(process) : NULL;
	return 0;
}

int access_session_space(struct access_session *session, struct process *process,
			 struct access_space **out)
{
	struct access_why why;

	return method_open_space(session, process, out, &why);
}

/* Pages of the process that are likely there, ascending: the last of each of its highest mappings. */
static int addresses_to_try(struct access_space *space, uint64_t *addresses, size_t *nr,
			    struct access_why *why)
{
	__attribute__((cleanup(maps_free))) struct maps maps = { 0 };
	int r = access_space_maps(space, &maps);

	if (r == -ESRCH || access_is_fatal(r))
		return r;
	if (r)
		return access_because(
			why, r, "cannot read its maps: %s; " ACCESS_ADD_CAPABILITY("SYS_PTRACE"),
			strerror(-r));
	*nr = min_ul(maps.nr, NR_TRIED);
	for (size_t i = 0; i < *nr; i++)
		addresses[i] = maps.mapping[maps.nr - *nr + i].end - PAGE;
	return 0;
}

/* Whether a space that is open sees anything. */
static int attempt(struct access_space *space, struct access_why *why)
{
	const struct access_method *method = space->session->method;
	uint64_t addresses[NR_TRIED];
	size_t nr = 0;
	int r = addresses_to_try(space, addresses, &nr, why);

	return r || !method->attempt ? r : method->attempt(space, addresses, nr, why);
}

/*
 * Whether a method that sees processes only works for physical memory: tried on ourselves, for lack
 * of a particular process.
 */
static int attempt_on_self(struct access_session *session, struct access_why *why)
{
	__attribute__((cleanup(process_putp))) struct process *self = NULL;
	struct access_space *space;
	int r = session->method->attempt ? process_open(getpid(), NULL, &self) : 0;

	if (r || !self)
		return r;
	r = method_open_space(session, self, &space, why);
	if (r)
		return r;
	r = session->method->attempt(space, NULL, 0, why);
	access_space_close(space);
	return r;
}

static int open_and_try(struct access_session *session, struct process *process,
			struct access_space **out, struct access_why *why)
{
	struct access_space *space;
	int r = 0;

	if (!process && !session->method->physical)
		r = attempt_on_self(session, why);
	if (!r)
		r = method_open_space(session, process, &space, why);
	if (r)
		return r;
	r = process ? attempt(space, why) : 0;
	if (r)
		access_space_close(space);
	else
		*out = space;
	return r;
}

/* What is watched, for a line of the log. */
static const char *target_name(const struct process *process, char name[static 32])
{
	snprintf(name, 32, process ? "pid %d" : "physical memory", process ? process->pid : 0);
	return name;
}

/* Why a better method was not taken. */
struct refusal {
	struct access_why why;
	bool by_rights; /* a privilege would do, and not only another kernel */
};

/*
 * Notes that number I cannot do it, with error R, unless a better one could not, either; but before
 * one that the kernel has not, the best one counts that lacks a privilege.
 */
static void refuse(struct refusal *refusal, size_t i, const struct access_why *why, int r)
{
	bool by_rights = r == -EPERM || r == -EACCES;

	if (methods[i].method->way || (*refusal->why.text && (refusal->by_rights || !by_rights)))
		return;
	refusal->by_rights = by_rights;
	access_because(&refusal->why, 0, "not by %s: %s", methods[i].method->name, reason(why, r));
}

/*
 * Tries number I.  If it cannot see PROCESS, REFUSAL says why; if it can, it says what it misses,
 * if anything.
 */
static int open_by(struct access_sessions *sessions, size_t i, struct process *process, bool tell,
		   struct access_space **out, struct refusal *refusal)
{
	const struct access_method *method = methods[i].method;
	struct access_why why = { 0 };
	char name[32];
	int r = need_session(sessions, i, tell);

	if (r && !access_is_fatal(r))
		refuse(refusal, i, &sessions->why[i], r);
	if (r)
		return r;
	r = open_and_try(sessions->session[i], process, out, &why);
	if (r == -ESRCH || access_is_fatal(r))
		return r;
	if (r && tell)
		log_line(telling(method, LOG_LEVEL_INFO),
			 "%s cannot be watched by the method %s%s: %s", target_name(process, name),
			 method->name, method->way ?: "", reason(&why, r));
	if (r)
		refuse(refusal, i, &why, r);
	else if (*why.text)
		refusal->why = why;
	if (!r && tell && *why.text)
		log_info("%s: %s", target_name(process, name), why.text);
	if (!r && tell && i != sessions->first)
		log_info("%s is watched by the method %s: it sees %s", target_name(process, name),
			 method->name, method->sees);
	return r;
}

int access_space_open(struct access_sessions *sessions, struct process *process, bool tell,
		      struct access_space **out, struct access_why *why)
{
	struct refusal refusal = { 0 };
	int r = -EINVAL;

	for (size_t i = 0; i < sessions->first; i++)
		if (meant(sessions->name, i))
			refuse(&refusal, i, &sessions->why[i], sessions->error[i]);
	for (size_t i = sessions->first; i < NR_METHODS; i++) {
		if (!meant(sessions->name, i) || (!process && methods[i].method->way))
			continue;
		r = open_by(sessions, i, process, tell, out, &refusal);
		if (!r || r == -ESRCH || access_is_fatal(r))
			break;
	}
	if (why)
		*why = refusal.why;
	return r;
}

/* ---- what works here ---- */

/* Return: 0, and WHY if it misses something; or a negative errno, and WHY if it says more. */
static int try_method(const struct access_method *method, struct process *process,
		      struct access_why *why)
{
	struct access_session *session;
	struct access_space *space;
	int r = open_session(method, "", &session, why);

	if (r)
		return r;
	r = open_and_try(session, process, &space, why);
	if (!r)
		access_space_close(space);
	method->session_close(session);
	return r;
}

int access_check(struct process *process, struct access_check *out, size_t *nr)
{
	_Static_assert(NR_METHODS <= ACCESS_CHECKS, "there is room for all");
	struct access_check *last = NULL;

	*nr = 0;
	for (size_t i = 0; i < NR_METHODS; i++) {
		const struct access_method *method = methods[i].method;
		struct access_check check = { .method = method };

		if (!methods[i].automatic || (!process && method->way))
			continue;
		/* A plainer way of a method that works. */
		if (last && !last->error && !strcmp(last->method->name, method->name))
			continue;
		check.error = try_method(method, process, &check.why);
		if (access_is_fatal(check.error) || check.error == -ESRCH)
			return check.error;
		if (check.error && method->way)
			continue;
		if (check.error && !*check.why.text)
			access_because(&check.why, 0, "%s", strerror(-check.error));
		last = &out[(*nr)++];
		*last = check;
	}
	return 0;
}
