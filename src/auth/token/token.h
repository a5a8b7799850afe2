/* JSON Web Tokens [RFC 7519] as compact JWS [RFC 7515]: from untrusted bytes to the claims of a valid token.
 *
 * What it never does: take an algorithm from the token (a key has one, and the header must name it), accept "none",
 * follow a key or an address that the token brings along (jwk, jku, x5c, x5u), look at a claim before the signature was
 * found good, take an extension that it does not know ("crit"), or accept a second spelling of the same token.
 *
 * A verifier is owned by one thread; the keys are a shared immutable snapshot, swapped by token_verifier_use(). */
#ifndef AUTH_TOKEN_H
#define AUTH_TOKEN_H

#include "auth/token/claims.h"
#include "auth/token/key_set.h"

#define TOKEN_BYTES_MAX_LEAST 512u
#define TOKEN_BYTES_MAX_MOST 65535u /* MQTT's own limit of a password */
/* A header is read before anything is known about its sender. */
#define TOKEN_HEADER_BYTES_MAX 1024u

struct token_verifier;

/* What a good token says; good until the verifier's next token. */
struct token {
	struct claims claims;
	struct slice permissions; /* rules for acl_check(); data is NULL where it has none */
	const struct key *key;    /* it was signed with */
};

/* policy: copied, its texts stay the caller's and outlive the verifier. bytes_max: of a token. NULL without memory. */
struct token_verifier *token_verifier_new(const struct claim_policy *policy, uint32_t bytes_max);
void token_verifier_free(struct token_verifier *verifier);

/* From now on these keys, of which it takes a reference. Before the first call no key is known. */
void token_verifier_use(struct token_verifier *verifier, struct key_set *keys);

/* Whether it looks like a token: three parts of base64url with dots between, the first not empty. What does not is
 * looked up as a password. */
bool token_has_form(struct slice text);

/* ERROR_OK and *token, or the reason for a refusal, ERROR_TOKEN_...; also ERROR_NO_MEMORY. */
enum error token_verify(struct token_verifier *verifier, struct slice text, int64_t now_s, struct token *token);

#endif
