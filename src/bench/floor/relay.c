#include "bench/floor/relay.h"

#include "base/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define EVENTS_MAX 512
#define READ_BYTES_MAX (64u * 1024u)
/* Limit of what is kept of an incomplete packet. */
#define REST_BYTES_MAX (8u * READ_BYTES_MAX)
#define ARENA_BYTES (4u * 1024u * 1024u)
#define SEGMENTS_MAX (64u * 1024u)
#define ACKS_MAX SEGMENTS_MAX
#define PIECES_MAX 256u
/* The bench's loads are closed loops with small windows. A socket that lets more than this pile up is closed. */
#define BLOCKED_BYTES_MAX (64u * 1024u * 1024u)

_Static_assert(REST_BYTES_MAX + READ_BYTES_MAX <= ARENA_BYTES,
	       "the longest kept rest and one read fit into the empty arena");
_Static_assert(BLOCKED_BYTES_MAX <= UINT32_MAX / 2, "twice of it is a size of a socket's buffer");

bool relay_open(struct relay *relay, int listener, uint32_t sockets_max)
{
	*relay = (struct relay){.listener = listener, .sockets_max = sockets_max};
	relay->sockets = calloc(sockets_max, sizeof(*relay->sockets));
	relay->flush = calloc(sockets_max, sizeof(*relay->flush));
	relay->topics = malloc(RELAY_TOPICS_MAX * sizeof(*relay->topics));
	relay->segments = malloc(SEGMENTS_MAX * sizeof(*relay->segments));
	relay->arena = malloc(ARENA_BYTES);
	relay->acks = malloc(ACKS_MAX * RELAY_ACK_BYTES);
	relay->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (relay->sockets == NULL || relay->flush == NULL || relay->topics == NULL || relay->segments == NULL ||
	    relay->arena == NULL || relay->acks == NULL || relay->epoll < 0)
		return false;
	memset(relay->topics, 0xFF, RELAY_TOPICS_MAX * sizeof(*relay->topics));
	struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = (uint64_t)listener};
	return epoll_ctl(relay->epoll, EPOLL_CTL_ADD, listener, &event) == 0;
}

void relay_close(struct relay *relay)
{
	for (uint32_t i = 0; relay->sockets != NULL && i < relay->sockets_max; i++) {
		if (relay->sockets[i].open)
			relay_drop(relay, i);
	}
	close(relay->epoll);
	close(relay->listener);
	free(relay->sockets);
	free(relay->flush);
	free(relay->topics);
	free(relay->segments);
	free(relay->arena);
	free(relay->acks);
}

/* Puts the socket at the end of its topic's list. */
static void topic_append(struct relay *relay, uint32_t socket)
{
	CHECK(relay->sockets[socket].topic < RELAY_TOPICS_MAX);
	struct relay_socket *self = &relay->sockets[socket];
	uint32_t head = relay->topics[self->topic];
	self->next_of_topic = RELAY_NONE;
	self->previous_of_topic = socket;
	if (head == RELAY_NONE) {
		relay->topics[self->topic] = socket;
		return;
	}
	self->previous_of_topic = relay->sockets[head].previous_of_topic;
	relay->sockets[self->previous_of_topic].next_of_topic = socket;
	relay->sockets[head].previous_of_topic = socket;
}

/* Takes it off that list; self->topic stays. */
static void topic_remove(struct relay *relay, uint32_t socket)
{
	CHECK(relay->topics[relay->sockets[socket].topic] != RELAY_NONE);
	struct relay_socket *self = &relay->sockets[socket];
	uint32_t head = relay->topics[self->topic];
	uint32_t next = self->next_of_topic;
	if (head == socket)
		head = relay->topics[self->topic] = next;
	else
		relay->sockets[self->previous_of_topic].next_of_topic = next;
	if (next != RELAY_NONE)
		relay->sockets[next].previous_of_topic = self->previous_of_topic;
	else if (head != RELAY_NONE)
		relay->sockets[head].previous_of_topic = self->previous_of_topic;
}

void relay_subscribe(struct relay *relay, uint32_t socket, uint32_t topic)
{
	CHECK(relay->sockets[socket].topic == RELAY_NONE);
	relay->sockets[socket].topic = topic;
	topic_append(relay, socket);
}

void relay_rotate(struct relay *relay, uint32_t topic)
{
	uint32_t first = relay->topics[topic];
	CHECK(first != RELAY_NONE);
	topic_remove(relay, first);
	topic_append(relay, first);
}

/* The socket may stay on the flush list. Flushing then finds it closed, or finds the next socket with its number, which
 * has nothing to send. */
void relay_drop(struct relay *relay, uint32_t socket)
{
	CHECK(socket < relay->sockets_max && relay->sockets[socket].open);
	struct relay_socket *self = &relay->sockets[socket];
	if (self->topic != RELAY_NONE)
		topic_remove(relay, socket);
	self->topic = RELAY_NONE;
	free(self->rest);
	free(self->blocked);
	self->rest = self->blocked = NULL;
	self->rest_size = self->blocked_size = self->blocked_room = 0;
	self->first_segment = self->last_segment = RELAY_NONE;
	self->open = false;
	self->generation++;
	close((int)socket);
}

static void keep_blocked(struct relay *relay, uint32_t socket, const uint8_t *data, size_t size)
{
	struct relay_socket *self = &relay->sockets[socket];
	size_t need = self->blocked_size + size;
	if (need > self->blocked_room) {
		size_t room = need * 2;
		uint8_t *grown = need <= BLOCKED_BYTES_MAX ? realloc(self->blocked, room) : NULL;
		if (grown == NULL) {
			relay_drop(relay, socket);
			return;
		}
		self->blocked = grown;
		self->blocked_room = (uint32_t)room;
	}
	memcpy(self->blocked + self->blocked_size, data, size);
	self->blocked_size += (uint32_t)size;
}

/* Copies to the heap what the socket did not take of the pieces, until it has room. */
static void block_pieces(struct relay *relay, uint32_t socket, const struct iovec *pieces, size_t count, size_t sent)
{
	for (size_t i = 0; i < count && relay->sockets[socket].open; i++) {
		size_t skip = sent < pieces[i].iov_len ? sent : pieces[i].iov_len;
		sent -= skip;
		if (skip < pieces[i].iov_len)
			keep_blocked(relay, socket, (const uint8_t *)pieces[i].iov_base + skip,
				     pieces[i].iov_len - skip);
	}
}

/* Sends up to PIECES_MAX segments. Returns the first one that is left. */
static uint32_t send_pieces(struct relay *relay, uint32_t socket, uint32_t segment)
{
	struct iovec pieces[PIECES_MAX];
	struct msghdr message = {.msg_iov = pieces};
	size_t size = 0;
	for (; segment != RELAY_NONE && message.msg_iovlen < PIECES_MAX; message.msg_iovlen++) {
		const struct relay_segment *from = &relay->segments[segment];
		pieces[message.msg_iovlen] =
			(struct iovec){.iov_base = (void *)(uintptr_t)from->data, .iov_len = from->size};
		size += from->size;
		segment = from->next;
	}
	ssize_t sent = 0;
	if (relay->sockets[socket].blocked_size == 0) {
		sent = message.msg_iovlen == 1 ? send((int)socket, pieces[0].iov_base, size, MSG_NOSIGNAL)
					       : sendmsg((int)socket, &message, MSG_NOSIGNAL);
		if (sent < 0 && errno != EAGAIN) {
			relay_drop(relay, socket);
			return RELAY_NONE;
		}
	}
	if (sent < (ssize_t)size)
		block_pieces(relay, socket, pieces, message.msg_iovlen, sent > 0 ? (size_t)sent : 0);
	return relay->sockets[socket].open ? segment : RELAY_NONE;
}

static void relay_flush(struct relay *relay)
{
	for (uint32_t i = 0; i < relay->flush_count; i++) {
		uint32_t socket = relay->flush[i];
		struct relay_socket *self = &relay->sockets[socket];
		uint32_t segment = self->first_segment;
		self->flushing = false;
		self->first_segment = self->last_segment = RELAY_NONE;
		while (segment != RELAY_NONE)
			segment = send_pieces(relay, socket, segment);
	}
	relay->flush_count = 0;
	relay->segment_count = 0;
	relay->ack_count = 0;
}

/* Extends the last segment if the bytes follow it directly. A burst, or the messages of many publishers to one
 * subscriber, lie back to back in the arena and leave as one piece. */
void relay_send(struct relay *relay, uint32_t socket, const uint8_t *data, size_t size)
{
	struct relay_socket *self = &relay->sockets[socket];
	if (!self->open)
		return;
	if (self->last_segment != RELAY_NONE) {
		struct relay_segment *last = &relay->segments[self->last_segment];
		if (last->data + last->size == data) {
			last->size += (uint32_t)size;
			return;
		}
	}
	if (relay->segment_count == SEGMENTS_MAX)
		relay_flush(relay);
	uint32_t segment = relay->segment_count++;
	relay->segments[segment] = (struct relay_segment){.data = data, .size = (uint32_t)size, .next = RELAY_NONE};
	if (self->last_segment != RELAY_NONE)
		relay->segments[self->last_segment].next = segment;
	else
		self->first_segment = segment;
	self->last_segment = segment;
	if (!self->flushing) {
		self->flushing = true;
		relay->flush[relay->flush_count++] = socket;
	}
}

/* Acknowledgements lie back to back, so that those of a burst leave as one piece too. Flushing empties the list, so it
 * must not happen between taking the room here and filing the acknowledgement. */
void relay_acknowledge(struct relay *relay, uint32_t socket, uint8_t first_byte, const uint8_t *packet_id)
{
	if (relay->ack_count == ACKS_MAX || relay->segment_count == SEGMENTS_MAX)
		relay_flush(relay);
	uint8_t *ack = relay->acks + (size_t)relay->ack_count++ * RELAY_ACK_BYTES;
	ack[0] = first_byte;
	ack[1] = RELAY_ACK_BYTES - 2;
	memcpy(ack + 2, packet_id, 2);
	relay_send(relay, socket, ack, RELAY_ACK_BYTES);
}

static void send_blocked(struct relay *relay, uint32_t socket)
{
	CHECK(relay->sockets[socket].blocked_size > 0);
	struct relay_socket *self = &relay->sockets[socket];
	ssize_t sent = send((int)socket, self->blocked, self->blocked_size, MSG_NOSIGNAL);
	if (sent < 0 && errno != EAGAIN) {
		relay_drop(relay, socket);
		return;
	}
	if (sent <= 0)
		return;
	self->blocked_size -= (uint32_t)sent;
	memmove(self->blocked, self->blocked + sent, self->blocked_size);
	if (self->blocked_size == 0) {
		free(self->blocked);
		self->blocked = NULL;
		self->blocked_room = 0;
	}
}

static void keep_rest(struct relay *relay, uint32_t socket, const uint8_t *bytes, size_t size)
{
	struct relay_socket *self = &relay->sockets[socket];
	if (size == 0)
		return;
	CHECK(self->rest == NULL);
	self->rest = size < REST_BYTES_MAX ? malloc(size) : NULL;
	if (self->rest == NULL) {
		relay_drop(relay, socket);
		return;
	}
	memcpy(self->rest, bytes, size);
	self->rest_size = (uint32_t)size;
}

/* Makes room in the arena for the kept bytes and one read, and copies the kept bytes there. */
static uint8_t *make_room(struct relay *relay, struct relay_socket *self)
{
	if (relay->arena_used + self->rest_size + READ_BYTES_MAX > ARENA_BYTES) {
		relay_flush(relay);
		relay->arena_used = 0;
	}
	uint8_t *room = relay->arena + relay->arena_used;
	if (self->rest_size > 0) {
		memcpy(room, self->rest, self->rest_size);
		free(self->rest);
		self->rest = NULL;
	}
	return room;
}

/* A short read means that the socket is empty. Stopping there saves the call that would return EAGAIN. */
static void read_socket(struct relay *relay, uint32_t socket, uint32_t events)
{
	struct relay_socket *self = &relay->sockets[socket];
	bool emptied = false;
	while (!emptied && self->open) {
		size_t kept = self->rest_size;
		uint8_t *bytes = make_room(relay, self);
		if (!self->open)
			return;
		self->rest_size = 0;
		ssize_t got = recv((int)socket, bytes + kept, READ_BYTES_MAX, 0);
		if (got == 0 || (got < 0 && errno != EAGAIN)) {
			relay_drop(relay, socket);
			return;
		}
		emptied = got < (ssize_t)READ_BYTES_MAX;
		size_t size = kept + (got > 0 ? (size_t)got : 0);
		size_t used = relay_packets(relay, socket, bytes, size);
		relay->arena_used += used;
		if (self->open)
			keep_rest(relay, socket, bytes + used, size - used);
	}
	if (self->open && (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
		relay_drop(relay, socket);
}

static void accept_all(struct relay *relay)
{
	for (;;) {
		int fd = accept4(relay->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (fd < 0)
			return;
		if ((uint32_t)fd >= relay->sockets_max) {
			close(fd);
			continue;
		}
		struct relay_socket *self = &relay->sockets[fd];
		struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
					    .data.u64 = (uint64_t)self->generation << 32 | (uint32_t)fd};
		self->open = true;
		self->topic = self->first_segment = self->last_segment = RELAY_NONE;
		if (epoll_ctl(relay->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
			relay_drop(relay, (uint32_t)fd);
	}
}

void relay_turn(struct relay *relay, int timeout_ms)
{
	struct epoll_event events[EVENTS_MAX];
	int count = epoll_wait(relay->epoll, events, EVENTS_MAX, timeout_ms);
	relay->arena_used = 0;
	for (int i = 0; i < count; i++) {
		uint32_t socket = (uint32_t)events[i].data.u64;
		struct relay_socket *self = &relay->sockets[socket];
		if (socket == (uint32_t)relay->listener) {
			accept_all(relay);
			continue;
		}
		if (!self->open || self->generation != (uint32_t)(events[i].data.u64 >> 32))
			continue;
		if (self->blocked_size > 0 && (events[i].events & EPOLLOUT) != 0)
			send_blocked(relay, socket);
		if (self->open && (events[i].events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
			read_socket(relay, socket, events[i].events);
	}
	relay_flush(relay);
}
