/* Messages from JSON: whatever is taken is a PUBLISH that a client might have sent, of the size that it says. */
#include "fuzz.h"

#include "admin/api/message.h"
#include "base/check.h"
#include "mqtt/decode.h"
#include "mqtt/field/topic.h"

#define PACKET_BYTES_MAX 10000u

static void check_packet(const struct command_message *message)
{
	struct mqtt_header header;
	struct mqtt_publish publish;
	uint32_t size = message->publication.packet_bytes;
	uint8_t version = message->publication.is_5 ? MQTT_VERSION_5 : MQTT_VERSION_3_1_1;
	CHECK(size <= PACKET_BYTES_MAX);
	CHECK(mqtt_header_decode(message->packet, size, &header) == ERROR_OK);
	CHECK(header.header_bytes + header.body_bytes == size);
	CHECK(mqtt_publish_decode(slice_of(message->packet + header.header_bytes, header.body_bytes), header.flags,
				  version, false, &publish) == ERROR_OK);
	CHECK(!mqtt_topic_is_reserved(publish.topic) && publish.topic_alias == 0);
	CHECK(publish.qos == message->publication.qos && publish.retain == message->publication.retain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char fault[MESSAGE_FAULT_BYTES_MAX] = "";
	struct command_message message;
	json_t *json = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	if (json == NULL)
		return 0;
	if (message_read(json, PACKET_BYTES_MAX, &message, fault)) {
		check_packet(&message);
		message_free(&message);
	} else {
		CHECK(fault[0] != '\0');
	}
	json_decref(json);
	return 0;
}
