/* One stored hash: what kinds there are, what they may cost, and whether a password is the one. Private to password.c.
 */
#ifndef AUTH_PASSWORD_HASH_H
#define AUTH_PASSWORD_HASH_H

#include "base/error.h"
#include "base/slice.h"

/* NULL where it is well-formed and within the limits of auth/password.h, or what is wrong, in static storage. */
const char *password_hash_check(struct slice hash);
/* Of a hash that was checked. ERROR_PASSWORD_WRONG, ERROR_NO_MEMORY. Compares in constant time. */
enum error password_hash_verify(struct slice hash, struct slice password);

#endif
