// SPDX-License-Identifier: GPL-2.0-or-later
/* A kdamond as the files see it: see run.h. */
#include <errno.h>
#include <stdlib.h>
#include <utlist.h>

#include "access/cleanup.h"
#include "fs/run.h"

static struct held take_held(struct held *held)
{
	struct held taken = *held;

	held->pending = NULL;
	return taken;
}

/* ---- call-backs: of the kdamond's thread ---- */

static void on_started(void *argument, int result)
{
	struct run *run = argument;

	run->start_result = result;
	answerer_post(((struct damonfs *)run->tree->owner)->answerer, &run->start);
}

static void on_ended(void *argument)
{
	struct run *run = argument;

	answerer_post(((struct damonfs *)run->tree->owner)->answerer, &run->end);
}

/* ---- events: of the answerer's ---- */

static void run_started(struct event *event)
{
	struct run *run = container_of(event, struct run, start);

	run->result = run->start_result;
	run->state = run->result ? RUN_FAILED : RUN_ON;
	if (run->started)
		run->started(run);
}

static void finish_started(struct event *event)
{
	struct run *run = container_of(event, struct run, start);
	struct tree *tree = run->tree;
	struct held on = { 0 };

	tree_lock(tree);
	/* One that did not start is answered when its thread has ended. */
	if (run->state == RUN_ON)
		on = take_held(&run->on);
	tree_unlock(tree);
	pending_answer(on.pending, on.result);
}

/* The event is part of the run, which may be freed by its owner once it is RUN_ENDED. */
static void finish_ended(struct event *event)
{
	struct run *run = container_of(event, struct run, end);
	struct tree *tree = run->tree;
	struct damonfs *damonfs = tree->owner;
	struct held on, off;

	/* Its thread may still have commands to answer, which others than we know of wait for. */
	damon_wait(run->kdamond);
	tree_lock(tree);
	run->state = RUN_ENDED;
	DL_DELETE(damonfs->runs, run);
	if (!--damonfs->nr_running)
		damonfs->exclusive = false;
	if (run->ended)
		run->ended(run);
	on = take_held(&run->on);
	off = take_held(&run->off);
	pthread_cond_signal(&damonfs->ended);
	tree_unlock(tree);
	pending_answer(on.pending, on.result);
	pending_answer(off.pending, off.result);
}

int run_start(struct tree *tree, struct damon_desc *desc, const struct run *model, struct run **out)
{
	static const struct event start = { .run = run_started, .finish = finish_started };
	static const struct event end = { .finish = finish_ended };
	struct damon_callbacks callbacks = { .started = on_started, .ended = on_ended };
	struct damonfs *damonfs = tree->owner;
	struct run *run = malloc(sizeof(*run));
	int r = damonfs->stopping ? -EBUSY : 0;

	if (!run || r) {
		damon_desc_free(desc);
		free(run);
		return r ? r : -ENOMEM;
	}
	*run = *model;
	run->tree = tree;
	run->state = RUN_STARTING;
	run->start = start;
	run->end = end;
	callbacks.argument = run;
	/* Both events come through the tree's lock, which we hold: no hurry with the fields. */
	r = damon_start(desc, damonfs->method, damonfs->nr_running, &callbacks, &run->kdamond);
	if (r) {
		free(run);
		return r;
	}
	damonfs->nr_running++;
	DL_APPEND(damonfs->runs, run);
	*out = run;
	return 0;
}

struct run *run_free(struct run *run)
{
	if (run)
		damon_free(run->kdamond);
	free(run);
	return NULL;
}

bool runs_stop(struct tree *tree)
{
	struct damonfs *damonfs = tree->owner;
	struct run *run;

	damonfs->stopping = true;
	DL_FOREACH(damonfs->runs, run)
		damon_stop(run->kdamond);
	return !damonfs->nr_running;
}

void runs_stop_all(struct tree *tree)
{
	struct damonfs *damonfs = tree->owner;

	runs_stop(tree);
	while (damonfs->nr_running)
		pthread_cond_wait(&damonfs->ended, &tree->lock);
}
