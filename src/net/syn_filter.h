/* Early drop of floods: a filter in the kernel, attached to a listening socket, which throws away the first packet
 * (SYN) of connections from networks that are listed. Such a connection costs this process nothing at all, where an
 * accept and a close cost some microseconds. A classic BPF program, which needs no privilege.
 *
 * Accepted sockets inherit the filter, where it looks at one byte of each packet and lets it pass; it also keeps the
 * program alive, so that one that stays is better rid of it. Any thread. */
#ifndef NET_SYN_FILTER_H
#define NET_SYN_FILTER_H

#include "net/prefix.h"

#define SYN_FILTER_RULES_MAX 192u

/* The first one whose network the source address is in decides; an address of none gets through. */
struct syn_rule {
	struct network network;
	bool drops;
};

/* Replaces the socket's filter by the first rules, as many of them as may be and as the kernel has room for
 * (net.core.optmem_max). Returns how many; 0: there is none, and errno says why where some were asked for. */
uint32_t syn_filter_attach(int listener, const struct syn_rule *rules, uint32_t count);
/* Does nothing where there is none. */
void syn_filter_detach(int fd);

/* What the kernel has dropped in front of this socket: by the filter, for want of room in its queues, and as the empty
 * packet that ends a handshake where TCP_DEFER_ACCEPT waits for more. It wraps. False: it does not say. */
bool syn_filter_drops(int listener, uint32_t *drops);

#endif
