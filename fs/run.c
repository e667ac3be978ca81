// SPDX-License-Identifier: GPL-2.0-or-later
/* A kdamond as the files see it: see run.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "fs/run.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/log.h"

static struct held take_held(struct held *held)
{
	struct held taken = *held;

	held->pending = NULL;
	return taken;
}

/* ---- what is charged ---- */

/* Regions that DESC begins with: those that are given, or the three of each address space. */
static uint64_t needed_regions(const struct damon_desc *desc)
{
	uint64_t nr = 0;

	for (size_t t = 0; t < desc->nr_targets; t++)
		nr += max_ul(desc->targets[t].nr_ranges, 3);
	return nr;
}

static int account_of(struct tree *tree, const struct damon_desc *desc, struct account **out)
{
	*out = NULL;
	return desc->caller ? account_get(tree->accounts, desc->caller->uid, out) : 0;
}

/* One kdamond may have 1/SHARE of what a user may have in all. */
#define SHARE 8

int run_hold_regions(struct tree *tree, struct damon_desc *desc, struct account_held *held,
		     uint64_t at_least)
{
	uint64_t needed = needed_regions(desc), most, wanted;
	struct account *account;
	int r = account_of(tree, desc, &account);

	if (r || !account)
		return r;
	most = account_limit(account, ACCOUNT_REGIONS) / SHARE;
	wanted = max_ul(needed, min_ul(desc->attrs.max_nr_regions, most));
	/* What is left may be less than what is wanted, if it is enough to begin with. */
	wanted = max_ul(needed, min_ul(wanted, account_left(account, ACCOUNT_REGIONS) +
						       (held->account == account ? held->nr : 0)));
	r = account_hold(held, account, ACCOUNT_REGIONS, max_ul(wanted, at_least));
	account_put(account);
	if (!r)
		desc->max_total_regions = wanted;
	return r;
}

static void run_release(struct run *run)
{
	account_hold(&run->regions, NULL, ACCOUNT_REGIONS, 0);
	account_hold(&run->kdamonds, NULL, ACCOUNT_KDAMONDS, 0);
}

static int run_charge(struct run *run, struct damon_desc *desc)
{
	struct account *account;
	int r = account_of(run->tree, desc, &account);

	if (!r)
		r = account_hold(&run->kdamonds, account, ACCOUNT_KDAMONDS, 1);
	account_put(account);
	return r ? r : run_hold_regions(run->tree, desc, &run->regions, 0);
}

/* ---- call-backs: of the kdamond's thread ---- */

static void run_on_started(void *argument, int result)
{
	struct run *run = argument;

	run->start_result = result;
	answerer_post(damonfs_of_tree(run->tree)->answerer, &run->start);
}

static void run_on_ended(void *argument)
{
	struct run *run = argument;

	answerer_post(damonfs_of_tree(run->tree)->answerer, &run->end);
}

/* ---- events: of the answerer's ---- */

static void run_started(struct event *event)
{
	struct run *run = container_of(event, struct run, start);

	run->result = run->start_result;
	run->state = run->result ? RUN_FAILED : RUN_ON;
	if (run->result && run->resumed)
		log_error("kdamond.%u, which was on, does not start again: %s", run->number,
			  strerror(-run->result));
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
	deferred_reply_send(on.pending, on.result);
}

/* Ends it for its owner, who may free it from now on; the tree is locked. */
WITH_LOCK(tree_role) static void be_over(struct run *run)
{
	struct damonfs *damonfs = run->tree->owner;

	run->state = RUN_ENDED;
	if (!--damonfs->nr_running)
		damonfs->exclusive = false;
	if (run->ended)
		run->ended(run);
}

/* What is held up by a run that is over. */
struct answers {
	struct held on, off;
};

static struct answers take_answers(struct run *run)
{
	return (struct answers){ .on = take_held(&run->on), .off = take_held(&run->off) };
}

static void send_answers(const struct answers *answers)
{
	deferred_reply_send(answers->on.pending, answers->on.result);
	deferred_reply_send(answers->off.pending, answers->off.result);
}

static void end(struct run *run)
{
	struct tree *tree = run->tree;
	struct damonfs *damonfs = tree->owner;
	struct answers answers;

	tree_lock(tree);
	answerer_take_back(damonfs->answerer, &run->late);
	run_release(run);
	DL_DELETE(damonfs->runs, run);
	if (!run->left)
		be_over(run);
	run->left = false;
	answers = take_answers(run);
	if (run->disowned)
		run_free(run);
	pthread_cond_signal(&damonfs->ended);
	tree_unlock(tree);
	send_answers(&answers);
}

/* ---- one that does not end ---- */

WITH_LOCK(tree_role) static void leave_behind(struct event *event)
{
	struct run *run = container_of(event, struct run, late);

	log_error("kdamond.%u does not stop: a target, perhaps one that is executing a program, "
		  "holds it up in the kernel; it is left behind and ends when it can",
		  run->number);
	run->left = true;
	be_over(run);
}

static void finish_left(struct event *event)
{
	struct run *run = container_of(event, struct run, late);
	struct tree *tree = run->tree;
	struct answers answers;

	tree_lock(tree);
	answers = take_answers(run);
	tree_unlock(tree);
	send_answers(&answers);
}

void run_stop(struct run *run)
{
	struct damonfs *damonfs = run->tree->owner;

	answerer_post_late(damonfs->answerer, &run->late);
	kdamond_stop(run->kdamond);
}

/* From now on it must not be left behind: that event would finish after the run is freed. */
static void run_over(struct event *event)
{
	struct run *run = container_of(event, struct run, end);

	answerer_take_back(damonfs_of_tree(run->tree)->answerer, &run->late);
}

static void finish_ended(struct event *event)
{
	struct run *run = container_of(event, struct run, end);

	/* Its thread may still have commands to answer, which others wait for. */
	kdamond_wait(run->kdamond);
	end(run);
}

/* ---- the errand: opens the processes ---- */

static void go(struct errand *errand)
{
	struct run *run = container_of(errand, struct run, errand);

	run->start_result = run->open(run->desc);
}

static int start_kdamond(struct run *run)
{
	struct damon_callbacks callbacks = { .started = run_on_started,
					     .ended = run_on_ended,
					     .argument = run };
	struct damonfs *damonfs = run->tree->owner;

	/* Both events need the tree's lock, which we hold: the fields may be set later. */
	return kdamond_start(steal_ptr(run->desc), damonfs->method, run->number, damonfs->processes,
			     &callbacks, &run->kdamond);
}

WITH_LOCK(tree_role) static void opened(struct errand *errand)
{
	struct run *run = container_of(errand, struct run, errand);
	struct damonfs *damonfs = run->tree->owner;
	int r = run->start_result;

	/* Debugfs kdamonds run alone; as in the kernel, that is checked last. */
	if (!r && (damonfs->stopping || (damonfs->exclusive && !run->exclusive)))
		r = -EBUSY;
	if (!r)
		r = start_kdamond(run);
	/* From now on the result is the kdamond's. */
	if (!r)
		return;
	run->start_result = r;
	run->desc = damon_desc_free(run->desc);
	run_started(&run->start);
}

static void finish_opened(struct errand *errand)
{
	struct run *run = container_of(errand, struct run, errand);

	if (!run->kdamond)
		end(run);
}

WITH_LOCK(tree_role) static int run_begin(struct run *run)
{
	struct damonfs *damonfs = run->tree->owner;
	int r = damonfs->stopping ? -EBUSY : run_charge(run, run->desc);

	return r ? r : errand_start(run->tree, &run->errand);
}

int run_start(struct tree *tree, struct damon_desc *desc, const struct run *model, struct run **out)
{
	static const struct event start = { .run = run_started, .finish = finish_started };
	static const struct event ended = { .run = run_over, .finish = finish_ended };
	static const struct event late = { .run = leave_behind, .finish = finish_left };
	static const struct errand errand = { .go = go, .done = opened, .finish = finish_opened };
	struct damonfs *damonfs = tree->owner;
	struct run *run = malloc(sizeof(*run));
	int r;

	if (!run) {
		damon_desc_free(desc);
		return -ENOMEM;
	}
	*run = *model;
	run->tree = tree;
	run->state = RUN_STARTING;
	run->start = start;
	run->end = ended;
	run->late = late;
	run->errand = errand;
	run->desc = desc;
	run->number = damonfs->nr_running;
	run->since = clock_ns();
	r = run_begin(run);
	if (r) {
		damon_desc_free(desc);
		run_release(run);
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
	if (run && run->left) {
		run->disowned = true;
		return NULL;
	}
	if (run && run->kdamond)
		kdamond_free(run->kdamond);
	if (run)
		text_clear(&run->kept);
	free(run);
	return NULL;
}

bool runs_are_starting(const struct tree *tree)
{
	const struct run *run;

	DL_FOREACH(damonfs_of_tree(tree)->runs, run)
		if (run->state == RUN_STARTING)
			return true;
	return false;
}

bool runs_stop(struct tree *tree)
{
	struct damonfs *damonfs = tree->owner;
	struct run *run;

	damonfs->stopping = true;
	DL_FOREACH(damonfs->runs, run)
		if (run->kdamond)
			kdamond_stop(run->kdamond);
	return !damonfs->runs && !damonfs->nr_errands;
}

bool runs_stop_all(struct tree *tree, uint64_t until)
{
	struct timespec end = { (time_t)(until / 1000000000), (long)(until % 1000000000) };
	struct damonfs *damonfs = tree->owner;
	bool stopped;
	int r = 0;

	while (!(stopped = runs_stop(tree)) && !r)
		r = pthread_cond_clockwait(&damonfs->ended, &tree->lock, CLOCK_MONOTONIC, &end);
	return stopped;
}
