// SPDX-License-Identifier: LGPL-2.1-or-later
/* Commands and answers: see command.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/command.h"

void damon_report_clear(struct damon_report *report)
{
	free(report->stats);
	free(report->effective_sz);
	free(report->summary);
	*report = (struct damon_report){ 0 };
}

void damon_status_clear(struct damon_status *status)
{
	free(status->targets);
	*status = (struct damon_status){ 0 };
}

int damon_status_copy(const struct damon_status *status, struct damon_status *out)
{
	struct damon_target_status *targets = calloc(status->nr_targets + 1, sizeof(*targets));

	if (!targets)
		return -ENOMEM;
	*out = *status;
	out->targets = targets;
	if (status->nr_targets)
		memcpy(targets, status->targets, status->nr_targets * sizeof(*targets));
	return 0;
}

void damon_command_clear(struct damon_command *command)
{
	damon_desc_free(command->desc);
	damon_report_clear(&command->report);
	free(command->tried);
	free(command->found);
	*command = (struct damon_command){ 0 };
}
