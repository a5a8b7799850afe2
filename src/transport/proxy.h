/* The PROXY protocol, versions 1 and 2: a head that a balancer sends before the client's bytes, with the client's own
 * address. Bytes in, facts out; pure, any thread. Standard: "The PROXY protocol, versions 1 & 2", Willy Tarreau. */
#ifndef TRANSPORT_PROXY_H
#define TRANSPORT_PROXY_H

#include "base/error.h"
#include "base/slice.h"
#include "net/peer.h"

/* Of a version 2 head with its TLVs that is taken; a version 1 line has 107 at the most. */
#define PROXY_HEAD_BYTES_MAX 4096u

struct proxy_head {
	size_t bytes;      /* of the whole head; what follows is the client's */
	bool is_local;     /* the balancer's own connection, a health check: it comes from where the socket says */
	union peer client; /* AF_UNSPEC: not said (UNKNOWN, UNSPEC, a unix socket) */
	/* TLVs of version 2, pointing into the bytes; size 0: none */
	struct slice authority;   /* the host name that the client asked for (SNI) */
	struct slice tls_version; /* "TLSv1.3" */
	struct slice tls_cipher;
	struct slice common_name; /* of the client's certificate */
	bool is_tls;
	bool is_verified; /* the client showed a certificate, in this session of TLS, and the balancer trusts it */
};

/* Whether the bytes begin a head, or may: ERROR_OK, ERROR_MORE, ERROR_PROXY_MISSING. */
enum error proxy_head_look(struct slice bytes);

/* ERROR_OK, ERROR_MORE, or ERROR_PROXY_MISSING (it is no PROXY head), ERROR_PROXY_MALFORMED, ERROR_PROXY_CHECKSUM. The
 * result does not depend on how the bytes were cut. */
enum error proxy_head_read(struct slice bytes, struct proxy_head *head);

#endif
