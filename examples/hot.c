/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Prints what is hot of a process, about once a second:  hot PID SECONDS */
#include <inttypes.h>
#include <libdamon.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Accessed in half of the 20 sampling intervals of an aggregation, and in those of a second. */
static void show(const struct damon_snapshot *snapshot, void *data)
{
	unsigned int *count = data, accesses;
	uint64_t start, end;

	if (++*count % 10)
		return;
	printf("aggregation %u\n", *count);
	for (size_t i = 0; i < damon_snapshot_nr(snapshot); i++) {
		damon_snapshot_region(snapshot, i, NULL, &start, &end, &accesses, NULL);
		if (accesses >= 10)
			printf("%#" PRIx64 "-%#" PRIx64 " %u\n", start, end, accesses);
	}
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct damon_target *target;
	struct damon_ctx *ctx;
	unsigned int count = 0;
	int r = argc == 3 ? damon_ctx_new(&ctx) : -1;

	if (r || (r = damon_new_target_pid(ctx, atoi(argv[1]), &target)) ||
	    (r = damon_on_aggregation(ctx, show, &count)) || (r = damon_start(ctx)))
		return fprintf(stderr, "hot PID SECONDS: %s\n", strerror(-r)), 1;
	sleep((unsigned int)atoi(argv[2]));
	damon_ctx_destroy(ctx);
	return 0;
}
