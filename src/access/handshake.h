/* Signing in: turns the bytes of a CONNECT into an admission or a refusal [3.1, 3.2]. No threads, no sockets. */
#ifndef ACCESS_HANDSHAKE_H
#define ACCESS_HANDSHAKE_H

#include "auth/rules/acl.h"
#include "auth/sign_in.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/slice.h"
#include "runtime/settings/settings.h"

#include <stdint.h>

struct access;
struct admission;

#define REFUSAL_BYTES_MAX 640u

/* What signing in depends on. The same for all clients of one turn of a gate. */
struct sign_in_environment {
	const struct settings *settings;
	const struct hash_key *key;
	enum error refusal;          /* if not ERROR_OK, everyone is refused for this reason */
	struct sign_in *sign_in;     /* NULL: no sign-in is configured, and credentials are ignored */
	const struct acl *acl;       /* NULL: no rules are configured */
	const struct access *access; /* for revocations where no sign-in is configured; NULL: none */
	int64_t wall_s;              /* seconds since 1970 */
};

/* What is known of a client before its CONNECT. */
struct handshake_origin {
	bool loopback; /* it comes from this machine, or by a listener that only this machine reaches */
	/* It is Roost's own (control/internal.h): its id has to begin with INTERNAL_ID_PREFIX, which nobody else's may;
	 * it needs no credentials, and is let in whatever refuses all others. */
	bool is_internal;
	/* Who it has signed in as: the name in its certificate, or its process's user. Credentials in CONNECT are not
	 * looked at then. size 0: nobody yet. */
	struct slice user;
	/* The name in its certificate, which is the only client id that it may use, and becomes its id if CONNECT names
	 * none. Where no other sign-in is configured, it is one. size 0: there is none. */
	struct slice client_id;
};

/* The only authentication method that is supported (version 5): the data is a token [4.12]. */
#define AUTH_METHOD_TOKEN "token"

/* Reads a CONNECT from the start of `bytes`. ERROR_OK: *admission is new, and the caller frees it with free().
 * ERROR_MORE: CONNECT is incomplete; *packet_bytes is its size, or 0 if not known yet. ERROR_PASSWORD_PENDING: the
 * password must be checked elsewhere, then CONNECT is read again. Otherwise the reason for a refusal. *version is the
 * client's protocol level (0: not known). */
enum error handshake_read(const struct sign_in_environment *environment, const struct handshake_origin *origin,
			  struct slice bytes, struct admission **admission, size_t *packet_bytes, uint8_t *version);

/* When a client that is refused for lack of room should reconnect. Random, so that not all of them come back at once.
 * 0: clients refused for this reason are not told to come back. */
uint32_t handshake_retry_ms(enum error reason);

/* Encodes the CONNACK that refuses a client of this version for this reason [3.2.2.2]. Returns its size; 0: there is
 * none, the connection is just closed. retry_ms: if not 0, version 5 clients are told to reconnect after this time
 * (User Property "retry-after-ms"). server_reference: of version 5; "": none. out has room for REFUSAL_BYTES_MAX. */
size_t handshake_refusal(enum error reason, const char *server_reference, uint8_t version, uint32_t retry_ms,
			 uint8_t *out);

#endif
