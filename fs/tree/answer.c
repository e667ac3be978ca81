// SPDX-License-Identifier: GPL-2.0-or-later
/* The thread that gives the answers that come later: see answer.h. */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "access/rights/privileges.h"
#include "access/why.h"
#include "fs/tree/answer.h"
#include "util/cleanup.h"
#include "util/guard.h"
#include "util/log.h"

struct queue {
	struct event *first, **last;
};

LOCK_ROLE(mail);

struct answerer {
	pthread_t thread;
	struct tree *tree;
	void (*invalidate)(uint64_t ino, void *argument);
	void *argument;
	struct queue handled; /* the thread's: those that are not due yet */

	pthread_mutex_t lock;
	pthread_cond_t changed; /* by CLOCK_MONOTONIC */
	struct queue posted GUARDED_BY(mail);
	/* In the order in which they are due, as they all wait as long. */
	struct queue late GUARDED_BY(mail);
	bool stopping GUARDED_BY(mail);
};

DEFINE_LOCK(mail, mail, struct answerer, lock);

static void queue_init(struct queue *queue)
{
	queue->first = NULL;
	queue->last = &queue->first;
}

static void queue_add(struct queue *queue, struct event *event)
{
	event->next = NULL;
	*queue->last = event;
	queue->last = &event->next;
}

static struct event *queue_take(struct queue *queue)
{
	struct event *event = queue->first;

	if (event) {
		queue->first = event->next;
		if (!queue->first)
			queue->last = &queue->first;
	}
	return event;
}

static void queue_remove(struct queue *queue, struct event *event)
{
	struct event **at = &queue->first;

	while (*at && *at != event)
		at = &(*at)->next;
	if (!*at)
		return;
	*at = event->next;
	if (!event->next)
		queue->last = at;
}

/* Waits for a posted event, at most NS nanoseconds if that is not 0; a.lock is held. */
static void wait_posted(struct answerer *a, uint64_t ns)
{
	struct timespec end;

	if (!ns) {
		pthread_cond_wait(&a->changed, &a->lock);
		return;
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	ns += (uint64_t)end.tv_nsec;
	end.tv_sec += (time_t)(ns / 1000000000);
	end.tv_nsec = (long)(ns % 1000000000);
	pthread_cond_timedwait(&a->changed, &a->lock, &end);
}

/* The next event to handle; NULL when one that was handled is due, or at the end. */
static struct event *take_posted(struct answerer *a)
{
	const struct event *next = a->handled.first;
	struct event *event = NULL;

	mail_lock(a);
	for (;;) {
		const struct event *late = a->late.first;
		uint64_t now = tree_now(), due = next ? next->due : UINT64_MAX;

		/* Before all that were posted. */
		if (late && late->due <= now)
			event = queue_take(&a->late);
		if (event || due <= now || a->posted.first || (a->stopping && !next))
			break;
		if (late)
			due = min_ul(due, late->due);
		wait_posted(a, due == UINT64_MAX ? 0 : due - now);
	}
	if (!event)
		event = queue_take(&a->posted);
	mail_unlock(a);
	return event;
}

static void handle(struct answerer *a, struct event *event)
{
	uint64_t inos[MAX_ROWS];
	size_t nr;

	tree_lock(a->tree);
	if (event->run)
		event->run(event);
	event->due = a->tree->settled;
	while ((nr = tree_take_changes(a->tree, inos, ARRAY_SIZE(inos)))) {
		tree_unlock(a->tree);
		for (size_t i = 0; i < nr; i++)
			a->invalidate(inos[i], a->argument);
		tree_lock(a->tree);
	}
	tree_unlock(a->tree);
	queue_add(&a->handled, event);
}

static void *answerer_main(void *argument)
{
	struct answerer *a = argument;

	pthread_setname_np(pthread_self(), "answerer");
	for (;;) {
		struct event *event = take_posted(a);

		if (event)
			handle(a, event);
		else if (!a->handled.first)
			return NULL;
		while (a->handled.first && a->handled.first->due <= tree_now()) {
			event = queue_take(&a->handled);
			if (event->finish)
				event->finish(event);
		}
	}
}

int answerer_start(struct tree *tree, void (*invalidate)(uint64_t ino, void *argument),
		   void *argument, struct answerer **out)
{
	struct answerer *a = calloc(1, sizeof(*a));
	pthread_condattr_t monotonic;
	int r;

	if (!a)
		return -ENOMEM;
	a->tree = tree;
	a->invalidate = invalidate;
	a->argument = argument;
	queue_init(&a->handled);
	queue_init(&a->posted);
	queue_init(&a->late);
	pthread_mutex_init(&a->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&a->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	r = pthread_create(&a->thread, NULL, answerer_main, a);
	if (r) {
		free(a);
		return -r;
	}
	*out = a;
	return 0;
}

void answerer_stop(struct answerer *a)
{
	mail_lock(a);
	a->stopping = true;
	pthread_cond_signal(&a->changed);
	mail_unlock(a);
	pthread_join(a->thread, NULL);
	pthread_mutex_destroy(&a->lock);
	pthread_cond_destroy(&a->changed);
	free(a);
}

void answerer_post(struct answerer *a, struct event *event)
{
	mail_lock(a);
	queue_add(&a->posted, event);
	pthread_cond_signal(&a->changed);
	mail_unlock(a);
}

void answerer_post_late(struct answerer *a, struct event *event)
{
	mail_lock(a);
	queue_remove(&a->late, event);
	event->due = tree_now() + ANSWERER_LATE_NS;
	queue_add(&a->late, event);
	pthread_cond_signal(&a->changed);
	mail_unlock(a);
}

void answerer_take_back(struct answerer *a, struct event *event)
{
	mail_lock(a);
	queue_remove(&a->late, event);
	mail_unlock(a);
}

static int find_caller(const struct write *write, struct caller **out)
{
	__attribute__((cleanup(caller_putp))) struct caller *writer = NULL;
	int r = write->opener_error;

	if (!r)
		r = caller_new(write->writer.pid, write->writer.uid, write->writer.gid, &writer);
	if (r)
		return r;
	if (write->opener)
		return caller_lesser(write->opener, writer, out);
	*out = steal_ptr(writer);
	return 0;
}

/* What to do, if that is why a writer cannot be known. */
static const char *without_ptrace(void)
{
	return capable_of(CAP_SYS_PTRACE) ?
		       "" :
		       "; " ACCESS_ADD_CAPABILITY(
			       "SYS_PTRACE") ", by which damonfs sees who writes";
}

int write_caller(const struct write *write, struct caller **out)
{
	int r = find_caller(write, out);

	if (r == -ESRCH)
		log_info("refused a write by user %u: it comes from outside the pid namespace of "
			 "damonfs, where the same pids mean other processes; write from inside%s",
			 write->writer.uid, without_ptrace());
	else if (r)
		log_info("refused a write by user %u (pid %d): cannot tell what both the writer "
			 "and the opener of the file may do: %s%s",
			 write->writer.uid, write->writer.pid, strerror(-r), without_ptrace());
	return r;
}

struct deferred_reply *write_hold(struct write *write)
{
	return steal_ptr(write->pending);
}
