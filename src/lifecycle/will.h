/* A client's will [3.1.2.5]: kept with its session, and published once when it is due, or dropped. By the shard's
 * thread.
 */
#ifndef LIFECYCLE_WILL_H
#define LIFECYCLE_WILL_H

#include "base/error.h"
#include "session/messages.h"
#include "session/refs.h"

#include <stdbool.h>
#include <stdint.h>

struct shard;
struct client;
struct admission;
struct origin;

/* Whether an end for this reason publishes the will [MQTT-3.1.2-8, MQTT-3.1.2-10]. A stop of the server does not. */
bool will_is_due(enum error reason);
/* Makes the CONNECT's will a message in shard->mem.messages, whose reference is the caller's. *will is none if the
 * CONNECT has no will. ERROR_NO_MEMORY. */
enum error will_make(struct shard *shard, const struct admission *admission, struct message_ref *will);
/* Drops the session's will, if it has one. */
void will_forget(struct shard *shard, const struct client *client);
/* Takes the will from the session; its reference is the caller's. None: there is no will, or the client lost the
 * permission to publish it since CONNECT. */
struct message_ref will_take(struct shard *shard, const struct client *client);
/* Publishes the result of will_take(), whose reference it takes over. Does nothing for none. client: for No Local.
 * origin: as in routing_publish(). */
void will_publish(struct shard *shard, struct message_ref will, struct client_ref client, struct origin *origin);

#endif
