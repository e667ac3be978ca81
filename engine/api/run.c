// SPDX-License-Identifier: LGPL-2.1-or-later
/* The kdamond of a context: started, asked, stopped. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "engine/api/api.h"
#include "util/cleanup.h"

/* ---- call-backs, in the kdamond's thread ---- */

static void on_started(void *argument, int result)
{
	struct damon_ctx *ctx = argument;

	ctx->result = result;
	sem_post(&ctx->begun);
}

static void on_aggregated(void *argument, const struct damon_found_region *regions, size_t nr)
{
	struct damon_ctx *ctx = argument;

	snapshots_show(&ctx->snapshots, regions, nr);
}

static void on_ended(void *argument)
{
	struct damon_ctx *ctx = argument;

	atomic_store(&ctx->running, false);
	snapshots_wake(&ctx->snapshots);
}

/* ---- start and stop ---- */

static void wait_for(sem_t *sem)
{
	while (sem_wait(sem))
		;
}

/* Whether the calling thread may wait for the kdamond.  Return: 0 or a negative errno. */
static int may_wait(const struct damon_ctx *ctx)
{
	int r = api_enter();

	if (r)
		return r;
	return ctx->kdamond && kdamond_tid(ctx->kdamond) == gettid() ? -EDEADLK : 0;
}

/* Ranges are in units of addresses. */
static int check_target(const struct damon_desc *desc, const struct damon_target_desc *target)
{
	if (!target->process != (desc->ops == DAMON_OPS_PADDR))
		return -EINVAL;
	return damon_check_ranges(target->ranges, target->nr_ranges,
				  damon_min_sz_region(desc->ops, desc->addr_unit));
}

static int check_goals(const struct damon_desc *desc, const struct damos_quota_desc *quota)
{
	for (size_t i = 0; i < quota->nr_goals; i++)
		if (quota->goals[i].metric == DAMOS_QUOTA_NODE_ELIGIBLE_MEM_BP &&
		    desc->ops != DAMON_OPS_PADDR)
			return -EINVAL;
	return 0;
}

/* The kernel's checks.  Return: 0 and a copy of what was set, or a negative errno. */
static int describe(const struct damon_ctx *ctx, struct damon_desc **out)
{
	const struct damon_desc *desc = ctx->desc;
	int r = desc->nr_targets ? damon_check_desc(desc) : -EINVAL;

	for (size_t i = 0; !r && i < desc->nr_targets; i++)
		r = check_target(desc, &desc->targets[i]);
	for (size_t i = 0; !r && i < desc->nr_schemes; i++)
		r = check_goals(desc, &desc->schemes[i].quota);
	if (r)
		return r;
	*out = damon_desc_copy(desc);
	return *out ? 0 : -ENOMEM;
}

/* Waits until the thread is gone, and frees the kdamond. */
static void reap(struct damon_ctx *ctx)
{
	if (!ctx->kdamond)
		return;
	kdamond_wait(ctx->kdamond);
	kdamond_free(ctx->kdamond);
	ctx->kdamond = NULL;
}

/* Signals are the program's other threads' to take, but for those that an instruction causes. */
static void block_signals(sigset_t *was)
{
	static const int caused[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT };
	sigset_t all;

	sigfillset(&all);
	for (size_t i = 0; i < ARRAY_SIZE(caused); i++)
		sigdelset(&all, caused[i]);
	pthread_sigmask(SIG_SETMASK, &all, was);
}

static int start_kdamond(struct damon_ctx *ctx, struct damon_desc *desc)
{
	/* As the kernel numbers them: all that a process ever had. */
	static atomic_uint next;
	const struct damon_callbacks callbacks = {
		.started = on_started,
		.aggregated = ctx->snapshots.fn ? on_aggregated : NULL,
		.ended = on_ended,
		.argument = ctx,
	};
	sigset_t mask;
	int r;

	atomic_store(&ctx->running, true);
	block_signals(&mask);
	r = kdamond_start(desc, ctx->method, atomic_fetch_add(&next, 1), false, &callbacks,
			  &ctx->kdamond);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	if (r)
		atomic_store(&ctx->running, false);
	return r;
}

API int damon_start(struct damon_ctx *ctx)
{
	struct damon_desc *desc = NULL;
	int r = may_wait(ctx);

	if (r)
		return r;
	if (atomic_load(&ctx->running))
		return -EBUSY;
	reap(ctx);
	r = describe(ctx, &desc);
	if (!r)
		r = start_kdamond(ctx, desc);
	if (r)
		return r;
	wait_for(&ctx->begun);
	r = ctx->result;
	if (r)
		reap(ctx);
	return r;
}

API int damon_stop(struct damon_ctx *ctx)
{
	int r = may_wait(ctx);

	if (r)
		return r;
	if (ctx->kdamond)
		kdamond_stop(ctx->kdamond);
	reap(ctx);
	return 0;
}

API int damon_is_running(const struct damon_ctx *ctx)
{
	int r = api_enter();

	return r ? r : atomic_load(&ctx->running);
}

/* ---- commands ---- */

struct request {
	struct damon_command command; /* first: `done' gets this */
	sem_t done;
};

static void on_done(struct damon_command *command)
{
	sem_post(&((struct request *)command)->done);
}

/* Has the kdamond carry REQUEST out.  Return: its result. */
static int ask(struct damon_ctx *ctx, struct request *request)
{
	int r;

	if (!ctx->kdamond)
		return -ECANCELED;
	request->command.done = on_done;
	sem_init(&request->done, 0, 0);
	r = kdamond_call(ctx->kdamond, &request->command);
	/* It takes none any more. */
	r = r == -EINVAL ? -ECANCELED : r;
	if (!r) {
		wait_for(&request->done);
		r = request->command.error;
	}
	sem_destroy(&request->done);
	return r;
}

API int damon_commit(struct damon_ctx *ctx)
{
	struct request request = { .command.kind = DAMON_COMMIT };
	int r = may_wait(ctx);

	if (!r)
		r = describe(ctx, &request.command.desc);
	if (r)
		return r;
	r = ask(ctx, &request);
	damon_command_clear(&request.command);
	return r;
}

API int damon_call(struct damon_ctx *ctx, int (*fn)(void *data), void *data)
{
	struct request request = { .command = { .kind = DAMON_RUN, .run = fn, .data = data } };
	int r = may_wait(ctx);

	return r ? r : ask(ctx, &request);
}

API int damos_walk(struct damos *scheme,
		   int (*fn)(const struct damos_tried_region *region, void *data), void *data)
{
	struct request request = { .command.kind = DAMON_COLLECT_TRIED };
	const struct damon_command *command = &request.command;
	int r = may_wait(scheme->ctx);

	if (r)
		return r;
	r = ask(scheme->ctx, &request);
	for (size_t i = 0; !r && i < command->nr_tried; i++)
		if (command->tried[i].scheme == scheme->index)
			r = fn(&command->tried[i], data);
	damon_command_clear(&request.command);
	return r;
}

API int damos_tried_fields(const struct damos_tried_region *region, uint64_t *start, uint64_t *end,
			   unsigned int *nr_accesses, unsigned int *age_aggrs,
			   uint64_t *filter_passed_bytes)
{
	if (start)
		*start = region->start;
	if (end)
		*end = region->end;
	if (nr_accesses)
		*nr_accesses = region->nr_accesses;
	if (age_aggrs)
		*age_aggrs = region->age;
	if (filter_passed_bytes)
		*filter_passed_bytes = region->sz_filter_passed;
	return 0;
}
