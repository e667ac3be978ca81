// SPDX-License-Identifier: GPL-2.0-or-later
/* Writes to the files of debugfs: see stream.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "fs/fuse/stream.h"
#include "fs/tree/answer.h"
#include "fs/tree/file.h"

/*
 * The kernel cuts a write into pieces of this size, or of a page less if the writer's memory does
 * not begin on a page.
 */
#define PIECE (1UL << 20)

/*
 * Adds the next piece of a write to what STREAM holds, which is all of the write so far.
 * Return: 0 or a negative errno.
 */
static int take_piece(struct stream *stream, const char *data, size_t size, off_t offset, int flags)
{
	struct text *written = &stream->written;
	bool goes_on = written->length && (size_t)offset == written->length;

	/* When appending, the kernel's offset is from a size that may be old. */
	if (flags & O_APPEND && !goes_on)
		offset = stream->position;
	if (!goes_on) {
		written->length = 0;
		if (offset)
			return -EINVAL;
	}
	if (written->length + size > STREAM_MAX)
		return -ENOMEM;
	if (text_reserve(written, size + 1))
		return -ENOMEM;
	memcpy(written->data + written->length, data, size);
	written->length += size;
	written->data[written->length] = '\0';
	return 0;
}

/* The length of TEXT up to its last complete word. */
static size_t whole_words(const struct text *text)
{
	size_t length = text->length;

	while (length && !strchr(" \t\n\v\f\r", text->data[length - 1]))
		length--;
	return length;
}

int stream_store(struct stream *stream, struct node node, struct write *write, const char *data,
		 size_t size, off_t offset, int flags)
{
	int r = take_piece(stream, data, size, offset, flags);
	bool may_go_on = size > PIECE - 4096;

	if (r)
		return r;
	write->size = stream->written.length;
	r = file_store(node_row(node)->file, node.dir, write, stream->written.data);
	if (r < 0 && may_go_on) {
		write->size = whole_words(&stream->written);

		char *end = &stream->written.data[write->size], was = *end;

		*end = '\0';
		r = file_store(node_row(node)->file, node.dir, write, stream->written.data);
		*end = was;
	}
	if (r >= 0)
		stream->position = (off_t)stream->written.length;
	/* No further piece can follow. */
	if (r < 0 || !may_go_on)
		text_clear(&stream->written);
	return r;
}
