/* One stored hash: its kinds, what they may cost, and whether a password matches. The tool makes new ones. Pure; any
 * thread. */
#ifndef AUTH_PASSWORD_HASH_H
#define AUTH_PASSWORD_HASH_H

#include "base/error.h"
#include "base/slice.h"

/* What a new hash costs: one of the pairs that OWASP recommends for argon2id, the one with the least memory. */
#define PASSWORD_MEMORY_BYTES ((size_t)7 << 20)
#define PASSWORD_PASSES 5
/* What a hash in a file may cost at most: no line may stall a server. */
#define PASSWORD_MEMORY_BYTES_MAX ((size_t)64 << 20)
#define PASSWORD_PASSES_MAX 16u
#define PASSWORD_ITERATIONS_MAX 1000000u
/* Of a hash as text. */
#define PASSWORD_HASH_BYTES_MAX 256u

/* NULL where it is well-formed and within the limits of auth/password/password_file.h, or what is wrong, in static
 * storage. */
const char *password_hash_check(struct slice hash);
/* Of a hash that was checked. ERROR_PASSWORD_WRONG, ERROR_NO_MEMORY. Compares in constant time. */
enum error password_hash_verify(struct slice hash, struct slice password);

/* A hash of the password, as text that ends with NUL. False: out of memory. */
bool password_hash(struct slice password, char out[PASSWORD_HASH_BYTES_MAX]);

/* A hash of no password, of the same cost: who asks about an unknown user is to wait as long as for a known one. */
void password_hash_decoy(char out[PASSWORD_HASH_BYTES_MAX]);

#endif
