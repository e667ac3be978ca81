// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Memory is short: each allocation of what the engine does fails once, and then all from there on.
 * What failed says so, nothing is half done, no action reaches what its filter keeps out, and
 * whatever can go on does.  The same of a limit to the number of regions.
 *
 * The linker leads the engine's calls of the allocator here (--wrap, see meson.build), and those of
 * Check: nothing is asserted while they fail.
 */
#include <stdatomic.h>
#include <sys/mman.h>

#include "engine/adaptive.h"
#include "engine/apply.h"
#include "engine/commit.h"
#include "engine/context.h"
#include "engine/filter.h"
#include "engine/operations.h"
#include "engine/region.h"
#include "engine/target.h"
#include "tests/unit/monitor.h"
#include "tests/unit/run.h"

/* ---- an allocator that fails ---- */

static atomic_long countdown; /* to the one that fails; 0: none does */
static atomic_bool for_ever; /* and all after it */
static atomic_bool failed;
static pid_t spared; /* the thread that is not counted; 0: all are */

static bool fails(void)
{
	long left;

	if (!atomic_load(&countdown) || (spared && gettid() == spared))
		return false;
	left = atomic_fetch_sub(&countdown, 1) - 1;
	if (left > 0)
		return false;
	atomic_store(&failed, true);
	/* Never back to zero by itself: that would be the beginning. */
	atomic_store(&countdown, atomic_load(&for_ever) ? 1 : 0);
	return true;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t nr, size_t size);
void *__real_reallocarray(void *old, size_t nr, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t nr, size_t size);
void *__wrap_reallocarray(void *old, size_t nr, size_t size);
char *__wrap_strdup(const char *text);

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t nr, size_t size)
{
	return fails() ? NULL : __real_calloc(nr, size);
}

void *__wrap_reallocarray(void *old, size_t nr, size_t size)
{
	return fails() ? NULL : __real_reallocarray(old, nr, size);
}

char *__wrap_strdup(const char *text)
{
	return fails() ? NULL : __real_strdup(text);
}

/* Allocation number N from now on fails, and if EVER all after it. */
static void fail_at(long n, bool ever)
{
	atomic_store(&failed, false);
	atomic_store(&for_ever, ever);
	atomic_store(&countdown, n);
}

/* Return: whether any has failed. */
static bool no_more_failures(void)
{
	atomic_store(&countdown, 0);
	spared = 0;
	return atomic_load(&failed);
}

/* More than anything here allocates. */
#define MANY 1000

/* ---- descriptions and contexts ---- */

#define SCRIPT                    \
	"map 0x10000000 64M\n"    \
	"map 0x40000000 1M\n"     \
	"map 0x7ffff0000000 1M\n" \
	"access 0 0x7fffffffffff 100%\n"

static void set_ranges(struct damon_target_desc *target, const struct span *spans)
{
	target->nr_ranges = count_spans(spans);
	target->ranges = calloc(target->nr_ranges, sizeof(*target->ranges));
	ck_assert_ptr_nonnull(target->ranges);
	for (size_t i = 0; i < target->nr_ranges; i++)
		target->ranges[i] =
			(struct damon_addr_range){ spans[i].start * P, spans[i].end * P };
}

/* Of everything some. */
static struct damon_desc *new_desc(size_t nr_targets, size_t nr_schemes)
{
	struct damon_desc *desc = damon_desc_new(nr_targets, nr_schemes);

	ck_assert_ptr_nonnull(desc);
	desc->ops = DAMON_OPS_FVADDR;
	desc->attrs = default_attrs;
	for (size_t t = 0; t < nr_targets; t++) {
		ck_assert_int_eq(process_open(getpid(), NULL, &desc->targets[t].process), 0);
		set_ranges(&desc->targets[t], (struct span[]){ { 2, 6 }, { 20, 30 }, { 0 } });
	}
	for (size_t s = 0; s < nr_schemes; s++) {
		struct damos_desc *scheme = &desc->schemes[s];

		scheme->pattern = any_pattern;
		scheme->action = DAMOS_STAT;
		scheme->filters = calloc(2, sizeof(*scheme->filters));
		scheme->quota.goals = calloc(1, sizeof(*scheme->quota.goals));
		scheme->dests = calloc(3, sizeof(*scheme->dests));
		ck_assert(scheme->filters && scheme->quota.goals && scheme->dests);
		scheme->nr_filters = 2;
		scheme->filters[0].type = DAMOS_FILTER_TYPE_YOUNG;
		scheme->quota.nr_goals = 1;
		scheme->nr_dests = 3;
	}
	return desc;
}

START_TEST(a_description_is_copied_as_a_whole_or_not)
{
	struct damon_desc *desc = new_desc(2, 2), *copy;
	long n;

	desc->max_total_regions = 77;
	for (n = 1; n < MANY; n++) {
		fail_at(n, false);
		copy = damon_desc_copy(desc);
		if (!no_more_failures())
			break;
		ck_assert_ptr_null(copy);
	}
	ck_assert_int_gt(n, 10);
	ck_assert_ptr_nonnull(copy);
	ck_assert_uint_eq(copy->max_total_regions, 77);
	damon_desc_free(copy);
	damon_desc_free(desc);
}
END_TEST

static struct access_sessions *open_simulated(void)
{
	struct access_sessions *sessions;
	char name[80];

	snprintf(name, sizeof(name), "simulated:%s", script);
	ck_assert_int_eq(access_sessions_open(name, &sessions), 0);
	return sessions;
}

START_TEST(a_context_is_made_as_a_whole_or_not)
{
	struct access_sessions *sessions = open_simulated();
	struct damon_ctx *ctx = NULL;
	int r = -ENOMEM;
	long n;

	for (n = 1; n < MANY && r; n++) {
		struct damon_desc *desc = new_desc(2, 2);

		fail_at(n, _i);
		r = damon_ctx_new(desc, sessions, &ctx);
		ck_assert_int_eq(r, no_more_failures() ? -ENOMEM : 0);
		damon_desc_free(desc);
	}
	ck_assert_int_gt(n, 8);
	damon_ctx_free(ctx);
	access_sessions_close(sessions);
}
END_TEST

/* ---- commits ---- */

static void assert_same(const struct damon_ctx *ctx, const struct damon_ctx *was,
			const struct damon_target targets[2], const struct damos schemes[2])
{
	ck_assert(!memcmp(ctx, was, sizeof(*ctx)));
	ck_assert(!memcmp(ctx->targets, targets, 2 * sizeof(*targets)));
	ck_assert(!memcmp(ctx->schemes, schemes, 2 * sizeof(*schemes)));
	for (size_t t = 0; t < 2; t++) {
		assert_spans(&ctx->targets[t],
			     (struct span[]){ { 0, 5, 3, 2, 1 }, { 7, 9, 6, 5, 4 }, { 0 } });
		ck_assert(process_exists(ctx->targets[t].process));
	}
	for (size_t s = 0; s < 2; s++)
		ck_assert_int_eq(ctx->schemes[s].desc.filters[0].type, DAMOS_FILTER_TYPE_YOUNG);
}

/* The commit has another process for the first target, and more and other of everything. */
static struct damon_desc *new_commit(pid_t other)
{
	struct damon_desc *desc = new_desc(4, 3);

	process_put(desc->targets[0].process);
	ck_assert_int_eq(process_open(other, NULL, &desc->targets[0].process), 0);
	desc->attrs.ops_update_interval = 1000000;
	for (size_t s = 0; s < 3; s++)
		desc->schemes[s].filters[0].type = DAMOS_FILTER_TYPE_ACTIVE;
	return desc;
}

START_TEST(a_commit_is_carried_out_as_a_whole_or_not)
{
	struct access_sessions *sessions = open_simulated();
	struct damon_desc *desc = new_desc(2, 2);
	struct damon_target targets[2];
	struct damos schemes[2];
	struct damon_ctx *ctx, was;
	pid_t child = start_child();
	int r = -ENOMEM;
	long n;

	ck_assert_int_eq(damon_ctx_new(desc, sessions, &ctx), 0);
	damon_desc_free(desc);
	damon_ctx_start(ctx, 0);
	for (size_t t = 0; t < 2; t++)
		set_spans(&ctx->targets[t],
			  (struct span[]){ { 0, 5, 3, 2, 1 }, { 7, 9, 6, 5, 4 }, { 0 } });
	was = *ctx;
	memcpy(targets, ctx->targets, sizeof(targets));
	memcpy(schemes, ctx->schemes, sizeof(schemes));
	for (n = 1; n < MANY && r; n++) {
		desc = new_commit(child);
		desc->ops = DAMON_OPS_VADDR;
		fail_at(n, _i);
		r = damon_ctx_commit(ctx, desc);
		ck_assert_int_eq(r, no_more_failures() ? -ENOMEM : 0);
		if (r)
			assert_same(ctx, &was, targets, schemes);
		damon_desc_free(desc);
	}
	ck_assert_int_gt(n, 8);
	ck_assert_uint_eq(ctx->nr_targets, 4);
	ck_assert_uint_eq(ctx->nr_schemes, 3);
	ck_assert_int_eq(ctx->targets[0].process->pid, child);
	for (size_t t = 0; t < 2; t++)
		assert_spans(&ctx->targets[t],
			     (struct span[]){ { 2, 6, 3, 2, 1 }, { 20, 30 }, { 0 } });
	assert_bounds(&ctx->targets[3], (struct span[]){ { 2, 6 }, { 20, 30 }, { 0 } });
	damon_ctx_free(ctx);
	access_sessions_close(sessions);
	end_child(child);
}
END_TEST

START_TEST(more_regions_than_there_may_be_are_refused)
{
	struct access_sessions *sessions = open_simulated();
	struct damon_target targets[2];
	struct damos schemes[2];
	struct damon_ctx *ctx = NULL, was;

	for (size_t most = 1; most < 6; most++) {
		struct damon_desc *desc = new_desc(2, 2);

		desc->max_total_regions = most;
		ck_assert_int_eq(damon_ctx_new(desc, sessions, &ctx), most < 4 ? -ENOMEM : 0);
		damon_desc_free(desc);
		if (most == 4)
			ctx = damon_ctx_free(ctx);
	}
	for (size_t t = 0; t < 2; t++)
		set_spans(&ctx->targets[t],
			  (struct span[]){ { 0, 5, 3, 2, 1 }, { 7, 9, 6, 5, 4 }, { 0 } });
	was = *ctx;
	memcpy(targets, ctx->targets, sizeof(targets));
	memcpy(schemes, ctx->schemes, sizeof(schemes));
	for (size_t most = 1; most < 9; most++) {
		struct damon_desc *desc = new_commit(getpid());

		desc->max_total_regions = most;
		was.told_full = true;
		if (most < 8)
			ck_assert_int_eq(damon_ctx_commit(ctx, desc), -ENOMEM);
		if (most < 8)
			assert_same(ctx, &was, targets, schemes);
		else
			ck_assert_int_eq(damon_ctx_commit(ctx, desc), 0);
		damon_desc_free(desc);
	}
	ck_assert_uint_eq(damon_nr_regions(ctx), 8);
	ck_assert_uint_eq(ctx->max_total_regions, 8);
	damon_ctx_free(ctx);
	access_sessions_close(sessions);
}
END_TEST

/* ---- regions ---- */

START_TEST(regions_that_cannot_be_fitted_stay)
{
	static const struct span old[MAX_SPANS] = { { 10, 20, 1, 2, 3 },
						    { 30, 40, 4, 5, 6 },
						    { 0 } };
	struct damon_addr_range ranges[8];
	int r = -ENOMEM;
	long n;

	for (size_t i = 0; i < 8; i++)
		ranges[i] = (struct damon_addr_range){ (i * 10 + 5) * P, (i * 10 + 12) * P };
	for (n = 1; n < MANY && r; n++) {
		struct damon_target target = { 0 };

		set_spans(&target, old);
		fail_at(n, _i);
		r = damon_set_regions(&target, ranges, 8, P, SIZE_MAX);
		ck_assert_int_eq(r, no_more_failures() ? -ENOMEM : 0);
		if (r)
			assert_spans(&target, old);
		else
			ck_assert_int_ge((int)target.nr_regions, 8);
		assert_sound(&target);
		ck_assert_int_eq(damon_set_regions(&target, ranges, 8, P, 7), -ENOSPC);
		damon_target_clear(&target);
	}
	ck_assert_int_gt(n, 2);
}
END_TEST

static void assert_covers(const struct damon_target *target, uint64_t pages)
{
	uint64_t end = 0;

	assert_sound(target);
	for (size_t i = 0; i < target->nr_regions; i++) {
		ck_assert_uint_eq(target->regions[i].start, end);
		end = target->regions[i].end;
	}
	ck_assert_uint_eq(end, pages * P);
}

START_TEST(regions_that_cannot_be_split_stay_whole)
{
	for (long n = 1; n < 12; n++) {
		__attribute__((cleanup(damon_ctx_freep))) struct damon_ctx *ctx =
			new_ctx(DAMON_OPS_VADDR, 3, 0);

		for (size_t t = 0; t < 3; t++)
			set_spans(&ctx->targets[t], (struct span[]){ { 0, 1000 }, { 0 } });
		for (int round = 0; round < 8; round++) {
			fail_at(n, _i);
			damon_split_regions(ctx);
			no_more_failures();
		}
		for (size_t t = 0; t < 3; t++)
			assert_covers(&ctx->targets[t], 1000);
	}
}
END_TEST

START_TEST(regions_are_split_to_no_more_than_there_may_be)
{
	for (size_t most = 1; most < 40; most++) {
		__attribute__((cleanup(damon_ctx_freep))) struct damon_ctx *ctx =
			new_ctx(DAMON_OPS_VADDR, 3, 0);

		ctx->max_total_regions = most;
		for (size_t t = 0; t < 3; t++)
			set_spans(&ctx->targets[t], (struct span[]){ { 0, 1000 }, { 0 } });
		for (int round = 0; round < 20; round++)
			damon_split_regions(ctx);
		ck_assert_uint_le(damon_nr_regions(ctx), max_ul(most, 3));
		ck_assert_uint_gt(damon_nr_regions(ctx), most / 2);
		ck_assert(ctx->told_full);
	}
}
END_TEST

START_TEST(first_regions_are_no_more_than_there_may_be)
{
	static const uint64_t least[] = { 3, 10, 1000, 1UL << 62 };

	for (size_t most = 1; most < 200; most++) {
		RUN(run);

		run_open(&run, SCRIPT, getpid(), DAMON_OPS_VADDR, 0);
		run.ctx->attrs.min_nr_regions = least[_i];
		run.ctx->attrs.max_nr_regions = least[_i] * 2;
		run.ctx->max_total_regions = most;
		run_start(&run);
		ck_assert_uint_le(damon_nr_regions(run.ctx), most);
		/* A target without regions is not seen: if there can be any, there are. */
		ck_assert_int_eq(damon_nr_regions(run.ctx) >= 3, most >= 3);
		for (int i = 0; i < 200; i++)
			run_step(&run, 1);
		ck_assert_uint_le(damon_nr_regions(run.ctx), most);
	}
}
END_TEST

START_TEST(monitoring_starts_and_goes_on_without_memory)
{
	long n;

	for (n = 1; n < 60; n++) {
		RUN(run);

		run_open(&run, SCRIPT, getpid(), DAMON_OPS_VADDR, 2);
		run.ctx->attrs.ops_update_interval = 200000;
		run.now = 1000000;
		fail_at(n, _i);
		damon_ctx_start(run.ctx, run.now);
		for (int i = 0; i < 100; i++) {
			run.now += 5000;
			damon_ctx_step(run.ctx, run.now, 1);
		}
		no_more_failures();
		/* It catches up. */
		for (int i = 0; i < 100; i++)
			run_step(&run, 1);
		ck_assert_uint_ge(damon_nr_regions(run.ctx), 3);
		assert_sound(&run.ctx->targets[0]);
	}
}
END_TEST

/* ---- schemes: closed where they fail ---- */

/* The operations have no argument. */
static struct damon_addr_range allowed;
static uint64_t nr_acted, nr_outside;

static struct page_walk_result act_inside(struct damon_ctx *ctx, struct damon_target *target,
					  const struct damon_region *region,
					  const struct damos *scheme)
{
	(void)ctx;
	(void)target;
	(void)scheme;
	nr_outside += region->start < allowed.start || region->end > allowed.end;
	nr_acted++;
	return (struct page_walk_result){ .applied = damon_sz_region(region) };
}

/* Each part of 2-6 that stays when the filter is asked, for filters that keep it in or all else
 * out. */
static const struct {
	struct span regions[3];
	bool matching, allow;
} closed_vectors[] = {
	{ { { 1, 4 } }, false, false },		{ { { 2, 8 } }, false, false },
	{ { { 0, 10 } }, false, false },	{ { { 0, 4 }, { 4, 9 } }, false, false },
	{ { { 0, 10 } }, true, true },		{ { { 0, 4 }, { 5, 9 } }, true, true },
	{ { { 3, 5 }, { 5, 7 } }, true, true }, { { { 1, 8 } }, false, false },
};

static struct damon_ctx *filtered_ctx(const struct damon_operations *ops, int i)
{
	struct damon_ctx *ctx = new_ctx(DAMON_OPS_VADDR, 1, 1);
	struct damos *scheme = &ctx->schemes[0];

	ctx->ops = ops;
	scheme->desc.action = DAMOS_PAGEOUT;
	scheme->desc.filters = calloc(1, sizeof(*scheme->desc.filters));
	ck_assert_ptr_nonnull(scheme->desc.filters);
	scheme->desc.filters[0] = (struct damos_filter){ .type = DAMOS_FILTER_TYPE_ADDR,
							 .matching = closed_vectors[i].matching,
							 .allow = closed_vectors[i].allow,
							 .addr_range = { 2 * P, 6 * P } };
	scheme->desc.nr_filters = 1;
	damos_set_filter_defaults(scheme);
	set_spans(&ctx->targets[0], closed_vectors[i].regions);
	/* Room is made by doubling: none is left over. */
	ctx->targets[0].room = ctx->targets[0].probe_room = ctx->targets[0].nr_regions;
	allowed = (struct damon_addr_range){ 2 * P, 6 * P };
	nr_acted = nr_outside = 0;
	return ctx;
}

START_TEST(no_action_outside_its_filter_when_memory_is_short)
{
	const struct damon_operations ops = { .apply_scheme = act_inside };
	bool any = true;

	for (long n = 1; any && n < MANY; n++) {
		struct damon_ctx *ctx = filtered_ctx(&ops, _i);

		fail_at(n, true);
		damos_apply_schemes(ctx, 0);
		any = no_more_failures();
		ck_assert_int_eq(any, ctx->told_short);
		/* What was left out has its turn when there is memory. */
		ctx->schemes[0].next_apply = 0;
		nr_acted = 0;
		damos_apply_schemes(ctx, 0);
		ck_assert_uint_gt(nr_acted, 0);
		ck_assert_uint_eq(nr_outside, 0);
		damon_ctx_free(ctx);
	}
	ck_assert(!any);
}
END_TEST

START_TEST(no_action_outside_its_filter_when_there_may_be_no_more_regions)
{
	const struct damon_operations ops = { .apply_scheme = act_inside };

	for (size_t more = 0; more < 3; more++) {
		struct damon_ctx *ctx = filtered_ctx(&ops, _i);
		size_t nr = damon_nr_regions(ctx);

		ctx->max_total_regions = nr + more;
		damos_apply_schemes(ctx, 0);
		ck_assert_uint_eq(nr_outside, 0);
		ck_assert_uint_le(damon_nr_regions(ctx), nr + more);
		damon_ctx_free(ctx);
	}
}
END_TEST

/* No more than the quota: in each window 3 pages. */
START_TEST(no_action_beyond_its_quota_when_memory_is_short)
{
	const struct damon_operations ops = { .apply_scheme = act_inside };

	for (long n = 1; n < 20; n++) {
		__attribute__((cleanup(damon_ctx_freep))) struct damon_ctx *ctx =
			new_ctx(DAMON_OPS_VADDR, 2, 1);
		struct damos *scheme = &ctx->schemes[0];

		ctx->ops = &ops;
		scheme->desc.action = DAMOS_PAGEOUT;
		scheme->quota.desc.sz = 3 * P;
		allowed = (struct damon_addr_range){ 0, UINT64_MAX };
		for (size_t t = 0; t < 2; t++) {
			set_spans(&ctx->targets[t],
				  (struct span[]){ { 0, 10 }, { 10, 17 }, { 0 } });
			ctx->targets[t].room = ctx->targets[t].probe_room = 2;
		}
		for (uint64_t window = 0; window < 10; window++) {
			scheme->next_apply = 0;
			fail_at(n, _i);
			damos_apply_schemes(ctx, window * 1000000);
			no_more_failures();
			ck_assert_uint_le(scheme->quota.charged_sz, 3 * P);
		}
		ck_assert_uint_le(scheme->stat.sz_applied, 10 * 3 * P);
		for (size_t t = 0; t < 2; t++)
			assert_covers(&ctx->targets[t], 17);
	}
}
END_TEST

static bool takes_old(const struct page_info *info, void *argument)
{
	(void)argument;
	return !info->young;
}

static bool takes_young(const struct page_info *info, void *argument)
{
	(void)argument;
	return info->young;
}

/* It cannot be seen whether they are young: neither those that are to be so nor the others pass. */
START_TEST(pages_of_which_it_is_not_known_are_left_alone)
{
	const size_t size = 1 << 20;
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const struct page_filter choice = { .wants_young = true,
					    .match = _i ? takes_young : takes_old };
	struct access_sessions *sessions = NULL;
	struct access_space *space = NULL;
	struct process *self;
	struct page_walk *frames;
	struct page_walk_result result;

	memset(memory, 1, size);
	ck_assert_int_eq(process_open(getpid(), NULL, &self), 0);
	if (geteuid() || access_sessions_open("young", &sessions) ||
	    access_space_open(sessions, self, false, &space)) {
		printf("SKIPPED: MISSING root and the method young\n");
		access_sessions_close(sessions);
		process_put(self);
		return;
	}
	for (long n = 1; n < MANY; n++) {
		ck_assert_int_eq(page_walk_open(space->source, self, &frames), 0);
		fail_at(n, true);
		result = page_walk_apply(frames, PAGE_COUNT, (uintptr_t)memory,
					 (uintptr_t)memory + size, &choice);
		if (!no_more_failures())
			break;
		ck_assert_uint_eq(result.passed, 0);
		page_walk_close(frames);
		memset(memory, 1, size);
	}
	/* Young at first, as they were touched, and old since they were looked at. */
	ck_assert_int_eq(result.passed > size / 2, _i);
	result = page_walk_apply(frames, PAGE_COUNT, (uintptr_t)memory, (uintptr_t)memory + size,
				 &choice);
	ck_assert_int_eq(result.passed > size / 2, !_i);
	page_walk_close(frames);
	access_space_close(space);
	access_sessions_close(sessions);
	process_put(self);
	munmap(memory, size);
}
END_TEST

START_TEST(a_collection_without_memory_fails_and_ends_nothing)
{
	__attribute__((cleanup(damon_ctx_freep))) struct damon_ctx *ctx =
		new_ctx(DAMON_OPS_VADDR, 1, 1);
	struct damon_command command = { .kind = DAMON_COLLECT_TRIED };

	set_spans(&ctx->targets[0], (struct span[]){ { 0, 5 }, { 6, 9 }, { 0 } });
	damos_collect_start(ctx, &command);
	fail_at(1, true);
	damos_apply_schemes(ctx, 0);
	ck_assert(no_more_failures());
	ck_assert(damos_collect_finished(ctx));
	ck_assert_int_eq(command.error, -ENOMEM);
	ck_assert_uint_eq(ctx->schemes[0].stat.nr_tried, 2);
	ctx->collecting = NULL;
	damon_command_clear(&command);
}
END_TEST

/* ---- the thread ---- */

/* Whatever fails in a kdamond's thread while it starts, it says how it went, and ends when told. */
START_TEST(a_kdamond_starts_or_says_why_not)
{
	for (long n = 1; n < 40; n++) {
		struct damon_desc *desc = describe(getpid(), 2);
		struct monitor m;

		desc->ops = _i ? DAMON_OPS_VADDR : DAMON_OPS_FVADDR;
		spared = gettid();
		fail_at(n, false);
		start(&m, desc, 0);
		ck_assert(wait_for(&m, "s") || wait_for(&m, "se"));
		usleep(1000);
		no_more_failures();
		ck_assert(!m.result || m.result == -ENOMEM || m.result == -EINVAL);
		stop(&m, "se");
	}
}
END_TEST

static const enum damon_command_kind kinds[] = { DAMON_COMMIT, DAMON_REPORT, DAMON_COLLECT_TRIED };

START_TEST(a_command_without_memory_is_answered)
{
	struct damon_desc *desc = describe(getpid(), 2);
	struct request request;
	struct monitor m;

	desc->abi = DAMON_ABI(6, 18);
	start(&m, desc, 0);
	ck_assert(wait_for(&m, "s"));
	for (int again = 0; again < 2; again++) {
		request = (struct request){ .monitor = &m };
		request.command.kind = kinds[_i];
		request.command.done = on_done;
		if (kinds[_i] == DAMON_COMMIT) {
			request.command.desc = describe(getpid(), 3);
			request.command.desc->abi = DAMON_ABI(6, 18);
		}
		spared = gettid();
		if (!again)
			fail_at(1, true);
		ck_assert_int_eq(damon_call(m.kdamond, &request.command), 0);
		ck_assert(wait_for(&m, again ? "scc" : "sc"));
		ck_assert_int_eq(no_more_failures(), !again);
		/* It goes on, and the next one works. */
		ck_assert_int_eq(request.command.error, again ? 0 : -ENOMEM);
		damon_command_clear(&request.command);
		fail_at(0, false);
	}
	stop(&m, "scce");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("short");
	TCase *tcase = tcase_create("short");

	tcase_set_timeout(tcase, 6 * PATIENCE_S);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, a_description_is_copied_as_a_whole_or_not);
	/* Each test twice: one allocation fails, or all from there on. */
	tcase_add_loop_test(tcase, a_context_is_made_as_a_whole_or_not, 0, 2);
	tcase_add_loop_test(tcase, a_commit_is_carried_out_as_a_whole_or_not, 0, 2);
	tcase_add_test(tcase, more_regions_than_there_may_be_are_refused);
	tcase_add_loop_test(tcase, regions_that_cannot_be_fitted_stay, 0, 2);
	tcase_add_loop_test(tcase, regions_that_cannot_be_split_stay_whole, 0, 2);
	tcase_add_test(tcase, regions_are_split_to_no_more_than_there_may_be);
	tcase_add_loop_test(tcase, first_regions_are_no_more_than_there_may_be, 0, 4);
	tcase_add_loop_test(tcase, monitoring_starts_and_goes_on_without_memory, 0, 2);
	ADD_VECTORS(tcase, no_action_outside_its_filter_when_memory_is_short, closed_vectors);
	ADD_VECTORS(tcase, no_action_outside_its_filter_when_there_may_be_no_more_regions,
		    closed_vectors);
	tcase_add_loop_test(tcase, no_action_beyond_its_quota_when_memory_is_short, 0, 2);
	tcase_add_loop_test(tcase, pages_of_which_it_is_not_known_are_left_alone, 0, 2);
	tcase_add_test(tcase, a_collection_without_memory_fails_and_ends_nothing);
	tcase_add_loop_test(tcase, a_kdamond_starts_or_says_why_not, 0, 2);
	ADD_VECTORS(tcase, a_command_without_memory_is_answered, kinds);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
