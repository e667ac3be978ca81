// SPDX-License-Identifier: GPL-2.0-or-later
/* Choosing an access method, and what all of them have in common: see access.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "access/log.h"
#include "access/methods.h"
#include "access/physical.h"

/* In the order of preference. */
static const struct {
	const struct access_method *method;
	bool automatic; /* one of those that `auto' may take */
} methods[] = {
	{ &access_idle, true },
#ifdef HAVE_YOUNG
	{ &access_young, true },
#endif
	{ &access_softdirty, true }, { &access_referenced, true }, { &access_simulated, false },
};

#define NR_METHODS (sizeof(methods) / sizeof(methods[0]))

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

bool access_method_known(const char *name)
{
	if (!strcmp(name, "auto"))
		return true;
	for (size_t i = 0; i < NR_METHODS; i++)
		if (argument_for(methods[i].method, name))
			return true;
	return false;
}

/* Opens a session of the first method that NAME means and that works; says so if it is to be SAID. */
static int open_first(const char *name, bool said, struct access_session **out)
{
	bool automatic = !strcmp(name, "auto");
	int r = -EINVAL;

	for (size_t i = 0; i < NR_METHODS; i++) {
		const struct access_method *method = methods[i].method;
		const char *argument = automatic ? "" : argument_for(method, name);
		char why[256] = "";

		if (!argument || (automatic && !methods[i].automatic))
			continue;
		if (*argument && !method->takes_argument) {
			snprintf(why, sizeof(why), "%s takes no argument", method->name);
			r = -EINVAL;
		} else {
			r = method->session_open(*argument ? argument : NULL, out, why,
						 sizeof(why));
		}
		if (!r) {
			(*out)->method = method;
			if (said)
				log_info("access method %s: sees %s", method->name, method->sees);
			return 0;
		}
		if (said)
			log_line(automatic ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR,
				 "access method %s is not available: %s", method->name,
				 *why ? why : strerror(-r));
	}
	return r;
}

int access_session_open(const char *name, struct access_session **out)
{
	int r = open_first(name, true, out);

	if (r)
		log_error("no access method works for method=%s: see the lines above", name);
	return r;
}

void access_prepare(const char *name)
{
	struct access_session *session;

	if (!open_first(name, false, &session))
		access_session_close(session);
}

void access_session_close(struct access_session *session)
{
	if (session)
		session->method->session_close(session);
}

int access_space_open(struct access_session *session, struct process *process,
		      struct access_space **out)
{
	int r;

	if (!process && !session->method->physical)
		return physical_space_open(session, out);
	r = session->method->space_open(session, process, out);
	if (r)
		return r;
	(*out)->session = session;
	(*out)->process = process ? process_get(process) : NULL;
	return 0;
}

void access_space_close(struct access_space *space)
{
	struct process *process;

	if (!space)
		return;
	process = space->process;
	space->session->method->space_close(space);
	process_put(process);
}

int access_space_maps(struct access_space *space, struct maps *out)
{
	const struct access_method *method = space->session->method;

	return method->maps ? method->maps(space, out) : maps_read(space->process, out);
}

int access_space_look(struct access_space *space, struct access_probe *probes, size_t n)
{
	const struct access_method *method = space->session->method;

	return method->look ? method->look(space, probes, n) : -EOPNOTSUPP;
}

int access_space_round(struct access_space *space, struct access_probe *probes, size_t n,
		       unsigned int what, uint64_t now, uint64_t sample)
{
	return space->session->method->round(space, probes, n, what, now, sample);
}
