// SPDX-License-Identifier: GPL-2.0-or-later
/* Texts that are being read: see texts.h. */
#include <string.h>

#include "fs/keep/texts.h"
#include "util/macros.h"

void texts_keep(struct texts *texts, uint64_t handle, const char *text, size_t length)
{
	struct kept_text *kept = &texts->of[texts->made % TEXTS];

	/* A daemon can be killed at any instruction: what is not whole has no handle. */
	atomic_store(&kept->handle, 0);
	kept->length = length;
	memcpy(kept->text, text, min_ul(length, TEXTS_ROOM));
	atomic_store(&kept->handle, handle);
	texts->made++;
}

const struct kept_text *texts_find(const struct texts *texts, uint64_t handle)
{
	for (uint64_t i = 1; i <= TEXTS; i++) {
		const struct kept_text *kept = &texts->of[(texts->made - i) % TEXTS];

		if (atomic_load(&kept->handle) == handle)
			return kept;
	}
	return NULL;
}
