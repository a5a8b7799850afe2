#include "commit/follow/mark.h"

#include "base/check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define TEXT_BYTES_MAX 160u
#define ID_DIGITS 32u

static bool parse_id(const char *digits, uint8_t id[16])
{
	for (size_t i = 0; i < 16; i++) {
		unsigned byte;
		if (sscanf(digits + 2 * i, "%2x", &byte) != 1)
			return false;
		id[i] = (uint8_t)byte;
	}
	return true;
}

enum error mark_load(const struct disk *disk, struct mark *mark)
{
	struct disk_file *file;
	char text[TEXT_BYTES_MAX + 1] = "";
	char digits[ID_DIGITS + 1] = "";
	char end = '\0';
	size_t got = 0;
	int error = disk->operations->open(disk->context, MARK_NAME, false, &file);
	if (error == -ENOENT)
		return ERROR_NOT_FOUND;
	if (error != 0)
		return ERROR_SYSTEM;
	error = disk->operations->read(disk->context, file, text, TEXT_BYTES_MAX, 0, &got);
	disk->operations->close(disk->context, file);
	if (error != 0)
		return ERROR_SYSTEM;
	int fields = sscanf(text, "taken %20" SCNu64 " %20" SCNu64 " %20" SCNu64 " %32[0-9a-f]%c", &mark->epoch,
			    &mark->commit, &mark->sessions, digits, &end);
	bool is_whole = fields == 5 && end == '\n' && strlen(digits) == ID_DIGITS && parse_id(digits, mark->store_id);
	return is_whole ? ERROR_OK : ERROR_NOT_FOUND;
}

static int write_new(const struct disk *disk, const char *text, size_t size)
{
	struct disk_file *file;
	int error = disk->operations->remove(disk->context, MARK_NEW_NAME); /* of an attempt that was cut short */
	if (error == 0 || error == -ENOENT)
		error = disk->operations->open(disk->context, MARK_NEW_NAME, true, &file);
	if (error != 0)
		return error;
	error = disk->operations->write(disk->context, file, text, size, 0);
	if (error == 0)
		error = disk->operations->sync(disk->context, file);
	disk->operations->close(disk->context, file);
	return error;
}

enum error mark_save(const struct disk *disk, const struct mark *mark)
{
	char text[TEXT_BYTES_MAX];
	char digits[ID_DIGITS + 1];
	for (size_t i = 0; i < 16; i++)
		snprintf(digits + 2 * i, 3, "%02x", mark->store_id[i]);
	int size = snprintf(text, sizeof(text), "taken %" PRIu64 " %" PRIu64 " %" PRIu64 " %s\n", mark->epoch,
			    mark->commit, mark->sessions, digits);
	CHECK(size > 0 && (size_t)size < sizeof(text));
	int error = write_new(disk, text, (size_t)size);
	if (error == 0)
		error = disk->operations->rename(disk->context, MARK_NEW_NAME, MARK_NAME);
	if (error == 0)
		error = disk->operations->sync_names(disk->context);
	return error == 0 ? ERROR_OK : ERROR_SYSTEM;
}

enum error mark_remove(const struct disk *disk)
{
	int error = disk->operations->remove(disk->context, MARK_NAME);
	if (error == 0)
		error = disk->operations->sync_names(disk->context);
	return error == 0 || error == -ENOENT ? ERROR_OK : ERROR_SYSTEM;
}
