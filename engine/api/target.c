// SPDX-License-Identifier: LGPL-2.1-or-later
/* Targets of a context. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/api/api.h"
#include "util/array.h"
#include "util/cleanup.h"

/* Makes one of PROCESS, which it takes over; NULL: physical memory. */
static int add_target(struct damon_ctx *ctx, struct process *process, struct damon_target **out)
{
	struct damon_desc *desc = ctx->desc;
	size_t nr = desc->nr_targets;
	struct damon_target *target = malloc(sizeof(*target));

	if (!target || array_more(ctx->targets, nr) || array_more(desc->targets, nr)) {
		free(target);
		process_put(process);
		return -ENOMEM;
	}
	desc->targets[nr] = (struct damon_target_desc){ .process = process };
	*target = (struct damon_target){ .ctx = ctx, .index = nr };
	*out = ctx->targets[nr] = target;
	desc->nr_targets++;
	return 0;
}

API int damon_new_target_pid(struct damon_ctx *ctx, pid_t pid, struct damon_target **out)
{
	struct process *process = NULL;
	int r = api_enter();

	if (!r)
		r = pid > 0 ? process_open(pid, NULL, &process) : -ESRCH;
	return r ? r : add_target(ctx, process, out);
}

/* The process of a pidfd, as /proc tells.  Return: its pid; -1 if it is gone, or -EBADF. */
static pid_t pid_of(int fd)
{
	_cleanup_fclose_ FILE *file = NULL;
	char path[64], line[128];
	int pid;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "Pid:\t%d", &pid) == 1)
			return pid;
	return -EBADF;
}

API int damon_new_target_pidfd(struct damon_ctx *ctx, int fd, struct damon_target **out)
{
	struct pollfd ended = { .fd = fd, .events = POLLIN };
	struct process *process = NULL;
	int r = api_enter();
	pid_t pid;

	if (r)
		return r;
	pid = pid_of(fd);
	if (pid == -EBADF)
		return -EBADF;
	r = pid > 0 ? process_open(pid, NULL, &process) : -ESRCH;
	if (r)
		return r;
	/* It is the one that was opened if it still runs, so that nobody else has its number. */
	if (poll(&ended, 1, 0)) {
		process_put(process);
		return -ESRCH;
	}
	return add_target(ctx, process, out);
}

API int damon_new_target_paddr(struct damon_ctx *ctx, struct damon_target **out)
{
	int r = api_enter();

	return r ? r : add_target(ctx, NULL, out);
}

API int damon_target_add_region(struct damon_target *target, uint64_t start, uint64_t end)
{
	struct damon_target_desc *desc;
	int r = api_enter();

	if (r)
		return r;
	desc = target_desc(target);
	if (start >= end || (desc->nr_ranges && desc->ranges[desc->nr_ranges - 1].end > start))
		return -EINVAL;
	r = array_more(desc->ranges, desc->nr_ranges);
	if (!r)
		desc->ranges[desc->nr_ranges++] = (struct damon_addr_range){ start, end };
	return r;
}

/* ---- how it is watched ---- */

static int text_out(const char *text, char *buf, size_t size)
{
	if (!text)
		return -ENODATA;
	if (strlen(text) >= size)
		return -ERANGE;
	strcpy(buf, text);
	return 0;
}

static const char *method_of(const struct damon_target_status *status)
{
	return status->method;
}

static const char *why_of(const struct damon_target_status *status)
{
	return status->why.text;
}

/* Writes what OF says of the target to BUF. */
static int say(const struct damon_target *target,
	       const char *(*of)(const struct damon_target_status *status), char *buf, size_t size)
{
	struct damon_ctx *ctx = target->ctx;
	struct damon_status status = { 0 };
	int r = api_enter();

	if (r)
		return r;
	if (!atomic_load(&ctx->running))
		return -ECANCELED;
	r = kdamond_get_status(ctx->kdamond, &status);
	if (r)
		return r;
	r = target->index < status.nr_targets ?
		    text_out(of(&status.targets[target->index]), buf, size) :
		    -EAGAIN;
	damon_status_clear(&status);
	return r;
}

API int damon_target_method(struct damon_target *target, char *buf, size_t size)
{
	return say(target, method_of, buf, size);
}

API int damon_target_why(struct damon_target *target, char *buf, size_t size)
{
	return say(target, why_of, buf, size);
}
