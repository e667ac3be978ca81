// SPDX-License-Identifier: LGPL-2.1-or-later
/* Reading and playing the script of a simulated process: see script.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "access/methods/script.h"
#include "util/array.h"
#include "util/lines.h"
#include "util/macros.h"

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit sizes[] = { { "", 1 },
				     { "K", 1 << 10 },
				     { "M", 1 << 20 },
				     { "G", 1 << 30 } };
static const struct unit times[] = { { "us", 1 }, { "ms", 1000 }, { "s", 1000000 } };
static const struct unit percents[] = { { "%", 1 } };

static int parse(const char *word, const struct unit *units, size_t nr, uint64_t *out)
{
	char *end;
	unsigned long long value;

	/* strtoull would take a sign, and blanks before it. */
	if (!word || *word < '0' || *word > '9')
		return -EINVAL;
	errno = 0;
	value = strtoull(word, &end, 0);
	if (errno)
		return -EINVAL;
	for (size_t i = 0; i < nr; i++)
		if (!strcmp(end, units[i].name))
			return __builtin_mul_overflow(value, units[i].factor, out) ? -EINVAL : 0;
	return -EINVAL;
}

#define PARSE(word, units, out) parse(word, units, ARRAY_SIZE(units), out)

static const struct {
	const char *word;
	enum script_kind kind;
} kinds[] = {
	{ "map", SCRIPT_MAP },
	{ "unmap", SCRIPT_UNMAP },
	{ "access", SCRIPT_ACCESS },
};

/* What comes after the kind of the event: start and size, and the rate of an access. */
static int parse_range(struct script_event *event, char **rest)
{
	uint64_t size, percent = 0;

	if (PARSE(strtok_r(NULL, " \t\n", rest), sizes, &event->start) ||
	    PARSE(strtok_r(NULL, " \t\n", rest), sizes, &size) ||
	    __builtin_add_overflow(event->start, size, &event->end))
		return -EINVAL;
	if (event->kind == SCRIPT_ACCESS &&
	    (PARSE(strtok_r(NULL, " \t\n", rest), percents, &percent) || percent > 100))
		return -EINVAL;
	event->percent = (unsigned int)percent;
	return strtok_r(NULL, " \t\n", rest) ? -EINVAL : 0;
}

/* Return: 0, 1 if the line holds no event, or a negative errno. */
static int script_parse_line(char *line, struct script *script, struct script_event *event)
{
	char *rest, *word;

	line[strcspn(line, "#")] = '\0';
	word = strtok_r(line, " \t\n", &rest);
	if (!word)
		return 1;
	*event = (struct script_event){ 0 };
	if (!strcmp(word, "at")) {
		if (PARSE(strtok_r(NULL, " \t\n", &rest), times, &event->at))
			return -EINVAL;
		word = strtok_r(NULL, " \t\n", &rest);
	}
	if (word && !strcmp(word, "repeat") && event->at) {
		script->period = event->at;
		return strtok_r(NULL, " \t\n", &rest) ? -EINVAL : 1;
	}
	for (size_t i = 0; word && i < ARRAY_SIZE(kinds); i++) {
		if (strcmp(word, kinds[i].word))
			continue;
		event->kind = kinds[i].kind;
		return parse_range(event, &rest);
	}
	return -EINVAL;
}

static int append(struct script *script, struct script_event event)
{
	size_t at = script->nr;

	if (array_more(script->events, script->nr))
		return -ENOMEM;
	/* In the order of time, and of lines where that is the same. */
	for (; at && script->events[at - 1].at > event.at; at--)
		script->events[at] = script->events[at - 1];
	script->events[at] = event;
	script->nr++;
	return 0;
}

int script_read(FILE *file, struct script *out, char *why, size_t size)
{
	struct lines lines = { .file = file };
	struct script script = { 0 };
	unsigned int number = 0;
	int r = 0;

	while (r >= 0 && lines_next(&lines)) {
		struct script_event event;

		number++;
		r = script_parse_line(lines.line, &script, &event);
		if (!r)
			r = append(&script, event);
	}
	free(lines.line);
	if (r == -EINVAL)
		snprintf(why, size,
			 "line %u of the script is not an event (map, unmap, access, repeat)",
			 number);
	else if (r >= 0 && lines.error)
		snprintf(why, size, "cannot read the script: %s", strerror(-lines.error));
	r = r < 0 ? r : lines.error;
	if (r)
		script_free(&script);
	else
		*out = script;
	return r;
}

void script_free(struct script *script)
{
	free(script->events);
	*script = (struct script){ 0 };
}

uint64_t script_time(const struct script *script, uint64_t now)
{
	return script->period ? now % script->period : now;
}

static int compare_mappings(const void *a, const void *b)
{
	const struct mapping *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

int script_maps(const struct script *script, uint64_t time, struct maps *out)
{
	struct maps maps = { .mapping = calloc(script->nr + 1, sizeof(struct mapping)) };

	if (!maps.mapping)
		return -ENOMEM;
	for (size_t i = 0; i < script->nr && script->events[i].at <= time; i++) {
		const struct script_event *event = &script->events[i];

		if (event->kind == SCRIPT_MAP && event->start < event->end) {
			maps.mapping[maps.nr++] =
				(struct mapping){ .start = event->start, .end = event->end };
			continue;
		}
		for (size_t k = 0; event->kind == SCRIPT_UNMAP && k < maps.nr;) {
			if (maps.mapping[k].start >= event->start &&
			    maps.mapping[k].end <= event->end)
				maps.mapping[k] = maps.mapping[--maps.nr];
			else
				k++;
		}
	}
	qsort(maps.mapping, maps.nr, sizeof(*maps.mapping), compare_mappings);
	*out = maps;
	return 0;
}

bool script_accessed(const struct script *script, uint64_t address, uint64_t time)
{
	unsigned int percent = 0;
	uint64_t hash;

	for (size_t i = 0; i < script->nr && script->events[i].at <= time; i++) {
		const struct script_event *event = &script->events[i];

		if (address < event->start || address >= event->end)
			continue;
		if (event->kind == SCRIPT_ACCESS)
			percent = event->percent;
		else if (event->kind == SCRIPT_UNMAP)
			percent = 0;
	}
	hash = (address / 4096 * 0x9e3779b97f4a7c15ULL ^ time) * 0xd6e8feb86659fd93ULL;
	return (hash >> 32) % 100 < percent;
}
