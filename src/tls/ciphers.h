/* OpenSSL's ciphers and hashes for the record layer: contexts that are made once for a thread, and take another key
 * with each record. Owned by that thread. */
#ifndef TLS_CIPHERS_H
#define TLS_CIPHERS_H

#include "base/slice.h"
#include "tls/session.h"

struct tls_ciphers;
struct tls_ciphers *tls_ciphers_new(void);          /* NULL: no memory, or OpenSSL lacks a cipher */
void tls_ciphers_free(struct tls_ciphers *ciphers); /* may be NULL */

/* ---- for the files of this folder ---- */

#define TLS_TAG_BYTES 16u
#define TLS_HASH_BYTES_MAX 48u
_Static_assert(TLS_HASH_BYTES_MAX == TLS_SECRET_BYTES_MAX, "a secret is as long as its hash");

/* One record's worth. The nonce has TLS_IV_BYTES. */
struct tls_aead {
	enum tls_suite suite;
	const uint8_t *key;
	const uint8_t *nonce;
	struct slice head; /* authenticated, not encrypted */
};

/* Encrypts `size` bytes in place, and writes the tag behind them. */
void tls_aead_seal(struct tls_ciphers *ciphers, const struct tls_aead *aead, uint8_t *bytes, size_t size);
/* Decrypts `size` bytes to `out`, which is `sealed` or apart from it; the tag stands behind them. False: the tag is
 * wrong, and what is in out is nobody's. */
bool tls_aead_open(struct tls_ciphers *ciphers, const struct tls_aead *aead, const uint8_t *sealed, size_t size,
		   uint8_t *out);

/* HMAC with the suite's hash over the parts in a row. out has room for TLS_HASH_BYTES_MAX. */
void tls_hmac(struct tls_ciphers *ciphers, enum tls_suite suite, struct slice key, const struct slice *parts,
	      size_t count, uint8_t *out);

#endif
