/* Connections to the servers of a Redis, for a thread that may block: commands go to the server that has their key,
 * also while slots of a cluster move, and while a replica takes over. Where Redis is one server, or the master that
 * Sentinels name, that one has all keys. Connections are made when they are first needed. Owned by one thread.
 *
 * A command that waits at the server (BLOCK) is to come back within REDIS_TIMEOUT_MS, or its caller polls the link
 * itself. Every call blocks for some seconds at most for each server that has to be asked. After a call has failed the
 * connection that it was about is closed, and the next call makes it anew: the caller pauses in between. */
#ifndef BRIDGE_REDIS_NODES_H
#define BRIDGE_REDIS_NODES_H

#include "base/slice.h"
#include "bridge/redis_connection.h"

/* A command that is sent on more often than this goes round in circles: redis_nodes_follow() is to be asked no more. */
#define REDIS_REDIRECTS_MAX 5u

struct redis_nodes;

/* target must outlive it. NULL: memory is short. */
struct redis_nodes *redis_nodes_new(const struct redis_target *target);
/* Whoever waits for the thread has it try no further server. Any thread. */
void redis_nodes_give_up(struct redis_nodes *nodes);
/* nodes may be NULL. */
void redis_nodes_free(struct redis_nodes *nodes);
/* What the last call that failed has failed of. */
const char *redis_nodes_fault(const struct redis_nodes *nodes);
/* Whether it was TLS. */
bool redis_nodes_tls_failed(const struct redis_nodes *nodes);

/* Forgets all connections; and learns a cluster anew when it is next used. */
void redis_nodes_close(struct redis_nodes *nodes);
/* Learns which servers there are, where it is a cluster. Where Sentinels name another master than the one that it is
 * connected to, the connection counts as lost. */
bool redis_nodes_refresh(struct redis_nodes *nodes);

/* The connection to the server that has this key, for commands and answers of any number and length. NULL: there is
 * none. It is valid until the next call here. Where such a command is answered by an error, redis_nodes_follow() says
 * whether it is to be sent again. */
struct redis_link *redis_nodes_link(struct redis_nodes *nodes, struct slice key);
/* After an error in answer to a command for this key: *again: it is to be sent again to what redis_nodes_link() gives
 * now, behind ASKING where *asking. false: link is broken, or there is no way to where the error points. */
bool redis_nodes_follow(struct redis_nodes *nodes, struct slice key, struct slice error, bool *again, bool *asking);
/* Something is wrong with this connection, which is closed: the caller's deadline has passed, say, or link->fault is
 * set. */
void redis_nodes_lose(struct redis_nodes *nodes, struct redis_link *link);

/* Sends a command for this key and returns the answer, which may be an error and which the caller frees with
 * freeReplyObject(). Redirections are followed. NULL: redis_nodes_fault() says why there is none. */
redisReply *redis_nodes_ask(struct redis_nodes *nodes, struct slice key, int count, const char **words,
			    const size_t *sizes);

/* How many masters there are, as far as is known: 0 at a cluster that was not learned yet. By number, where each of
 * them is, in a cluster; and the connection to it. */
uint32_t redis_nodes_count(const struct redis_nodes *nodes);
const struct redis_place *redis_nodes_place(const struct redis_nodes *nodes, uint32_t number);
struct redis_link *redis_nodes_at(struct redis_nodes *nodes, uint32_t number);
/* Pings all servers to which there are connections. */
bool redis_nodes_ping(struct redis_nodes *nodes);

#endif
