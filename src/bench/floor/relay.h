/* The floor's relay: one thread, one epoll, sockets found by descriptor number. What is read in a turn stays where it
 * was read, in the arena, until the turn ends. An outgoing message only refers to those bytes, and all that a socket
 * gets in a turn leaves in one call. Only incomplete packets, and what a full socket does not take, are copied to the
 * heap.
 *
 * Above QoS 0 the relay answers handshakes and remembers nothing. A message goes out at the QoS at which it came, with
 * the relay's next packet identifier, and a receiver's acknowledgement is dropped. */
#ifndef BENCH_RELAY_H
#define BENCH_RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Topics end in a number below this, which is an index into a flat table. No strings are compared. */
#define RELAY_TOPICS_MAX (1u << 20)
#define RELAY_NONE UINT32_MAX
/* PUBACK, PUBREC, PUBREL and PUBCOMP without a reason code. */
#define RELAY_ACK_BYTES 4u

struct relay_segment {
	const uint8_t *data;
	uint32_t size;
	uint32_t next; /* index of a segment or RELAY_NONE */
};

/* An index in the table of sockets is the descriptor. */
struct relay_socket {
	uint32_t generation;        /* counts uses of the descriptor: an event of an earlier use is told apart */
	uint32_t topic;             /* what it subscribed to, or RELAY_NONE */
	uint32_t next_of_topic;     /* RELAY_NONE: the last one */
	uint32_t previous_of_topic; /* of the first one: the last one */
	uint32_t first_segment;
	uint32_t last_segment;
	uint32_t rest_size; /* the beginning of an incomplete packet */
	uint32_t blocked_size;
	uint32_t blocked_room;
	uint8_t version;
	bool open;
	bool shared; /* a shared subscription: each message goes to the first of the group, which then becomes the last
		      */
	bool flushing; /* on the list of sockets to flush at the end of the turn */
	uint8_t *rest;
	uint8_t *blocked; /* what the socket has not taken yet */
};

struct relay {
	int epoll;
	int listener;
	uint32_t sockets_max;
	uint32_t flush_count;
	uint32_t segment_count;
	uint32_t ack_count;
	uint16_t packet_id; /* the last one given */
	size_t arena_used;
	struct relay_socket *sockets;
	uint32_t *topics; /* first socket of each topic, or RELAY_NONE */
	uint32_t *flush;
	struct relay_segment *segments;
	uint8_t *arena;
	uint8_t *acks; /* of this turn, RELAY_ACK_BYTES each */
};

/* Takes over the listener. Returns false without memory or descriptors. */
bool relay_open(struct relay *relay, int listener, uint32_t sockets_max);
void relay_close(struct relay *relay);

/* One turn: waits, reads all there is, answers, sends. */
void relay_turn(struct relay *relay, int timeout_ms);

/* For relay_packets.c. */

/* data must live until the end of the turn. */
void relay_send(struct relay *relay, uint32_t socket, const uint8_t *data, size_t size);
/* first_byte begins the fixed header; packet_id points to the two bytes of the identifier as they are on the wire. */
void relay_acknowledge(struct relay *relay, uint32_t socket, uint8_t first_byte, const uint8_t *packet_id);
/* Appends the socket to those of the topic. */
void relay_subscribe(struct relay *relay, uint32_t socket, uint32_t topic);
/* The topic's first socket becomes its last. */
void relay_rotate(struct relay *relay, uint32_t topic);
void relay_drop(struct relay *relay, uint32_t socket);

/* Handles the complete packets in bytes, which lie in the arena. Returns how many bytes they took. The socket may be
 * closed afterwards. */
size_t relay_packets(struct relay *relay, uint32_t socket, uint8_t *bytes, size_t size);

#endif
