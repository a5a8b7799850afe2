/* PUBLISH packets as clients send them, with what the session layer keeps of them. */
#ifndef TESTS_UNIT_PUBLICATION_SAMPLE_H
#define TESTS_UNIT_PUBLICATION_SAMPLE_H

#include "base/check.h"
#include "mqtt/decode.h"
#include "mqtt/encode.h"
#include "topics/publication.h"

#define SAMPLE_BYTES_MAX 2048

struct sample {
	struct publication publication;
	uint8_t packet[SAMPLE_BYTES_MAX];
};

/* Encodes it, and reads it back as a gateway does. */
static inline void sample_encode(struct sample *sample, const struct mqtt_publish *publish, uint8_t version,
				 uint32_t now_s)
{
	size_t size = mqtt_publish_encode(publish, version, sample->packet, sizeof(sample->packet));
	CHECK(size != 0);
	struct mqtt_header header;
	struct mqtt_publish decoded;
	CHECK(mqtt_header_decode(sample->packet, size, &header) == ERROR_OK);
	struct slice body = slice_of(sample->packet + header.header_bytes, header.body_bytes);
	CHECK(mqtt_publish_decode(body, header.flags, version, false, &decoded) == ERROR_OK);
	sample->publication = publication_of(&decoded, version, size, header.header_bytes, now_s);
}

/* Of version 3.1.1. */
static inline void sample_plain(struct sample *sample, const char *topic, struct slice payload, uint8_t qos)
{
	struct mqtt_publish publish = {
		.topic = slice_string(topic),
		.payload = payload,
		.qos = qos,
		.packet_id = 1,
		.retain = true,
	};
	sample_encode(sample, &publish, MQTT_VERSION_3_1_1, 0);
}

/* Of version 5, with a Message Expiry Interval. */
static inline void sample_expiring(struct sample *sample, const char *topic, struct slice payload, uint32_t expiry_s,
				   uint32_t now_s)
{
	uint8_t property[5] = {0x02, (uint8_t)(expiry_s >> 24), (uint8_t)(expiry_s >> 16), (uint8_t)(expiry_s >> 8),
			       (uint8_t)expiry_s};
	struct mqtt_publish publish = {
		.topic = slice_string(topic),
		.properties = slice_of(property, sizeof(property)),
		.payload = payload,
		.retain = true,
	};
	sample_encode(sample, &publish, MQTT_VERSION_5, now_s);
}

#endif
