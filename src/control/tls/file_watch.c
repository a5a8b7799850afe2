#include "control/tls/file_watch.h"

#include "base/check.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

/* Whatever makes a name lead to other bytes. A directory that goes away is replaced in the one above, which is not
 * watched: its watch says so once, and the path is added again. */
#define EVENTS                                                                                                         \
	(IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF |        \
	 IN_ONLYDIR)
/* As many as the kernel follows [path_resolution(7)]. */
#define LINKS_MAX 40

void file_watch_open(struct file_watch *watch)
{
	watch->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
}

void file_watch_close(struct file_watch *watch)
{
	if (watch->fd >= 0)
		close(watch->fd);
	watch->fd = -1;
}

static bool watch_directory(const struct file_watch *watch, const char *directory)
{
	return inotify_add_watch(watch->fd, directory, EVENTS) >= 0;
}

/* Replaces the first `size` bytes of the path, of which the last name is a link, by what the link says. False: it would
 * be too long. */
static bool follow_link(char path[PATH_MAX], size_t directory, size_t size, const char *target)
{
	char followed[PATH_MAX];
	int kept = target[0] == '/' ? 0 : (int)directory;
	int length = snprintf(followed, sizeof(followed), "%.*s%s%s", kept, path, target, path + size);
	if (length < 0 || (size_t)length >= sizeof(followed))
		return false;
	memcpy(path, followed, (size_t)length + 1);
	return true;
}

/* Walks the path name by name. Where a name is a link, its directory is watched, and the walk begins anew with what the
 * link says in its place; the directory of the last name is watched in any case. */
bool file_watch_add(const struct file_watch *watch, const char *path)
{
	char walked[PATH_MAX];
	char target[PATH_MAX];
	int links = 0;
	if (snprintf(walked, sizeof(walked), "%s%s", path[0] == '/' ? "" : "./", path) >= (int)sizeof(walked))
		return false;
	for (size_t at = 0;;) {
		size_t name = at + strspn(walked + at, "/");
		size_t end = name + strcspn(walked + name, "/");
		char after = walked[end];
		walked[end] = '\0';
		ssize_t size = readlink(walked, target, sizeof(target) - 1);
		walked[end] = after;
		bool is_last = after == '\0';
		CHECK(size < (ssize_t)sizeof(target));
		if (size >= 0 || is_last) {
			char directory[PATH_MAX];
			snprintf(directory, sizeof(directory), "%.*s", (int)name, walked);
			if (!watch_directory(watch, name != 0 ? directory : "."))
				return false;
		}
		if (size < 0 && is_last)
			return true;
		at = end;
		if (size < 0)
			continue;
		target[size] = '\0';
		if (++links > LINKS_MAX || !follow_link(walked, name, end, target)) {
			errno = ELOOP;
			return false;
		}
		at = 0;
	}
}

bool file_watch_take(const struct file_watch *watch)
{
	_Alignas(struct inotify_event) char events[4096];
	bool any = false;
	while (watch->fd >= 0 && read(watch->fd, events, sizeof(events)) > 0)
		any = true;
	return any;
}
