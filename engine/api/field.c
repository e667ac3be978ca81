// SPDX-License-Identifier: LGPL-2.1-or-later
/* Numbers that are set by name: see field.h. */
#include <errno.h>
#include <string.h>

#include "engine/api/field.h"

int field_set(void *object, const struct field *fields, size_t nr, unsigned int i, uint64_t value)
{
	uint8_t small = (uint8_t)value;
	uint32_t medium = (uint32_t)value;
	const void *bytes = &value;

	if (i >= nr)
		return -EINVAL;
	if (value > fields[i].max)
		return -ERANGE;
	if (fields[i].size == sizeof(small))
		bytes = &small;
	if (fields[i].size == sizeof(medium))
		bytes = &medium;
	memcpy((char *)object + fields[i].offset, bytes, fields[i].size);
	return 0;
}
