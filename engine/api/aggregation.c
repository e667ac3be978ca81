// SPDX-License-Identifier: LGPL-2.1-or-later
/* Who is called at the end of an aggregation, and in whose thread. */
#include <errno.h>
#include <sys/eventfd.h>

#include "engine/api/api.h"

API int damon_on_aggregation(struct damon_ctx *ctx,
			     void (*fn)(const struct damon_snapshot *snapshot, void *data),
			     void *data)
{
	int r = api_enter();

	if (r)
		return r;
	if (atomic_load(&ctx->running))
		return -EBUSY;
	ctx->snapshots.fn = fn;
	ctx->snapshots.data = data;
	return 0;
}

API int damon_fd(struct damon_ctx *ctx)
{
	int r = api_enter();

	if (r)
		return r;
	if (ctx->snapshots.event >= 0)
		return ctx->snapshots.event;
	if (atomic_load(&ctx->running))
		return -EBUSY;
	ctx->snapshots.event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return ctx->snapshots.event < 0 ? -errno : ctx->snapshots.event;
}

API int damon_dispatch(struct damon_ctx *ctx)
{
	struct snapshots *snapshots = &ctx->snapshots;
	eventfd_t count;
	int r = api_enter();

	if (r)
		return r;
	if (snapshots->event < 0)
		return -EINVAL;
	/* That it is empty is no error. */
	(void)eventfd_read(snapshots->event, &count);
	if (!snapshots_take(snapshots) || !snapshots->fn)
		return 0;
	snapshots->fn(&snapshots->taken, snapshots->data);
	return 1;
}
