/* A public key out of a PEM file. Called while a key set is made. Pure; any thread. */
#ifndef AUTH_KEY_PEM_H
#define AUTH_KEY_PEM_H

#include "auth/token/key.h"

/* The text's one block: PUBLIC KEY, RSA PUBLIC KEY or CERTIFICATE. A private key is refused: a server that verifies has
 * no use for it, and whoever reads the file could sign. So is a second block, which may be a CA's that nobody meant. */
bool key_from_pem(struct key *key, struct slice id, struct slice text, struct fault *fault);

#endif
