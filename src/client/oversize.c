#include "client/oversize.h"

#include "client/acknowledge.h"
#include "deliver/send.h"
#include "mqtt/field/reason.h"
#include "state/shard.h"

/* Two bytes for the topic's length, two for the packet identifier behind it [3.3.2]. */
#define TOPIC_LENGTH_BYTES 2u
#define PACKET_ID_BYTES 2u
#define QOS_SHIFT 1

static uint8_t qos_of(const struct packet *packet)
{
	return packet->header.flags >> QOS_SHIFT & 3u;
}

static uint16_t read_u16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static size_t oversize_packet_bytes(const struct packet *packet)
{
	return (size_t)packet->header.header_bytes + packet->header.body_bytes;
}

enum error oversize_cut(const struct shard *shard, uint8_t version, struct slice bytes, struct packet *packet,
			size_t *head_bytes)
{
	CHECK_GT(oversize_packet_bytes(packet), shard->env.settings->packet_bytes_max);
	bool acknowledged = packet->header.type == MQTT_PUBLISH && (qos_of(packet) == 1 || qos_of(packet) == 2);
	if (version == MQTT_VERSION_5 || !acknowledged ||
	    oversize_packet_bytes(packet) > (size_t)shard->env.settings->packet_bytes_max * OVERSIZE_TIMES)
		return ERROR_PACKET_TOO_LARGE;
	size_t header_bytes = packet->header.header_bytes;
	*head_bytes = 0;
	if (bytes.size < header_bytes + TOPIC_LENGTH_BYTES)
		return ERROR_MORE;
	*head_bytes = header_bytes + TOPIC_LENGTH_BYTES + read_u16(bytes.data + header_bytes) + PACKET_ID_BYTES;
	if (*head_bytes > oversize_packet_bytes(packet))
		return ERROR_PACKET_SHORT;
	if (bytes.size < *head_bytes)
		return ERROR_MORE;
	packet->body = slice_of(bytes.data + header_bytes, *head_bytes - header_bytes);
	return ERROR_OK;
}

enum error oversize_answer(struct shard *shard, struct client_ref ref, const struct packet *packet)
{
	CHECK(qos_of(packet) == 1 || qos_of(packet) == 2);
	CHECK_GE(packet->body.size, TOPIC_LENGTH_BYTES + PACKET_ID_BYTES);
	uint16_t packet_id = read_u16(packet->body.data + packet->body.size - PACKET_ID_BYTES);
	if (packet_id == 0)
		return ERROR_PACKET_ID_ZERO;
	COUNT(&shard->counters, messages_refused);
	COUNT(&shard->counters, messages_skipped);
	return acknowledge_publish(shard, ref, qos_of(packet), packet_id, MQTT_REASON_SUCCESS);
}
