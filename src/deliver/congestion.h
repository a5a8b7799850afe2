/* Publishers wait for subscribers that read. When the QoS 1 and 2 messages that wait for a connected client pass the
 * high mark, half of its limit, the client is congested. Whoever publishes to it, from any shard, is then held before
 * its next message until the queue has fallen to the low mark, a quarter of the limit. Messages that are already on
 * their way are taken beyond the limit, within CONGESTION_EXCESS_BYTES_MAX per shard. So no message that was
 * acknowledged to a publisher is lost to a client that reads.
 *
 * Others wait only for a client that makes progress: half of the queue's limit per second, or 500 messages, or 512 KiB.
 * A client that takes less is stuck rather than congested: for CONGESTION_DENIED_S nobody waits for it, and its queue
 * drops messages by the configured policy.
 *
 * How shards tell each other: each shard has a board, a row of counters that are called places. A place is not 0 while
 * any client that falls on it is congested. The subscriber's shard sends a note to the publisher's shard. The publisher
 * remembers the board and the place for a while and reads it before each message. The nodes thread has one more board
 * for what is congested on other nodes (nodes/publish/far_waits.h).
 * docs/decisions/0011-publishers-wait.md. By the shard's thread. */
#ifndef DELIVER_CONGESTION_H
#define DELIVER_CONGESTION_H

#include "session/refs.h"
#include "state/routing.h"

#define CONGESTION_EXCESS_BYTES_MAX ((uint64_t)256 << 20)
/* Progress is measured over this period, or over a shorter one while many clients are stuck. */
#define CONGESTION_PERIOD_MS 1000u
#define CONGESTION_PERIOD_MS_MIN 10u
#define CONGESTION_DENIED_S 10u
/* This much progress is enough, whatever the limits are. */
#define CONGESTION_MESSAGES_PER_SECOND 500u
#define CONGESTION_BYTES_PER_SECOND (512u << 10)
/* A publisher that is congested itself may send this much more, so that its acknowledgements are reached. */
#define CONGESTION_PASSED_BYTES_MAX (1u << 20)
/* How often a shard checks whether its held publishers may go on. */
#define CONGESTION_POLL_MS 1u

struct shard;
struct client;
struct extension;

void congestion_fini(struct congestion *congestion);

/* ---- the subscriber ---- */

/* A message from this publisher was appended to the client's queue and waits there. */
void congestion_queued(struct shard *shard, struct client *client, const struct publisher_name *publisher);
/* Whether the queue takes `bytes` beyond its limit. */
bool congestion_takes(const struct shard *shard, const struct client *client, uint32_t bytes);
/* Messages of the queue were sent, or output that waited went to the kernel. */
void congestion_sent(struct shard *shard, struct client *client, uint32_t messages, uint32_t bytes);
/* The client's connection ends. */
void congestion_end(struct shard *shard, struct client *client);

/* ---- the publisher ---- */

/* A note has come: this publisher waits for the client at `place` on the board of shard `from`; shard_count: on that of
 * the nodes thread. */
void congestion_note(struct shard *shard, const struct publisher_name *publisher, uint16_t from, uint16_t place);
/* Whether a client that is marked as slowed has to wait before its next message of `bytes`. If so, it is paused. */
bool congestion_holds(struct shard *shard, struct client_ref ref, struct client *client, size_t bytes);

/* ---- once a turn ---- */

void congestion_run(struct shard *shard);
/* How long the shard may sleep; never more than limit_ms. */
uint32_t congestion_wait_ms(const struct shard *shard, uint32_t limit_ms);

#endif
