/* What TCP itself knows of a peer: whether it still answers, how fast, and how much it has sent and received. A call or
 * two each; by the owner of the streams. */
#ifndef NET_HEALTH_H
#define NET_HEALTH_H

#include "net/stream.h"

/* Unanswered probes that end a connection. */
#define HEALTH_PROBES 3u

struct health {
	uint32_t rtt_us;
	uint32_t unacknowledged; /* segments */
	uint32_t retransmits;    /* of the connection's whole life */
	uint32_t last_ack_ms;    /* for how long nothing was acknowledged */
	bool awaits_answer;      /* to data or to probes */
};

/* Everything on the wire above TCP, with the PROXY head, TLS records and WebSocket frames. The kernel counts it, and
 * knows until the socket is closed, after the peer's FIN or reset, too. */
struct traffic {
	uint64_t received;     /* bytes that came in order, those that nobody has read among them */
	uint64_t acknowledged; /* bytes that the peer's TCP has confirmed */
};

/* How the kernel is to probe connections that ask for it. Set on a listener; accepted sockets inherit it. idle_s: the
 * silence before the first probe; a sixth of it lies between two. Does nothing where the socket is not TCP's. */
void health_configure(int listener, uint32_t idle_s);
/* Has the kernel probe the connection while it is silent, and give up on data that nobody acknowledges just as soon.
 * idle_s is not 0. */
void health_probe(struct streams *streams, struct stream stream, uint32_t idle_s);
/* Asks TCP. False: there is no TCP, or no descriptor to ask by; *health is undefined. */
bool health_read(struct streams *streams, struct stream stream, struct health *health);
/* The same; false also where the kernel is older than 4.1. A reset that came behind a FIN makes `received` one more
 * than it was. */
bool health_read_traffic(struct streams *streams, struct stream stream, struct traffic *traffic);
/* The peer has left data or probes unanswered for at least so long. */
bool health_is_unanswered(struct streams *streams, struct stream stream, uint32_t limit_ms);

#endif
