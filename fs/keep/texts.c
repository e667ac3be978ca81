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
	atomic_store(&kept->length, length);
	/* One of no length may be at NULL. */
	if (length)
		memcpy(kept->text, text, min_ul(length, TEXTS_ROOM));
	atomic_store(&kept->handle, handle);
	texts->made++;
}

bool texts_find(const struct texts *texts, uint64_t handle, struct text_copy *out)
{
	for (uint64_t i = 1; i <= TEXTS; i++) {
		const struct kept_text *kept = &texts->of[(texts->made - i) % TEXTS];

		if (atomic_load(&kept->handle) != handle)
			continue;
		out->length = atomic_load(&kept->length);
		memcpy(out->text, kept->text, sizeof(out->text));
		return true;
	}
	return false;
}
