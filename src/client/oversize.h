/* A PUBLISH above packet_bytes_max, before version 5. Such a client cannot be told the limit, and if its connection
 * ends for the packet it sends the same packet again on the next one, for ever. So at QoS 1 and 2 the packet is
 * acknowledged and dropped instead: its head is read, and the rest is thrown away as it comes. A packet that is more
 * than OVERSIZE_TIMES as large as the limit still ends its sender. So does any packet that is too large in version 5,
 * where the limit is announced [3.2.2.3.6]. By the shard's thread. */
#ifndef CLIENT_OVERSIZE_H
#define CLIENT_OVERSIZE_H

#include "client/publish.h"
#include "session/refs.h"

#define OVERSIZE_TIMES 16u

/* The packet at the front of `bytes`, whose header is decoded, is above packet_bytes_max. ERROR_OK: it can be answered,
 * and packet->body is its head. ERROR_MORE: its head is not complete; *head_bytes is the head's size, or 0 if that is
 * not known yet. ERROR_PACKET_TOO_LARGE: it ends its sender. */
enum error oversize_cut(const struct shard *shard, uint8_t version, struct slice bytes, struct packet *packet,
			size_t *head_bytes);
/* Acknowledges a packet for which oversize_cut() returned ERROR_OK. Otherwise the reason why the client ends. */
enum error oversize_answer(struct shard *shard, struct client_ref ref, const struct packet *packet);

#endif
