#include "bench/load/publisher.h"

#include "bench/client/packets.h"
#include "bench/measure/stamp.h"

#include "base/check.h"
#include "base/clock.h"
#include "mqtt/encode.h"

#include <stdlib.h>

/* Fixed header, topic length and topic. */
#define OVERHEAD_BYTES_MAX (CLIENT_PREFIX_BYTES_MAX + 32u)

bool publishers_open(struct publishers *publishers, const struct load_plan *load, struct client_pool *pool)
{
	uint32_t subscribers = load->clients - load->publishers;
	CHECK(load->publishers > 0 && load->publishers < load->clients);
	CHECK(load->burst > 0 && load->window >= load->burst);
	CHECK(load->pattern != LOAD_SHARED || (load->members > 0 && load->members <= subscribers));
	*publishers = (struct publishers){
		.load = load,
		.pool = pool,
		.subscribers = subscribers,
		.fan = load->pattern == LOAD_FAN_OUT ? subscribers : 1,
		.channels = load->pattern == LOAD_ONE_TO_ONE ? subscribers : load->publishers,
	};
	publishers->list = calloc(load->publishers, sizeof(*publishers->list));
	publishers->sent = calloc(publishers->channels, sizeof(*publishers->sent));
	publishers->packet = malloc((size_t)load->burst * (load->size + OVERHEAD_BYTES_MAX));
	publishers->padding = calloc(1, load->size);
	bool good = publishers->list != NULL && publishers->sent != NULL && publishers->packet != NULL &&
		    publishers->padding != NULL;
	for (uint32_t i = 0; good && load->qos > 0 && i < load->publishers; i++)
		good = inflight_open(&publishers->list[i].inflight, load->window);
	if (!good)
		publishers_close(publishers);
	return good;
}

void publishers_close(struct publishers *publishers)
{
	for (uint32_t i = 0; publishers->list != NULL && i < publishers->load->publishers; i++)
		inflight_close(&publishers->list[i].inflight);
	free(publishers->list);
	free(publishers->sent);
	free(publishers->packet);
	free(publishers->padding);
}

uint32_t publishers_topic(const struct publishers *publishers, uint32_t subscriber)
{
	const struct load_plan *load = publishers->load;
	uint32_t first = publishers->pool->first;
	if (load->pattern == LOAD_SHARED && subscriber < load->members)
		return first | CLIENT_TOPIC_SHARED;
	return load->pattern == LOAD_FAN_OUT ? first : first + subscriber;
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
	CHECK(subscriber < publishers->subscribers);
	publisher->turn++;
	return subscriber;
}

/* Writes one message to out, which has room for it. In one-to-one each message of a burst has a different receiver. */
static size_t write_message(struct publishers *publishers, uint32_t index, uint64_t sent_ns, uint8_t *out)
{
	const struct load_plan *load = publishers->load;
	const struct client_plan *plan = publishers->pool->plan;
	uint32_t subscriber = next_subscriber(publishers, index);
	uint32_t channel = load->pattern == LOAD_ONE_TO_ONE ? subscriber : index;
	uint32_t topic_number = publishers_topic(publishers, subscriber) & ~CLIENT_TOPIC_SHARED;
	uint8_t topic[CLIENT_PREFIX_BYTES_MAX + 10];
	size_t topic_size = client_name(plan->topic_prefix, topic_number, topic);
	struct stamp stamp = {.publisher = index,
			      .number = publishers->sent[channel]++,
			      .sent_ns = sent_ns,
			      .left_ns = plan->arrivals && load->size >= STAMP_LEFT_BYTES
						 ? arrival_clock_ns() - publishers->held_ns
						 : 0};
	struct mqtt_publish publish = {
		.topic = slice_of(topic, topic_size),
		.payload = slice_of(publishers->padding, load->size),
		.packet_id = load->qos > 0 ? inflight_take(&publishers->list[index].inflight, load->qos) : 0,
		.qos = load->qos,
	};
	size_t size = mqtt_publish_encode(&publish, plan->version, out, load->size + OVERHEAD_BYTES_MAX);
	CHECK(size > 0);
	stamp_write(&stamp, out + size - load->size);
	return size;
}

static void publish_burst(struct publishers *publishers, uint32_t index, uint64_t sent_ns)
{
	CHECK(index < publishers->load->publishers);
	size_t size = 0;
	for (uint32_t i = 0; i < publishers->load->burst; i++)
		size += write_message(publishers, index, sent_ns, publishers->packet + size);
	publishers->list[index].outstanding += (uint64_t)publishers->load->burst * publishers->fan;
	client_pool_send(publishers->pool, index, publishers->packet, size);
}

static bool has_room(const struct publishers *publishers, const struct publisher *publisher)
{
	const struct load_plan *load = publishers->load;
	return publisher->outstanding <= (uint64_t)(load->window - load->burst) * publishers->fan &&
	       (load->qos == 0 || inflight_room(&publisher->inflight) >= load->burst);
}

void publisher_pump(struct publishers *publishers, uint32_t index)
{
	while (publishers->load->rate == 0 && !publishers->stopped && has_room(publishers, &publishers->list[index]) &&
	       client_pool_may_send(publishers->pool, index))
		publish_burst(publishers, index, clock_now_ns());
}

uint64_t publishers_tick(struct publishers *publishers, uint64_t now_ns)
{
	CHECK(publishers->load->rate > 0);
	const struct load_plan *load = publishers->load;
	struct schedule *schedule = &publishers->schedule;
	uint64_t due_ns;
	if (publishers->stopped)
		return SCHEDULE_NEVER;
	while ((due_ns = schedule_next_ns(schedule)) <= now_ns) {
		uint32_t index = (uint32_t)(schedule->next % load->publishers);
		if (!client_pool_may_send(publishers->pool, index) ||
		    (load->qos > 0 && inflight_room(&publishers->list[index].inflight) == 0)) {
			publishers->held = true;
			return SCHEDULE_NEVER;
		}
		uint64_t late_ns = clock_now_ns() - due_ns;
		if (!publishers->held && publishers->late_ns != NULL)
			histogram_add(publishers->late_ns, late_ns);
		publishers->held_ns = publishers->held ? late_ns : 0;
		schedule->next++;
		publish_burst(publishers, index, due_ns);
	}
	publishers->held = false;
	return due_ns;
}

bool publisher_acknowledge(struct publishers *publishers, uint32_t index, uint8_t type, uint16_t packet_id)
{
	CHECK(index < publishers->load->publishers);
	if (publishers->load->qos == 0 || !inflight_answer(&publishers->list[index].inflight, type, packet_id))
		return false;
	publisher_pump(publishers, index);
	return true;
}

void publisher_settle(struct publishers *publishers, uint32_t index, uint64_t settled)
{
	CHECK(index < publishers->load->publishers);
	struct publisher *publisher = &publishers->list[index];
	publisher->outstanding -= settled < publisher->outstanding ? settled : publisher->outstanding;
	publisher_pump(publishers, index);
}

uint64_t publishers_unacknowledged(const struct publishers *publishers)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; publishers->load->qos > 0 && i < publishers->load->publishers; i++)
		sum += publishers->load->window - inflight_room(&publishers->list[i].inflight);
	return sum;
}

bool publishers_idle(const struct publishers *publishers)
{
	if (publishers_unacknowledged(publishers) > 0)
		return false;
	for (uint32_t i = 0; i < publishers->load->publishers; i++) {
		if (publishers->list[i].outstanding > 0)
			return false;
	}
	return true;
}
