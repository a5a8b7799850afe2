/* Acknowledgements that wait. A PUBACK or PUBREC makes the server responsible for the message [4.3.2, 4.3.3], so it may
 * leave only when everyone who took the message says that it is safe. Such an acknowledgement is a ticket here, which
 * counts its holders: the router while it works on the message, and each shard that got a record of it. A store that
 * has the message but has not synced it will hold the ticket as well. Each holder reports once that the message is
 * safe.
 *
 * A client's acknowledgements leave in the order of its PUBLISH packets [MQTT-4.6.0-2, MQTT-4.6.0-3], in whatever order
 * their messages become safe: they stand in the client's line, and leave only from its front. An answer that need not
 * wait itself, such as a refusal, joins the line if there is one. If there is none, it does not come here at all.
 *
 * A line belongs to a session. When the connection ends, the tickets in the line are forgotten: their acknowledgements
 * are not sent, and the client publishes again. They stay in line all the same. Otherwise the PUBREC of a QoS 2 message
 * that was sent again could overtake the message itself, which may not be safe yet.
 *
 * Some acknowledgements wait for a commit once more after they have left the line, and others of the same clients were
 * never in it (client/acknowledge.h). They are counted here, as the client's answers that are out, and share its
 * limits.
 *
 * Limits: PENDING_ACKS_CLIENT_MAX for a client and PENDING_ACKS_SHARD_MAX for a shard. The code that takes tickets asks
 * first (client/acknowledge.h), and leaves the client unread at the limit. Pure; owned by the shard's thread. */
#ifndef SESSION_PENDING_ACKS_H
#define SESSION_PENDING_ACKS_H

#include "memory/table.h"
#include "session/refs.h"

#include <stdbool.h>

struct arena;

#define PENDING_ACKS_CLIENT_MAX 1024u
#define PENDING_ACKS_SHARD_MAX 65536u
_Static_assert(PENDING_ACKS_CLIENT_MAX <= PENDING_ACKS_SHARD_MAX, "a client's limit can be reached");

struct pending_acks {
	struct pool tickets;
	struct pool lines;
	struct table by_client; /* lines */
	uint32_t ready_first; /* list of lines whose first acknowledgement may leave, in the order they became ready */
	uint32_t ready_last;
	struct client_ref
		recent_client; /* whose line was looked up last: many packets of a client come together; 0: nobody's */
	uint32_t recent_line;
	uint32_t limit;   /* of tickets and answers: PENDING_ACKS_SHARD_MAX, or less in a test */
	uint32_t answers; /* of all clients, that are out */
	uint32_t older;   /* tickets from before pending_acks_begin_era() */
	uint32_t era;     /* 0 or 1 in turns */
};

/* The answer to a publisher whose message is safe. */
struct pending_answer {
	struct client_ref client;
	uint16_t packet_id;
	uint8_t qos;    /* 1: PUBACK, 2: PUBREC */
	uint8_t reason; /* MQTT's reason code */
	bool failed;    /* nobody got the message: out of memory */
	bool forgotten; /* the connection on which it came has ended */
};

/* arena: where its memory is, or NULL (memory/arena.h). clients: how many may have a line. ERROR_NO_MEMORY. */
enum error pending_acks_open(struct pending_acks *acks, struct arena *arena, uint32_t clients);
/* Notes what lies beside its memory, for the program that adopts the arena (memory/arena.h). */
enum error pending_acks_save(const struct pending_acks *acks, const struct arena *arena);
void pending_acks_close(struct pending_acks *acks);

/* A ticket with one holder, the caller; 0: no memory. */
uint32_t pending_acks_take(struct pending_acks *acks);
/* Adds a holder to a ticket that has one. */
void pending_acks_hold(struct pending_acks *acks, uint32_t ticket);
/* A ticket that never comes into a line, of a message that the gateway itself passes on: the message's reference is
 * kept with it until it is safe. The caller holds the ticket. */
void pending_acks_keep(struct pending_acks *acks, uint32_t ticket, struct message_ref message);
/* One holder reports the message safe. After the last one the acknowledgement may leave, or if the ticket is in no
 * line, it is freed. Then returns the reference that was kept with it, which is the caller's now; else none. */
struct message_ref pending_acks_is_safe(struct pending_acks *acks, uint32_t ticket);

/* Puts the ticket, which the caller still holds, at the end of the client's line. ERROR_NO_MEMORY: it is in none. */
enum error pending_acks_file(struct pending_acks *acks, struct client_ref client, uint32_t ticket, uint8_t qos,
			     uint16_t packet_id);
/* Sets the reason code of the answer, which is success otherwise. A failure stays. The caller holds the ticket. */
void pending_acks_set_reason(struct pending_acks *acks, uint32_t ticket, uint8_t reason, bool failed);

/* The length of the client's line, forgotten tickets included. */
uint32_t pending_acks_of(const struct pending_acks *acks, struct client_ref client);
/* One bit for each packet identifier. */
#define PACKET_ID_WORDS 1024u
/* Sets the bits of the client's messages at QoS 2 whose answers are in its line. ids: PACKET_ID_WORDS words. Returns
 * how many tickets it looked at: the whole line. */
uint32_t pending_acks_mark(const struct pending_acks *acks, struct client_ref client, uint64_t *ids);
/* One more of the client's answers is out, or one less. ERROR_NO_MEMORY: it is not counted, and must not be sent. */
enum error pending_acks_answer_begin(struct pending_acks *acks, struct client_ref client);
void pending_acks_answer_end(struct pending_acks *acks, struct client_ref client);
/* The length of the client's line and its answers that are out. */
uint32_t pending_acks_all_of(const struct pending_acks *acks, struct client_ref client);
/* The client's connection has ended, but not its session. Its answers count no more. */
void pending_acks_forget(struct pending_acks *acks, struct client_ref client);
/* The client's session has ended, and its place in the pool may be reused. */
void pending_acks_drop(struct pending_acks *acks, struct client_ref client);

/* From here on `older` counts the tickets that were taken before and are not freed. There are none from before the last
 * such call. */
void pending_acks_begin_era(struct pending_acks *acks);

/* Takes the next answer that may leave. False: there is none. */
bool pending_acks_next(struct pending_acks *acks, struct pending_answer *answer);

static inline bool pending_acks_are_ready(const struct pending_acks *acks)
{
	return acks->ready_first != 0;
}
/* Whether any ticket is in use. */
static inline bool pending_acks_any(const struct pending_acks *acks)
{
	return acks->tickets.used != 0;
}
/* Tickets and answers of all clients. */
static inline uint32_t pending_acks_count(const struct pending_acks *acks)
{
	return acks->tickets.used + acks->answers;
}
static inline bool pending_acks_are_full(const struct pending_acks *acks)
{
	return pending_acks_count(acks) >= acks->limit;
}

#endif
