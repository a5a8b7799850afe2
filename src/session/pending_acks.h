/* Acknowledgements that wait. A PUBACK or PUBREC says that the server is responsible for the message from now on, so it
 * may leave only when everybody who took the message says that it is safe. Such an acknowledgement is a ticket here. It
 * counts its holders: the router while it works on the message, and each shard that got a record of it. Later a store
 * that has the message but has not synced it holds one as well. Each holder says once that the message is safe with it.
 *
 * A client's acknowledgements leave in the order of its PUBLISH packets [MQTT-4.6.0-2, MQTT-4.6.0-3], whatever order
 * their messages become safe in: they stand in the client's line, and only from its front do they leave. An answer that
 * has nothing to wait for itself, a refusal say, joins the line where there is one. Where there is none it does not
 * come here at all.
 *
 * A line belongs to a session. When the connection ends, what the line holds is forgotten: nobody is told, for the
 * client publishes again. But it stays in line, so that the PUBREC of a QoS 2 message that is sent again does not
 * overtake the message itself, which may not be safe yet.
 *
 * Bounded: PENDING_ACKS_CLIENT_MAX a client and PENDING_ACKS_SHARD_MAX a shard. Whoever takes tickets asks first
 * (client/acknowledge.h), and leaves the client unread. Pure; owned by the shard's thread. */
#ifndef SESSION_PENDING_ACKS_H
#define SESSION_PENDING_ACKS_H

#include "memory/table.h"
#include "session/refs.h"

#include <stdbool.h>

#define PENDING_ACKS_CLIENT_MAX 1024u
#define PENDING_ACKS_SHARD_MAX 65536u

struct pending_acks {
	struct pool tickets;
	struct pool lines;
	struct table by_client; /* lines */
	uint32_t ready_first; /* lines whose first acknowledgement may leave, in the order in which they came to that */
	uint32_t ready_last;
	struct client_ref
		recent_client; /* whose line was looked up last: many packets of a client come together; 0: nobody's */
	uint32_t recent_line;
	uint32_t limit; /* of tickets: PENDING_ACKS_SHARD_MAX, or less in a test */
};

/* What is answered when a message is safe. */
struct pending_answer {
	struct client_ref client;
	uint16_t packet_id;
	uint8_t qos;    /* 1: PUBACK, 2: PUBREC */
	uint8_t reason; /* MQTT's reason code */
	bool failed;    /* nobody got the message, for want of memory */
	bool forgotten; /* the connection on which it came has ended */
};

/* clients: how many may have a line. ERROR_NO_MEMORY. */
enum error pending_acks_open(struct pending_acks *acks, uint32_t clients);
void pending_acks_close(struct pending_acks *acks);

/* A ticket with one holder, the caller; 0: no memory. */
uint32_t pending_acks_take(struct pending_acks *acks);
/* One more holder. */
void pending_acks_hold(struct pending_acks *acks, uint32_t ticket);
/* The message is safe with one of its holders. When it was the last one the acknowledgement may leave, or the ticket is
 * free if it stands in no line. */
void pending_acks_is_safe(struct pending_acks *acks, uint32_t ticket);

/* Puts the ticket, which the caller still holds, at the end of the client's line. ERROR_NO_MEMORY: there is no line. */
enum error pending_acks_file(struct pending_acks *acks, struct client_ref client, uint32_t ticket, uint8_t qos,
			     uint16_t packet_id);
/* The reason code of the answer; success unless it is set. The caller holds the ticket. */
void pending_acks_set_reason(struct pending_acks *acks, uint32_t ticket, uint8_t reason, bool failed);

/* How many the client waits for, those that were forgotten included. */
uint32_t pending_acks_of(const struct pending_acks *acks, struct client_ref client);
/* The client's connection has ended, and its session goes on. */
void pending_acks_forget(struct pending_acks *acks, struct client_ref client);
/* The client's session has ended, and its place may become another's. */
void pending_acks_drop(struct pending_acks *acks, struct client_ref client);

/* Takes the next one that may leave. False: there is none. */
bool pending_acks_next(struct pending_acks *acks, struct pending_answer *answer);

static inline bool pending_acks_are_ready(const struct pending_acks *acks)
{
	return acks->ready_first != 0;
}
/* Whether a message waits to be safe, or an acknowledgement to leave. */
static inline bool pending_acks_any(const struct pending_acks *acks)
{
	return acks->tickets.used != 0;
}
static inline bool pending_acks_are_full(const struct pending_acks *acks)
{
	return acks->tickets.used >= acks->limit;
}

#endif
