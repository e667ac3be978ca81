// SPDX-License-Identifier: GPL-2.0-or-later
/* The trees at the paths of the kernel's: see place.h. */
#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "fs/exec/namespace.h"
#include "fs/exec/overmount.h"
#include "fs/exec/place.h"
#include "util/cleanup.h"
#include "util/log.h"

#define DEBUGFS "/sys/kernel/debug"
#define NAME	"damon"

struct place {
	const char *what; /* for --only */
	const char *parent;
	const char *path; /* NAME in PARENT */
	const char *part; /* of the mount; "" is all of it */
};

static const struct place places[] = {
	{ "sysfs", "/sys/kernel/mm", "/sys/kernel/mm/" NAME, "" },
	{ "debugfs", DEBUGFS, DEBUGFS "/" NAME, "/" NAME },
};

/* DAMON's modules: in the mount they are in modules/. */
#define MODULES "/sys/module"
static const char *const modules[] = { "damon_reclaim", "damon_lru_sort", "damon_stat" };

static int place_failed(const char *what, int r)
{
	fprintf(stderr, "damonfs exec: %s: %s\n", what, strerror(-r));
	return r;
}

static bool is_wanted(const struct place *place, const char *only)
{
	return !only || !strcmp(only, place->what);
}

bool place_known(const char *only)
{
	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		if (!strcmp(places[i].what, only))
			return true;
	return false;
}

/* Mounts debugfs where none is mounted: tools look for it. */
static void mount_debugfs(void)
{
	struct statfs fs;

	if (!statfs(DEBUGFS, &fs) && fs.f_type != DEBUGFS_MAGIC &&
	    mount("debugfs", DEBUGFS, "debugfs", 0, NULL))
		log_debug("cannot mount debugfs: %s", strerror(errno));
}

/* An empty directory, on which a tree is mounted: survivors must not meet the kernel's own. */
static int make_place(const struct place *place)
{
	int r = overmount_directory(place->parent, NAME);

	if (!r && mount("damonfs", place->path, "tmpfs",
			MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=555"))
		r = -errno;
	return r;
}

/* Tools can do without. */
static void make_places_of_modules(void)
{
	int r = overmount_directories(MODULES, modules, ARRAY_SIZE(modules));

	if (r)
		log_info("DAMON's modules cannot be shown in %s: %s", MODULES, strerror(-r));
}

int place_enter_namespace(const char *only)
{
	int entered = namespace_enter();

	if (entered) {
		fprintf(stderr, "damonfs exec: cannot make a mount namespace: %s%s\n",
			strerror(-entered), namespace_hint(entered));
		return entered;
	}
	mount_debugfs();
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		const struct place *place = &places[i];
		int r = is_wanted(place, only) ? make_place(place) :
						 overmount_hide(place->parent, NAME);

		if (r)
			return place_failed(place->path, r);
	}
	if (is_wanted(places, only))
		make_places_of_modules();
	return 0;
}

const char *place_of_mount(const char *only)
{
	const struct place *place = places;

	while (!is_wanted(place, only))
		place++;
	return place->path;
}

/* Does nothing where the mount itself is the place. */
static int bind_part(const char *dir, const struct place *place)
{
	char part[4096];

	snprintf(part, sizeof(part), "%s%s", dir, place->part);
	if (!strcmp(part, place->path) || !mount(part, place->path, NULL, MS_BIND, NULL))
		return 0;
	return place_failed(place->path, -errno);
}

/* Those that the version of the mount has. */
static void bind_modules(const char *dir)
{
	char part[4096], path[4096];

	for (size_t i = 0; i < ARRAY_SIZE(modules); i++) {
		snprintf(part, sizeof(part), "%s/modules/%s", dir, modules[i]);
		snprintf(path, sizeof(path), MODULES "/%s", modules[i]);
		if (!access(part, F_OK) && !access(path, F_OK) &&
		    mount(part, path, NULL, MS_BIND, NULL))
			log_info("cannot bind %s: %s", path, strerror(errno));
	}
}

int place_bind(const char *dir, const char *only)
{
	int r = 0;

	if (is_wanted(places, only))
		bind_modules(dir);

	for (size_t i = 0; !r && i < ARRAY_SIZE(places); i++)
		if (is_wanted(&places[i], only))
			r = bind_part(dir, &places[i]);
	return r;
}
