/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Prints the working set size of a process, at rest and by a scheme's counters:  wss PID SECONDS */
#include <inttypes.h>
#include <libdamon.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The working sets of aggregations. */
struct sizes {
	uint64_t bytes[1000];
	size_t nr;
};

static void measure(const struct damon_snapshot *snapshot, void *data)
{
	struct sizes *sizes = data;
	unsigned int accesses;
	uint64_t start, end, bytes = 0;

	if (sizes->nr == sizeof(sizes->bytes) / sizeof(sizes->bytes[0]))
		return;
	for (size_t i = 0; i < damon_snapshot_nr(snapshot); i++) {
		damon_snapshot_region(snapshot, i, NULL, &start, &end, &accesses, NULL);
		if (accesses)
			bytes += end - start;
	}
	sizes->bytes[sizes->nr++] = bytes;
}

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static int fail(const char *what, int r)
{
	fprintf(stderr, "wss: %s: %s\n", what, strerror(-r));
	return 1;
}

/* A scheme that does nothing but count, of what was accessed. */
static int add_counter(struct damon_ctx *ctx, struct damos **scheme)
{
	int r = damos_new(ctx, DAMOS_STAT, scheme);

	return r ? r : damos_set(*scheme, DAMOS_MIN_NR_ACCESSES, 1);
}

int main(int argc, char **argv)
{
	static struct sizes sizes;
	struct damon_target *target;
	struct damon_ctx *ctx;
	struct damos *scheme;
	uint64_t tried = 0, rounds = 0;
	int r;

	if (argc != 3)
		return fail("wss PID SECONDS", 0);
	r = damon_ctx_new(&ctx);
	if (r)
		return fail("damon_ctx_new", r);
	r = damon_new_target_pid(ctx, atoi(argv[1]), &target);
	if (!r)
		r = add_counter(ctx, &scheme);
	if (!r)
		r = damon_on_aggregation(ctx, measure, &sizes);
	if (!r)
		r = damon_start(ctx);
	if (r)
		return fail(argv[1], r);
	sleep((unsigned int)atoi(argv[2]));
	damon_stop(ctx);
	damos_stat(scheme, DAMOS_SZ_TRIED_BYTES, &tried);
	damos_stat(scheme, DAMOS_NR_SNAPSHOTS, &rounds);
	qsort(sizes.bytes, sizes.nr, sizeof(sizes.bytes[0]), compare);
	if (sizes.nr)
		printf("percentile 0 50 100: %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", sizes.bytes[0],
		       sizes.bytes[sizes.nr / 2], sizes.bytes[sizes.nr - 1]);
	if (sizes.nr)
		printf("mean: %" PRIu64 "\n", tried / sizes.nr);
	damon_ctx_destroy(ctx);
	return 0;
}
