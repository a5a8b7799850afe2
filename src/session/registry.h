/* Client ids to sessions, for one shard. Sessions are named by their pool index and are the first member of the pool's
 * objects. Owned by the shard's thread. */
#ifndef SESSION_REGISTRY_H
#define SESSION_REGISTRY_H

#include "base/slice.h"
#include "memory/slab.h"
#include "session/session.h"

struct registry {
	struct table table;
	struct slab *slab; /* holds the ids */
};

/* limit: sessions. */
enum error registry_open(struct registry *registry, const struct pool *sessions, struct slab *slab, uint32_t limit);
void registry_close(struct registry *registry);

/* The session's index, or 0. */
uint32_t registry_find(const struct registry *registry, uint32_t hash, struct slice id);
/* An id's bytes, for registry_file() or registry_drop_id(); 0: no memory. */
uint32_t registry_store_id(struct registry *registry, struct slice id);
void registry_drop_id(struct registry *registry, uint32_t id);
/* Files the session, which must not be filed yet, under an id that was stored and is not there. */
void registry_file(struct registry *registry, uint32_t index, uint32_t hash, uint32_t id);
/* Takes the session out and frees its id. Does nothing when it is not filed. */
void registry_remove(struct registry *registry, uint32_t index);

/* The session's client id; valid while it is filed. */
struct slice registry_id(const struct registry *registry, const struct session *session);

#endif
