/* Consumers, which publish what stands in Redis Streams, and carry out what is commanded there. Each has a thread and a
 * client of Roost's own (consumer_loop.h). The main thread makes, starts and stops them; they may be stopped and
 * started again: what was under way is read again then. */
#ifndef RELAY_CONSUMER_CONSUMER_RELAY_H
#define RELAY_CONSUMER_CONSUMER_RELAY_H

#include "bridge/redis_connection.h"
#include "relay/consumer/consumer_status.h"

struct gateway;
struct consumer_relay;

/* Copies consumers and target, but not the strings in its settings. member: the name of this gateway in consumer
 * groups, copied. attention_fd: an eventfd that is written to when consumer_relay_is_due(); the caller's. NULL: memory
 * is short. */
struct consumer_relay *consumer_relay_new(const struct consumers *consumers, const char *member,
					  const struct redis_target *target, int attention_fd, bool private_table);
/* After consumer_relay_stop(). */
void consumer_relay_free(struct consumer_relay *relay);

/* Starts a thread for each consumer. What cannot be started is logged. */
void consumer_relay_start(struct consumer_relay *relay, struct gateway *gateway);
/* Ends the threads and their connections; takes some seconds where Redis is just being connected to. Does nothing where
 * it was not started. */
void consumer_relay_stop(struct consumer_relay *relay);

/* Hands over other consumers, which it has from its next start on. Any thread that has the attention descriptor. */
void consumer_relay_use(struct consumer_relay *relay, const struct consumers *consumers);
/* Whether it is to be stopped and started: there are other consumers, a session was lost, or it could not be started.
 * Main thread. */
bool consumer_relay_is_due(struct consumer_relay *relay);

/* Any thread. */
void consumer_relay_status(struct consumer_relay *relay, struct consumers_status *status);

#endif
