/* A client of Roost's own, such as a rule, and its session in the gateway: MQTT 5 over a socketpair
 * (control/internal.h). A rule's session never expires, so what it has not acknowledged waits in the gateway while
 * there is no such connection. Or a session at another broker, over any stream, in any version: the upper end of a
 * bridge. Owned by one thread; no call blocks. */
#ifndef RELAY_SESSION_SESSION_LINK_H
#define RELAY_SESSION_SESSION_LINK_H

#include "relay/entry/bytes.h"
#include "relay/item/topics.h"

#include "mqtt/packet.h"
#include "net/stream.h"

/* What becomes of a message that a link has published: each at QoS 1 and 2, once. reason: the gateway's, of 0x80 and
 * more where it does not have the message [2.4]. */
typedef void session_published(void *context, uint16_t packet_id, uint8_t reason);

/* An acknowledgement has come: PUBACK, PUBREC, PUBREL or PUBCOMP. To answer it is up to whoever is told. */
typedef void session_acknowledged(void *context, uint8_t type, const struct mqtt_ack *ack);

#define SESSION_FAULT_BYTES 160u
/* One read takes so much at most. */
#define SESSION_READ_BYTES ((size_t)256 << 10)
/* Filters that one packet withdraws at most; further ones are withdrawn when the session is opened the next time. */
#define SESSION_STALE_MAX 64u
#define SESSION_FILTERS_MAX 64u

enum session_state {
	SESSION_CLOSED,      /* -> CONNECTING */
	SESSION_CONNECTING,  /* CONNECT is on its way -> CONNECTED, CLOSED */
	SESSION_CONNECTED,   /* the session is there -> SUBSCRIBING, CLOSED */
	SESSION_SUBSCRIBING, /* -> READY, CLOSED */
	SESSION_READY,       /* -> CLOSED */
};

/* What a link has to know of its broker. */
struct session_peer {
	const char *name;        /* in words; NULL: the gateway */
	size_t packet_bytes_max; /* of its packets: a longer one breaks the link, unread; 0: as long as any may be */
	struct streams *streams; /* NULL: a plain descriptor */
	struct stream stream;    /* which the link takes over, with its descriptor */
};

/* A topic filter, and by which identifier its messages are known; 0: by none. */
struct session_filter {
	struct mqtt_subscription subscription;
	uint32_t identifier;
};

struct session_link {
	int fd; /* -1: closed; of a stream: for poll() alone */
	enum session_state state;
	struct session_peer peer;
	uint8_t version;             /* enum mqtt_version */
	struct mqtt_connack connack; /* CONNECTED: without its texts */
	uint8_t refused; /* the reason of a CONNACK that refuses, which breaks the link; 0: there was none */
	session_acknowledged *acknowledged; /* NULL: acknowledgements are the link's own; set, QoS 2 is taken, too */
	bool forgives;                      /* a filter that is refused is noted, and breaks nothing */
	struct bytes in;                    /* what was read, from read_at on not looked at yet */
	size_t read_at;
	struct bytes out;     /* what the socket has not taken yet */
	uint32_t answers_due; /* to SUBSCRIBE and UNSUBSCRIBE */
	uint32_t pongs_due;
	session_published *published; /* NULL: it does not publish */
	void *published_context;      /* of both */
	bool is_blocked;              /* the socket takes no more for now */
	char fault[SESSION_FAULT_BYTES];
	char notice[SESSION_FAULT_BYTES]; /* which filter was refused last; "": none was */
};

/* Takes over the descriptor, which does not block, and begins with CONNECT. client_id: item_client_id().
 */
void session_link_open(struct session_link *link, int fd, struct slice client_id);
/* The same for a session that ends with its connection: what it has not read is lost. */
void session_link_open_fleeting(struct session_link *link, int fd, struct slice client_id);
/* The same with a CONNECT of the caller's, to the broker that peer says. */
void session_link_open_to(struct session_link *link, int fd, const struct session_peer *peer,
			  const struct mqtt_connect *connect);
/* Closes the descriptor: with DISCONNECT, where the socket takes it. */
void session_link_close(struct session_link *link);

/* CONNECTED: subscribes to these topics, with topics_identifier() where there are several; and withdraws others that
 * the session has. */
void session_link_subscribe(struct session_link *link, const struct topics *topics, uint8_t qos,
			    const struct slice *stale, size_t stale_count);
/* The same with filters of the caller's, SESSION_FILTERS_MAX of them at most. */
void session_link_subscribe_filters(struct session_link *link, const struct session_filter *filters, size_t count,
				    const struct slice *stale, size_t stale_count);
/* CONNECTED: withdraws these alone. */
void session_link_withdraw(struct session_link *link, const struct slice *stale, size_t stale_count);

/* CONNECTED: a link that only publishes is READY from now on. */
void session_link_be_ready(struct session_link *link);
/* Sends a message, which is on its way until link->published() was called for it; at QoS 0 there is no such call. The
 * packet id is none of those on their way. Where link->acknowledged is set, all of that is the caller's. */
void session_link_publish(struct session_link *link, const struct mqtt_publish *publish);

/* Reads what there is, up to SESSION_READ_BYTES. *more: there may be more. false: the connection is lost, and fault
 * says why. */
bool session_link_read(struct session_link *link, bool *more);
/* Goes on to the next PUBLISH of what was read, which is valid until the next read. Other packets are dealt with on the
 * way. false: there is none; or the connection is lost, and fault says why; or, where link->acknowledged is set, the
 * link has just become CONNECTED. */
bool session_link_next(struct session_link *link, struct mqtt_publish *publish);
static inline bool session_link_is_broken(const struct session_link *link)
{
	return link->fault[0] != '\0';
}

/* Acknowledges a message. */
void session_link_acknowledge(struct session_link *link, uint16_t packet_id);
/* The same with what is told: type as link->acknowledged() has it. */
void session_link_send_ack(struct session_link *link, uint8_t type, uint16_t packet_id, uint8_t reason);
/* READY: asks for a sign that all of this was read: pongs_due is 0 again then. */
void session_link_ping(struct session_link *link);
/* Sends what the socket takes. false: the connection is lost, and fault says why. */
bool session_link_flush(struct session_link *link);

#endif
