/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Numbers that are set by name: a table of where they are, and how large they may be. */
#ifndef DAMONFS_ENGINE_API_FIELD_H
#define DAMONFS_ENGINE_API_FIELD_H

#include <stddef.h>
#include <stdint.h>

struct field {
	size_t offset, size;
	uint64_t max;
};

#define FIELD_UP_TO(type, member, max)                                   \
	{                                                                \
		offsetof(type, member), sizeof(((type *)0)->member), max \
	}
#define FIELD64(type, member) FIELD_UP_TO(type, member, UINT64_MAX)
#define FIELD32(type, member) FIELD_UP_TO(type, member, UINT32_MAX)

/*
 * Sets number I of the NR of FIELDS in OBJECT.
 * Return: 0, -EINVAL if there is no such one, or -ERANGE.
 */
int field_set(void *object, const struct field *fields, size_t nr, unsigned int i, uint64_t value);

#endif
