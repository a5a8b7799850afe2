/* Publishers wait for subscribers that read. When what waits at QoS 1 and 2 for a connected client passes the high
 * mark, half of its limit, the client is congested: whoever publishes to it is held, on whatever shard he lives, before
 * his next message, until the queue has fallen to the low mark, a quarter. What is on its way meanwhile is taken beyond
 * the limit, within CONGESTION_EXCESS_BYTES_MAX of a shard. So nothing that was acknowledged to a publisher is lost to
 * a client that reads.
 *
 * Only who makes progress has others wait for him: half of the queue's limit a second, or 500 messages, or 512 KiB. Who
 * takes less is not congested but stuck, for CONGESTION_DENIED_S, and his queue drops by the policy that was
 * configured.
 *
 * How shards tell each other: each has a board, a row of counts, one of which is not 0 while a client that falls on it
 * is congested. Its shard sends a note to the publisher's shard; the publisher remembers the place on the board for a
 * while and looks at it before each message. docs/decisions/0011-publishers-wait.md. By the shard's thread. */
#ifndef DELIVER_CONGESTION_H
#define DELIVER_CONGESTION_H

#include "session/refs.h"
#include "state/routing.h"

#define CONGESTION_EXCESS_BYTES_MAX ((uint64_t)256 << 20)
/* Progress is measured over so long. */
#define CONGESTION_PERIOD_MS 1000u
#define CONGESTION_PERIOD_MS_MIN 10u
#define CONGESTION_DENIED_S 10u
/* Progress that is enough with any limits. */
#define CONGESTION_MESSAGES_PER_SECOND 500u
#define CONGESTION_BYTES_PER_SECOND (512u << 10)
/* Of a publisher that is congested itself so much is read on, to come to its acknowledgements. */
#define CONGESTION_PASSED_BYTES_MAX (1u << 20)
/* While publishers wait their shards look so often whether they may go on. */
#define CONGESTION_POLL_MS 1u

struct shard;
struct client;
struct extension;

void congestion_fini(struct congestion *congestion);

/* ---- the subscriber ---- */

/* A message of the publisher's was appended to the client's queue and waits there. */
void congestion_queued(struct shard *shard, struct client *client, const struct publisher_name *publisher);
/* Whether the queue takes so many bytes beyond its limit. */
bool congestion_takes(const struct shard *shard, const struct client *client, uint32_t bytes);
/* So much of the queue was sent, or of the output that waited went to the kernel. */
void congestion_sent(struct shard *shard, struct client *client, uint32_t messages, uint32_t bytes);
/* The client's connection ends. */
void congestion_end(struct shard *shard, struct client *client);

/* ---- the publisher ---- */

/* A note came: the publisher of this name waits for that client. */
void congestion_note(struct shard *shard, const struct publisher_name *publisher, uint16_t from, uint16_t place);
/* Whether the client, which is marked as slowed, has to wait before its next message, of so many bytes; it is paused
 * then. */
bool congestion_holds(struct shard *shard, struct client_ref ref, struct client *client, size_t bytes);

/* ---- once a turn ---- */

void congestion_run(struct shard *shard);
/* How long the shard may sleep at the most. */
uint32_t congestion_wait_ms(const struct shard *shard, uint32_t limit_ms);

#endif
