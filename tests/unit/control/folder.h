/* A folder of a test's own, with files in it, and certificates. */
#ifndef TESTS_UNIT_CONTROL_FOLDER_H
#define TESTS_UNIT_CONTROL_FOLDER_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct folder {
	char path[64];
};

int folder_make(void **state);   /* a cmocka setup: *state is a struct folder */
int folder_remove(void **state); /* with all that is in it */

/* Returns text: the path of a name in the folder. */
const char *folder_path(const struct folder *folder, const char *name, char text[PATH_MAX]);
void folder_directory(const struct folder *folder, const char *name);
void folder_write(const struct folder *folder, const char *name, const void *bytes, size_t size, unsigned mode);
/* Through another file that is renamed, as whoever renews something does. */
void folder_replace(const struct folder *folder, const char *name, const void *bytes, size_t size, unsigned mode);
/* A link in place of what was there, if anything was, in one step. */
void folder_link(const struct folder *folder, const char *name, const char *target);
/* Returns the size. bytes: room for `capacity`. */
size_t folder_read(const struct folder *folder, const char *name, void *bytes, size_t capacity);

/* A server's certificate and its key, in chain.pem and key.pem of that name: "one-chain.pem". */
void folder_certificate(const struct folder *folder, const char *name, const char *host, int64_t begins_s,
			uint32_t days);

#endif
