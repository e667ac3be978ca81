/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A running kdamond as a test sees it: which call-backs came, in which order, with a limit to the
 * patience of who waits for them.
 */
#ifndef DAMONFS_TESTS_MONITOR_H
#define DAMONFS_TESTS_MONITOR_H

#include <pthread.h>
#include <time.h>

#include "engine/kdamond.h"
#include "tests/unit/fixture.h"

/* How long anything may take before it counts as stuck. */
#define PATIENCE_S 40

/* What the call-backs of one kdamond said, in order. */
struct monitor {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	char order[16]; /* s: started, e: ended, c: a command done */
	size_t nr;
	int result; /* of started */
	struct kdamond *kdamond;
};

struct request {
	struct damon_command command; /* first: `done' gets this */
	struct monitor *monitor;
	bool done;
};

static char script[64];

static inline void note(struct monitor *m, char what)
{
	pthread_mutex_lock(&m->lock);
	if (m->nr + 1 < sizeof(m->order))
		m->order[m->nr++] = what;
	pthread_cond_broadcast(&m->changed);
	pthread_mutex_unlock(&m->lock);
}

static inline void on_started(void *argument, int result)
{
	struct monitor *m = argument;

	m->result = result;
	note(m, 's');
}

static inline void on_ended(void *argument)
{
	note(argument, 'e');
}

static inline void on_done(struct damon_command *command)
{
	struct request *request = (struct request *)command;

	pthread_mutex_lock(&request->monitor->lock);
	request->done = true;
	pthread_mutex_unlock(&request->monitor->lock);
	note(request->monitor, 'c');
}

/* Waits until the call-backs were ORDER.  Return: whether they were, in time. */
static inline bool wait_for(struct monitor *m, const char *order)
{
	struct timespec until;
	bool is;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE_S;
	pthread_mutex_lock(&m->lock);
	while (m->nr < strlen(order) && !pthread_cond_timedwait(&m->changed, &m->lock, &until))
		;
	is = !strcmp(m->order, order);
	pthread_mutex_unlock(&m->lock);
	return is;
}

static inline uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* fvaddr on one page of PID, which never splits, with stat schemes for everything. */
static inline struct damon_desc *describe(pid_t pid, size_t nr_schemes)
{
	struct damon_desc *desc = new_desc(DAMON_OPS_FVADDR, 1, nr_schemes);

	ck_assert_int_eq(process_open(pid, NULL, &desc->targets[0].process), 0);
	set_ranges(&desc->targets[0], (struct span[]){ { 1, 2 }, { 0 } });
	return desc;
}

typedef void aggregated_fn(void *argument, const struct damon_found_region *regions, size_t nr);

static inline void start_shown(struct monitor *m, struct damon_desc *desc, const char *method,
			       unsigned int number, aggregated_fn *aggregated)
{
	const struct damon_callbacks callbacks = {
		.ended = on_ended, .argument = m, .started = on_started, .aggregated = aggregated
	};

	*m = (struct monitor){ .result = 1 };
	pthread_mutex_init(&m->lock, NULL);
	pthread_cond_init(&m->changed, NULL);
	ck_assert_int_eq(kdamond_start(desc, method, number, false, &callbacks, &m->kdamond), 0);
}

static inline void start_with(struct monitor *m, struct damon_desc *desc, const char *method,
			      unsigned int number)
{
	start_shown(m, desc, method, number, NULL);
}

static inline void start(struct monitor *m, struct damon_desc *desc, unsigned int number)
{
	char method[80];

	snprintf(method, sizeof(method), "simulated:%s", script);
	start_with(m, desc, method, number);
}

/* Of one that ends, or has ended. */
static inline void finish(struct monitor *m)
{
	kdamond_wait(m->kdamond);
	kdamond_free(m->kdamond);
}

static inline void stop(struct monitor *m, const char *order)
{
	kdamond_stop(m->kdamond);
	ck_assert_msg(wait_for(m, order), "%s, not %s", m->order, order);
	finish(m);
}

/* A command that has a description, which is the request's from here on. */
static inline int send_desc(struct monitor *m, struct request *request,
			    enum damon_command_kind kind, struct damon_desc *desc)
{
	*request = (struct request){ .monitor = m,
				     .command = { .kind = kind, .desc = desc, .done = on_done } };
	return kdamond_call(m->kdamond, &request->command);
}

static inline int send_request(struct monitor *m, struct request *request,
			       enum damon_command_kind kind)
{
	return send_desc(m, request, kind, NULL);
}

/* One megabyte, all of it hot. */
#define HOT_SCRIPT "map 0 1M\naccess 0 1M 100%\n"

static inline void setup(void)
{
	write_temporary(script, HOT_SCRIPT);
}

static inline void teardown(void)
{
	unlink(script);
}

#endif
