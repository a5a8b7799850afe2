/* Acknowledgements, both ways: PUBACK and PUBREC for what clients publish, which leave in the order of their PUBLISH
 * packets and not before the message is safe (session/pending_acks.h), and what clients acknowledge of what was
 * published to them [4.3]. By the shard's thread. */
#ifndef CLIENT_ACKNOWLEDGE_H
#define CLIENT_ACKNOWLEDGE_H

#include "base/error.h"
#include "base/slice.h"
#include "session/refs.h"

#include <stdbool.h>
#include <stdint.h>

struct shard;
struct client;

/* Answers a PUBLISH at QoS 1 or 2 with this reason code: at once, or behind the answers that the client waits for.
 * ERROR_NO_MEMORY: that cannot be, and the client has to end. */
enum error acknowledge_publish(struct shard *shard, struct client_ref ref, uint8_t qos, uint16_t packet_id,
			       uint8_t reason);
/* The same for a message that has a ticket, which the caller holds and lets go of. */
enum error acknowledge_when_safe(struct shard *shard, struct client_ref ref, uint32_t ticket, uint8_t qos,
				 uint16_t packet_id, uint8_t reason);
/* Whether the client has to wait, unread, before its next message at QoS 1 or 2, for too much is not acknowledged yet:
 * by itself, or by all of the shard's clients. It is paused then. */
bool acknowledge_holds(struct shard *shard, struct client_ref ref, struct client *client);
/* Sends those whose messages have become safe, within their share of the turn. A client whose message was lost for want
 * of memory, and that cannot be told otherwise, ends. */
void acknowledge_run(struct shard *shard);

/* While acknowledgements wait the shard may sleep in two ways. Woken by the shard that gives the batch back, it takes a
 * turn for the acknowledgement alone, which costs a third of a message's price again. Patient, it sleeps for
 * ACKNOWLEDGE_PATIENCE_MS at the most and is not woken: where more comes in by then anyway, the acknowledgement leaves
 * with that. Where nothing did, somebody may be waiting for it before he goes on, so the next sleeps are not patient:
 * 1, then 2, 4 and so on up to 1024. Nor is any sleep patient while they follow each other closely: then a millisecond
 * is long, and turns have enough to do. */
#define ACKNOWLEDGE_PATIENCE_MS 1
#define ACKNOWLEDGE_PATIENCE_GAP_NS 100000u
/* Before a sleep: whether it is to be patient. Only while some wait. */
bool acknowledge_is_patient(struct shard *shard);
/* A patient sleep has ended. in_vain: by its time, for nothing came. */
void acknowledge_waited(struct shard *shard, bool in_vain);

/* PUBACK, PUBREC, PUBREL or PUBCOMP has come. ERROR_OK, or the reason why the client ends. */
enum error acknowledge_received(struct shard *shard, struct client_ref ref, uint8_t type, struct slice body);

#endif
