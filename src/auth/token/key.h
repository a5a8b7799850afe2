/* A key that tokens are verified with. Its algorithm is a property of the key, settled when it is read: what a token's
 * header says can only agree with it or be refused, so that a public key is never taken for a secret.
 *
 * A key is immutable and may be shared by threads once it is made. What a verification needs to write to is a
 * `struct key_check`, of which each thread has its own for each key. Pure. */
#ifndef AUTH_KEY_H
#define AUTH_KEY_H

#include "auth/text/fault.h"
#include "base/slice.h"

/* A shorter secret is weaker than its hash and must not be used [RFC 7518, 3.2]. */
#define KEY_SECRET_BYTES_MIN 32u
#define KEY_SECRET_BYTES_MAX 4096u
/* [RFC 7518, 3.3], and what keeps a verification below a millisecond. */
#define KEY_RSA_BITS_MIN 2048
#define KEY_RSA_BITS_MAX 8192
#define KEY_ID_BYTES_MAX 256u

#define KEY_ED25519_BYTES 32u

enum algorithm {
	ALGORITHM_HS256,
	ALGORITHM_RS256,
	ALGORITHM_ES256,
	ALGORITHM_EDDSA,
	ALGORITHM_COUNT,
};

/* "HS256", as in a token's header; static storage. */
const char *algorithm_name(enum algorithm algorithm);
/* False: it is none of ours, "none" included. Case matters [RFC 7515, 4.1.1]. */
bool algorithm_parse(struct slice name, enum algorithm *algorithm);

/* OpenSSL's, named here so that its headers stay out of ours. */
struct evp_pkey_st;
struct evp_pkey_ctx_st;
struct evp_mac_ctx_st;
struct evp_md_st;

struct key {
	enum algorithm algorithm;
	uint32_t id_bytes; /* 0: it has no id */
	uint8_t *id;
	struct evp_mac_ctx_st *mac;         /* HS256: begun with the secret, to be copied */
	struct evp_pkey_st *pkey;           /* RS256, ES256 */
	uint8_t ed25519[KEY_ED25519_BYTES]; /* EdDSA */
};

static inline struct slice key_id(const struct key *key)
{
	return slice_of(key->id, key->id_bytes);
}

/* A secret file's content without the end of line that editors put behind a text; a secret that has other than
 * printable characters in it is taken as it is. */
struct slice key_secret_trim(struct slice content);

/* Each makes *key of bytes that stay the caller's, or says in *fault why not; then *key needs no key_fini(). An id of
 * size 0 is none. */
bool key_from_secret(struct key *key, struct slice id, struct slice secret, struct fault *fault);
/* Takes ownership of the public key in any case. */
bool key_from_pkey(struct key *key, struct slice id, struct evp_pkey_st **pkey, struct fault *fault);
bool key_from_ed25519(struct key *key, struct slice id, struct slice point, struct fault *fault);
/* Secrets are wiped. */
void key_fini(struct key *key);

/* One thread's means to verify with one key. All zeroes is a valid beginning; the key must outlive it. */
struct key_check {
	struct evp_mac_ctx_st *mac;
	struct evp_pkey_ctx_st *context;
	struct evp_md_st *hash;
};

/* Whether the signature [RFC 7515, 5.2] is the key's for this message. A MAC is compared in constant time. False also
 * without memory. Leaves nothing in OpenSSL's queue of errors, which belongs to the thread's TLS too. */
bool key_verify(const struct key *key, struct key_check *check, struct slice message, struct slice signature);
void key_check_fini(struct key_check *check);

#endif
