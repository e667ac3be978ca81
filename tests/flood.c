// SPDX-License-Identifier: GPL-2.0-or-later
/* flood PATH NUMBER: so many processes ask about PATH, one question after the other, until it is
 * gone. */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct stat st;

	if (argc != 3)
		return 2;
	for (int i = 1; i < atoi(argv[2]); i++)
		if (!fork())
			break;
	while (!stat(argv[1], &st))
		;
	return 0;
}
