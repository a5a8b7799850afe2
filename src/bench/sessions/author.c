#include "bench/sessions/author.h"

#include "bench/measure/stamp.h"

#include "base/check.h"
#include "mqtt/encode.h"

#include <stdlib.h>

/* Fixed header, topic with its length, packet identifier, property length. */
#define OVERHEAD_BYTES_MAX (CAST_TOPIC_BYTES_MAX + 16u)
/* At QoS 0 nothing but the socket holds a publisher up. */
#define BATCH_AT_QOS_0 16u

static bool author_open(struct author *author, uint8_t qos, uint32_t window)
{
	if (qos == 0)
		return true;
	author->sent_ns = calloc(window, sizeof(*author->sent_ns));
	return inflight_open(&author->inflight, window) && author->sent_ns != NULL;
}

bool authors_open(struct authors *authors, const struct cast *cast, struct client_pool *pool, uint32_t size,
		  uint32_t window)
{
	CHECK(size >= STAMP_BYTES && window > 0);
	uint32_t count = cast_publishers(cast);
	uint32_t batch = window > BATCH_AT_QOS_0 ? window : BATCH_AT_QOS_0;
	*authors = (struct authors){
		.cast = cast,
		.pool = pool,
		.list = calloc(count, sizeof(*authors->list)),
		.packets = malloc((size_t)batch * (size + OVERHEAD_BYTES_MAX)),
		.padding = calloc(1, size),
		.due = calloc(count, sizeof(*authors->due)),
		.size = size,
		.window = window,
	};
	bool good =
		authors->list != NULL && authors->packets != NULL && authors->padding != NULL && authors->due != NULL;
	for (uint32_t i = 0; good && i < count; i++)
		good = author_open(&authors->list[i], cast_qos(cast, i), window);
	if (!good)
		authors_close(authors);
	return good;
}

void authors_close(struct authors *authors)
{
	for (uint32_t i = 0; authors->list != NULL && i < cast_publishers(authors->cast); i++) {
		inflight_close(&authors->list[i].inflight);
		free(authors->list[i].sent_ns);
	}
	free(authors->list);
	free(authors->packets);
	free(authors->padding);
	free(authors->due);
	*authors = (struct authors){0};
}

static size_t write_publish(const struct authors *authors, uint32_t index, uint64_t number, bool again, uint64_t now_ns,
			    uint8_t *out)
{
	uint8_t topic[CAST_TOPIC_BYTES_MAX];
	uint8_t qos = cast_qos(authors->cast, index);
	struct mqtt_publish publish = {
		.topic = slice_of(topic, cast_topic(authors->cast, index, topic)),
		.payload = slice_of(authors->padding, authors->size),
		.packet_id = qos > 0 ? inflight_packet_id(number) : 0,
		.qos = qos,
		.retain = index >= authors->cast->publishers,
		.dup = again,
	};
	size_t size =
		mqtt_publish_encode(&publish, authors->pool->plan->version, out, authors->size + OVERHEAD_BYTES_MAX);
	CHECK(size > authors->size);
	stamp_write(&(struct stamp){.publisher = index, .number = number, .sent_ns = now_ns},
		    out + size - authors->size);
	return size;
}

static uint64_t take_number(struct authors *authors, uint32_t index, uint64_t now_ns)
{
	struct author *author = &authors->list[index];
	uint8_t qos = cast_qos(authors->cast, index);
	if (qos == 0)
		return author->sent_at_qos_0++;
	uint64_t number = author->inflight.next;
	inflight_take(&author->inflight, qos);
	author->sent_ns[number % authors->window] = now_ns;
	return number;
}

void author_publish(struct authors *authors, uint32_t index, uint64_t most, uint64_t now_ns)
{
	CHECK(index < cast_publishers(authors->cast));
	struct author *author = &authors->list[index];
	size_t size = 0;
	if (!client_pool_may_send(authors->pool, index))
		return;
	bool acknowledged = cast_qos(authors->cast, index) > 0;
	uint32_t room = acknowledged ? inflight_room(&author->inflight) : BATCH_AT_QOS_0;
	uint32_t allowed = authors->pool->receive_max < authors->window ? authors->pool->receive_max : authors->window;
	/* What the server allows is less than the ring holds. */
	uint32_t spared = acknowledged ? authors->window - allowed : 0;
	uint64_t count = room > spared ? room - spared : 0;
	count = count < most ? count : most;
	for (uint64_t i = 0; i < count; i++) {
		uint64_t number = take_number(authors, index, now_ns);
		size += write_publish(authors, index, number, false, now_ns, authors->packets + size);
	}
	author->sent += count;
	if (size > 0)
		client_pool_send(authors->pool, index, authors->packets, size);
}

static size_t write_pubrel(const struct authors *authors, uint64_t number, uint8_t *out)
{
	struct mqtt_ack ack = {.packet_id = inflight_packet_id(number)};
	return mqtt_ack_encode(&ack, MQTT_PUBREL, authors->pool->plan->version, out, OVERHEAD_BYTES_MAX);
}

void author_resume(struct authors *authors, uint32_t index)
{
	const struct author *author = &authors->list[index];
	size_t size = 0;
	if (cast_qos(authors->cast, index) == 0)
		return;
	for (uint64_t number = author->inflight.oldest; number < author->inflight.next; number++) {
		uint64_t place = number % authors->window;
		uint8_t wait = author->inflight.waits[place];
		if (wait == INFLIGHT_PUBACK || wait == INFLIGHT_PUBREC)
			size += write_publish(authors, index, number, true, author->sent_ns[place],
					      authors->packets + size);
		else if (wait == INFLIGHT_PUBCOMP)
			size += write_pubrel(authors, number, authors->packets + size);
	}
	if (size > 0)
		client_pool_send(authors->pool, index, authors->packets, size);
}

void author_note_due(struct authors *authors, uint32_t index)
{
	if (authors->list[index].is_due)
		return;
	CHECK(authors->due_count < cast_publishers(authors->cast));
	authors->list[index].is_due = true;
	authors->due[authors->due_count++] = index;
}

uint64_t authors_unacknowledged(const struct authors *authors)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < cast_publishers(authors->cast); i++) {
		if (cast_qos(authors->cast, i) > 0)
			sum += authors->list[i].inflight.next - authors->list[i].inflight.oldest;
	}
	return sum;
}

uint64_t author_count(const struct authors *authors, uint32_t index)
{
	const struct author *author = &authors->list[index];
	return cast_qos(authors->cast, index) > 0 ? author->inflight.next : author->sent_at_qos_0;
}
