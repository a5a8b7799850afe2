/* Files for tests of who may come in, and tokens signed with the secret in one of them. */
#ifndef TESTS_UNIT_ACCESS_FILES_H
#define TESTS_UNIT_ACCESS_FILES_H

#include "access/access.h"

#define TEST_TOKEN_BYTES_MAX 1024u

/* The password of "alice" is "secret": argon2id with the least cost there is. */
#define TEST_PASSWORDS                                                                                                 \
	"alice:$argon2id$v=19$m=8,t=1,p=1$XuRiIED4ox8QUi35WQtb6w$TxRKS9cp2Bl8hSgZ2kgVT9SpmIUZRT8eOXoCoY4utCA\n"

/* A folder of its own, removed with what is in it. */
struct access_files {
	char folder[64];
};

void access_files_make(struct access_files *files);
void access_files_remove(struct access_files *files);
/* Writes a file that only its owner may read, and its path to the setting. */
void access_files_write(const struct access_files *files, char setting[ACCESS_TEXT_BYTES_MAX], const char *name,
			const char *content);
/* The secret that test_token() signs with. */
void access_files_write_secret(const struct access_files *files, struct access_settings *settings);

/* A token of HS256 with these claims, as printf() makes them, and an end in a day unless they say when. Static storage.
 */
const char *test_token(const char *claims, ...) __attribute__((format(printf, 1, 2)));
/* Seconds since 1970 now. */
int64_t test_wall_s(void);

#endif
