// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A kdamond: the worker thread of a context.
 *
 * The context belongs to the thread alone.  Others put commands into the mailbox; the thread
 * carries them out while it sleeps between two samples, except DAMON_COMMIT, which waits for the
 * end of an aggregation, or since Linux 6.15 of the sampling interval.
 * Deadlines are absolute, but prepared regions get their time before they are checked: a round that
 * takes too long delays the next one.  Missed intervals count with the answers of the late round,
 * so that an aggregation always spans its time; but time in which the thread stood still is left
 * out, as its answers say nothing of single intervals.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "engine/abi.h"
#include "engine/apply.h"
#include "engine/commit.h"
#include "engine/context.h"
#include "engine/found.h"
#include "engine/kdamond.h"
#include "engine/mailbox.h"
#include "engine/region.h"
#include "engine/report.h"
#include "engine/sampling.h"
#include "engine/schedule.h"
#include "engine/status.h"
#include "engine/unattended.h"
#include "engine/watermark.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/macros.h"
#include "util/saturate.h"
#include "util/stop.h"
#include "util/task.h"

/* How often a kdamond says how it does. */
#define STATUS_US 1000000

struct kdamond {
	struct task task;
	char name[16];
	char *method;
	struct damon_desc *desc; /* the thread's once it runs */
	struct damon_callbacks callbacks;
	struct mailbox mailbox;
	atomic_int tid;
	atomic_bool stopping;
	_Atomic uint64_t refresh_ms;

	/* The thread's: */
	struct access_sessions *sessions;
	struct damon_command *failed; /* answered when the thread has ended */
	struct damon_found_region *regions; /* for callbacks.aggregated */
	size_t room_regions;
	/* Room for the next ones: others wait for the mailbox. */
	struct damon_report reporting;
	struct damon_status telling;
	uint64_t next_refresh, next_status; /* us */
};

/* Makes a report every refresh_ms, for whoever takes it. */
static void kdamond_refresh(struct kdamond *k, const struct damon_context *ctx, uint64_t now)
{
	uint64_t ms = atomic_load_explicit(&k->refresh_ms, memory_order_relaxed);

	if (!ms || now < k->next_refresh)
		return;
	k->next_refresh = add_sat(now, mul_sat(ms, 1000));
	if (damon_report_fill(&k->reporting, ctx))
		mailbox_drop_report(&k->mailbox);
	else
		mailbox_leave_report(&k->mailbox, &k->reporting);
}

/* Says how it does, if it has not for a while. */
static void kdamond_tell(struct kdamond *k, const struct damon_context *ctx, uint64_t now)
{
	if (now < k->next_status)
		return;
	k->next_status = add_sat(now, STATUS_US);
	if (damon_status_fill(&k->telling, ctx, now)) {
		log_debug("%s: no memory for its status", k->name);
		return;
	}
	mailbox_leave_status(&k->mailbox, &k->telling);
}

static int kdamond_commit(struct damon_context *ctx, struct damon_command *command)
{
	if (!command->desc)
		return command->error;
	return damon_context_commit(ctx, command->desc);
}

/* Return: 0, 1 if the command goes on, or a negative errno. */
static int carry_out(struct damon_context *ctx, struct damon_command *command)
{
	switch (command->kind) {
	case DAMON_COMMIT:
		return kdamond_commit(ctx, command);
	case DAMON_COMMIT_QUOTA_GOALS:
		return damos_commit_goals(ctx, command->desc);
	case DAMON_RUN:
		command->error = command->run(command->data);
		return 0;
	case DAMON_REPORT:
		return damon_report_fill(&command->report, ctx);
	case DAMON_COLLECT_TRIED:
		damos_collect_start(ctx, command);
		return 1;
	}
	return -EINVAL;
}

/* Whether the kdamond survives a failed command: since Linux 6.14. */
static bool survives(const struct damon_context *ctx)
{
	return abi_reports_command_errors(ctx->abi) && !ctx->stranded;
}

/* Carries COMMAND out.  Return: 0, or the negative errno that ends the kdamond. */
static int handle_command(struct kdamond *k, struct damon_context *ctx,
			  struct damon_command *command)
{
	int r = carry_out(ctx, command);

	if (r < 0)
		command->error = r;
	if (r < 0 && !survives(ctx)) {
		log_info("%s: ends because a command failed: %s", k->name, strerror(-r));
		k->failed = command;
		return r;
	}
	/* A commit outdates the last report. */
	if (!r && command->kind == DAMON_COMMIT)
		mailbox_drop_report(&k->mailbox);
	if (r <= 0)
		command->done(command);
	return 0;
}

/* Carries out what is in the mailbox.  Return: 0 or the negative errno of what failed. */
static int handle_commands(struct kdamond *k, struct damon_context *ctx, bool commits)
{
	int r = 0;

	while (!r) {
		struct damon_command *command =
			mailbox_take(&k->mailbox, commits, !ctx->collecting);

		if (command) {
			r = handle_command(k, ctx, command);
			continue;
		}
		if (!ctx->collecting || !damos_collect_finished(ctx))
			return 0;
		/* Another one may have waited for it. */
		command = steal_ptr(ctx->collecting);
		if (command->wants_found)
			damon_found_fill(ctx, command);
		command->done(command);
	}
	return r;
}

/* Shows the regions to whoever wants to see them after each aggregation. */
static void show_regions(struct kdamond *k, const struct damon_context *ctx)
{
	size_t nr = damon_nr_regions(ctx);

	if (nr > k->room_regions) {
		struct damon_found_region *more =
			reallocarray(k->regions, 2 * nr, sizeof(*k->regions));

		if (!more) {
			log_info("%s: no memory to show its regions", k->name);
			return;
		}
		k->regions = more;
		k->room_regions = 2 * nr;
	}
	k->callbacks.aggregated(k->callbacks.argument, k->regions,
				damon_found_list(ctx, true, k->regions));
}

static int after_merge(struct damon_context *ctx, void *argument)
{
	struct kdamond *k = argument;

	if (k->callbacks.aggregated)
		show_regions(k, ctx);
	return abi_commits_at_any_time(ctx->abi) ? 0 : handle_commands(k, ctx, true);
}

/* As poll() on NR FILES, until DEADLINE (us). */
static int poll_until(struct pollfd *files, nfds_t nr, uint64_t deadline)
{
	uint64_t now = clock_us(), left = deadline > now ? deadline - now : 0;
	struct timespec timeout = { (time_t)(left / 1000000), (long)(left % 1000000) * 1000 };

	task_stay_bound();
	return ppoll(files, nr, &timeout, NULL);
}

/* Sleeps until DEADLINE, or until asked to stop; carries out commands meanwhile. */
static int sleep_until(struct kdamond *k, struct damon_context *ctx, uint64_t deadline,
		       bool commits)
{
	struct pollfd mail = { .fd = k->mailbox.event, .events = POLLIN };

	while (!atomic_load(&k->stopping)) {
		uint64_t count;
		int r;

		if (poll_until(&mail, 1, deadline) <= 0) {
			if (clock_us() >= deadline)
				return 0;
			continue;
		}
		if (read(k->mailbox.event, &count, sizeof(count)) < 0 && errno != EAGAIN &&
		    errno != EINTR)
			return -errno;
		r = handle_commands(k, ctx, commits);
		if (r)
			return r;
	}
	return 0;
}

/* Rests for REST us, as no scheme is active, or it is paused. */
static int pause_for(struct kdamond *k, struct damon_context *ctx, uint64_t rest,
		     const struct schedule *schedule)
{
	int r;

	ctx->prepared = false;
	r = handle_commands(k, ctx, true);
	if (r)
		return r;
	return sleep_until(k, ctx, add_sat(clock_us(), schedule_rest(schedule, rest)), true);
}

/* Carries out the commands that had to wait while it slept. */
static int handle_rest(struct kdamond *k, struct damon_context *ctx)
{
	bool commits = abi_commits_at_any_time(ctx->abi) &&
		       atomic_exchange(&k->mailbox.commit_waits, false);

	if (!commits && !ctx->collecting)
		return 0;
	/* A commit may bring other regions. */
	if (commits)
		ctx->prepared = false;
	return handle_commands(k, ctx, commits);
}

/* Whether there is a command that has to wait for the end of a sampling interval. */
static bool command_waits(struct kdamond *k, const struct damon_context *ctx)
{
	return ctx->collecting ||
	       (abi_commits_at_any_time(ctx->abi) && atomic_load(&k->mailbox.commit_waits));
}

/* Logs that nothing was sampled for US. */
static void tell_missed(const struct kdamond *k, struct damon_context *ctx, uint64_t us)
{
	ctx->missed += us / schedule_step(ctx);
	log_info("%s: took no samples for %.1f s (%" PRIu64
		 " intervals): it was stopped, or the machine or its own work was slow",
		 k->name, (double)us / 1e6, us / schedule_step(ctx));
}

/* Whether it awoke so long after DUE, at NOW, that it begins anew: see schedule_stood_still(). */
static bool stood_still(const struct kdamond *k, struct damon_context *ctx,
			struct schedule *schedule, uint64_t due, uint64_t now)
{
	uint64_t late = schedule_stood_still(schedule, ctx, due, now);

	if (!late)
		return false;
	ctx->prepared = false;
	tell_missed(k, ctx, late);
	return true;
}

/* The regions are prepared, by work that began at BEGAN. */
static void note_prepared(const struct kdamond *k, struct damon_context *ctx,
			  struct schedule *schedule, uint64_t began)
{
	schedule->prepared = clock_us();
	if (schedule_is_standstill(ctx, schedule->prepared - began))
		tell_missed(k, ctx, schedule->prepared - began);
}

/*
 * Sleeps through the sampling intervals that need no worker, if there are any.  Return: how many.
 */
static uint64_t doze(struct kdamond *k, struct damon_context *ctx, struct schedule *schedule)
{
	struct pollfd files[] = { { .fd = k->mailbox.event, .events = POLLIN },
				  { .events = POLLIN } };
	uint64_t step = schedule_step(ctx), until, rounds, refresh = UINT64_MAX;

	if (atomic_load(&k->refresh_ms))
		refresh = k->next_refresh;
	/* Not for a single round. */
	if (command_waits(k, ctx) || schedule_is_behind(schedule, ctx) ||
	    refresh < add_sat(schedule->deadline, mul_sat(2, step)))
		return 0;
	rounds = damon_leave_rounds(ctx, schedule->deadline, schedule_next_look(ctx, schedule),
				    &files[1].fd);
	if (!rounds)
		return 0;
	/* Awake again for the interval after them. */
	until = add_sat(schedule->deadline, mul_sat(rounds + 1, step));
	/* A signal or an error is mail, too: whoever reads it finds out. */
	poll_until(files, ARRAY_SIZE(files), min_ul(until, refresh));
	schedule->began = clock_us();
	rounds = damon_resume_rounds(ctx, schedule->began, &schedule->prepared);
	schedule->deadline = add_sat(schedule->deadline, mul_sat(rounds, step));
	schedule->stood_still = schedule->stood_still && !rounds;
	stood_still(k, ctx, schedule, add_sat(schedule->deadline, step), schedule->began);
	return rounds;
}

/* Runs one sampling interval, or all those before the next one in which something is due. */
static int sample_once(struct kdamond *k, struct damon_context *ctx, struct schedule *schedule)
{
	uint64_t due, missed;
	int r;

	if (!ctx->prepared) {
		uint64_t now = clock_us();

		damon_sample(ctx, ACCESS_PREPARE, now, 1);
		note_prepared(k, ctx, schedule, now);
	}
	ctx->prepared = true;
	if (doze(k, ctx, schedule) || !ctx->prepared)
		return 0;
	due = schedule_next_look(ctx, schedule);
	r = sleep_until(k, ctx, due, false);
	if (r || atomic_load(&k->stopping) || stood_still(k, ctx, schedule, due, clock_us()))
		return r;
	schedule->deadline = add_sat(schedule->deadline, schedule_step(ctx));
	schedule->began = clock_us();
	missed = schedule_skip_missed(schedule, ctx, schedule->began);
	ctx->missed += missed;
	r = damon_context_step(ctx, schedule->began, 1 + missed);
	note_prepared(k, ctx, schedule, schedule->began);
	return r ? r : handle_rest(k, ctx);
}

static int monitor(struct kdamond *k, struct damon_context *ctx)
{
	struct schedule schedule = { .deadline = clock_us() };
	int r = 0;

	damon_context_start(ctx, schedule.deadline);
	k->next_refresh = add_sat(schedule.deadline, mul_sat(atomic_load(&k->refresh_ms), 1000));
	schedule.began = schedule.prepared = clock_us();
	while (!r && !atomic_load(&k->stopping) && damon_context_valid(ctx)) {
		uint64_t rest = ctx->paused ? schedule_step(ctx) : damos_check_watermarks(ctx);

		if (rest) {
			r = pause_for(k, ctx, rest, &schedule);
			schedule.deadline = schedule.began = clock_us();
		} else {
			r = sample_once(k, ctx, &schedule);
		}
		kdamond_refresh(k, ctx, schedule.began);
		kdamond_tell(k, ctx, schedule.began);
	}
	return r;
}

/* Answers everything that is still waiting. */
static void answer_all(struct kdamond *k)
{
	struct damon_command *command;

	mailbox_close(&k->mailbox);
	k->callbacks.ended(k->callbacks.argument);
	if (k->failed)
		k->failed->done(k->failed);
	while ((command = mailbox_take(&k->mailbox, true, true))) {
		command->error = -ECANCELED;
		command->done(command);
	}
}

static int kdamond_become(const struct kdamond *k, const struct caller *caller)
{
	int r = caller_become(caller);

	if (r)
		log_error("%s: cannot work on behalf of user %u: %s; start damonfs as root",
			  k->name, caller->uid, strerror(-r));
	return r;
}

static void kdamond_main(void *argument)
{
	struct kdamond *k = argument;
	struct damon_context *ctx = NULL;
	struct damon_command *collecting = NULL;
	int r;

	prctl(PR_SET_NAME, k->name);
	/* The default slack of 50 us is one in a hundred of the default sampling interval. */
	prctl(PR_SET_TIMERSLACK, 1000UL);
	stop_listen(&k->stopping);
	atomic_store(&k->tid, gettid());
	/* Methods are opened as the daemon; what they are used on, in the caller's name. */
	caller_become(NULL);
	r = access_sessions_open(k->method, &k->sessions);
	/* `on' fails as it does for operations that are not available. */
	if (r && !access_is_fatal(r))
		r = -EINVAL;
	if (!r)
		r = kdamond_become(k, k->desc->caller);
	if (!r)
		r = damon_context_new(k->desc, k->sessions, &ctx);
	if (access_is_fatal(r) && r != -ECANCELED)
		log_error("%s: cannot start: %s", k->name, strerror(-r));
	k->desc = damon_desc_free(k->desc);
	k->callbacks.started(k->callbacks.argument, r);
	if (!r) {
		ctx->after_merge = after_merge;
		ctx->argument = k;
		r = monitor(k, ctx);
		collecting = steal_ptr(ctx->collecting);
		if (r && !k->failed)
			log_error("%s: ends on an error: %s", k->name, strerror(-r));
		else
			log_debug("%s: ends", k->name);
	}
	damon_context_free(ctx);
	access_sessions_close(k->sessions);
	answer_all(k);
	if (collecting) {
		collecting->error = -ECANCELED;
		collecting->done(collecting);
	}
}

void kdamond_free(struct kdamond *k)
{
	mailbox_clear(&k->mailbox);
	damon_desc_free(k->desc);
	damon_report_clear(&k->reporting);
	damon_status_clear(&k->telling);
	free(k->regions);
	free(k->method);
	free(k);
}

/* Return: a kdamond that does not run yet, or NULL after saying why. */
static struct kdamond *kdamond_new(struct damon_desc *desc, const char *method, unsigned int number,
				   const struct damon_callbacks *callbacks)
{
	struct kdamond *k = calloc(1, sizeof(*k));
	int r = k ? mailbox_init(&k->mailbox) : -ENOMEM;

	if (r) {
		log_error("kdamond.%u: cannot start: %s", number, strerror(-r));
		damon_desc_free(desc);
		free(k);
		return NULL;
	}
	k->desc = desc;
	k->callbacks = *callbacks;
	snprintf(k->name, sizeof(k->name), "kdamond.%u", number % 1000000);
	k->method = strdup(method);
	if (k->method)
		return k;
	log_error("%s: cannot start: %s", k->name, strerror(ENOMEM));
	kdamond_free(k);
	return NULL;
}

int kdamond_start(struct damon_desc *desc, const char *method, unsigned int number, bool as_process,
		  const struct damon_callbacks *callbacks, struct kdamond **out)
{
	struct kdamond *k = kdamond_new(desc, method, number, callbacks);
	int r;

	if (!k)
		return -ENOMEM;
	/* The thread may use it before this returns. */
	*out = k;
	r = as_process ? access_start_shared() : 0;
	if (!r)
		r = task_start(&k->task, as_process, kdamond_main, k);
	if (!r)
		return 0;
	log_error("%s: cannot start its thread: %s; raise damonfs's limits on processes and memory",
		  k->name, strerror(-r));
	kdamond_free(k);
	*out = NULL;
	return r;
}

void kdamond_stop(struct kdamond *k)
{
	atomic_store(&k->stopping, true);
	mailbox_wake(&k->mailbox, k->name);
}

int kdamond_call(struct kdamond *k, struct damon_command *command)
{
	int r = mailbox_put(&k->mailbox, command);

	if (!r)
		mailbox_wake(&k->mailbox, k->name);
	return r;
}

void kdamond_set_refresh(struct kdamond *k, uint64_t ms)
{
	atomic_store(&k->refresh_ms, ms);
	/* It may sleep for longer than that. */
	mailbox_wake(&k->mailbox, k->name);
}

bool kdamond_take_report(struct kdamond *k, struct damon_report *out)
{
	return mailbox_take_report(&k->mailbox, out);
}

int kdamond_get_status(struct kdamond *k, struct damon_status *out)
{
	return mailbox_read_status(&k->mailbox, out);
}

pid_t kdamond_tid(struct kdamond *k)
{
	return atomic_load(&k->tid);
}

void kdamond_wait(struct kdamond *k)
{
	task_join(&k->task);
}
