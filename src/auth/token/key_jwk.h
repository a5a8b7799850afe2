/* A key out of a JSON Web Key [RFC 7517; RFC 7518, 6; RFC 8037, 2]: oct for HS256, RSA for RS256, EC on P-256 for
 * ES256, OKP Ed25519 for EdDSA. Members of private keys are passed over. Called while a key set is made. Pure; any
 * thread. */
#ifndef AUTH_KEY_JWK_H
#define AUTH_KEY_JWK_H

#include "auth/text/strict_json.h"
#include "auth/token/key.h"

/* False: *fault says why the key is not for us. That may be no mistake: it may be meant to encrypt, or be of a kind
 * that we do not know. Then it is to be skipped [RFC 7517, 5]. */
bool key_from_jwk(struct key *key, const struct strict_json *json, const struct strict_node *jwk, struct fault *fault);

#endif
