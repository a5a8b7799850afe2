/* Says when something happens in the directories where files lie, by inotify. Directories rather than files, because
 * files are replaced: certbot renames symbolic links, and so does Kubernetes further up the path. So each directory
 * that has a link of the path in it is watched as well. Owned by one thread, in whose descriptor table the descriptor
 * is. */
#ifndef CONTROL_FILE_WATCH_H
#define CONTROL_FILE_WATCH_H

#include <stdbool.h>
#include <stddef.h>

struct file_watch {
	int fd; /* to be polled for POLLIN; -1: the kernel has no inotify instance left */
};

void file_watch_open(struct file_watch *watch);
void file_watch_close(struct file_watch *watch);
/* Watches the directories of the path as it leads now. A path that is watched already may be added again, and must be
 * after something happened: links may lead elsewhere then. False: one of the directories could not be watched, and
 * errno says why. */
bool file_watch_add(const struct file_watch *watch, const char *path);
/* Takes all events; true: there was one. Never blocks. */
bool file_watch_take(const struct file_watch *watch);

#endif
