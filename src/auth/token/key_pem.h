/* A public key out of a PEM file. Called while a key set is made. Pure; any thread. */
#ifndef AUTH_KEY_PEM_H
#define AUTH_KEY_PEM_H

#include "auth/token/key.h"

/* The text's one block: PUBLIC KEY, RSA PUBLIC KEY or CERTIFICATE. A private key is refused: a server that
 * verifies has no use for it, and anybody who can read the file could sign. A second block is refused too: it may be a
 * CA's certificate that was included by accident. */
bool key_from_pem(struct key *key, struct slice id, struct slice text, struct fault *fault);

#endif
