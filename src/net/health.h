/* What TCP itself knows of a peer: whether it still answers, and how fast. A call or two each; by the owner of the
 * streams. */
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

/* How the kernel is to probe connections that ask for it. Set on a listener; accepted sockets inherit it. idle_s: the
 * silence before the first probe; a sixth of it lies between two. Does nothing where the socket is not TCP's. */
void health_configure(int listener, uint32_t idle_s);
/* Has the kernel probe the connection while it is silent, and give up on data that nobody acknowledges just as soon.
 * idle_s is not 0. */
void health_probe(struct streams *streams, struct stream stream, uint32_t idle_s);
/* Asks TCP. False: there is no TCP, or no descriptor to ask by; *health is undefined. */
bool health_read(struct streams *streams, struct stream stream, struct health *health);
/* The peer has left data or probes unanswered for at least so long. */
bool health_is_unanswered(struct streams *streams, struct stream stream, uint32_t limit_ms);

#endif
