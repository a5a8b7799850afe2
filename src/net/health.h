/* What TCP itself knows of a peer: whether it still answers. One system call; any thread whose table has the socket. */
#ifndef NET_HEALTH_H
#define NET_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

/* Unanswered probes that end a connection. */
#define HEALTH_PROBES 3u

/* How the kernel is to probe, where it is asked to: set on a listener, accepted sockets inherit it. idle_s: of silence
 * before the first probe; a sixth of it between two. Does nothing where the socket is not TCP's. */
void health_configure(int fd, uint32_t idle_s);
/* Has the kernel probe the connection while it is silent, and give up on data that nobody acknowledges just as soon. */
void health_probe(int fd, uint32_t idle_s);
/* The peer has left data or probes unanswered for at least so long. */
bool health_is_unanswered(int fd, uint32_t limit_ms);

#endif
