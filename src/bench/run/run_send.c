#include "bench/run/run_send.h"

#include "bench/measure/stamp.h"

#include "base/check.h"
#include "mqtt/encode.h"

/* Spreads sizes over the range without a state: the multiplier is that of a splitmix generator. */
static uint32_t size_of(const struct scenario_group *spec, uint32_t channel, uint64_t number)
{
	CHECK(spec->size_min <= spec->size_max);
	uint64_t mixed = (number + 1 + ((uint64_t)channel << 32)) * 0x9E3779B97F4A7C15ull;
	return spec->size_min + (uint32_t)((mixed >> 33) % (spec->size_max - spec->size_min + 1));
}

void run_send_message(struct run_group *group, uint32_t index, const struct run_sent *sent, uint16_t packet_id,
		      bool again)
{
	const struct scenario_group *spec = group->spec;
	uint32_t number = group->first + index;
	uint32_t target = sent->channel - expectations_channel(group->expectations, group->number, number, 0);
	CHECK(target < spec->targets);
	uint32_t size = size_of(spec, sent->channel, sent->number);
	uint8_t topic[TOPIC_BYTES_MAX];
	size_t topic_size = topic_pattern_write(
		&spec->publish, topic_pattern_number(&spec->publish, number, spec->circles, target), topic);
	struct stamp stamp = {.publisher = sent->channel, .number = sent->number, .sent_ns = sent->due_ns};
	struct mqtt_publish publish = {
		.topic = slice_of(topic, topic_size),
		.payload = slice_of(group->padding, size),
		.packet_id = packet_id,
		.qos = (uint8_t)spec->qos,
		.dup = again,
	};
	size_t whole = mqtt_publish_encode(&publish, (uint8_t)spec->version, group->packet,
					   size + RUN_SEND_OVERHEAD_BYTES_MAX);
	CHECK(whole > 0);
	stamp_write(&stamp, group->packet + whole - size);
	client_pool_send(&group->pool, index, group->packet, whole);
}

static void publish_next(struct run_group *group, uint32_t index, uint64_t due_ns)
{
	const struct scenario_group *spec = group->spec;
	struct run_client *client = &group->clients[index];
	uint32_t channel =
		expectations_channel(group->expectations, group->number, group->first + index, client->turns);
	struct channel *line = &group->expectations->channels[channel];
	struct run_sent sent = {.channel = channel, .number = line->sent++, .due_ns = due_ns};
	uint64_t place = client->inflight.next;
	uint16_t packet_id = spec->qos > 0 ? inflight_take(&client->inflight, (uint8_t)spec->qos) : 0;
	if (spec->qos > 0 && group->account != NULL)
		group->resuming[index].sent[place % group->window] = sent;
	client->turns++;
	group->sent++;
	group->unacknowledged += spec->qos > 0;
	group->tally->sent++;
	group->tally->expected += line->fan;
	run_send_message(group, index, &sent, packet_id, false);
}

void run_send_due(struct run_group *group, uint32_t index)
{
	CHECK(group->clients != NULL && index < group->count);
	struct run_client *client = &group->clients[index];
	for (;;) {
		uint64_t turn = client->turns * group->count + index;
		if (group->sending_stopped || turn >= group->messages.next ||
		    !client_pool_may_send(&group->pool, index) ||
		    (group->spec->qos > 0 && inflight_room(&client->inflight) == 0))
			return;
		publish_next(group, index, schedule_time(&group->messages, turn));
	}
}
