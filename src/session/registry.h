/* From client ids to the sessions of one shard. A session is named by its pool index, and is the first member of the
 * pool's objects. Owned by the shard's thread. */
#ifndef SESSION_REGISTRY_H
#define SESSION_REGISTRY_H

#include "base/slice.h"
#include "memory/slab.h"
#include "session/session.h"

struct arena;

struct registry {
	struct table table;
	struct slab *slab; /* holds the ids */
};

/* arena: where its memory is, or NULL (memory/arena.h). limit: sessions. The pool and the slab must outlive it. The
 * errors are table_open()'s. */
enum error registry_open(struct registry *registry, struct arena *arena, const struct pool *sessions, struct slab *slab,
			 uint32_t limit);
/* Notes what lies beside its memory, for the program that adopts the arena (memory/arena.h). */
enum error registry_save(const struct registry *registry, const struct arena *arena);
void registry_close(struct registry *registry);

/* So many sessions will be filed: before the first of them. */
void registry_expect(struct registry *registry, uint32_t count);

/* The client with this id; none: the id is not known. hash: of the id, as in registry_file(). */
struct client_ref registry_find(const struct registry *registry, uint32_t hash, struct slice id);
/* Copies an id into the slab, for registry_file() or registry_drop_id(). 0: no memory. */
uint32_t registry_store_id(struct registry *registry, struct slice id);
void registry_drop_id(struct registry *registry, uint32_t id);
/* Files a session that is not filed yet under a stored id that no other session has. */
void registry_file(struct registry *registry, struct client_ref ref, uint32_t hash, uint32_t id);
/* Removes the session and frees its id. Does nothing if it is not filed. */
void registry_remove(struct registry *registry, struct client_ref ref);

/* The session's client id; valid while it is filed. */
struct slice registry_id(const struct registry *registry, const struct session *session);

#endif
