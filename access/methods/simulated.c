// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The method `simulated:FILE': every process looks as if it did what the script in FILE says
 * (script.h).  For tests, and for trying tools without privileges; nothing is read from the process.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "access/methods/methods.h"
#include "access/methods/script.h"
#include "util/cleanup.h"

struct simulated_session {
	struct access_session base;
	struct script script;
};

struct simulated_space {
	struct access_space base;
	bool started;
	uint64_t start; /* us, of the first round */
	uint64_t time; /* of the script, at the last round */
};

static void simulated_session_close(struct access_session *base)
{
	struct simulated_session *s = (struct simulated_session *)base;

	script_free(&s->script);
	free(s);
}

static int simulated_session_open(const char *argument, struct access_session **out,
				  struct access_why *why)
{
	_cleanup_fclose_ FILE *file = argument ? fopen(argument, "re") : NULL;
	struct simulated_session *s;
	int r;

	if (!argument)
		return access_because(why, -EINVAL, "it needs a script: method=simulated:FILE");
	if (!file)
		return access_because(why, -errno, "cannot open its script %s: %s", argument,
				      strerror(errno));
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	r = script_read(file, &s->script, why->text, sizeof(why->text));
	if (r) {
		free(s);
		return r;
	}
	*out = &s->base;
	return 0;
}

static void simulated_space_close(struct access_space *space)
{
	free(space);
}

static int simulated_space_open(struct access_session *session, struct process *process,
				struct access_space **out, struct access_why *why)
{
	struct simulated_space *space = calloc(1, sizeof(*space));

	(void)session;
	(void)process;
	(void)why;
	if (!space)
		return -ENOMEM;
	*out = &space->base;
	return 0;
}

static int simulated_maps(struct access_space *base, struct maps *out)
{
	struct simulated_space *space = (struct simulated_space *)base;
	struct simulated_session *s = (struct simulated_session *)base->session;

	return script_maps(&s->script, space->time, out);
}

static int simulated_round(struct access_space *base, struct access_probe *probes, size_t n,
			   unsigned int what, uint64_t now, uint64_t sample)
{
	struct simulated_space *space = (struct simulated_space *)base;
	struct simulated_session *s = (struct simulated_session *)base->session;

	(void)sample;
	if (!space->started) {
		space->started = true;
		space->start = now;
	}
	space->time = script_time(&s->script, now - space->start);
	for (size_t i = 0; what & ACCESS_CHECK && i < n; i++)
		probes[i].accessed = script_accessed(&s->script, probes[i].prepared, space->time);
	return 0;
}

const struct access_method access_simulated = {
	.name = "simulated",
	.takes_argument = true,
	.sees = "what its script says",
	.session_open = simulated_session_open,
	.session_close = simulated_session_close,
	.physical = true,
	.space_open = simulated_space_open,
	.space_close = simulated_space_close,
	.maps = simulated_maps,
	.round = simulated_round,
};
