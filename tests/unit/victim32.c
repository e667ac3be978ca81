// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A 32-bit process without a library, for test-inject: it looks after its memory, writes a byte to
 * stdout for each round while that is asked for, and ends when there is something to read on stdin,
 * with 0 if its memory always was what it had made it.
 */
#define WORDS (1 << 20)

static unsigned int memory[WORDS];

static int call(int number, int a, const void *b, int c)
{
	int result;

	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "a"(number), "b"(a), "c"(b), "d"(c)
			 : "memory");
	return result;
}

/* Of the kernel: i386 has its own numbers. */
enum { EXIT = 1, WRITE = 4, POLL = 168 };

void _start(void)
{
	struct {
		int fd;
		short events, revents;
	} input = { 0, 1, 0 };
	unsigned int round = 0, wrong = 0;

	do {
		for (unsigned int i = 0; i < WORDS; i += 64) {
			wrong |= memory[i] != (round ? round * i : 0);
			memory[i] = (round + 1) * i;
		}
		if (++round % 16 == 1)
			call(WRITE, 1, "y", 1);
	} while (!call(POLL, (int)&input, (void *)1, 0));
	call(EXIT, wrong, 0, 0);
}
