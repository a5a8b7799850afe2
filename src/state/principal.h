/* Who a client is, beyond its client id: its user, what its token permits, and until when. Exists only where the client
 * has signed in or rules are configured. One block in the shard's slab, at client->principal. Owned by the shard's
 * thread. */
#ifndef STATE_PRINCIPAL_H
#define STATE_PRINCIPAL_H

#include "auth/rules/acl.h"
#include "base/error.h"
#include "memory/slab.h"
#include "session/journal.h"

#define PRINCIPAL_NEVER_S UINT32_MAX

struct principal {
	uint64_t token_hash; /* keyed hash of the token's id, as revocations look it up; 0: there is no token id */
	uint64_t user_hash;  /* likewise, of the user's name */
	uint32_t expires_s;  /* on the shard's clock; or PRINCIPAL_NEVER_S */
	uint32_t rules;      /* the token's, in shard->guard.token_rules; 0: none */
	uint16_t user_bytes;
	bool uses_auth; /* CONNECT named an authentication method: AUTH may renew it [4.12.1] */
	uint8_t user[];
};
DEFINE_SLAB_REF(principal);

struct shard;
struct client;
struct admission;

/* NULL: the client has no principal. */
struct principal *principal_of(const struct shard *shard, const struct client *client);
/* Makes a principal from the admission. The caller owns *made, for principal_set() or principal_free(); it is none if
 * the admission has no principal. ERROR_LIMIT: no more rules of tokens fit. ERROR_NO_MEMORY. */
enum error principal_new(struct shard *shard, const struct admission *admission, struct principal_ref *made);
/* The same from what the journal was told. expires_s: on the shard's clock; or PRINCIPAL_NEVER_S. */
enum error principal_restore(struct shard *shard, const struct journal_principal *told, uint32_t expires_s,
			     struct principal_ref *made);
void principal_free(struct shard *shard, struct principal_ref made);
/* Gives the principal to the client and frees the one it had. None: the client has no principal from now on. */
void principal_set(struct shard *shard, struct client *client, struct principal_ref made);
/* Re-authentication [4.12.1] with another token of the same user for the same client. ERROR_OK, or the reason for the
 * refusal. Only for a client whose principal uses_auth. */
enum error principal_renew(struct shard *shard, struct client *client, struct slice token);
/* Whether the client and the admission have the same user, or both have none. */
bool principal_is_same_user(const struct shard *shard, const struct client *client, const struct admission *admission);
void principal_drop(struct shard *shard, struct client *client);
/* Tells the journal who the client is. Does nothing if its session is not journaled or it has no principal. */
void principal_tell(struct shard *shard, const struct client *client);

/* Whether the client may publish to this topic. A decision that was made before costs one look-up. */
bool principal_may_publish(struct shard *shard, const struct client *client, struct slice topic);
/* topics: the filter; of a shared subscription, the part after the group's name. */
bool principal_may_subscribe(struct shard *shard, const struct client *client, struct slice topics);

#endif
