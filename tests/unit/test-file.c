// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the files hold: the values of fresh directories, every format of text that is taken or
 * refused, the keywords of each kernel, and what `state' says of a kdamond that does not run
 * (docs/abi/sysfs.md sections 2, 5, 6 and 14).
 */
#include "tests/unit/tree.h"

static const struct {
	const char *path, *text;
} fresh_vectors[] = {
	{ "admin/kdamonds/nr_kdamonds", "1\n" },
	{ K "state", "off\n" },
	{ K "pid", "-1\n" },
	{ K "contexts/nr_contexts", "1\n" },
	{ C "avail_operations", "vaddr\nfvaddr\npaddr\n" },
	{ C "operations", "vaddr\n" },
	{ C "addr_unit", "1\n" },
	{ K "refresh_ms", "0\n" },
	{ C "monitoring_attrs/intervals/intervals_goal/access_bp", "0\n" },
	{ C "monitoring_attrs/intervals/intervals_goal/max_sample_us", "0\n" },
	{ C "monitoring_attrs/intervals/sample_us", "5000\n" },
	{ C "monitoring_attrs/intervals/aggr_us", "100000\n" },
	{ C "monitoring_attrs/intervals/update_us", "60000000\n" },
	{ C "monitoring_attrs/nr_regions/min", "10\n" },
	{ C "monitoring_attrs/nr_regions/max", "1000\n" },
	{ T "pid_target", "0\n" },
	{ R "start", "0\n" },
	{ R "end", "0\n" },
	{ S "action", "stat\n" },
	{ S "apply_interval_us", "0\n" },
	{ S "target_nid", "-1\n" },
	{ S "access_pattern/sz/max", "0\n" },
	{ S "access_pattern/nr_accesses/max", "0\n" },
	{ S "access_pattern/age/max", "0\n" },
	{ S "quotas/ms", "0\n" },
	{ S "quotas/effective_bytes", "0\n" },
	{ S "quotas/weights/age_permil", "0\n" },
	{ S "quotas/goals/nr_goals", "1\n" },
	{ G "target_metric", "user_input\n" },
	{ G "target_value", "0\n" },
	{ G "current_value", "0\n" },
	{ S "watermarks/metric", "none\n" },
	{ S "watermarks/high", "0\n" },
	{ F "type", "anon\n" },
	{ F "matching", "N\n" },
	{ F "memcg_path", "\n" },
	{ F "addr_start", "0\n" },
	{ F "damon_target_idx", "0\n" },
	{ F "allow", "N\n" },
	{ F "max", "0\n" },
	{ CF "type", "anon\n" }, /* though it cannot be written there */
	{ OF "type", "anon\n" },
	{ D "id", "0\n" },
	{ D "weight", "0\n" },
	{ G "nid", "0\n" },
	{ S "stats/sz_ops_filter_passed", "0\n" },
	{ S "stats/nr_tried", "0\n" },
	{ S "tried_regions/total_bytes", "0\n" },
};

START_TEST(fresh_directories_hold_the_defaults)
{
	TREE(tree, DAMON_ABI(6, 18));

	populate(tree);
	assert_shows(tree, fresh_vectors[_i].path, fresh_vectors[_i].text);
}
END_TEST

#define SAMPLE C "monitoring_attrs/intervals/sample_us"
#define WEIGHT S "quotas/weights/sz_permil"

/* From a value that is not the default, so that a refused text is seen to change nothing. */
static const struct {
	const char *path, *before, *text;
	int result;
	const char *after;
} store_vectors[] = {
	{ SAMPLE, "7", "010\n", 0, "8\n" },
	{ SAMPLE, "7", "0x10", 0, "16\n" },
	{ SAMPLE, "7", "+5", 0, "5\n" },
	{ SAMPLE, "7", "18446744073709551615", 0, "18446744073709551615\n" },
	{ SAMPLE, "7", "18446744073709551616", -ERANGE, "7\n" },
	{ SAMPLE, "7", "-1", -EINVAL, "7\n" },
	{ SAMPLE, "7", "", -EINVAL, "7\n" },
	{ SAMPLE, "7", "5\n\n", -EINVAL, "7\n" },
	{ SAMPLE, "7", "1k", -EINVAL, "7\n" },
	/* Here what is out of range is merely invalid. */
	{ S "quotas/ms", "7", "18446744073709551616", -EINVAL, "7\n" },
	{ S "quotas/bytes", "7", "18446744073709551616", -EINVAL, "7\n" },
	{ S "quotas/bytes", "7", "18446744073709551615", 0, "18446744073709551615\n" },
	{ S "quotas/reset_interval_ms", "7", "18446744073709551616", -EINVAL, "7\n" },
	{ T "pid_target", "7", "2147483648", -EINVAL, "7\n" },
	{ T "pid_target", "7", "-2147483649", -EINVAL, "7\n" },
	{ T "pid_target", "7", "2147483647", 0, "2147483647\n" },
	{ T "pid_target", "7", "-5\n", 0, "-5\n" },
	{ T "pid_target", "7", "x", -EINVAL, "7\n" },
	/* 32 bits. */
	{ WEIGHT, "7", "4294967295", 0, "4294967295\n" },
	{ WEIGHT, "7", "4294967296", -ERANGE, "7\n" },
	{ WEIGHT, "7", "-1", -EINVAL, "7\n" },
	{ S "target_nid", "7", "-2147483648", 0, "-2147483648\n" },
	{ S "target_nid", "7", "2147483648", -ERANGE, "7\n" },
	{ F "damon_target_idx", "7", "-1", 0, "-1\n" },
	{ F "damon_target_idx", "7", "-2147483649", -ERANGE, "7\n" },
	/* Words. */
	{ S "action", "cold", "pageout\n", 0, "pageout\n" },
	{ S "action", "cold", "Pageout", -EINVAL, "cold\n" },
	{ S "action", "cold", "pageout\n\n", -EINVAL, "cold\n" },
	{ S "action", "cold", "", -EINVAL, "cold\n" },
	{ C "operations", "fvaddr", "paddr", 0, "paddr\n" },
	{ C "operations", "fvaddr", "vaddr ", -EINVAL, "fvaddr\n" },
	{ F "type", "addr", "foo", -EINVAL, "addr\n" },
	{ S "watermarks/metric", "free_mem_rate", "none", 0, "none\n" },
	{ S "watermarks/metric", "free_mem_rate", "no", -EINVAL, "free_mem_rate\n" },
	{ G "target_metric", "some_mem_psi_us", "user_input\n", 0, "user_input\n" },
	/* Flags. */
	{ F "matching", "n", "yes", 0, "Y\n" },
	{ F "matching", "y", "off", 0, "N\n" },
	{ F "matching", "y", "maybe", -EINVAL, "Y\n" },
	{ F "matching", "n", "", -EINVAL, "N\n" },
	/* Text, with its newline. */
	{ F "memcg_path", "/x", "/a\n", 0, "/a\n\n" },
	{ F "memcg_path", "/x", "", 0, "\n" },
	{ F "memcg_path", "/x", "a b\tc", 0, "a b\tc\n" },
	/* Nothing is checked against other files. */
	{ C "monitoring_attrs/nr_regions/min", "7", "2", 0, "2\n" },
	{ C "monitoring_attrs/nr_regions/min", "7", "99999", 0, "99999\n" },
	{ S "access_pattern/nr_accesses/max", "7", "4294967296", 0, "4294967296\n" },
	/* Of Linux 6.18. */
	{ K "refresh_ms", "7", "4294967295", 0, "4294967295\n" },
	{ K "refresh_ms", "7", "4294967296", -ERANGE, "7\n" },
	{ K "refresh_ms", "7", "-1", -EINVAL, "7\n" },
	{ C "addr_unit", "7", "0", -EINVAL, "7\n" },
	{ C "addr_unit", "7", "3", 0, "3\n" },
	{ C "addr_unit", "7", "18446744073709551616", -ERANGE, "7\n" },
	{ D "id", "7", "-1", -EINVAL, "7\n" },
	{ D "weight", "7", "4294967296", -ERANGE, "7\n" },
	{ G "nid", "7", "-1", 0, "-1\n" },
	{ OF "allow", "n", "1", 0, "Y\n" },
	{ OF "min", "7", "18446744073709551615", 0, "18446744073709551615\n" },
	{ OF "type", "young", "addr", -EINVAL, "young\n" },
	{ OF "type", "young", "unmapped", 0, "unmapped\n" },
	{ CF "type", "addr", "anon", -EINVAL, "addr\n" },
	{ CF "type", "addr", "target\n", 0, "target\n" },
};

START_TEST(stored_text_is_taken_or_changes_nothing)
{
	TREE(tree, DAMON_ABI(6, 18));

	populate(tree);
	ck_assert_int_eq(store(tree, store_vectors[_i].path, store_vectors[_i].before), 0);
	ck_assert_int_eq(store(tree, store_vectors[_i].path, store_vectors[_i].text),
			 store_vectors[_i].result);
	assert_shows(tree, store_vectors[_i].path, store_vectors[_i].after);
}
END_TEST

static const struct {
	const char *path, *word;
	unsigned int since; /* minor of Linux 6 */
} word_vectors[] = {
	{ S "action", "willneed", 1 },
	{ S "action", "cold", 1 },
	{ S "action", "pageout", 1 },
	{ S "action", "hugepage", 1 },
	{ S "action", "nohugepage", 1 },
	{ S "action", "lru_prio", 1 },
	{ S "action", "lru_deprio", 1 },
	{ S "action", "stat", 1 },
	{ S "action", "migrate_hot", 11 },
	{ S "action", "migrate_cold", 11 },
	{ C "operations", "vaddr", 1 },
	{ C "operations", "fvaddr", 1 },
	{ C "operations", "paddr", 1 },
	{ S "watermarks/metric", "none", 1 },
	{ S "watermarks/metric", "free_mem_rate", 1 },
	{ F "type", "anon", 3 },
	{ F "type", "memcg", 3 },
	{ F "type", "addr", 6 },
	{ F "type", "target", 6 },
	{ F "type", "young", 10 },
	{ G "target_metric", "user_input", 9 },
	{ G "target_metric", "some_mem_psi_us", 9 },
	{ F "type", "active", 15 },
	{ F "type", "hugepage_size", 15 },
	{ F "type", "unmapped", 15 },
	{ CF "type", "addr", 15 },
	{ CF "type", "young", 99 },
	{ OF "type", "anon", 15 },
	{ OF "type", "target", 99 },
	{ G "target_metric", "node_mem_used_bp", 16 },
	{ G "target_metric", "node_mem_free_bp", 16 },
	/* Of kernels to come. */
	{ G "target_metric", "node_memcg_used_bp", 99 },
};

START_TEST(words_are_those_of_the_kernel)
{
	static const unsigned int minors[] = { 1, 3, 5, 6, 9, 10, 11, 12, 15, 16, 18 };

	for (size_t i = 0; i < ARRAY_SIZE(minors); i++) {
		TREE(tree, DAMON_ABI(6, minors[i]));
		char text[64];
		bool has = word_vectors[_i].since <= minors[i];

		populate(tree);
		if (!exists(tree, word_vectors[_i].path))
			continue;
		ck_assert_int_eq(store(tree, word_vectors[_i].path, word_vectors[_i].word),
				 has ? 0 : -EINVAL);
		snprintf(text, sizeof(text), "%s\n", word_vectors[_i].word);
		if (has)
			assert_shows(tree, word_vectors[_i].path, text);
	}
}
END_TEST

/* What the context of TREE would be turned on with.  Return: as describe_context(). */
static int describe(struct tree *tree, struct damon_desc **desc)
{
	__attribute__((cleanup(caller_putp))) struct caller *caller = NULL;
	struct node context;

	*desc = NULL;
	ck_assert(find(tree, K "contexts/0", &context));
	ck_assert_int_eq(caller_new(getpid(), getuid(), getgid(), &caller), 0);
	return describe_context((struct context_dir *)context.dir, caller, desc);
}

/* One of each, and a target that can be turned on, which ends with us. */
static void populate_to_start(struct tree *tree)
{
	char pid[16];

	populate(tree);
	snprintf(pid, sizeof(pid), "%d", start_child());
	ck_assert_int_eq(store(tree, T "pid_target", pid), 0);
	ck_assert_int_eq(store(tree, R "end", "8192"), 0);
}

/* ---- a kdamond that does not run ---- */

static const struct {
	const char *path, *text; /* written first, or NULL */
	const char *command;
	int result;
} state_vectors[] = {
	{ NULL, NULL, "off", -EINVAL }, /* never on */
	{ NULL, NULL, "commit", -EINVAL },
	{ NULL, NULL, "update_schemes_stats", -EINVAL },
	{ NULL, NULL, "update_schemes_tried_regions", -EINVAL },
	{ NULL, NULL, "clear_schemes_tried_regions", -EINVAL },
	{ NULL, NULL, "ON", -EINVAL },
	{ NULL, NULL, " on", -EINVAL },
	{ NULL, NULL, "on \n", -EINVAL },
	{ NULL, NULL, "on\n\n", -EINVAL },
	{ NULL, NULL, "update_tuned_intervals", -EINVAL },
	{ NULL, NULL, "", -EINVAL },
	/* What is wrong with the description. */
	{ T "pid_target", "0", "on", -EINVAL },
	{ T "pid_target", "-1", "on", -EINVAL },
	{ T "pid_target", "2147483647", "on", -EINVAL },
	{ C "monitoring_attrs/nr_regions/min", "2", "on", -EINVAL },
	{ C "monitoring_attrs/nr_regions/max", "9", "on", -EINVAL },
	{ SAMPLE, "100001", "on", -EINVAL },
	{ K "contexts/nr_contexts", "0", "on", -EINVAL },
	{ R "start", "8193", "on", -EINVAL },
	{ R "end", "0", "on", -EINVAL },
	/* As the kernel has it. */
	{ F "type", "memcg", "on", -ENOMEM },
	{ F "addr_start", "5", "on", -ENOMEM },
};

static int command(struct tree *tree, const char *text)
{
	return strcmp(text, "on") ? store(tree, K "state", text) : turn_on(tree);
}

START_TEST(state_refuses_what_cannot_be)
{
	TREE(tree, DAMON_ABI(6, 12));

	populate_to_start(tree);
	ck_assert_int_eq(store(tree, F "type", "addr"), 0);
	if (state_vectors[_i].path)
		ck_assert_int_eq(store(tree, state_vectors[_i].path, state_vectors[_i].text), 0);
	ck_assert_int_eq(command(tree, state_vectors[_i].command), state_vectors[_i].result);
	assert_shows(tree, K "state", "off\n");
	assert_shows(tree, K "pid", "-1\n");
	/* And it is as if it had never been on. */
	ck_assert_int_eq(store(tree, K "state", "off"), -EINVAL);
}
END_TEST

/* The same since Linux 6.18, where more can be wrong. */
static const struct {
	const char *path, *text;
	const char *command;
	int result;
} newest_vectors[] = {
	{ NULL, NULL, "off", -EINVAL },
	{ NULL, NULL, "commit", -EINVAL },
	{ NULL, NULL, "update_tuned_intervals", -EINVAL },
	{ NULL, NULL, "update_schemes_tried_bytes", -EINVAL },
	{ NULL, NULL, "clear_schemes_tried_regions", 0 },
	{ C "monitoring_attrs/intervals/intervals_goal/aggrs", "1", "on", -EINVAL },
	{ CF "type", "addr", "on", 0 },
	{ CF "addr_start", "5", "on", -ENOMEM },
	{ OF "min", "5", "on", -ENOMEM },
	{ F "type", "memcg", "on", -ENOMEM },
};

START_TEST(the_newest_state_refuses_more)
{
	TREE(tree, DAMON_ABI(6, 18));
	struct damon_desc *desc = NULL;

	populate_to_start(tree);
	ck_assert_int_eq(store(tree, CF "type", "addr"), 0);
	ck_assert_int_eq(store(tree, OF "type", "hugepage_size"), 0);
	if (newest_vectors[_i].path)
		ck_assert_int_eq(store(tree, newest_vectors[_i].path, newest_vectors[_i].text), 0);
	if (newest_vectors[_i].result || strcmp(newest_vectors[_i].command, "on")) {
		ck_assert_int_eq(command(tree, newest_vectors[_i].command),
				 newest_vectors[_i].result);
		return;
	}
	/* What would be started: filters of the three directories, in the kernel's order. */
	ck_assert_int_eq(describe(tree, &desc), 0);
	ck_assert_uint_eq(desc->schemes[0].nr_filters, 3);
	ck_assert_int_eq(desc->schemes[0].filters[0].type, DAMOS_FILTER_TYPE_ADDR);
	ck_assert_int_eq(desc->schemes[0].filters[1].type, DAMOS_FILTER_TYPE_HUGEPAGE_SIZE);
	ck_assert_int_eq(desc->schemes[0].filters[2].type, DAMOS_FILTER_TYPE_ANON);
	ck_assert_uint_eq(desc->schemes[0].nr_dests, 1);
	ck_assert_uint_eq(desc->addr_unit, 1);
	damon_desc_free(desc);
}
END_TEST

static const struct {
	const char *operations, *unit;
	int result;
} unit_vectors[] = {
	{ "paddr", "2", 0 },	     { "paddr", "1000", 0 }, { "paddr", "3", -EINVAL },
	{ "paddr", "600", -EINVAL }, { "vaddr", "3", 0 },
};

START_TEST(units_are_checked_where_they_count)
{
	TREE(tree, DAMON_ABI(6, 18));
	struct damon_desc *desc = NULL;

	populate_to_start(tree);
	ck_assert_int_eq(store(tree, C "operations", unit_vectors[_i].operations), 0);
	ck_assert_int_eq(store(tree, C "addr_unit", unit_vectors[_i].unit), 0);
	ck_assert_int_eq(describe(tree, &desc), unit_vectors[_i].result);
	damon_desc_free(desc);
}
END_TEST

/* ---- descriptions ---- */

static const struct {
	const char *start[2], *end[2];
	int result;
} range_vectors[] = {
	{ { "4096", "8192" }, { "8192", "12288" }, 0 },
	{ { "4097", "8192" }, { "4097", "12288" }, 0 },
	{ { "4096", "4096" }, { "8192", "12288" }, -EINVAL },
	{ { "0", "4097" }, { "4097", "8192" }, -EINVAL },
	{ { "8192", "0" }, { "12288", "4096" }, -EINVAL },
	{ { "8192", "12288" }, { "4096", "16384" }, -EINVAL },
	{ { "4096", "8192" }, { "4096", "12288" }, -EINVAL },
	{ { "0", "8192" }, { "4096", "8192" }, -EINVAL },
};

START_TEST(ranges_of_a_target_are_checked_as_a_whole)
{
	TREE(tree, DAMON_ABI(6, 12));
	struct damon_desc *desc = NULL;

	populate(tree);
	ck_assert_int_eq(store(tree, C "operations", "paddr"), 0);
	ck_assert_int_eq(store(tree, T "regions/nr_regions", "2"), 0);
	ck_assert_int_eq(store(tree, T "regions/0/start", range_vectors[_i].start[0]), 0);
	ck_assert_int_eq(store(tree, T "regions/1/start", range_vectors[_i].start[1]), 0);
	ck_assert_int_eq(store(tree, T "regions/0/end", range_vectors[_i].end[0]), 0);
	ck_assert_int_eq(store(tree, T "regions/1/end", range_vectors[_i].end[1]), 0);
	ck_assert_int_eq(describe(tree, &desc), range_vectors[_i].result);
	ck_assert_int_eq(!desc, range_vectors[_i].result < 0);
	damon_desc_free(desc);
}
END_TEST

START_TEST(description_is_what_the_kernel_would_use)
{
	TREE(old, DAMON_ABI(6, 1));
	TREE(tree, DAMON_ABI(6, 12));
	struct damon_desc *desc = NULL;

	/* Counters have 32 bits; goals without a target are left out. */
	populate(tree);
	ck_assert_int_eq(store(tree, C "operations", "paddr"), 0);
	ck_assert_int_eq(store(tree, T "regions/nr_regions", "0"), 0);
	ck_assert_int_eq(store(tree, S "access_pattern/nr_accesses/max", "4294967296"), 0);
	ck_assert_int_eq(store(tree, S "access_pattern/age/max", "18446744073709551615"), 0);
	ck_assert_int_eq(store(tree, S "quotas/goals/nr_goals", "3"), 0);
	ck_assert_int_eq(store(tree, S "quotas/goals/1/target_value", "5"), 0);
	ck_assert_int_eq(describe(tree, &desc), 0);
	ck_assert_uint_eq(desc->schemes[0].pattern.max_nr_accesses, 0);
	ck_assert_uint_eq(desc->schemes[0].pattern.max_age_region, UINT32_MAX);
	ck_assert_uint_eq(desc->schemes[0].quota.nr_goals, 1);
	ck_assert_uint_eq(desc->schemes[0].quota.goals[0].target_value, 5);
	desc = damon_desc_free(desc);
	/* One physical address space is enough. */
	ck_assert_int_eq(store(tree, C "targets/nr_targets", "2"), 0);
	ck_assert_int_eq(describe(tree, &desc), -EINVAL);
	/* The old kernel takes intervals of any proportion. */
	populate(old);
	ck_assert_int_eq(store(old, C "targets/nr_targets", "0"), 0);
	ck_assert_int_eq(store(old, SAMPLE, "100001"), 0);
	ck_assert_int_eq(describe(old, &desc), 0);
	damon_desc_free(desc);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("file");
	TCase *tcase = tcase_create("file");

	if (caller_prepare())
		return EXIT_FAILURE;
	ADD_VECTORS(tcase, fresh_directories_hold_the_defaults, fresh_vectors);
	ADD_VECTORS(tcase, stored_text_is_taken_or_changes_nothing, store_vectors);
	ADD_VECTORS(tcase, words_are_those_of_the_kernel, word_vectors);
	ADD_VECTORS(tcase, state_refuses_what_cannot_be, state_vectors);
	ADD_VECTORS(tcase, the_newest_state_refuses_more, newest_vectors);
	ADD_VECTORS(tcase, units_are_checked_where_they_count, unit_vectors);
	ADD_VECTORS(tcase, ranges_of_a_target_are_checked_as_a_whole, range_vectors);
	tcase_add_test(tcase, description_is_what_the_kernel_would_use);
	suite_add_tcase(suite, tcase);
	return unit_run(suite);
}
