// SPDX-License-Identifier: GPL-2.0-or-later
/* What may have to wait for somebody else: see errand.h. */
#include <string.h>

#include "fs/damonfs.h"
#include "fs/errand.h"
#include "util/cleanup.h"
#include "util/log.h"

static void *errand_main(void *argument)
{
	struct errand *errand = argument;

	pthread_setname_np(pthread_self(), "errand");
	errand->go(errand);
	answerer_post(damonfs_of_tree(errand->tree)->answerer, &errand->event);
	return NULL;
}

WITH_LOCK(tree_role) static void run_done(struct event *event)
{
	struct errand *errand = container_of(event, struct errand, event);
	struct damonfs *damonfs = errand->tree->owner;

	errand->done(errand);
	damonfs->nr_errands--;
	pthread_cond_signal(&damonfs->ended);
}

static void finish_done(struct event *event)
{
	struct errand *errand = container_of(event, struct errand, event);

	/* It has nothing left to do. */
	pthread_join(errand->thread, NULL);
	errand->finish(errand);
}

int errand_start(struct tree *tree, struct errand *errand)
{
	struct damonfs *damonfs = tree->owner;
	int r;

	errand->tree = tree;
	errand->event = (struct event){ .run = run_done, .finish = finish_done };
	/* `done' needs the lock that we hold: by then errand->thread is set. */
	r = pthread_create(&errand->thread, NULL, errand_main, errand);
	if (!r)
		damonfs->nr_errands++;
	else
		log_error("cannot start a thread to open the targets' processes: %s; raise "
			  "damonfs's limits on processes and memory",
			  strerror(r));
	return -r;
}
