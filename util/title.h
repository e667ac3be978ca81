/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What ps shows as the command line.
 *
 * pidof looks for a process by its own name if its command line is one word with blanks in it: then
 * `pidof kdamond.0' finds a kdamond, which has the command line of damonfs (util/task.h).
 */
#ifndef DAMONFS_UTIL_TITLE_H
#define DAMONFS_UTIL_TITLE_H

/*
 * Takes the ARGC arguments ARGV of main(), whose memory is what ps shows.
 * Return: a copy to be used instead, or ARGV if there is no memory; not to be freed.
 */
char **title_take(int argc, char **argv);

/* Makes the command line one word, which looks the same. */
void title_join(void);

#endif
