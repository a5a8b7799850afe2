/* Users and their passwords, from a file of lines
 *
 *     NAME:HASH      (a line that begins with '#' is a comment)
 *
 * HASH is what `roost passwd` writes, argon2id as libsodium spells it ("$argon2id$v=19$m=7168,t=5,p=1$salt$hash"), or
 * what mosquitto_passwd writes, PBKDF2 with SHA-512 ("$7$iterations$salt$hash"), so that its files can be reused.
 *
 * A check takes as long as its hash is made to cost (PASSWORD_COST below: about 16 ms on the machine of docs/decisions)
 * and that much memory while it lasts. It may run in any thread, several at a time: a file is immutable. Whether there
 * is such a user cannot be told from the time it takes. Pure. */
#ifndef AUTH_PASSWORD_FILE_H
#define AUTH_PASSWORD_FILE_H

#include "auth/text/fault.h"
#include "base/error.h"
#include "base/slice.h"

#define PASSWORD_FILE_BYTES_MAX ((size_t)256 << 20)

struct password_file;

/* Of a file's text, which stays the caller's; with one reference, the caller's. NULL: *fault says why, with the line.
 */
struct password_file *password_file_new(struct slice text, struct fault *fault);
struct password_file *password_file_get(struct password_file *file);
void password_file_put(struct password_file **file);

uint32_t password_file_count(const struct password_file *file);
/* The user's hash as it is written; size 0: there is none. */
struct slice password_file_find(const struct password_file *file, struct slice user);

/* ERROR_OK, or ERROR_PASSWORD_WRONG, also where there is no such user; ERROR_NO_MEMORY. */
enum error password_check(const struct password_file *file, struct slice user, struct slice password);

/* Whether a name can stand in a file: not empty, UTF-8, no colon, no control characters, no blank and no '#' in front,
 * no blank at the end. */
bool password_user_is_valid(struct slice user);

#endif
