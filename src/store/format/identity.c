#include "store/format/identity.h"

#include "base/check.h"
#include "store/format/segment.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define TEXT_BYTES_MAX 128u

_Static_assert(STORE_FORMAT == 1, "the format in the text");
#define TEXT_HEAD "roost-store 1\n"

static const char *identity_system_fault(int error)
{
	return strerror(-error); /* NOLINT(concurrency-mt-unsafe): glibc's is safe for errors that it knows */
}

static int hex_digit(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* "NAME " and 32 digits and the end of the line; moves *at behind it. */
static bool identity_take_line(const char **at, const char *name, uint8_t bytes[16])
{
	size_t length = strlen(name);
	if (strncmp(*at, name, length) != 0)
		return false;
	const char *digits = *at + length;
	for (size_t i = 0; i < 16; i++) {
		int high = hex_digit(digits[2 * i]);
		int low = high < 0 ? -1 : hex_digit(digits[2 * i + 1]);
		if (low < 0)
			return false;
		bytes[i] = (uint8_t)(high << 4 | low);
	}
	*at = digits + 32;
	return *(*at)++ == '\n';
}

static const char *parse(const char *text, struct store_identity *identity)
{
	unsigned format = 0;
	char end = '\0';
	if (sscanf(text, "roost-store %9u%c", &format, &end) != 2 || end != '\n')
		return "the file `id` is not that of a Roost store";
	if (format > STORE_FORMAT)
		return "it is of a newer format: this program is too old for it";
	if (format < STORE_FORMAT)
		return "it is of an older format, which this program does not know";
	const char *at = strchr(text, '\n') + 1;
	if (!identity_take_line(&at, "id ", identity->id) || !identity_take_line(&at, "key ", identity->key) ||
	    *at != '\0')
		return "the file `id` is damaged";
	return NULL;
}

enum error store_identity_load(const struct disk *disk, struct store_identity *identity, const char **why)
{
	const struct disk_operations *operations = disk->operations;
	struct disk_file *file;
	char text[TEXT_BYTES_MAX + 1] = "";
	size_t got = 0;
	*why = NULL;
	int error = operations->open(disk->context, STORE_IDENTITY_NAME, false, &file);
	if (error == -ENOENT)
		return ERROR_NOT_FOUND;
	if (error == 0) {
		error = operations->read(disk->context, file, text, TEXT_BYTES_MAX, 0, &got);
		operations->close(disk->context, file);
	}
	if (error != 0)
		*why = identity_system_fault(error);
	else if (strlen(text) != got)
		*why = "the file `id` is not that of a Roost store";
	else
		*why = parse(text, identity);
	return *why == NULL ? ERROR_OK : ERROR_SYSTEM;
}

static size_t write_hex(char *to, const char *name, const uint8_t bytes[16])
{
	static const char DIGITS[] = "0123456789abcdef";
	size_t size = strlen(name);
	memcpy(to, name, size);
	for (size_t i = 0; i < 16; i++) {
		to[size++] = DIGITS[bytes[i] >> 4];
		to[size++] = DIGITS[bytes[i] & 15];
	}
	to[size++] = '\n';
	return size;
}

enum error store_identity_save(const struct disk *disk, const struct store_identity *identity, const char **why)
{
	const struct disk_operations *operations = disk->operations;
	char text[TEXT_BYTES_MAX] = TEXT_HEAD;
	size_t size = strlen(TEXT_HEAD);
	size += write_hex(text + size, "id ", identity->id);
	size += write_hex(text + size, "key ", identity->key);
	CHECK_LE(size, sizeof(text));
	struct disk_file *file;
	*why = NULL;
	int error = operations->remove(disk->context, STORE_IDENTITY_NEW_NAME); /* of an attempt that was cut short */
	if (error == 0 || error == -ENOENT)
		error = operations->open(disk->context, STORE_IDENTITY_NEW_NAME, true, &file);
	if (error == 0) {
		error = operations->write(disk->context, file, text, size, 0);
		if (error == 0)
			error = operations->sync(disk->context, file);
		operations->close(disk->context, file);
	}
	if (error == 0)
		error = operations->rename(disk->context, STORE_IDENTITY_NEW_NAME, STORE_IDENTITY_NAME);
	if (error == 0)
		error = operations->sync_names(disk->context);
	if (error != 0)
		*why = identity_system_fault(error);
	return error == 0 ? ERROR_OK : ERROR_SYSTEM;
}

enum error store_identity_make(const struct disk *disk, struct store_identity *identity, const char **why)
{
	size_t size = sizeof(*identity);
	_Static_assert(sizeof(*identity) <= 256, "getrandom() gives so much at once, and is not interrupted");
	CHECK_EQ(getrandom(identity, size, 0), (ssize_t)size);
	return store_identity_save(disk, identity, why);
}
