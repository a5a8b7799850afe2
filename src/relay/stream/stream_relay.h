/* Rules that send publishes to Redis Streams. A rule is a client of Roost's own: its session, which never expires, has
 * what Redis has not confirmed yet, so that it is as durable as the store, bounded, and visible. One thread serves all
 * rules (stream_loop.h). The main thread makes, starts and stops it; it may be stopped and started again, which keeps
 * the sessions. */
#ifndef RELAY_STREAM_STREAM_RELAY_H
#define RELAY_STREAM_STREAM_RELAY_H

#include "relay/entry/rule.h"
#include "relay/stream/redis_side.h"
#include "relay/stream/stream_status.h"

struct gateway;
struct stream_relay;

/* Copies rules and settings, but not the strings in the settings. attention_fd: an eventfd that is written to when
 * stream_relay_is_due(); the caller's. NULL: memory is short. */
struct stream_relay *stream_relay_new(const struct rules *rules, const struct redis_target *redis, int attention_fd,
				      bool private_table);
/* After stream_relay_stop(). */
void stream_relay_free(struct stream_relay *relay);

/* Opens a session for each rule and starts the thread, where there are rules. Sessions of rules that are gone take no
 * more, and end where nothing waits in them. False: after logging why; what rules take waits in their sessions. */
bool stream_relay_start(struct stream_relay *relay, struct gateway *gateway);
/* Ends the thread and its sessions' connections, within little more than STREAM_LOOP_STOP_MS; longer where Redis is
 * just being connected to. Does nothing where it was not started. */
void stream_relay_stop(struct stream_relay *relay);

/* Hands over other rules, which it has from its next start on. Any thread that has the attention descriptor. */
void stream_relay_use(struct stream_relay *relay, const struct rules *rules);
/* Whether it is to be stopped and started: there are other rules, a session was lost, or it could not be started. Main
 * thread. */
bool stream_relay_is_due(struct stream_relay *relay);

/* What waits is asked of the gateway. Any thread but a shard's, with the shards' wakers in its descriptor table. */
void stream_relay_status(struct stream_relay *relay, struct stream_status *status);

#endif
