// SPDX-License-Identifier: GPL-2.0-or-later
/* From a record to a request: see record.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/fuzz/requests/paths.h"
#include "tests/fuzz/requests/record.h"
#include "tests/fuzz/requests/surroundings.h"
#include "tests/fuzz/requests/words.h"
#include "util/cleanup.h"

#define MAX_WRITE (1U << 20) /* what libfuse and the kernel agree upon */

/* Any number is an opcode, too; so much is what libfuse reads of it. */
#define ANY_ARGUMENTS 128

static struct sender sender_of(const struct record *record)
{
	const struct sender senders[] = {
		{ getpid(), 0, 0 },
		{ surroundings.child_of_root, 0, 0 },
		{ surroundings.child_of_nobody, NOBODY, NOBODY },
		{ 0, 0, 0 },
		{ getpid(), NOBODY, NOBODY },
		{ 0, NOBODY, NOBODY },
		{ (pid_t)record->raw, record->raw % 65535, record->size % 65535 },
	};

	/* Half of them are root's. */
	return senders[record->who < 128 ? 0 : record->who % ARRAY_SIZE(senders)];
}

/* Looks PATH up, name by name.  Return: what was found last. */
static uint64_t walk(struct kernel *kernel, const char *path, struct sender sender)
{
	uint64_t node = FUSE_ROOT_ID;
	char name[256];

	while (*path) {
		size_t length = strcspn(path, "/");

		snprintf(name, sizeof(name), "%.*s", (int)length, path);
		if (kernel_send(kernel, FUSE_LOOKUP, node, sender, name, strlen(name) + 1, 0))
			break;
		node = kernel_found(kernel);
		path += length + (path[length] == '/');
	}
	return node;
}

static uint64_t node_of(struct kernel *kernel, const struct record *record, struct sender sender)
{
	if (record->node < 96)
		return kernel_node(kernel, record->node);
	if (record->node < 160)
		return kernel_found(kernel);
	if (record->node < 224)
		return walk(kernel, path_of(record->path), sender);
	/* Any number; or a name of a file of which writes were held. */
	return record->node < 240 ? record->offset :
				    kernel_node(kernel, record->path) ^ record->offset << 48;
}

/* Adds a name with its end to *END.  The kernel sends none with a slash, of none or 256 bytes. */
static void add_name(const struct record *record, uint8_t choice, char **end)
{
	const char *path = path_of(record->path), *name = strrchr(path, '/');
	size_t length = 0;

	if (choice < 128) {
		name = name ? name + 1 : path;
		*end = stpcpy(*end, name) + 1;
		return;
	}
	while (length < max_ul(choice, 1) && length < 255) {
		char byte = record->bytes[length % sizeof(record->bytes)];

		(*end)[length++] = byte && byte != '/' ? byte : 'x';
	}
	*end += length;
	*(*end)++ = '\0';
}

/* What is written.  Return: its length, up to ROOM. */
static size_t make_text(const struct record *record, char *out, size_t room)
{
	const char *word = words[record->path % nr_words];
	size_t length, size;

	if (record->text < 96)
		return (size_t)snprintf(out, room, "%s%s", word, record->text & 1 ? "\n" : "");
	if (record->text < 128)
		return (size_t)snprintf(out, room, "%llu", (unsigned long long)record->offset);
	if (record->text < 160)
		return (size_t)snprintf(out, room, "%s %.*s", word, (int)sizeof(record->bytes),
					record->bytes);
	/* A word or any bytes, over and over. */
	length = record->text < 192 ? strlen(word) : sizeof(record->bytes);
	if (record->text >= 192)
		word = record->bytes;
	size = record->text & 1 ? record->size % sizeof(record->bytes) :
				  min_ul(record->size % (MAX_WRITE + 1), room);
	for (size_t i = 0; i < size; i++)
		out[i] = word[i % length];
	return size;
}

static int send_read(struct kernel *kernel, uint32_t opcode, uint64_t node, struct sender sender,
		     uint64_t offset, uint32_t size, size_t handle)
{
	struct fuse_read_in in = { .offset = offset, .size = size };

	return kernel_send(kernel, opcode, node, sender, &in, sizeof(in), handle);
}

static void send_write(struct kernel *kernel, uint64_t node, const struct record *record,
		       struct sender sender, uint64_t offset, size_t handle, const char *text,
		       size_t size)
{
	struct fuse_write_in in = { .offset = offset,
				    .size = (uint32_t)size,
				    .flags = record->raw };
	_cleanup_free_ char *body = malloc(sizeof(in) + size);

	REQUIRE(body);
	memcpy(body, &in, sizeof(in));
	memcpy(body + sizeof(in), text, size);
	kernel_send(kernel, FUSE_WRITE, node, sender, body, sizeof(in) + size, handle);
}

static void write_text(struct kernel *kernel, uint64_t node, const struct record *record,
		       struct sender sender, uint64_t offset, size_t handle)
{
	static char text[MAX_WRITE + 1];

	send_write(kernel, node, record, sender, offset, handle, text,
		   make_text(record, text, MAX_WRITE));
}

static int open_node(struct kernel *kernel, uint32_t opcode, uint64_t node, struct sender sender,
		     uint32_t flags)
{
	struct fuse_open_in in = { .flags = flags };

	return kernel_send(kernel, opcode, node, sender, &in, sizeof(in), 0);
}

static void release(struct kernel *kernel, uint32_t opcode, uint64_t node, struct sender sender,
		    size_t handle)
{
	struct fuse_release_in in = { 0 };

	kernel_send(kernel, opcode, node, sender, &in, sizeof(in), handle);
}

/* One request, of whatever kind. */
static void send_any(struct kernel *kernel, const struct record *record, struct sender sender)
{
	size_t which = record->handle % (record->handle < 192 ? NR_USUAL : nr_opcodes + 1);
	size_t arguments = ANY_ARGUMENTS;
	uint64_t node = node_of(kernel, record, sender);
	uint32_t opcode = record->raw, names = 0;
	char body[ANY_ARGUMENTS + 2 * 256], *end;

	if (which < nr_opcodes) {
		opcode = opcodes[which].opcode;
		arguments = opcodes[which].arguments;
		names = opcodes[which].names;
	}
	if (opcode == FUSE_READ || opcode == FUSE_READDIR) {
		send_read(kernel, opcode, node, sender, record->offset, record->size, record->path);
		return;
	}
	if (opcode == FUSE_WRITE) {
		write_text(kernel, node, record, sender, record->offset, record->path);
		return;
	}
	/* The same opcode by its number has no names. */
	for (size_t i = 0; which == nr_opcodes && i < nr_opcodes; i++)
		if (opcodes[i].opcode == opcode)
			return;
	/* Interruptions are of what was sent; replies are to questions that damonfs never asks. */
	if (opcode == FUSE_INTERRUPT || opcode == FUSE_NOTIFY_REPLY)
		return;
	for (size_t i = 0; i < arguments; i++)
		body[i] = record->bytes[i % sizeof(record->bytes)];
	end = body + arguments;
	for (uint32_t i = 0; i < names; i++)
		add_name(record, i ? (uint8_t)record->size : record->name, &end);
	kernel_send(kernel, opcode, node, sender, body, (size_t)(end - body), record->path);
}

void record_store(struct kernel *kernel, const char *path, const char *text,
		  const struct record *record, struct sender sender)
{
	uint64_t node = walk(kernel, path, sender);
	size_t handle;

	if (open_node(kernel, FUSE_OPEN, node, sender,
		      (record->raw & 7) == 7 ? record->raw : O_WRONLY))
		return;
	handle = kernel_last_handle(kernel);
	if (text)
		send_write(kernel, node, record, sender, 0, handle, text, strlen(text));
	else
		write_text(kernel, node, record, sender, 0, handle);
	release(kernel, FUSE_RELEASE, node, sender, handle);
}

/* Reads a file or a directory, from its start to its end if nothing else is said, and closes it. */
static void show(struct kernel *kernel, const struct record *record, uint64_t node,
		 struct sender sender)
{
	int r = open_node(kernel, FUSE_OPEN, node, sender, O_RDONLY);
	bool dir = r == -EISDIR;
	size_t handle;

	if (dir)
		r = open_node(kernel, FUSE_OPENDIR, node, sender, O_RDONLY);
	if (r)
		return;
	handle = kernel_last_handle(kernel);
	send_read(kernel, dir ? FUSE_READDIR : FUSE_READ, node, sender, 0, record->size & 0x1fff,
		  handle);
	send_read(kernel, dir ? FUSE_READDIR : FUSE_READ, node, sender,
		  record->handle & 2 ? record->offset : record->offset & 31, record->size, handle);
	release(kernel, dir ? FUSE_RELEASEDIR : FUSE_RELEASE, node, sender, handle);
}

void record_play(struct kernel *kernel, const struct record *record)
{
	struct sender sender = sender_of(record);
	size_t command = record->path % nr_commands;

	switch (record->what % 16) {
	case 0:
	case 1:
	case 2:
	case 3:
		record_store(kernel, commands[command].path, commands[command].text, record,
			     sender);
		if (record->handle & 3)
			kernel_settle(kernel);
		break;
	case 4:
	case 5:
		record_store(kernel, commands[command].path, NULL, record, sender);
		break;
	case 6:
	case 7:
		record_store(kernel, path_of(record->path), NULL, record, sender);
		break;
	case 8:
	case 9:
		show(kernel, record, node_of(kernel, record, sender), sender);
		break;
	case 10:
		show(kernel, record, walk(kernel, path_of(record->path), sender), sender);
		break;
	case 11:
		kernel_settle(kernel);
		/* Kdamonds go on meanwhile. */
		usleep(record->size % 2000);
		break;
	case 12:
		kernel_interrupt(kernel, sender, record->size);
		break;
	default:
		send_any(kernel, record, sender);
	}
}
