/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A kdamond: the thread that does what a description (damon.h) says.  It carries out commands
 * (command.h) at the points of its loop where the kernel's would, and answers by call-back.
 */
#ifndef DAMONFS_ENGINE_KDAMOND_H
#define DAMONFS_ENGINE_KDAMOND_H

#include "engine/command.h"

struct kdamond;

struct damon_callbacks {
	/* Called once, when the kdamond's thread has finished, for whatever reason. */
	void (*ended)(void *argument);
	void *argument;
	/* Called once, first, with the result of `on': 0, or -EINVAL if no access method works. */
	void (*started)(void *argument, int result);
	/*
	 * Unless NULL, called at the end of each aggregation, before schemes are applied, with the
	 * NR regions of all targets, as they are in this moment, and the accesses of that
	 * aggregation.  Not called for one that there is no memory for.
	 */
	void (*aggregated)(void *argument, const struct damon_found_region *regions, size_t nr);
};

/*
 * Starts a kdamond named kdamond.NUMBER on DESC, which it owns from now on, even on failure.
 * METHOD names the access method.  If AS_PROCESS, ps shows it as it shows a kdamond of the kernel,
 * otherwise it is a thread (util/task.h).  Call-backs come from it.
 *
 * Return: 0 and *OUT, or a negative errno.
 */
int kdamond_start(struct damon_desc *desc, const char *method, unsigned int number, bool as_process,
		  const struct damon_callbacks *callbacks, struct kdamond **out);

/* Asks the kdamond to end; does not wait.  It may have ended already. */
void kdamond_stop(struct kdamond *kdamond);

/*
 * Hands COMMAND to the kdamond; `done' is called unless this fails.
 * Return: 0, or -EINVAL if the kdamond is ending or has ended.
 */
int kdamond_call(struct kdamond *kdamond, struct damon_command *command);

/* Makes the kdamond report every MS milliseconds from now on; 0: never. */
void kdamond_set_refresh(struct kdamond *kdamond, uint64_t ms);

/*
 * Takes the newest such report, if nobody has yet.
 * Return: whether there is one; then it is in *OUT, for damon_report_clear().
 */
bool kdamond_take_report(struct kdamond *kdamond, struct damon_report *out);

/*
 * What it said of itself last, which it does about once a second if it is awake.
 * Return: 0 and *OUT, for damon_status_clear(), or -ENOMEM.
 */
int kdamond_get_status(struct kdamond *kdamond, struct damon_status *out);

/* The thread id, in our pid namespace. */
pid_t kdamond_tid(struct kdamond *kdamond);

/* Waits for the thread, which then makes no more call-backs.  Short once `ended' was called. */
void kdamond_wait(struct kdamond *kdamond);

/* Frees a kdamond after kdamond_wait(). */
void kdamond_free(struct kdamond *kdamond);

#endif
