// SPDX-License-Identifier: GPL-2.0-or-later
/* The description of a context that a user of the engine hands in, and its checks. */
#include <errno.h>
#include <stdlib.h>

#include "engine/damon.h"

const char *const damon_ops_names[NR_DAMON_OPS] = {
	[DAMON_OPS_VADDR] = "vaddr",
	[DAMON_OPS_FVADDR] = "fvaddr",
	[DAMON_OPS_PADDR] = "paddr",
};

struct damon_desc *damon_desc_new(size_t nr_targets, size_t nr_schemes)
{
	struct damon_desc *desc = calloc(1, sizeof(*desc));

	if (!desc)
		return NULL;
	desc->targets = calloc(nr_targets + 1, sizeof(*desc->targets));
	desc->schemes = calloc(nr_schemes + 1, sizeof(*desc->schemes));
	if (!desc->targets || !desc->schemes)
		return damon_desc_free(desc);
	desc->nr_targets = nr_targets;
	desc->nr_schemes = nr_schemes;
	return desc;
}

struct damon_desc *damon_desc_free(struct damon_desc *desc)
{
	if (!desc)
		return NULL;
	for (size_t i = 0; i < desc->nr_targets; i++) {
		process_put(desc->targets[i].process);
		free(desc->targets[i].ranges);
	}
	for (size_t i = 0; i < desc->nr_schemes; i++) {
		free(desc->schemes[i].quota.goals);
		free(desc->schemes[i].filters);
	}
	free(desc->targets);
	free(desc->schemes);
	free(desc);
	return NULL;
}

int damon_check_attrs(const struct damon_attrs *attrs, unsigned int abi)
{
	if (attrs->min_nr_regions < 3 || attrs->min_nr_regions > attrs->max_nr_regions)
		return -EINVAL;
	/* Since Linux 6.7. */
	if (abi >= DAMON_ABI(6, 7) && attrs->sample_interval > attrs->aggr_interval)
		return -EINVAL;
	return 0;
}
