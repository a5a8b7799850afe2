#include "bench/publisher.h"

#include "bench/stamp.h"

#include "base/check.h"
#include "base/clock.h"
#include "mqtt/encode.h"

#include <stdlib.h>

/* Fixed header, topic length and topic. */
#define OVERHEAD_BYTES_MAX (FLEET_PREFIX_BYTES_MAX + 32u)

bool publishers_open(struct publishers *publishers, const struct load_plan *load, struct fleet *fleet)
{
	uint32_t subscribers = load->clients - load->publishers;
	*publishers = (struct publishers){
		.load = load,
		.fleet = fleet,
		.subscribers = subscribers,
		.fan = load->pattern == LOAD_FAN_OUT ? subscribers : 1,
		.channels = load->pattern == LOAD_ONE_TO_ONE ? subscribers : load->publishers,
	};
	publishers->list = calloc(load->publishers, sizeof(*publishers->list));
	publishers->sent = calloc(publishers->channels, sizeof(*publishers->sent));
	publishers->packet = malloc((size_t)load->burst * (load->size + OVERHEAD_BYTES_MAX));
	publishers->padding = calloc(1, load->size);
	if (publishers->list != NULL && publishers->sent != NULL && publishers->packet != NULL &&
	    publishers->padding != NULL)
		return true;
	publishers_close(publishers);
	return false;
}

void publishers_close(struct publishers *publishers)
{
	for (uint32_t i = 0; publishers->list != NULL && i < publishers->load->publishers; i++)
		free(publishers->list[i].blocked);
	free(publishers->list);
	free(publishers->sent);
	free(publishers->packet);
	free(publishers->padding);
}

uint32_t publishers_topic(const struct publishers *publishers, uint32_t subscriber)
{
	uint32_t first = publishers->fleet->first;
	return publishers->load->pattern == LOAD_FAN_OUT ? first : first + subscriber;
}

/* Subscriber s belongs to publisher s % publishers. */
static uint32_t next_subscriber(const struct publishers *publishers, uint32_t index)
{
	struct publisher *publisher = &publishers->list[index];
	if (publishers->load->pattern != LOAD_ONE_TO_ONE)
		return 0;
	uint32_t subscriber = index + publisher->turn * publishers->load->publishers;
	if (subscriber >= publishers->subscribers) {
		publisher->turn = 0;
		subscriber = index;
	}
	publisher->turn++;
	return subscriber;
}

static void keep_blocked(struct publisher *publisher, const uint8_t *bytes, size_t size)
{
	publisher->blocked = malloc(size);
	CHECK(publisher->blocked != NULL);
	memcpy(publisher->blocked, bytes, size);
	publisher->blocked_size = size;
}

/* Writes one message at out, which has room for it. In one-to-one each message of a burst has another receiver. */
static size_t write_message(struct publishers *publishers, uint32_t index, uint64_t now_ns, uint8_t *out)
{
	const struct load_plan *load = publishers->load;
	const struct fleet_plan *plan = publishers->fleet->plan;
	uint32_t subscriber = next_subscriber(publishers, index);
	uint32_t channel = load->pattern == LOAD_ONE_TO_ONE ? subscriber : index;
	uint8_t topic[FLEET_PREFIX_BYTES_MAX + 10];
	size_t topic_size = fleet_name(plan->topic_prefix, publishers_topic(publishers, subscriber), topic);
	struct stamp stamp = {.publisher = index, .number = publishers->sent[channel]++, .sent_ns = now_ns};
	struct mqtt_publish publish = {
		.topic = slice_of(topic, topic_size),
		.payload = slice_of(publishers->padding, load->size),
		.qos = load->qos,
	};
	size_t size = mqtt_publish_encode(&publish, plan->version, out, load->size + OVERHEAD_BYTES_MAX);
	CHECK(size > 0);
	stamp_write(&stamp, out + size - load->size);
	return size;
}

static void publish_burst(struct publishers *publishers, uint32_t index)
{
	uint64_t now = clock_now_ns();
	size_t size = 0;
	for (uint32_t i = 0; i < publishers->load->burst; i++)
		size += write_message(publishers, index, now, publishers->packet + size);
	size_t sent = fleet_send(publishers->fleet, index, publishers->packet, size);
	publishers->list[index].outstanding += (uint64_t)publishers->load->burst * publishers->fan;
	if (sent < size)
		keep_blocked(&publishers->list[index], publishers->packet + sent, size - sent);
}

void publisher_pump(struct publishers *publishers, uint32_t index)
{
	const struct load_plan *load = publishers->load;
	struct publisher *publisher = &publishers->list[index];
	uint64_t room = (uint64_t)(load->window - load->burst) * publishers->fan;
	while (!publishers->stopped && publisher->blocked_size == 0 && publisher->outstanding <= room &&
	       publishers->fleet->clients[index].state == CLIENT_READY)
		publish_burst(publishers, index);
}

void publisher_writable(struct publishers *publishers, uint32_t index)
{
	struct publisher *publisher = &publishers->list[index];
	if (publisher->blocked_size > 0) {
		size_t sent = fleet_send(publishers->fleet, index, publisher->blocked, publisher->blocked_size);
		publisher->blocked_size -= sent;
		if (publisher->blocked_size > 0) {
			memmove(publisher->blocked, publisher->blocked + sent, publisher->blocked_size);
			return;
		}
		free(publisher->blocked);
		publisher->blocked = NULL;
	}
	publisher_pump(publishers, index);
}

void publisher_settle(struct publishers *publishers, uint32_t index, uint64_t settled)
{
	struct publisher *publisher = &publishers->list[index];
	publisher->outstanding -= settled < publisher->outstanding ? settled : publisher->outstanding;
	publisher_pump(publishers, index);
}

bool publishers_idle(const struct publishers *publishers)
{
	for (uint32_t i = 0; i < publishers->load->publishers; i++) {
		if (publishers->list[i].outstanding > 0)
			return false;
	}
	return true;
}
