// SPDX-License-Identifier: LGPL-2.1-or-later
/* Looking up frames: see folio.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "access/proc/folio.h"
#include "access/rights/caller.h"
#include "access/proc/words.h"
#include "util/cleanup.h"

#define WINDOW	  512 /* frames to read at once when they follow each other */
#define PEEK	  16 /* and when they do not */
#define MAX_ORDER 18 /* of a huge page of 1 GiB */

/* A part of a file that has a word for each frame. */
struct words {
	int fd;
	uint64_t first, nr;
	uint64_t word[WINDOW];
};

struct folios {
	struct words flags, cgroups;
	struct folio last;
};

void folios_close(struct folios *folios)
{
	if (!folios)
		return;
	if (folios->flags.fd >= 0)
		close(folios->flags.fd);
	if (folios->cgroups.fd >= 0)
		close(folios->cgroups.fd);
	free(folios);
}

int folios_open(struct folios **out)
{
	struct folios *folios = calloc(1, sizeof(*folios));
	int r;

	if (!folios)
		return -ENOMEM;
	folios->flags.fd = caller_open_as_daemon(AT_FDCWD, "/proc/kpageflags", O_RDONLY);
	r = folios->flags.fd < 0 ? folios->flags.fd : 0;
	/* Only kernels with memory cgroups have it; without it, no page has a cgroup. */
	folios->cgroups.fd = caller_open_as_daemon(AT_FDCWD, "/proc/kpagecgroup", O_RDONLY);
	if (!r && folios->cgroups.fd < 0 && folios->cgroups.fd != -ENOENT)
		r = folios->cgroups.fd;
	if (r)
		folios_close(folios);
	else
		*out = folios;
	return r;
}

void folios_forget(struct folios *folios)
{
	folios->flags.nr = 0;
	folios->cgroups.nr = 0;
	folios->last.nr = 0;
}

/* Words that the file does not have are 0. */
static void read_words(struct words *words, uint64_t first, size_t nr)
{
	ssize_t found = words->fd < 0 ? 0 : words_read(words->fd, first, words->word, nr);
	size_t have = found > 0 ? (size_t)found : 0;

	memset(&words->word[have], 0, (nr - have) * 8);
	words->first = first;
	words->nr = nr;
}

static uint64_t word_of(struct words *words, uint64_t frame)
{
	if (frame - words->first >= words->nr)
		read_words(words, frame,
			   words->nr && frame == words->first + words->nr ? WINDOW : PEEK);
	return words->word[frame - words->first];
}

static uint64_t flags_of(struct folios *folios, uint64_t frame)
{
	return word_of(&folios->flags, frame);
}

bool folios_exist(const struct folios *folios, uint64_t frame)
{
	uint64_t word;

	return words_read(folios->flags.fd, frame, &word, 1) == 1;
}

/* The head of the tail FRAME, found by alignment: folios are aligned to their size. */
static uint64_t find_head(struct folios *folios, uint64_t frame)
{
	uint64_t head = frame;

	for (int order = 1; order <= MAX_ORDER; order++) {
		uint64_t at = frame & ~((1ULL << order) - 1), flags;

		if (at == head)
			continue;
		head = at;
		flags = flags_of(folios, head);
		if (flags >> KPF_COMPOUND_HEAD & 1)
			return head;
		if (!(flags >> KPF_COMPOUND_TAIL & 1))
			break;
	}
	return frame;
}

/* The number of frames in the folio of HEAD: itself and the tails that follow. */
static uint64_t count_frames(struct folios *folios, uint64_t head)
{
	struct folio *last = &folios->last;

	for (last->nr = 1; last->nr < 1ULL << MAX_ORDER; last->nr++)
		if (!(flags_of(folios, head + last->nr) >> KPF_COMPOUND_TAIL & 1))
			break;
	return last->nr;
}

void folios_find(struct folios *folios, uint64_t frame, struct folio *out)
{
	struct folio *last = &folios->last;
	uint64_t flags;

	if (frame - last->head < last->nr) {
		*out = *last;
		return;
	}
	flags = flags_of(folios, frame);
	*last = (struct folio){ .head = frame, .nr = 1, .flags = flags };
	if (flags >> KPF_COMPOUND_TAIL & 1) {
		last->head = find_head(folios, frame);
		last->flags = flags_of(folios, last->head);
	}
	if (last->flags >> KPF_COMPOUND_HEAD & 1)
		last->nr = count_frames(folios, last->head);
	/* The folio appeared or went away during the search. */
	if (frame - last->head >= last->nr)
		*last = (struct folio){ .head = frame, .nr = 1, .flags = flags };
	*out = *last;
}

uint64_t folios_memcg(struct folios *folios, const struct folio *folio)
{
	return word_of(&folios->cgroups, folio->head);
}
