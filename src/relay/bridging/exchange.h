/* Messages and acknowledgements between a bridge's session in this gateway and its session at the broker. A message
 * keeps its packet identifier on its way, and an acknowledgement goes to the other side when it comes. So all that has
 * to be known of what is under way is in the two sessions, and nothing of it here: whatever ends in between, each side
 * sends again what it has to, with the same identifiers, and QoS 2 stays exactly once. Owned by the bridges' thread. */
#ifndef RELAY_BRIDGING_EXCHANGE_H
#define RELAY_BRIDGING_EXCHANGE_H

#include "relay/bridging/bridge_status.h"
#include "relay/bridging/mapping.h"
#include "relay/bridging/packet_ids.h"
#include "relay/session/copies.h"
#include "relay/session/session_link.h"

/* Nothing is read from one side while so much waits for the other one to take it. */
#define EXCHANGE_OUTPUT_BYTES_MAX ((size_t)256 << 10)

/* Identifiers of one direction, by the side that gives them. */
struct exchange_ids {
	struct packet_ids absorbed; /* at QoS 2: the other side has not heard of it, and PUBREL is answered here */
	struct packet_ids lowered;  /* at QoS 2, and sent on at QoS 1 */
	struct packet_ids cleared;  /* the other side knows no older message of it any more */
	struct packet_ids clearing; /* a PUBCOMP is to come of that */
};

struct exchange {
	const struct mqtt_bridge *bridge;
	struct session_link local;  /* in this gateway */
	struct session_link remote; /* at the broker */
	struct copies copies;
	struct mapping mapping;
	struct exchange_ids up;
	struct exchange_ids down;
	struct bridge_counts counts;
	bool is_open;        /* the broker is connected, and what either side sends goes over */
	bool local_stalled;  /* some of what it has sent may be read already, and waits: poll() knows nothing of that */
	bool remote_stalled; /* likewise */
	char poison[BRIDGE_FAULT_BYTES]; /* what was dead or refused last, in words; "": nothing was since it was told
					  */
};

void exchange_init(struct exchange *exchange, const struct mqtt_bridge *bridge);
/* Closes both sides. */
void exchange_close(struct exchange *exchange);
/* The session that gives these identifiers is a new one: the other side may hold any of them for its predecessor's. */
void exchange_forget(struct exchange_ids *ids);
/* After exchange_close(). */
void exchange_fini(struct exchange *exchange);

/* Reads what a side has sent, as far as the other one takes it, and passes it on where the exchange is open. False:
 * this side's connection is lost, and its fault says why. */
bool exchange_read_local(struct exchange *exchange);
bool exchange_read_remote(struct exchange *exchange);
/* Whether there may be something to read. */
bool exchange_wants_local(const struct exchange *exchange);
bool exchange_wants_remote(const struct exchange *exchange);

#endif
