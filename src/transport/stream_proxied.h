/* Streams of clients behind a balancer that says with the PROXY protocol who they are (transport/proxy.h): the stream
 * beneath, and the client's own address, which stream_facts() has. Everything else goes through as it is. 24 bytes a
 * stream. Owned by one thread. */
#ifndef TRANSPORT_STREAM_PROXIED_H
#define TRANSPORT_STREAM_PROXIED_H

#include "memory/pool.h"
#include "net/stream.h"

#include <netinet/in.h>

#define STREAM_PROXIED (STREAM_LAYERED_FIRST + 2)

struct arena;
union peer;

struct proxied_streams {
	struct pool pool;
	struct sockaddr_in6 told; /* what the last stream_facts() points to; an IPv4 address in its front */
};

/* Adds the kind. limit: streams. arena: for the pool, NULL: ordinary memory. ERROR_NO_MEMORY. proxied must
 * outlive streams. Streams that are left when it is closed end with it, and their sockets are not closed. */
enum error proxied_streams_open(struct proxied_streams *proxied, struct streams *streams, struct arena *arena,
				uint32_t limit);
void proxied_streams_close(struct proxied_streams *proxied);

/* client: an IPv4 or IPv6 address. STREAM_NONE: no memory; below is the caller's still. */
struct stream proxied_stream_over(struct streams *streams, struct stream below, const union peer *client);

#endif
