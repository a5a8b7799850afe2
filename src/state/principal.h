/* Who a client is beyond its id, where it has signed in or rules are configured: user, what its token allows, how long.
 * One block in the shard's slab, at client->principal. Owned by the shard's thread. */
#ifndef STATE_PRINCIPAL_H
#define STATE_PRINCIPAL_H

#include "auth/rules/acl.h"
#include "base/error.h"
#include "memory/slab.h"
#include "session/refs.h"

#define PRINCIPAL_NEVER_S UINT32_MAX

struct principal {
	uint64_t token_hash; /* keyed, of the token's id; 0: it has none. As a revocation finds it */
	uint64_t user_hash;  /* likewise */
	uint32_t expires_s;  /* on the shard's clock */
	uint32_t rules;      /* in shard->guard.token_rules: of the token, 0: none */
	uint16_t user_bytes;
	bool uses_auth; /* CONNECT named an authentication method: AUTH may renew it [4.12.1] */
	uint8_t user[];
};
DEFINE_SLAB_REF(principal);

struct shard;
struct client;
struct admission;

/* NULL: it has none. */
struct principal *principal_of(const struct shard *shard, const struct client *client);
/* Makes one of the admission, for principal_set() or principal_free(); *made is 0 where there is nothing to tell.
 * ERROR_LIMIT, ERROR_NO_MEMORY. */
enum error principal_new(struct shard *shard, const struct admission *admission, struct principal_ref *made);
void principal_free(struct shard *shard, struct principal_ref made);
/* The client's from now on, in place of one that was there; 0: it has none. */
void principal_set(struct shard *shard, struct client *client, struct principal_ref made);
/* Re-authentication [4.12.1]: another token of the same user for the same client. The reason why it is refused, or
 * ERROR_OK. Only for a principal that uses_auth. */
enum error principal_renew(struct shard *shard, struct client *client, struct slice token);
/* Whether the client's session was begun by the user of the admission, or both by nobody. */
bool principal_is_same_user(const struct shard *shard, const struct client *client, const struct admission *admission);
void principal_drop(struct shard *shard, struct client *client);
/* Tells the journal who the client is, where its session is journaled and there is something to tell. */
void principal_tell(struct shard *shard, const struct client *client);

/* Whether the client may. Costs a look-up where it was decided before. */
bool principal_may_publish(struct shard *shard, const struct client *client, struct slice topic);
/* topics: the filter, of a shared subscription what follows the group. */
bool principal_may_subscribe(struct shard *shard, const struct client *client, struct slice topics);

#endif
