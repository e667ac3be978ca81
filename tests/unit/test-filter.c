// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Filters that let in and filters that keep out, of regions and of pages; and where pages go
 * (docs/kernel-6.18.md sections 2.5 and 2.8).
 */
#include "engine/context.h"
#include "engine/filter.h"
#include "engine/operations.h"
#include "tests/unit/fixture.h"

#define CTX(name, nr_targets, nr_schemes)                                          \
	__attribute__((cleanup(damon_context_freep))) struct damon_context *name = \
		new_ctx(DAMON_OPS_VADDR, nr_targets, nr_schemes)

#define MAX_FILTERS 4

static void set_filters(struct damos *scheme, const struct damos_filter *filters, size_t nr)
{
	free(scheme->desc.filters);
	scheme->desc.filters = calloc(nr + 1, sizeof(*filters));
	ck_assert_ptr_nonnull(scheme->desc.filters);
	memcpy(scheme->desc.filters, filters, nr * sizeof(*filters));
	scheme->desc.nr_filters = nr;
	damos_set_filter_defaults(scheme);
}

#define ANON(matching_, allow_)                                                        \
	{                                                                              \
		.type = DAMOS_FILTER_TYPE_ANON, .matching = matching_, .allow = allow_ \
	}
#define YOUNG(matching_, allow_)                                                        \
	{                                                                               \
		.type = DAMOS_FILTER_TYPE_YOUNG, .matching = matching_, .allow = allow_ \
	}
#define TARGET(idx, matching_, allow_)                                                      \
	{                                                                                   \
		.type = DAMOS_FILTER_TYPE_TARGET, .target_idx = idx, .matching = matching_, \
		.allow = allow_                                                             \
	}

/* Of the regions of target 0, and of an anonymous page in it, old, and of a young one of a file. */
static const struct {
	size_t nr;
	struct damos_filter filters[MAX_FILTERS];
	bool region, anon, file;
} vectors[] = {
	{ 0, { { 0 } }, true, true, true },
	/* What none matches: the contrary of what the last one does. */
	{ 1, { ANON(true, false) }, true, false, true },
	{ 1, { ANON(true, true) }, true, true, false },
	{ 1, { ANON(false, false) }, true, true, false },
	{ 1, { ANON(false, true) }, true, false, true },
	/* The first that matches decides. */
	{ 2, { ANON(true, false), ANON(true, true) }, true, false, false },
	{ 2, { ANON(true, true), ANON(true, false) }, true, true, true },
	{ 2, { ANON(true, false), YOUNG(true, true) }, true, false, true },
	{ 2, { YOUNG(true, true), ANON(true, true) }, true, true, true },
	{ 2, { YOUNG(true, false), ANON(false, true) }, true, false, false },
	/* Of regions likewise, unless pages are asked for, too. */
	{ 1, { TARGET(0, true, true) }, true, true, true },
	{ 1, { TARGET(0, true, false) }, false, true, true },
	{ 1, { TARGET(1, true, true) }, false, true, true },
	{ 1, { TARGET(1, true, false) }, true, true, true },
	{ 2, { TARGET(1, true, true), ANON(true, false) }, true, false, true },
	{ 2, { TARGET(1, true, false), ANON(true, true) }, true, true, false },
	/* A region that was let in lets all of its pages in. */
	{ 2, { TARGET(0, true, true), ANON(true, false) }, true, true, true },
	{ 2, { ANON(true, false), TARGET(0, true, true) }, true, true, true },
	{ 3,
	  { TARGET(1, true, true), TARGET(0, true, false), ANON(true, true) },
	  false,
	  true,
	  false },
};

START_TEST(the_first_that_matches_decides)
{
	static const struct page_info anon = { .anon = true, .mapped = true, .folio_sz = 4096 };
	static const struct page_info file = { .young = true, .mapped = true, .folio_sz = 4096 };
	CTX(ctx, 1, 1);
	struct damos *scheme = &ctx->schemes[0];

	set_filters(scheme, vectors[_i].filters, vectors[_i].nr);
	set_spans(&ctx->targets[0], (struct span[]){ { 0, 1 }, { 0 } });
	ck_assert_int_eq(!damos_filtered_out(ctx, 0, 0, scheme), vectors[_i].region);
	ck_assert_int_eq(damos_page_passes(scheme, &anon, false), vectors[_i].anon);
	ck_assert_int_eq(damos_page_passes(scheme, &file, false), vectors[_i].file);
}
END_TEST

/* ---- what a page is ---- */

static const struct {
	struct damos_filter filter;
	struct page_info page;
	bool is;
} kind_vectors[] = {
	{ { .type = DAMOS_FILTER_TYPE_ANON }, { .anon = true }, true },
	{ { .type = DAMOS_FILTER_TYPE_ANON }, { .mapped = true }, false },
	{ { .type = DAMOS_FILTER_TYPE_ACTIVE }, { .active = true }, true },
	{ { .type = DAMOS_FILTER_TYPE_ACTIVE }, { .young = true }, false },
	{ { .type = DAMOS_FILTER_TYPE_YOUNG }, { .young = true }, true },
	{ { .type = DAMOS_FILTER_TYPE_YOUNG }, { .active = true }, false },
	{ { .type = DAMOS_FILTER_TYPE_UNMAPPED }, { .anon = true }, true },
	{ { .type = DAMOS_FILTER_TYPE_UNMAPPED }, { .mapped = true }, false },
	{ { .type = DAMOS_FILTER_TYPE_MEMCG, .memcg_id = 7 }, { .memcg_id = 7 }, true },
	{ { .type = DAMOS_FILTER_TYPE_MEMCG, .memcg_id = 7 }, { .memcg_id = 8 }, false },
	{ { .type = DAMOS_FILTER_TYPE_HUGEPAGE_SIZE, .min_sz = 4096, .max_sz = 8192 },
	  { .folio_sz = 4096 },
	  true },
	{ { .type = DAMOS_FILTER_TYPE_HUGEPAGE_SIZE, .min_sz = 4096, .max_sz = 8192 },
	  { .folio_sz = 8192 },
	  true },
	{ { .type = DAMOS_FILTER_TYPE_HUGEPAGE_SIZE, .min_sz = 4096, .max_sz = 8192 },
	  { .folio_sz = 16384 },
	  false },
	{ { .type = DAMOS_FILTER_TYPE_HUGEPAGE_SIZE, .min_sz = 8192, .max_sz = 8192 },
	  { .folio_sz = 4096 },
	  false },
};

START_TEST(kinds_of_pages)
{
	CTX(ctx, 1, 1);
	struct damos_filter filter = kind_vectors[_i].filter;

	for (int m = 0; m < 2; m++) {
		filter.matching = m;
		filter.allow = true;
		set_filters(&ctx->schemes[0], &filter, 1);
		ck_assert_int_eq(damos_page_passes(&ctx->schemes[0], &kind_vectors[_i].page, false),
				 kind_vectors[_i].is == m);
	}
}
END_TEST

/* ---- destinations ---- */

static const struct {
	size_t nr;
	struct damos_dest dests[3];
	int nodes[8]; /* of folios 0, 1, ...; target_nid is 9 */
} dest_vectors[] = {
	{ 0, { { 0 } }, { 9, 9, 9, 9, 9, 9, 9, 9 } },
	{ 2, { { 0, 2 }, { 1, 1 } }, { 0, 0, 1, 0, 0, 1, 0, 0 } },
	{ 1, { { 5, 3 } }, { 5, 5, 5, 5, 5, 5, 5, 5 } },
	{ 3, { { 0, 0 }, { 2, 1 }, { 3, 0 } }, { 2, 2, 2, 2, 2, 2, 2, 2 } },
	{ 2, { { 0, 0 }, { 1, 0 } }, { -1, -1, -1, -1, -1, -1, -1, -1 } },
};

START_TEST(folios_are_spread_by_weight)
{
	struct damos_dest dests[3];
	struct damos_desc desc = { .target_nid = 9, .dests = dests };

	memcpy(dests, dest_vectors[_i].dests, sizeof(dests));
	desc.nr_dests = dest_vectors[_i].nr;
	for (uint64_t i = 0; i < 8; i++)
		ck_assert_int_eq(damos_dest_of(&desc, i), dest_vectors[_i].nodes[i]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("filter");
	TCase *tcase = tcase_create("filter");

	ADD_VECTORS(tcase, the_first_that_matches_decides, vectors);
	ADD_VECTORS(tcase, kinds_of_pages, kind_vectors);
	ADD_VECTORS(tcase, folios_are_spread_by_weight, dest_vectors);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
