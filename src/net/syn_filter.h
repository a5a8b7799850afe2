/* Early drop of floods: a filter in the kernel, attached to a listening socket, which throws away the first packet
 * (SYN) of connections from networks that are listed. Such a connection costs this process nothing at all, where an
 * accept and a close cost some microseconds. A classic BPF program, which needs no privilege.
 *
 * Accepted sockets inherit the filter, where it looks at one byte of each packet and lets it pass. Any thread. */
#ifndef NET_SYN_FILTER_H
#define NET_SYN_FILTER_H

#include "net/prefix.h"

#define SYN_FILTER_NETWORKS_MAX 128u

/* Replaces the socket's filter; count 0 takes it away. ERROR_LIMIT: more than SYN_FILTER_NETWORKS_MAX; ERROR_SYSTEM:
 * the kernel refused it (errno), and the one before stays. */
enum error syn_filter_attach(int listener, const struct network *networks, uint32_t count);

#endif
