/* Acknowledgements in both directions [4.3]. PUBACK and PUBREC for what clients publish leave in the order of the
 * PUBLISH packets, and not before the message is safe (session/pending_acks.h). Acknowledgements from clients are for
 * messages that were sent to them. PUBREC, PUBREL and PUBCOMP of a journaled session wait until its own events are safe
 * as well (session/commit_waits.h). By the shard's thread. */
#ifndef CLIENT_ACKNOWLEDGE_H
#define CLIENT_ACKNOWLEDGE_H

#include "base/error.h"
#include "base/slice.h"
#include "session/refs.h"

#include <stdbool.h>
#include <stdint.h>

struct shard;
struct client;
struct commit_wait;

/* Answers a PUBLISH at QoS 1 or 2 with this reason code: at once, or behind the answers that the client still waits
 * for. ERROR_NO_MEMORY: there is no memory for that, and the client has to end. */
enum error acknowledge_publish(struct shard *shard, struct client_ref ref, uint8_t qos, uint16_t packet_id,
			       uint8_t reason);
/* The same for a message that has a ticket. The call releases the caller's hold on it. */
enum error acknowledge_when_safe(struct shard *shard, struct client_ref ref, uint32_t ticket, uint8_t qos,
				 uint16_t packet_id, uint8_t reason);
/* Whether the client has to wait, unread, before its next message at QoS 1 or 2, because too many of its messages, or
 * of all the shard's, are not acknowledged yet. If so, it is paused. */
bool acknowledge_holds(struct shard *shard, struct client_ref ref, struct client *client);
/* Sends the acknowledgements whose messages have become safe, within their share of the turn. A client whose message
 * was lost for lack of memory ends if it cannot be told in another way. */
void acknowledge_run(struct shard *shard);
/* The commit that a PUBREC, PUBREL or PUBCOMP waits for is safe: sends it, if its client is still there. */
void acknowledge_committed(struct shard *shard, const struct commit_wait *wait);
/* Whether something that is still to be sent to the client waits for a commit, or for another shard that has one. */
bool acknowledge_awaits_commits(const struct shard *shard, struct client_ref ref);
/* Whether clients that waited because the shard had too many can go on: then the shard must not sleep. */
bool acknowledge_can_resume(const struct shard *shard);

/* While acknowledgements wait the shard may sleep in two ways. In a normal sleep the shard that returns the batch wakes
 * it, and it takes a turn for the acknowledgement alone, which adds a third to the price of a message. In a patient
 * sleep it is not woken, and sleeps for at most ACKNOWLEDGE_PATIENCE_MS: if more input comes by then, the
 * acknowledgement leaves in the same turn. If none came, a client may be waiting for the acknowledgement before it goes
 * on, so the next sleeps are normal: 1 of them, then 2, 4 and so on up to 1024. While sleeps follow each other closely
 * (ACKNOWLEDGE_PATIENCE_GAP_NS) they are normal, too: a millisecond is long then, and turns have enough to do. */
#define ACKNOWLEDGE_PATIENCE_MS 1
#define ACKNOWLEDGE_PATIENCE_GAP_NS 100000u
/* Before a sleep: whether it is to be patient. Only while acknowledgements wait. */
bool acknowledge_is_patient(struct shard *shard);
/* A patient sleep has ended. in_vain: nothing came before its time was over. */
void acknowledge_waited(struct shard *shard, bool in_vain);

/* PUBACK, PUBREC, PUBREL or PUBCOMP has come. ERROR_OK, or the reason why the client ends. ERROR_MORE: it is paused,
 * and the packet is handled again later. */
enum error acknowledge_received(struct shard *shard, struct client_ref ref, uint8_t type, struct slice body);

#endif
