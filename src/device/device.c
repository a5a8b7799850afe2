#include "device/device.h"

#include "base/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* A container with many volumes has some hundred lines. */
#define MOUNTINFO_BYTES_MAX (256u * 1024u)
/* Words of a line before the optional fields, which end with "-" [proc(5)]. */
#define WORD_DEVICE 2u

enum device_kind device_kind_of(const char *file_system)
{
	static const struct {
		const char *name;
		enum device_kind kind;
	} known[] = {
		{"tmpfs", DEVICE_MEMORY},     {"ramfs", DEVICE_MEMORY},      {"devtmpfs", DEVICE_MEMORY},
		{"overlay", DEVICE_OVERLAY},  {"aufs", DEVICE_OVERLAY},      {"nfs", DEVICE_NETWORK},
		{"nfs4", DEVICE_NETWORK},     {"cifs", DEVICE_NETWORK},      {"smb3", DEVICE_NETWORK},
		{"ceph", DEVICE_NETWORK},     {"glusterfs", DEVICE_NETWORK}, {"9p", DEVICE_NETWORK},
		{"virtiofs", DEVICE_NETWORK},
	};
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strcmp(file_system, known[i].name) == 0)
			return known[i].kind;
	}
	return strncmp(file_system, "fuse", 4) == 0 ? DEVICE_NETWORK : DEVICE_DISK;
}

static void copy_word(const char *from, char *out)
{
	size_t size = strcspn(from, " \n");
	snprintf(out, DEVICE_NAME_BYTES, "%.*s", (int)(size < DEVICE_NAME_BYTES ? size : DEVICE_NAME_BYTES - 1), from);
}

/* The word after `count` blanks of the line, or NULL. */
static const char *skip_words(const char *line, uint32_t count)
{
	for (; count > 0; count--) {
		line += strcspn(line, " \n");
		if (*line != ' ')
			return NULL;
		line++;
	}
	return line;
}

bool device_find_mount(const char *mountinfo, unsigned int major, unsigned int minor, char *file_system, char *source)
{
	for (const char *line = mountinfo; *line != '\0';) {
		size_t size = strcspn(line, "\n");
		const char *device = skip_words(line, WORD_DEVICE);
		const char *dash = memmem(line, size, " - ", 3);
		unsigned int found[2];
		if (device != NULL && dash != NULL && sscanf(device, "%u:%u ", &found[0], &found[1]) == 2 &&
		    found[0] == major && found[1] == minor) {
			const char *second = skip_words(dash + 3, 1);
			copy_word(dash + 3, file_system);
			copy_word(second != NULL ? second : "", source);
			return true;
		}
		line += size + (line[size] == '\n');
	}
	return false;
}

/* Returns false if it cannot be read. */
static bool find_in_mounts(struct device *device, char *source)
{
	char *text = malloc(MOUNTINFO_BYTES_MAX);
	FILE *file = fopen("/proc/self/mountinfo", "re");
	bool good = false;
	if (text != NULL && file != NULL) {
		text[fread(text, 1, MOUNTINFO_BYTES_MAX - 1, file)] = '\0';
		good = device_find_mount(text, device->major, device->minor, device->file_system, source);
	}
	if (file != NULL)
		fclose(file);
	free(text);
	return good;
}

/* A file system of several devices (btrfs) has a number of its own, which the block layer does not know; the mount
 * names one of its devices. */
static void find_block_device(struct device *device, const char *source)
{
	struct stat status;
	struct io_stat unused;
	device->has_stat = io_stat_read(device->major, device->minor, &unused);
	if (device->has_stat || stat(source, &status) != 0 || !S_ISBLK(status.st_mode))
		return;
	device->major = major(status.st_rdev);
	device->minor = minor(status.st_rdev);
	device->has_stat = io_stat_read(device->major, device->minor, &unused);
}

/* A partition has no queue of its own: its disk's is one level up. */
static bool read_rotates(const struct device *device)
{
	static const char *const places[] = {"queue/rotational", "../queue/rotational"};
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		char path[128];
		snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s", device->major, device->minor, places[i]);
		FILE *file = fopen(path, "re");
		if (file == NULL)
			continue;
		int answer = fgetc(file);
		fclose(file);
		return answer == '1';
	}
	return false;
}

static void read_name(struct device *device)
{
	char link[128];
	char target[256];
	snprintf(link, sizeof(link), "/sys/dev/block/%u:%u", device->major, device->minor);
	ssize_t size = readlink(link, target, sizeof(target) - 1);
	if (size <= 0)
		return;
	CHECK((size_t)size < sizeof(target));
	target[size] = '\0';
	const char *last = strrchr(target, '/');
	copy_word(last != NULL ? last + 1 : target, device->name);
}

enum error device_of(const char *path, struct device *out)
{
	struct stat status;
	struct statvfs room;
	char source[DEVICE_NAME_BYTES] = "";
	*out = (struct device){.kind = DEVICE_DISK};
	if (stat(path, &status) != 0 || statvfs(path, &room) != 0)
		return errno == ENOENT ? ERROR_NOT_FOUND : ERROR_SYSTEM;
	out->major = major(status.st_dev);
	out->minor = minor(status.st_dev);
	out->free_bytes = (uint64_t)room.f_bavail * room.f_frsize;
	out->size_bytes = (uint64_t)room.f_blocks * room.f_frsize;
	if (find_in_mounts(out, source))
		out->kind = device_kind_of(out->file_system);
	else
		snprintf(out->file_system, sizeof(out->file_system), "unknown");
	find_block_device(out, source);
	if (out->has_stat) {
		read_name(out);
		out->rotates = read_rotates(out);
	}
	return ERROR_OK;
}
