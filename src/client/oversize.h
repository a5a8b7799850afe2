/* A PUBLISH above packet_bytes_max, before version 5. Such a client cannot be told the limit, and one whose connection
 * ends for it sends the same again with the next one, for ever. At QoS 1 and 2 it is acknowledged and left out instead:
 * its head is read, the rest thrown away as it comes. What is more than OVERSIZE_TIMES as large still ends its sender,
 * as all that is too large does in version 5, where the limit is announced [3.2.2.3.6]. By the shard's thread. */
#ifndef CLIENT_OVERSIZE_H
#define CLIENT_OVERSIZE_H

#include "client/publish.h"
#include "session/refs.h"

#define OVERSIZE_TIMES 16u

/* The packet at the front of bytes, whose header was decoded, is too large. ERROR_OK: it may be answered; packet->body
 * is its head. ERROR_MORE: its head is not whole; *head_bytes is its size as far as known, or 0.
 * ERROR_PACKET_TOO_LARGE: it ends its sender. */
enum error oversize_cut(const struct shard *shard, uint8_t version, struct slice bytes, struct packet *packet,
			size_t *head_bytes);
/* Acknowledges it. The reason why the client ends, or ERROR_OK. */
enum error oversize_answer(struct shard *shard, struct client_ref ref, const struct packet *packet);

#endif
