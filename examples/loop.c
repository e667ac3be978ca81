/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An event loop without call-backs from other threads: prints how much of a process is hot, until
 * the process ends, or a line comes on stdin:  loop PID
 */
#include <inttypes.h>
#include <libdamon.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void show(const struct damon_snapshot *snapshot, void *data)
{
	uint64_t start, end, hot = 0;
	unsigned int accesses;

	(void)data;
	for (size_t i = 0; i < damon_snapshot_nr(snapshot); i++) {
		damon_snapshot_region(snapshot, i, NULL, &start, &end, &accesses, NULL);
		if (accesses >= 10)
			hot += end - start;
	}
	printf("%" PRIu64 " bytes of %zu regions are hot\n", hot, damon_snapshot_nr(snapshot));
	fflush(stdout);
}

static int start(struct damon_ctx *ctx, const char *pid)
{
	struct damon_target *target;
	int r = damon_new_target_pid(ctx, atoi(pid), &target);

	if (!r)
		r = damon_on_aggregation(ctx, show, NULL);
	if (!r)
		r = damon_fd(ctx);
	return r < 0 ? r : damon_start(ctx);
}

int main(int argc, char **argv)
{
	struct pollfd files[2] = { { .events = POLLIN }, { .fd = 0, .events = POLLIN } };
	struct damon_ctx *ctx;
	int r = argc == 2 ? damon_ctx_new(&ctx) : -1;

	if (!r)
		r = start(ctx, argv[1]);
	if (r) {
		fprintf(stderr, "loop PID: %s\n", strerror(-r));
		return 1;
	}
	files[0].fd = damon_fd(ctx);
	while (damon_is_running(ctx) && poll(files, 2, -1) > 0 && !files[1].revents)
		damon_dispatch(ctx);
	puts(damon_is_running(ctx) ? "stopped" : "it has ended");
	damon_ctx_destroy(ctx);
	return 0;
}
