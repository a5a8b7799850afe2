/* A client's will [3.1.2.5]: kept with its session, published once when it is due, or forgotten. By the shard's thread.
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

/* Whether the standard has the will published when the connection ends so [MQTT-3.1.2-8, MQTT-3.1.2-10]. */
bool will_is_due(enum error reason);
/* The will of a CONNECT as a message of shard->mem.messages, not yet anybody's; *will is none where it has none.
 * ERROR_NO_MEMORY. */
enum error will_make(struct shard *shard, const struct admission *admission, struct message_ref *will);
/* The session's will is not published; does nothing where it has none. */
void will_forget(struct shard *shard, const struct client *client);
/* The session's will, which is the caller's from now on; none: there is none, or the right to publish it was taken
 * since CONNECT. */
struct message_ref will_take(struct shard *shard, const struct client *client);
/* Publishes what will_take() gave; nothing for none. client: for No Local. */
void will_publish(struct shard *shard, struct message_ref will, struct client_ref client);

#endif
