// SPDX-License-Identifier: LGPL-2.1-or-later
/* Schemes that see pages: the page walk that the operations share, for filters and actions. */
#include <errno.h>
#include <string.h>

#include "engine/filter.h"
#include "engine/pages.h"
#include "util/log.h"

/* Whether the next try may succeed. */
static bool is_passing(int r)
{
	return r == -ENOMEM || r == -EMFILE || r == -ENFILE;
}

/* Opens PAGES, if that is possible, and tells once why not.  Return: whether they are open. */
static bool open_pages(struct damos_pages *pages, const struct damon_target *target)
{
	struct process *process = target->process;
	int r;

	if (pages->frames)
		return true;
	/* Young pages are seen the way the target is. */
	r = page_walk_open(target->space ? target->space->source : NULL, process, &pages->frames);
	if (!r)
		return true;
	pages->failed = !is_passing(r);
	if (process && !pages->told)
		log_info("pid %d: cannot look at its pages: %s; schemes that need them see none",
			 process->pid, strerror(-r));
	else if (!pages->told)
		log_info("cannot look at physical memory, or act on it: %s", strerror(-r));
	pages->told = true;
	return false;
}

bool damos_look_at_page(struct damon_context *ctx, const struct damon_target *target,
			uint64_t address, bool wants_memcg, struct page_info *info)
{
	if (!ctx->sessions || ctx->pages.failed || !open_pages(&ctx->pages, target))
		return false;
	return page_walk_look(ctx->pages.frames, address, wants_memcg, info);
}

struct page_walk_result damos_walk_pages(struct damon_context *ctx, struct damos_pages *pages,
					 const struct damon_target *target, enum page_action action,
					 struct damon_addr_range range, const struct damos *scheme,
					 struct page_filter choice)
{
	if (!ctx->sessions || pages->failed || !open_pages(pages, target))
		return (struct page_walk_result){ 0 };
	/* A round of schemes, over many regions, uses the mappings as of its start. */
	if (pages->round != ctx->passed)
		frames_renew(pages->frames);
	pages->round = ctx->passed;
	choice.wants_memcg = damos_has_filter(scheme, DAMOS_FILTER_TYPE_MEMCG);
	choice.wants_young |= damos_has_filter(scheme, DAMOS_FILTER_TYPE_YOUNG);
	choice.argument = (void *)scheme;
	return page_walk_apply(pages->frames, action, range.start, range.end, &choice);
}
