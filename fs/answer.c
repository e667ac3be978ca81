// SPDX-License-Identifier: GPL-2.0-or-later
/* The thread that gives the answers that come later: see answer.h. */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "access/cleanup.h"
#include "fs/answer.h"

struct answerer {
	pthread_t thread;
	struct tree *tree;
	void (*invalidate)(const struct invalidation *change, void *argument);
	void *argument;

	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t posted;
	struct event *first, **last;
	bool stopping;
};

/* The next event; NULL when it is to end and there is none left. */
static struct event *take_event(struct answerer *a)
{
	struct event *event;

	pthread_mutex_lock(&a->lock);
	while (!a->first && !a->stopping)
		pthread_cond_wait(&a->posted, &a->lock);
	event = a->first;
	if (event) {
		a->first = event->next;
		if (!a->first)
			a->last = &a->first;
	}
	pthread_mutex_unlock(&a->lock);
	return event;
}

static void invalidate_all(struct answerer *a, struct invalidation *change)
{
	while (change) {
		struct invalidation *next = change->next;

		a->invalidate(change, a->argument);
		free(change);
		change = next;
	}
}

static void *answerer_main(void *argument)
{
	struct answerer *a = argument;
	struct event *event;

	pthread_setname_np(pthread_self(), "answerer");
	while ((event = take_event(a))) {
		struct invalidation *changes;

		tree_lock(a->tree);
		if (event->run)
			event->run(event);
		changes = tree_take_changes(a->tree);
		tree_unlock(a->tree);
		invalidate_all(a, changes);
		if (event->finish)
			event->finish(event);
	}
	return NULL;
}

int answerer_start(struct tree *tree,
		   void (*invalidate)(const struct invalidation *change, void *argument),
		   void *argument, struct answerer **out)
{
	struct answerer *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return -ENOMEM;
	a->tree = tree;
	a->invalidate = invalidate;
	a->argument = argument;
	a->last = &a->first;
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->posted, NULL);
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
	pthread_mutex_lock(&a->lock);
	a->stopping = true;
	pthread_cond_signal(&a->posted);
	pthread_mutex_unlock(&a->lock);
	pthread_join(a->thread, NULL);
	pthread_mutex_destroy(&a->lock);
	pthread_cond_destroy(&a->posted);
	free(a);
}

void answerer_post(struct answerer *a, struct event *event)
{
	pthread_mutex_lock(&a->lock);
	event->next = NULL;
	*a->last = event;
	a->last = &event->next;
	pthread_cond_signal(&a->posted);
	pthread_mutex_unlock(&a->lock);
}

struct pending *write_hold(struct write *write)
{
	return steal_ptr(write->pending);
}
