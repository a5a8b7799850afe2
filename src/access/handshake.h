/* Signing in: from the bytes of a CONNECT to an admission or a refusal. No threads, no sockets. */
#ifndef ACCESS_HANDSHAKE_H
#define ACCESS_HANDSHAKE_H

#include "auth/rules/acl.h"
#include "auth/sign_in.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/slice.h"
#include "runtime/settings.h"

#include <stdint.h>

struct access;
struct admission;

#define REFUSAL_BYTES_MAX 320u

/* What signing in needs to know, the same for all clients of a gate's turn. */
struct sign_in_environment {
	const struct settings *settings;
	const struct hash_key *key;
	enum error refusal;          /* for everyone, as long as it is not ERROR_OK */
	struct sign_in *sign_in;     /* NULL: there is no way to sign in, and nobody's credentials are looked at */
	const struct acl *acl;       /* NULL: no rules are configured */
	const struct access *access; /* who was revoked, where there is no way to sign in; NULL: nobody */
	int64_t wall_s;              /* seconds since 1970 */
};

/* The one authentication method of version 5 that there is: the data is a token [4.12]. */
#define AUTH_METHOD_TOKEN "token"

/* Reads a CONNECT off the front of `bytes`. ERROR_OK: *admission is new and the caller's (free()). ERROR_MORE: it is
 * not whole; *packet_bytes is its size as far as known. Otherwise why the client is refused, and *version is what it
 * speaks (0: not known). */
enum error handshake_read(const struct sign_in_environment *environment, bool loopback, struct slice bytes,
			  struct admission **admission, size_t *packet_bytes, uint8_t *version);

/* When those who are refused for want of room may come back: spread over some time, not all at once. 0: for this reason
 * nobody is told to. */
uint32_t handshake_retry_ms(enum error reason);

/* The CONNACK that refuses, as the standard says for this version and reason; 0: none, the connection is just closed.
 * retry_ms: not 0: when version 5 clients are told to come back (User Property "retry-after-ms"). out holds
 * REFUSAL_BYTES_MAX. */
size_t handshake_refusal(enum error reason, uint8_t version, uint32_t retry_ms, uint8_t *out);

#endif
