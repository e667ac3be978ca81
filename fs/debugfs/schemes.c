// SPDX-License-Identifier: GPL-2.0-or-later
/* The file `schemes': a line of 18 numbers for each scheme; reading adds its counters. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "fs/debugfs/debugfs.h"
#include "fs/tree/parse.h"
#include "util/cleanup.h"

/* More in one write are ignored. */
#define MAX_SCHEMES 256

/* The actions that the interface has, by their codes. */
static const enum damos_action actions[] = {
	DAMOS_WILLNEED, DAMOS_COLD, DAMOS_PAGEOUT, DAMOS_HUGEPAGE, DAMOS_NOHUGEPAGE, DAMOS_STAT,
};

/* A column is a field of struct damos_desc, cut to its width; ACTION is a code. */
static const struct column {
	size_t offset;
	enum { NUMBER_64, NUMBER_32, SIGNED_32, ACTION } width;
} columns[] = {
#define COLUMN(member, width)                              \
	{                                                  \
		offsetof(struct damos_desc, member), width \
	}
	COLUMN(pattern.min_sz_region, NUMBER_64),
	COLUMN(pattern.max_sz_region, NUMBER_64),
	COLUMN(pattern.min_nr_accesses, NUMBER_32),
	COLUMN(pattern.max_nr_accesses, NUMBER_32),
	COLUMN(pattern.min_age_region, NUMBER_32),
	COLUMN(pattern.max_age_region, NUMBER_32),
	COLUMN(action, ACTION),
	COLUMN(quota.ms, NUMBER_64),
	COLUMN(quota.sz, NUMBER_64),
	COLUMN(quota.reset_interval_ms, NUMBER_64),
	COLUMN(quota.weight_sz, NUMBER_32),
	COLUMN(quota.weight_nr_accesses, NUMBER_32),
	COLUMN(quota.weight_age, NUMBER_32),
	COLUMN(wmarks.metric, SIGNED_32),
	COLUMN(wmarks.interval, NUMBER_64),
	COLUMN(wmarks.high, NUMBER_64),
	COLUMN(wmarks.mid, NUMBER_64),
	COLUMN(wmarks.low, NUMBER_64),
#undef COLUMN
};

/* ---- reading ---- */

static int code_of(enum damos_action action)
{
	for (size_t i = 0; i < ARRAY_SIZE(actions); i++)
		if (actions[i] == action)
			return (int)i;
	return -EINVAL;
}

/* As it can be read back if WRITTEN: nothing negative is. */
static int add_column(struct text *out, const struct damos_desc *scheme,
		      const struct column *column, bool written)
{
	const void *field = (const char *)scheme + column->offset;

	switch (column->width) {
	case NUMBER_64:
		return text_add(out, "%" PRIu64 " ", *(const uint64_t *)field);
	case NUMBER_32:
		return text_add(out, "%" PRIu32 " ", *(const uint32_t *)field);
	case SIGNED_32:
		if (written)
			return text_add(out, "%" PRIu32 " ", *(const uint32_t *)field);
		return text_add(out, "%" PRId32 " ", *(const int32_t *)field);
	case ACTION:
		break;
	}
	return text_add(out, "%d ", code_of(scheme->action));
}

static int add_counters(struct text *out, const struct damos_stat *live)
{
	struct damos_stat stat = damos_stat_read(live);

	return text_add(out, "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64,
			stat.nr_tried, stat.sz_tried, stat.nr_applied, stat.sz_applied,
			stat.qt_exceeds);
}

/* As they can be read back if WRITTEN, or with the counters. */
static int add_schemes(struct text *out, const struct debugfs_context *context, bool written)
{
	int r = 0;

	for (size_t s = 0; !r && s < context->desc.nr_schemes; s++) {
		for (size_t i = 0; !r && i < ARRAY_SIZE(columns); i++)
			r = add_column(out, &context->desc.schemes[s], &columns[i], written);
		if (!r && !written)
			r = add_counters(out, &context->stats[s]);
		if (!r)
			r = text_add(out, "\n");
	}
	return r;
}

int debugfs_keep_schemes(struct dir *dir, const struct process_caller *reader, struct text *out)
{
	(void)reader;
	return add_schemes(out, debugfs_context_of(dir), true);
}

int debugfs_show_schemes(struct dir *dir, const struct process_caller *reader, struct text *out)
{
	(void)reader;
	return add_schemes(out, debugfs_context_of(dir), false);
}

/* ---- writing ---- */

/* Return: 0, or -EINVAL for a code that is none. */
static int set_column(struct damos_desc *scheme, const struct column *column, uint64_t value)
{
	void *field = (char *)scheme + column->offset;
	uint32_t low = (uint32_t)value;

	if (column->width == NUMBER_64) {
		memcpy(field, &value, sizeof(value));
	} else if (column->width != ACTION) {
		memcpy(field, &low, sizeof(low));
	} else {
		if (low >= ARRAY_SIZE(actions))
			return -EINVAL;
		scheme->action = actions[low];
	}
	return 0;
}

static int check_scheme(const struct damos_desc *scheme)
{
	const struct damos_access_pattern *pattern = &scheme->pattern;
	const struct damos_watermarks *wmarks = &scheme->wmarks;

	if (pattern->min_sz_region > pattern->max_sz_region ||
	    pattern->min_nr_accesses > pattern->max_nr_accesses ||
	    pattern->min_age_region > pattern->max_age_region)
		return -EINVAL;
	return wmarks->high >= wmarks->mid && wmarks->mid >= wmarks->low ? 0 : -EINVAL;
}

/* Return: 1 and *OUT, 0 if there is no complete scheme any more, or -EINVAL. */
static int scan_scheme(const char **text, struct damos_desc *out)
{
	uint64_t values[ARRAY_SIZE(columns)];
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(columns); i++)
		if (!scan_unsigned(text, &values[i]))
			return 0;
	*out = (struct damos_desc){ .target_nid = -1 };
	for (size_t i = 0; !r && i < ARRAY_SIZE(columns); i++)
		r = set_column(out, &columns[i], values[i]);
	if (!r)
		r = check_scheme(out);
	return r ? r : 1;
}

int debugfs_store_schemes(struct dir *dir, struct write *write, const char *text)
{
	struct debugfs_context *context = debugfs_context_of(dir);
	_cleanup_free_ struct damos_desc *schemes = calloc(MAX_SCHEMES, sizeof(*schemes));
	_cleanup_free_ struct damos_stat *stats = calloc(MAX_SCHEMES, sizeof(*stats));
	size_t nr = 0;
	int r = 1;

	if (!schemes || !stats)
		return -ENOMEM;
	while (nr < MAX_SCHEMES && (r = scan_scheme(&text, &schemes[nr])) > 0) {
		schemes[nr].live = &stats[nr];
		nr++;
	}
	if (r < 0)
		return r;
	if (debugfs_is_running(context))
		return -EBUSY;
	if (account_hold(&context->schemes_held, write->account, ACCOUNT_BYTES,
			 MAX_SCHEMES * (sizeof(*schemes) + sizeof(*stats))))
		return -ENOMEM;
	free(context->desc.schemes);
	free(context->stats);
	context->desc.schemes = steal_ptr(schemes);
	context->desc.nr_schemes = nr;
	context->stats = steal_ptr(stats);
	return 0;
}
