/* A key for signing tokens. `roost token` makes, reads, writes and uses it; the server only verifies. Owned by one
 * thread. A function that returns false has said in *fault why, and leaves nothing to be freed. */
#ifndef TOOL_SIGNER_H
#define TOOL_SIGNER_H

#include "auth/token/key.h"

#include <jansson.h>

#define SIGNER_RSA_BITS 2048
#define SIGNER_ID_BYTES_MAX (KEY_ID_BYTES_MAX + 1)

struct signer {
	enum algorithm algorithm;
	struct evp_pkey_st *pkey; /* all but HS256 */
	uint8_t secret[KEY_SECRET_BYTES_MAX];
	size_t secret_bytes;
	char id[SIGNER_ID_BYTES_MAX]; /* "": none */
};

/* A new key, without an id. */
bool signer_generate(struct signer *signer, enum algorithm algorithm, struct fault *fault);
/* For HS256; copies the secret. */
bool signer_from_secret(struct signer *signer, struct slice secret, struct fault *fault);
/* A private key as PEM, JWK, or JWK set with one key. */
bool signer_read(struct signer *signer, struct slice text, struct fault *fault);
void signer_fini(struct signer *signer);

/* The key as a JWK [RFC 7517], with or without the secret members; the caller decrefs it. */
json_t *signer_jwk(const struct signer *signer, bool secret);
/* Makes the key's thumbprint [RFC 7638] its id. */
void signer_set_thumbprint(struct signer *signer);

/* A compact JWS of any payload, with the header {"alg", "typ"} and "kid" where there is one; the caller frees it. */
char *signer_sign(const struct signer *signer, struct slice payload);
/* The same with the caller's header, whatever it says. */
char *signer_sign_as(const struct signer *signer, struct slice header, struct slice payload);

#endif
