/* Early drop of floods: a filter in the kernel, attached to a listening socket, throws away the first packet (SYN) of
 * connections from listed networks. Such a connection costs this process nothing, where an accept and a close cost some
 * microseconds. It is a classic BPF program, which needs no privilege.
 *
 * Accepted sockets inherit the filter, which looks at one byte of each of their packets and lets it pass. They also
 * keep the program alive: detach it from those that stay. Any thread. */
#ifndef NET_FILTER_SYN_FILTER_H
#define NET_FILTER_SYN_FILTER_H

#include "net/filter/prefix.h"

#define SYN_FILTER_RULES_MAX 192u

/* The first rule whose network contains the source address decides; an address of none gets through. */
struct syn_rule {
	struct network network;
	bool drops;
};

/* Replaces the socket's filter by the first rules: SYN_FILTER_RULES_MAX of them at the most, and half as many again and
 * again while the kernel has no room (net.core.optmem_max). Returns how many; 0: there is no filter, and errno says why
 * where rules were given. */
uint32_t syn_filter_attach(int listener, const struct syn_rule *rules, uint32_t count);
/* Does nothing where there is none. */
void syn_filter_detach(int fd);

/* How many packets the kernel has dropped in front of this socket: by the filter, for want of room in its queues, and
 * as the empty packet that ends a handshake where TCP_DEFER_ACCEPT waits for more. The count wraps. False: the kernel
 * does not say. */
bool syn_filter_drops(int listener, uint32_t *drops);

#endif
