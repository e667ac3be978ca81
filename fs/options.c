// SPDX-License-Identifier: GPL-2.0-or-later
/* Parsing the command line of a mount: see options.h. */
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "access/access.h"
#include "engine/damon.h"
#include "fs/fstab.h"
#include "fs/options.h"
#include "util/cleanup.h"
#include "util/number.h"
#include "version.h"

#define OPTION(template, member)                              \
	{                                                     \
		template, offsetof(struct options, member), 1 \
	}

static const struct fuse_opt table[] = {
	OPTION("abi=%s", abi_name),
	OPTION("method=%s", method),
	OPTION("log=%s", log_name),
	OPTION("uid=%s", user_name),
	OPTION("gid=%s", group_name),
	OPTION("max_read=%s", max_read_text),
	OPTION("sandbox=%s", sandbox_name),
	OPTION("survive", survive),
	OPTION("fdstore", fdstore),
	OPTION("max_objects=%s", limit_text[ACCOUNT_OBJECTS]),
	OPTION("max_kdamonds=%s", limit_text[ACCOUNT_KDAMONDS]),
	OPTION("max_regions=%s", limit_text[ACCOUNT_REGIONS]),
	OPTION("max_handles=%s", limit_text[ACCOUNT_HANDLES]),
	OPTION("max_bytes=%s", limit_text[ACCOUNT_BYTES]),
	FUSE_OPT_END,
};

/* A word that an option takes; lists end with one without a name. */
struct option_word {
	const char *name;
	int value;
};

static const struct option_word abis[] = {
	{ "6.1", DAMON_ABI(6, 1) }, { "6.12", DAMON_ABI(6, 12) }, { "6.18", DAMON_ABI(6, 18) },
	{ "7.0", DAMON_ABI(7, 0) }, { "7.2", DAMON_ABI(7, 2) },	  { 0 },
};
static const struct option_word levels[] = {
	{ "error", LOG_LEVEL_ERROR },
	{ "info", LOG_LEVEL_INFO },
	{ "debug", LOG_LEVEL_DEBUG },
	{ 0 },
};
static const struct option_word sandboxes[] = {
	{ "errno", SANDBOX_ERRNO },
	{ "trap", SANDBOX_TRAP },
	{ "off", SANDBOX_OFF },
	{ 0 },
};

/* clang-format off */
static const char help[] =
	"Usage: %s [options] [SOURCE] MOUNTPOINT\n"
	"       %s exec [--at DIR] [--only sysfs|debugfs] [-o options] [--] [COMMAND [ARGUMENT...]]\n"
	"       %s check [--json] [PID]\n"
	"       %s lend [--pid PID] [-o options] MOUNTPOINT [--] COMMAND [ARGUMENT...]\n"
	"       %s status [--json] [MOUNTPOINT...]\n"
	"       %s upgrade [MOUNTPOINT...]\n"
	"\n"
	"Mounts the trees of the kernel's DAMON, and monitors in user space.  See damonfs(8).\n"
	"\n"
	"    exec       runs COMMAND, or a shell, where the tree is at /sys/kernel/mm/damon\n"
	"    check      says what works here, for process PID, and what adds what does not\n"
	"    lend       mounts for a damonfs that may not mount\n"
	"    status     says how mounts are doing\n"
	"    upgrade    has mounts with -o survive go on with the damonfs that is installed now\n"
	"\n"
	"    -o abi=VERSION         the kernel whose tree it is: 6.1, 6.12, 6.18, 7.0 (default),\n"
	"                           7.2\n"
	"    -o method=METHOD       how to see accesses: auto (default), idle, young, softdirty,\n"
	"                           referenced, simulated:FILE\n"
	"    -o uid=USER,gid=GROUP  the owner of the tree, who may watch only their own\n"
	"                           processes; names or numbers\n"
	"    -o log=LEVEL           error, info (default) or debug\n"
	"    -o max_objects=N,max_kdamonds=N,max_regions=N,max_handles=N,max_bytes=N\n"
	"                           the most that one user may have; defaults: damonfs(8)\n"
	"    -o survive             if damonfs is killed, another one goes on where it was\n"
	"    -o fdstore             the same, also if its service is restarted (systemd's\n"
	"                           FileDescriptorStoreMax=)\n"
	"    -o sandbox=MODE        a system call that damonfs never makes fails (errno,\n"
	"                           default), kills it (trap), or works (off)\n"
	"\n"
	"FUSE options:\n";
/* clang-format on */

static void show_help(const char *program)
{
	printf(help, program, program, program, program, program, program);
	fuse_cmdline_help();
	fuse_lowlevel_help();
}

/* The option WHAT: its value NAME, or FALLBACK if it was not given. */
static int find_word(const char *what, const char *name, const struct option_word *word,
		     int fallback, int *out)
{
	*out = fallback;
	if (!name)
		return 0;
	for (; word->name; word++) {
		if (!strcmp(word->name, name)) {
			*out = word->value;
			return 0;
		}
	}
	fprintf(stderr, "damonfs: unknown %s=%s; see damonfs --help\n", what, name);
	return -EINVAL;
}

/* A script is opened when monitoring starts, after the daemon has left its directory. */
static int absolute_method(struct options *options)
{
	static const char prefix[] = "simulated:";
	char *path, *whole;

	if (strncmp(options->method, prefix, strlen(prefix)))
		return 0;
	path = realpath(options->method + strlen(prefix), NULL);
	if (!path) {
		fprintf(stderr, "damonfs: %s: %s\n", options->method, strerror(errno));
		return -EINVAL;
	}
	if (asprintf(&whole, "%s%s", prefix, path) < 0)
		whole = NULL;
	free(path);
	free(options->method);
	options->method = whole;
	return whole ? 0 : -ENOMEM;
}

static int find_user(const char *name, unsigned int *out)
{
	const struct passwd *user = getpwnam(name);

	if (user)
		*out = user->pw_uid;
	return user ? 0 : -EINVAL;
}

static int find_group(const char *name, unsigned int *out)
{
	const struct group *group = getgrnam(name);

	if (group)
		*out = group->gr_gid;
	return group ? 0 : -EINVAL;
}

/* The option WHAT, if it was given: a number or a name that FIND_NAME knows. */
static int find_id(const char *what, const char *text,
		   int (*find_name)(const char *name, unsigned int *out), unsigned int *out)
{
	/* The largest is no id: it says that there is none. */
	if (!text || !number_scan(text, UINT_MAX - 1, out) || !find_name(text, out))
		return 0;
	fprintf(stderr, "damonfs: %s=%s is neither an id nor a known name\n", what, text);
	return -EINVAL;
}

static int find_max_read(struct options *options)
{
	if (!options->max_read_text ||
	    !number_scan(options->max_read_text, UINT_MAX, &options->max_read))
		return 0;
	fprintf(stderr, "damonfs: max_read=%s is not a number of bytes\n", options->max_read_text);
	return -EINVAL;
}

/* Bounds of one user; 0 is not allowed. */
static int find_limits(struct options *options)
{
	for (enum account_resource i = 0; i < NR_ACCOUNT_RESOURCES; i++) {
		const char *text = options->limit_text[i];
		unsigned int number = 0;

		if (!text)
			continue;
		if (number_scan(text, UINT_MAX, &number) || !number) {
			fprintf(stderr, "damonfs: max_%s=%s is not a number from 1 to %u\n",
				account_name(i), text, UINT_MAX);
			return -EINVAL;
		}
		options->limits.of[i] = number;
	}
	return 0;
}

static int find_words(struct options *options)
{
	int abi, level, sandbox;

	if (find_word("abi", options->abi_name, abis, DAMON_ABI_DEFAULT, &abi) ||
	    find_word("log", options->log_name, levels, LOG_LEVEL_INFO, &level) ||
	    find_word("sandbox", options->sandbox_name, sandboxes, SANDBOX_ERRNO, &sandbox))
		return -EINVAL;
	options->abi = (unsigned int)abi;
	options->log_level = options->debug ? LOG_LEVEL_DEBUG : (enum log_level)level;
	options->sandbox = (enum sandbox_mode)sandbox;
	return 0;
}

static int find_method(struct options *options)
{
	if (!options->method)
		options->method = strdup("auto");
	if (!options->method)
		return -ENOMEM;
	if (access_method_known(options->method))
		return absolute_method(options);
	fprintf(stderr, "damonfs: unknown method=%s; see damonfs --help\n", options->method);
	return -EINVAL;
}

static int options_check(struct options *options)
{
	if (find_words(options) || find_id("uid", options->user_name, find_user, &options->uid) ||
	    find_id("gid", options->group_name, find_group, &options->gid) ||
	    find_max_read(options) || find_limits(options))
		return -EINVAL;
	return find_method(options);
}

static int add_max_read(struct options *options)
{
	char text[32];

	snprintf(text, sizeof(text), "-omax_read=%u", options->max_read);
	return fuse_opt_add_arg(&options->args, text);
}

/* Adds the default options of the mount that depend on others. */
static int add_defaults(struct options *options)
{
	if (options->max_read && add_max_read(options))
		return -ENOMEM;
	/* A tree that was given to somebody else is of no use if they may not enter. */
	if (getuid() == 0 && options->uid && fuse_opt_add_arg(&options->args, "-oallow_other"))
		return -ENOMEM;
	return 0;
}

/* Notes the method with its absolute path, as an option.  Return: 0 or -ENOMEM. */
static int note_method(struct options *options)
{
	_cleanup_free_ char *option = NULL;

	if (asprintf(&option, "method=%s", options->method) < 0) {
		option = NULL;
		return -ENOMEM;
	}
	return fuse_opt_add_opt_escaped(&options->absolute_method, option) ? -ENOMEM : 0;
}

/* Notes the words of main() but source and mount point; the method counts as said last. */
static int note_words(int argc, char **argv, struct options *options)
{
	size_t nr = 0;

	options->program = argv[0];
	options->words = calloc((size_t)argc + 3, sizeof(*options->words));
	if (!options->words || note_method(options))
		return -ENOMEM;
	/* Behind `--' there are no options. */
	for (int i = 1; i < argc && strcmp(argv[i], "--"); i++) {
		if (argv[i][0] != '-')
			continue;
		options->words[nr++] = argv[i];
		if (!strcmp(argv[i], "-o") && i + 1 < argc)
			options->words[nr++] = argv[++i];
	}
	options->words[nr++] = (char *)"-o";
	options->words[nr] = options->absolute_method;
	return 0;
}

/* What is mounted where: the words that are no options. */
struct places {
	const char *of[2];
	size_t nr;
};

/* Takes a word that libfuse is not to see.  Return: 0, 1 if it is for libfuse, or -1. */
static int take_word(void *data, const char *word, int key, struct fuse_args *unused)
{
	struct places *places = data;

	(void)unused;
	if (key != FUSE_OPT_KEY_NONOPT)
		return !fstab_ignores(word);
	if (places->nr == ARRAY_SIZE(places->of)) {
		fprintf(stderr, "damonfs: %s: there is a mount point already\n", word);
		return -1;
	}
	places->of[places->nr++] = word;
	return 0;
}

/*
 * Adds the default options of each mount: first, so that the user's own win; and before libfuse
 * takes the program file's name for the type, by which others know a damonfs.
 */
static int add_name(const char *source, struct fuse_args *args)
{
	_cleanup_free_ char *name = NULL, *list = NULL, *option = NULL;

	/* A source of mount(8) is any text. */
	if (asprintf(&name, "fsname=%s", source) < 0)
		name = NULL;
	if (!name || fuse_opt_add_opt_escaped(&list, name))
		return -ENOMEM;
	if (asprintf(&option, "-osubtype=damonfs,default_permissions,%s", list) < 0)
		option = NULL;
	return option && !fuse_opt_insert_arg(args, 1, option) ? 0 : -ENOMEM;
}

/* Adds the mount point again, where libfuse looks for it. */
static int add_mountpoint(const char *mountpoint, struct fuse_args *args)
{
	_cleanup_free_ char *path = NULL;

	/* Not to be taken for an option. */
	if (asprintf(&path, "%s%s", *mountpoint == '-' ? "./" : "", mountpoint) < 0)
		path = NULL;
	return path && !fuse_opt_add_arg(args, path) ? 0 : -ENOMEM;
}

/* Copies the words of main() that are for libfuse to ARGS.  Return: 0, -EINVAL or -ENOMEM. */
static int take_words(int argc, char **argv, struct fuse_args *args)
{
	struct places places = { 0 };
	const char *source = "damonfs";
	int r;

	*args = (struct fuse_args)FUSE_ARGS_INIT(argc, argv);
	if (fuse_opt_parse(args, &places, NULL, take_word))
		return -EINVAL;
	/* Behind it, libfuse would lose track of what is added. */
	if (args->argc > 1 && !strcmp(args->argv[args->argc - 1], "--"))
		free(args->argv[--args->argc]);
	if (places.nr == 2 && *places.of[0])
		source = places.of[0];
	r = add_name(source, args);
	if (!r && places.nr)
		r = add_mountpoint(places.of[places.nr - 1], args);
	return r;
}

int options_parse(int argc, char **argv, struct options *out)
{
	struct fuse_cmdline_opts cmdline = { 0 };
	int r;

	*out = (struct options){ .uid = getuid(), .gid = getgid() };
	r = take_words(argc, argv, &out->args);
	if (!r && fuse_parse_cmdline(&out->args, &cmdline))
		r = -EINVAL;
	out->mountpoint = cmdline.mountpoint;
	if (r == -EINVAL)
		fprintf(stderr, "see damonfs --help\n");
	if (r)
		return r;
	out->foreground = cmdline.foreground;
	out->debug = cmdline.debug;
	if (cmdline.show_help) {
		show_help(argv[0]);
		return OPTIONS_DONE;
	}
	if (cmdline.show_version) {
		printf("damonfs version %s\n", DAMONFS_VERSION);
		fflush(stdout);
		fuse_lowlevel_version();
		return OPTIONS_DONE;
	}
	if (fuse_opt_parse(&out->args, out, table, NULL))
		return -EINVAL;
	out->survive |= out->fdstore;
	r = options_check(out);
	if (!r)
		r = note_words(argc, argv, out);
	return r ? r : add_defaults(out);
}

void options_free(struct options *options)
{
	fuse_opt_free_args(&options->args);
	free(options->mountpoint);
	free(options->words);
	free(options->absolute_method);
	free(options->abi_name);
	free(options->method);
	free(options->log_name);
	free(options->sandbox_name);
	free(options->user_name);
	free(options->group_name);
	free(options->max_read_text);
	for (size_t i = 0; i < NR_ACCOUNT_RESOURCES; i++)
		free(options->limit_text[i]);
}

/* Adds OPTION to *LIST.  Return: 0 or -ENOMEM. */
static int add_to_list(char **list, const char *option)
{
	return fuse_opt_add_opt(list, option) ? -ENOMEM : 0;
}

bool options_have(const struct options *options, const char *word)
{
	const struct fuse_opt words[] = { { word, 0, 1 }, FUSE_OPT_END };
	struct fuse_args args = FUSE_ARGS_INIT(options->args.argc, options->args.argv);
	int found = 0;

	/* If there is no memory, libfuse refuses what is left. */
	fuse_opt_parse(&args, &found, words, NULL);
	fuse_opt_free_args(&args);
	return found;
}

char *options_for_mount(const struct options *options)
{
	const struct fuse_args *args = &options->args;
	_cleanup_free_ char *list = NULL;
	int r = 0;

	for (int i = 1; !r && i < args->argc; i++) {
		const char *word = args->argv[i];

		if (!strcmp(word, "-r"))
			r = add_to_list(&list, "ro");
		else if (!strcmp(word, "-o") && i + 1 < args->argc)
			r = add_to_list(&list, args->argv[++i]);
		else if (!strncmp(word, "-o", 2) && word[2])
			r = add_to_list(&list, word + 2);
	}
	/* For the kernel it is the same; libfuse refuses the others. */
	if (!r && options_have(options, "allow_root"))
		r = add_to_list(&list, "allow_other");
	return r ? NULL : steal_ptr(list);
}
