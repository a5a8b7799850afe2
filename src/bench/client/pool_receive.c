#include "bench/client/opening.h"
#include "bench/client/packets.h"
#include "bench/client/pool_io.h"

#include "base/check.h"
#include "mqtt/decode.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>

static void become_ready(struct client_pool *pool, uint32_t index)
{
	CHECK(pool->clients[index].state == CLIENT_GREETING || pool->clients[index].state == CLIENT_SUBSCRIBING);
	client_pool_set_state(pool, &pool->clients[index], CLIENT_READY);
	if (pool->events.ready != NULL)
		pool->events.ready(pool->owner, index);
}

/* Encodes the SUBSCRIBE that follows CONNACK. Returns 0 if none does; *subscribes says whether one was sent at all. */
static size_t encode_subscribe(struct client_pool *pool, uint32_t index, uint8_t *out, bool *subscribes)
{
	if (pool->events.filter_of != NULL) {
		uint8_t filter[CLIENT_FILTER_BYTES_MAX];
		size_t size = pool->events.filter_of(pool->owner, index, filter);
		CHECK(size <= sizeof(filter) && !pool->plan->pipeline);
		*subscribes = size > 0;
		return size > 0 ? client_filter_encode(pool->plan, slice_of(filter, size), out,
						       CLIENT_SUBSCRIBE_BYTES_MAX)
				: 0;
	}
	uint32_t topic = client_pool_topic_of(pool, index);
	*subscribes = topic != CLIENT_NO_TOPIC;
	return *subscribes && !pool->plan->pipeline
		       ? client_subscribe_encode(pool->plan, topic, out, CLIENT_SUBSCRIBE_BYTES_MAX)
		       : 0;
}

static void take_connack(struct client_pool *pool, uint32_t index, struct slice body)
{
	struct client *client = &pool->clients[index];
	struct mqtt_connack connack;
	if (client->state != CLIENT_GREETING || mqtt_connack_decode(body, pool->plan->version, &connack) != ERROR_OK) {
		client_pool_lose(pool, index, LOSS_PROTOCOL, 0);
		return;
	}
	if (connack.reason != 0) {
		client_pool_lose(pool, index, LOSS_REFUSED, connack.reason);
		return;
	}
	if (connack.receive_max < pool->receive_max)
		pool->receive_max = connack.receive_max;
	if (pool->events.greeted != NULL)
		pool->events.greeted(pool->owner, index, connack.session_present);
	uint8_t packet[CLIENT_SUBSCRIBE_BYTES_MAX];
	bool subscribes;
	size_t size = encode_subscribe(pool, index, packet, &subscribes);
	if (!subscribes) {
		become_ready(pool, index);
		return;
	}
	if (size == 0 || client_pool_write(pool, index, packet, size))
		client_pool_set_state(pool, client, CLIENT_SUBSCRIBING);
}

static void take_suback(struct client_pool *pool, uint32_t index, struct slice body)
{
	struct mqtt_suback suback;
	enum error fault = mqtt_suback_decode(body, MQTT_SUBACK, pool->plan->version, &suback);
	if (pool->clients[index].state != CLIENT_SUBSCRIBING || fault != ERROR_OK || suback.codes.size != 1)
		client_pool_lose(pool, index, LOSS_PROTOCOL, 0);
	else if (suback.codes.data[0] >= 0x80)
		client_pool_lose(pool, index, LOSS_SUBSCRIBE, suback.codes.data[0]);
	else if (suback.codes.data[0] != pool->plan->qos)
		client_pool_lose(pool, index, LOSS_GRANTED, 0);
	else
		become_ready(pool, index);
}

/* Collects an answer, to be sent with the others of the same read. */
static void answer(struct client_pool *pool, uint8_t first_byte, uint16_t packet_id)
{
	uint8_t *ack = pool->answers + pool->answers_size;
	pool->answers_size += 4;
	CHECK(pool->answers_size <= CLIENT_PACKET_BYTES_MAX);
	ack[0] = first_byte;
	ack[1] = 2;
	ack[2] = (uint8_t)(packet_id >> 8);
	ack[3] = (uint8_t)packet_id;
}

static void take_publish(struct client_pool *pool, uint32_t index, uint8_t flags, struct slice body)
{
	struct mqtt_publish publish;
	if (mqtt_publish_decode(body, flags, pool->plan->version, true, &publish) != ERROR_OK) {
		client_pool_lose(pool, index, LOSS_PROTOCOL, 0);
		return;
	}
	if (publish.qos == 1)
		answer(pool, MQTT_PUBACK << 4, publish.packet_id);
	if (publish.qos == 2) {
		answer(pool, MQTT_PUBREC << 4, publish.packet_id);
		pool->received_qos_2++;
	}
	if (pool->events.message != NULL)
		pool->events.message(pool->owner, index, &publish);
}

/* Handles PUBACK, PUBREC and PUBCOMP for what the client has published, and PUBREL for what it has received. */
static void take_ack(struct client_pool *pool, uint32_t index, uint8_t first_byte, struct slice body)
{
	uint8_t type = first_byte >> 4;
	struct mqtt_ack ack;
	bool good = mqtt_ack_decode(body, type, pool->plan->version, &ack) == ERROR_OK;
	if (good && type == MQTT_PUBREL && pool->events.released != NULL) {
		pool->events.released(pool->owner, index, ack.packet_id);
	} else if (good && type == MQTT_PUBREL) {
		good = pool->released < pool->received_qos_2;
		pool->released += good;
	} else if (good && ack.reason >= 0x80) {
		if (pool->events.refused == NULL ||
		    !pool->events.refused(pool->owner, index, type, ack.packet_id, ack.reason))
			client_pool_lose(pool, index, LOSS_PUBLISH, ack.reason);
		return;
	} else if (good) {
		good = pool->events.acknowledged != NULL &&
		       pool->events.acknowledged(pool->owner, index, type, ack.packet_id);
	}
	if (!good)
		client_pool_lose(pool, index, LOSS_PROTOCOL, 0);
	else if (type == MQTT_PUBREL)
		answer(pool, MQTT_PUBCOMP << 4, ack.packet_id);
	else if (type == MQTT_PUBREC)
		answer(pool, MQTT_PUBREL << 4 | 2, ack.packet_id);
}

static void client_take_packet(struct client_pool *pool, uint32_t index, uint8_t first_byte, struct slice body)
{
	struct mqtt_disconnect disconnect;
	switch (first_byte >> 4) {
	case MQTT_PUBLISH:
		take_publish(pool, index, first_byte & 0x0Fu, body);
		break;
	case MQTT_PUBACK:
	case MQTT_PUBREC:
	case MQTT_PUBREL:
	case MQTT_PUBCOMP:
		take_ack(pool, index, first_byte, body);
		break;
	case MQTT_PINGRESP:
		client_set_ping_pending(pool, &pool->clients[index], false);
		if (pool->events.pong != NULL)
			pool->events.pong(pool->owner, index);
		break;
	case MQTT_CONNACK:
		take_connack(pool, index, body);
		break;
	case MQTT_SUBACK:
		take_suback(pool, index, body);
		break;
	case MQTT_DISCONNECT:
		if (mqtt_disconnect_decode(body, pool->plan->version, true, &disconnect) == ERROR_OK) {
			client_pool_lose(pool, index, LOSS_DISCONNECT, disconnect.reason);
			break;
		}
		/* fall through */
	default:
		client_pool_lose(pool, index, LOSS_PROTOCOL, 0);
	}
}

/* Handles the complete packets in bytes. Returns how many bytes they took. The client may be gone afterwards. */
static size_t take_packets(struct client_pool *pool, uint32_t index, const uint8_t *bytes, size_t size)
{
	struct client *client = &pool->clients[index];
	size_t used = 0;
	while (client->state != CLIENT_GONE && used < size) {
		struct mqtt_header header;
		enum error error = mqtt_header_decode(bytes + used, size - used, &header);
		size_t whole = error == ERROR_OK ? (size_t)header.header_bytes + header.body_bytes : 0;
		if ((error != ERROR_OK && error != ERROR_MORE) || whole > CLIENT_PACKET_BYTES_MAX) {
			client_pool_lose(pool, index, LOSS_PROTOCOL, 0);
			break;
		}
		if (error == ERROR_MORE || whole > size - used)
			break;
		client_take_packet(pool, index, bytes[used],
				   slice_of(bytes + used + header.header_bytes, header.body_bytes));
		used += whole;
	}
	return used;
}

static size_t restore_unread(struct client *client, uint8_t *out)
{
	if (client->unread == NULL)
		return 0;
	size_t size = client->unread->size;
	memcpy(out, client->unread->bytes, size);
	free(client->unread);
	client->unread = NULL;
	return size;
}

/* Handles one read: size bytes in scratch. */
static void take_read(struct client_pool *pool, uint32_t index, size_t size)
{
	const struct client *client = &pool->clients[index];
	pool->answers_size = 0;
	size_t used = take_packets(pool, index, pool->scratch, size);
	CHECK(used <= size);
	if (client->state != CLIENT_GONE && pool->answers_size > 0)
		client_pool_write(pool, index, pool->answers, pool->answers_size);
	if (client->state != CLIENT_GONE)
		client_pool_keep_unread(pool, index, slice_of(pool->scratch + used, size - used));
}

/* Like stream_receive(), and notes when the bytes arrived, if the kernel says so. Of several segments that is the time
 * of the last one. */
static ssize_t receive(struct client_pool *pool, struct stream stream, uint8_t *out, size_t room, bool *more)
{
	union {
		struct cmsghdr header; /* for its alignment */
		uint8_t bytes[CMSG_SPACE(sizeof(struct timespec))];
	} control;
	struct iovec into = {.iov_base = out, .iov_len = room};
	struct msghdr message = {
		.msg_iov = &into, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
	/* What lies above the socket does not say when its bytes came. */
	if (!pool->plan->arrivals || !stream_is_descriptor(stream))
		return stream_receive(&pool->streams, stream, out, room, more);
	ssize_t got = recvmsg(stream_number(stream), &message, 0);
	*more = got == (ssize_t)room;
	const struct cmsghdr *first = got > 0 ? CMSG_FIRSTHDR(&message) : NULL;
	struct timespec arrived;
	pool->arrived_ns = 0;
	if (first == NULL || first->cmsg_level != SOL_SOCKET || first->cmsg_type != SCM_TIMESTAMPNS)
		return got;
	memcpy(&arrived, CMSG_DATA(first), sizeof(arrived));
	pool->arrived_ns = (uint64_t)arrived.tv_sec * 1000000000u + (uint64_t)arrived.tv_nsec;
	return got;
}

static void lose_by_errno(struct client_pool *pool, uint32_t index, int failure)
{
	const struct client *client = &pool->clients[index];
	struct stream_facts facts = stream_facts(&pool->streams, client->stream);
	if (failure == EPROTO && facts.error != ERROR_OK)
		client_pool_lose(pool, index, LOSS_TRANSPORT, facts.error);
	else
		client_pool_lose(pool, index, client->state == CLIENT_CONNECTING ? LOSS_CONNECT : LOSS_RESET,
				 (uint32_t)failure);
}

/* Reads until a short read shows that the socket is empty, which saves the call that would return EAGAIN. If epoll says
 * that the connection has ended, that call is made too, because it tells how. A stage of the opening that ends hands
 * bytes to the next one's stream, which no event of the socket tells of. */
void client_pool_read(struct client_pool *pool, uint32_t index, uint32_t events)
{
	struct client *client = &pool->clients[index];
	bool has_ended = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
	bool emptied = false;
	while (!emptied && client->state != CLIENT_GONE) {
		size_t kept = restore_unread(client, pool->scratch);
		CHECK(kept < CLIENT_PACKET_BYTES_MAX);
		size_t room = CLIENT_PACKET_BYTES_MAX - kept;
		bool more = false;
		ssize_t got = receive(pool, client->stream, pool->scratch + kept, room, &more);
		if (got == 0) {
			client_pool_lose(pool, index, LOSS_CLOSED, 0);
			return;
		}
		if (got < 0 && errno != EAGAIN && errno != EINTR) {
			lose_by_errno(pool, index, errno);
			return;
		}
		emptied = !more && (got < 0 ? errno == EAGAIN : !has_ended);
		size_t size = kept + (got > 0 ? (size_t)got : 0);
		if (client->state != CLIENT_OPENING)
			take_read(pool, index, size);
		else if (opening_take(pool, index, size))
			emptied = false;
	}
}
