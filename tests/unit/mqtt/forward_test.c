/* A PUBLISH on its way to one receiver: what is the receiver's own is written, the rest is as it was; checked by
 * reading it back. */
#include "cases.h"

#include "mqtt/forward.h"
#include "random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "mqtt/field/property.h"

/* ---- one by one ---- */

static const struct {
	const char *name;
	struct mqtt_forward forward; /* its topic is "a/b" */
	const char *properties;      /* the sender's */
	const char *packet;
} CASES[] = {
	{"QoS 0, 3.1.1", {.version = 4}, "", "30 ['a/b' <hi>]"},
	{"QoS 0, 5", {.version = 5}, "", "30 ['a/b' [] <hi>]"},
	{"QoS 0 has no identifier", {.version = 4, .packet_id = 7}, "", "30 ['a/b' <hi>]"},
	{"QoS 1, retain", {.version = 4, .qos = 1, .packet_id = 0x102, .retain = true}, "", "33 ['a/b' 0102 <hi>]"},
	{"QoS 2, DUP", {.version = 5, .qos = 2, .packet_id = 0xffff, .dup = true}, "", "3C ['a/b' FFFF [] <hi>]"},
	{"no properties before 5",
	 {.version = 4, .subscription_id = 3, .alias = 4, .has_expiry_left = true},
	 "02 00000009 23 0001",
	 "30 ['a/b' <hi>]"},
	{"subscription identifier", {.version = 5, .subscription_id = 200}, "", "30 ['a/b' [0B C801] <hi>]"},
	{"in front of the sender's", {.version = 5, .subscription_id = 1}, "01 01", "30 ['a/b' [0B 01 01 01] <hi>]"},
	{"a new alias", {.version = 5, .alias = 0x203}, "", "30 ['a/b' [23 0203] <hi>]"},
	{"a known alias", {.version = 5, .alias = 5, .alias_known = true}, "", "30 ['' [23 0005] <hi>]"},
	{"known alias at QoS 1",
	 {.version = 5, .alias = 5, .alias_known = true, .qos = 1, .packet_id = 6},
	 "",
	 "32 ['' 0006 [23 0005] <hi>]"},
	{"the sender's alias is left out",
	 {.version = 5, .strips_alias = true},
	 "01 01 23 0009 26 'k' 'v'",
	 "30 ['a/b' [01 01 26 'k' 'v'] <hi>]"},
	{"the sender's alias alone", {.version = 5, .strips_alias = true}, "23 0009", "30 ['a/b' [] <hi>]"},
	{"another in its place",
	 {.version = 5, .strips_alias = true, .alias = 1, .subscription_id = 2},
	 "23 0009 03 'x'",
	 "30 ['a/b' [23 0001 0B 02 03 'x'] <hi>]"},
	{"what is left of its time",
	 {.version = 5, .has_expiry_left = true, .expiry_left_s = 0x01020304},
	 "26 'k' 'v' 02 7FFFFFFF 03 'x'",
	 "30 ['a/b' [26 'k' 'v' 02 01020304 03 'x'] <hi>]"},
	{"its time as it was", {.version = 5, .expiry_left_s = 3}, "02 00000009", "30 ['a/b' [02 00000009] <hi>]"},
	{"time and alias",
	 {.version = 5, .has_expiry_left = true, .strips_alias = true},
	 "23 0001 02 00000009",
	 "30 ['a/b' [02 00000000] <hi>]"},
};

static void test_what_is_the_receivers_own(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct slice expected = case_bytes(CASES[i].packet);
		struct slice properties = case_bytes(CASES[i].properties);
		struct mqtt_forward forward = CASES[i].forward;
		forward.topic = slice_string("a/b");
		forward.properties = properties;
		forward.payload_bytes = 2;
		struct mqtt_forward_size size = mqtt_forward_measure(&forward);
		if (size.packet_bytes != expected.size || size.head_bytes != expected.size - 2)
			fail_msg("%s: %zu bytes", CASES[i].name, size.packet_bytes);
		uint8_t *head = block_new(size.head_bytes);
		mqtt_forward_encode(&forward, &size, head);
		if (memcmp(head, expected.data, size.head_bytes) != 0)
			fail_msg("%s", CASES[i].name);
		free(head);
		free((void *)expected.data);
		free((void *)properties.data);
	}
}

/* ---- at random, read back ---- */

#define SENT_MAX 8

/* The sender's properties, one by one and in wire form. */
struct sent {
	struct slice parts[SENT_MAX];
	uint8_t ids[SENT_MAX];
	uint32_t count;
	uint8_t wire[4096];
	size_t wire_bytes;
};

static void send_property(struct sent *sent, uint8_t id, const void *bytes, size_t size)
{
	uint8_t *at = sent->wire + sent->wire_bytes;
	assert_true(sent->wire_bytes + 1 + size <= sizeof(sent->wire));
	at[0] = id;
	memcpy(at + 1, bytes, size);
	sent->ids[sent->count] = id;
	sent->parts[sent->count++] = slice_of(at, 1 + size);
	sent->wire_bytes += 1 + size;
}

static void send_text(struct sent *sent, struct random *random, uint8_t id)
{
	uint8_t text[600] = {0};
	size_t size = random_below(random, random_below(random, 4) == 0 ? 590 : 20);
	memset(text + 2, 't', size);
	text[0] = (uint8_t)(size >> 8);
	text[1] = (uint8_t)size;
	size += 2;
	if (id == MQTT_PROPERTY_USER_PROPERTY) { /* name and value */
		memcpy(text + size, "\0\1v", 3);
		size += 3;
	}
	if (id != MQTT_PROPERTY_RESPONSE_TOPIC || size > 2)
		send_property(sent, id, text, size);
}

static void choose_properties(struct sent *sent, struct random *random)
{
	static const uint8_t TEXTS[] = {MQTT_PROPERTY_CONTENT_TYPE, MQTT_PROPERTY_RESPONSE_TOPIC,
					MQTT_PROPERTY_CORRELATION_DATA, MQTT_PROPERTY_USER_PROPERTY,
					MQTT_PROPERTY_USER_PROPERTY};
	*sent = (struct sent){.count = 0};
	for (size_t i = 0; i < sizeof(TEXTS); i++) {
		if (random_below(random, 3) == 0)
			send_text(sent, random, TEXTS[i]);
		if (i == 1 && random_below(random, 2) == 0)
			send_property(sent, MQTT_PROPERTY_TOPIC_ALIAS, "\0\7", 2);
		if (i == 3 && random_below(random, 2) == 0)
			send_property(sent, MQTT_PROPERTY_MESSAGE_EXPIRY, "\0\0\1\0", 4);
	}
}

static struct mqtt_forward choose_forward(struct random *random, const struct sent *sent)
{
	static const uint32_t IDENTIFIERS[] = {0, 0, 1, 127, 128, 16383, 16384, 2097151, 2097152, 268435455};
	static const uint8_t TOPIC[300] = "topic";
	struct mqtt_forward forward = {
		.topic = slice_of(TOPIC, 5),
		.properties = slice_of(sent->wire, sent->wire_bytes),
		.payload_bytes = random_below(random, random_below(random, 4) == 0 ? 20000 : 300),
		.subscription_id = IDENTIFIERS[random_below(random, 10)],
		.expiry_left_s = random_next(random),
		.packet_id = (uint16_t)(1 + random_below(random, 65535)),
		.alias = (uint16_t)(random_below(random, 2) * (1 + random_below(random, 65535))),
		.strips_alias = random_below(random, 2) != 0,
		.has_expiry_left = random_below(random, 2) != 0,
		.retain = random_below(random, 2) != 0,
		.qos = (uint8_t)random_below(random, 3),
		.version = random_below(random, 3) == 0 ? 4 : 5,
	};
	for (uint32_t i = 0, at = 0; i < sent->count && random_below(random, 2) != 0; i++) {
		if (sent->ids[i] == MQTT_PROPERTY_MESSAGE_EXPIRY)
			break;
		at += (uint32_t)sent->parts[i].size;
		forward.expiry_at = at; /* somewhere before it */
	}
	/* At most one alias may stand in a packet: who gives one takes the sender's away. */
	forward.strips_alias |= forward.alias != 0;
	forward.alias_known = forward.version == 5 && forward.alias != 0 && random_below(random, 2) != 0;
	forward.dup = forward.qos != 0 && random_below(random, 2) != 0;
	return forward;
}

/* The sender's own come last, in order, but for what is left out or replaced. */
static void check_senders(const struct mqtt_forward *forward, const struct sent *sent, struct slice rest)
{
	for (uint32_t i = 0; i < sent->count; i++) {
		bool stripped = forward->strips_alias;
		if (sent->ids[i] == MQTT_PROPERTY_TOPIC_ALIAS && stripped)
			continue;
		struct slice part = slice_of(rest.data, sent->parts[i].size);
		assert_true(part.size <= rest.size);
		rest = slice_of(rest.data + part.size, rest.size - part.size);
		if (sent->ids[i] != MQTT_PROPERTY_MESSAGE_EXPIRY || !forward->has_expiry_left) {
			assert_true(slice_equal(part, sent->parts[i]));
			continue;
		}
		struct mqtt_property property;
		assert_int_equal(mqtt_property_next(&part, &property), ERROR_OK);
		assert_int_equal(property.number, forward->expiry_left_s);
	}
	assert_int_equal(rest.size, 0);
}

static void check_properties(const struct mqtt_forward *forward, const struct sent *sent, struct slice rest)
{
	struct mqtt_property property;
	if (forward->alias != 0) {
		assert_int_equal(mqtt_property_next(&rest, &property), ERROR_OK);
		assert_int_equal(property.id, MQTT_PROPERTY_TOPIC_ALIAS);
		assert_int_equal(property.number, forward->alias);
	}
	if (forward->subscription_id != 0) {
		assert_int_equal(mqtt_property_next(&rest, &property), ERROR_OK);
		assert_int_equal(property.id, MQTT_PROPERTY_SUBSCRIPTION_ID);
		assert_int_equal(property.number, forward->subscription_id);
	}
	check_senders(forward, sent, rest);
}

/* Moved into the packet, what was decoded before is what decoding the packet gives. */
static void check_relocation(const struct mqtt_forward *forward, const struct mqtt_forward_size *size,
			     const uint8_t *packet, const struct mqtt_publish *decoded)
{
	struct mqtt_forward same = *forward;
	struct mqtt_publish moved = *decoded;
	same.packet_id = decoded->packet_id;
	moved.topic = moved.properties = moved.payload = slice_of(NULL, 0);
	moved.topic_alias = 77;
	moved.dup = !decoded->dup;
	mqtt_forward_relocate(&same, size, packet, &moved);
	assert_ptr_equal(moved.topic.data, decoded->topic.data);
	assert_int_equal(moved.topic.size, decoded->topic.size);
	assert_int_equal(moved.properties.size, decoded->properties.size);
	assert_true(moved.properties.size == 0 || moved.properties.data == decoded->properties.data);
	assert_int_equal(moved.payload.size, decoded->payload.size);
	assert_true(moved.payload.size == 0 || moved.payload.data == decoded->payload.data);
	assert_int_equal(moved.dup, decoded->dup);
	assert_int_equal(moved.retain, decoded->retain);
	if (forward->version == MQTT_VERSION_5 && forward->strips_alias)
		assert_int_equal(moved.topic_alias, decoded->topic_alias);
}

static void check_forward(const struct mqtt_forward *forward, const struct sent *sent)
{
	struct mqtt_forward_size size = mqtt_forward_measure(forward);
	assert_int_equal(size.packet_bytes - size.head_bytes, forward->payload_bytes);
	uint8_t *packet = block_new(size.packet_bytes);
	mqtt_forward_encode(forward, &size, packet);
	memset(packet + size.head_bytes, 'p', forward->payload_bytes);

	struct mqtt_header header;
	struct mqtt_publish publish;
	assert_int_equal(mqtt_header_decode(packet, size.packet_bytes, &header), ERROR_OK);
	assert_int_equal(header.type, MQTT_PUBLISH);
	assert_int_equal(header.header_bytes + header.body_bytes, size.packet_bytes);
	struct slice body = slice_of(packet + header.header_bytes, header.body_bytes);
	assert_int_equal(mqtt_publish_decode(body, header.flags, forward->version, true, &publish), ERROR_OK);
	assert_true(slice_equal(publish.topic, forward->alias_known ? slice_of(NULL, 0) : forward->topic));
	assert_int_equal(publish.qos, forward->qos);
	assert_int_equal(publish.retain, forward->retain);
	assert_int_equal(publish.dup, forward->dup);
	assert_int_equal(publish.packet_id, forward->qos != 0 ? forward->packet_id : 0);
	if (forward->qos != 0)
		assert_int_equal(packet[size.packet_id_at] << 8 | packet[size.packet_id_at + 1], publish.packet_id);
	assert_int_equal(publish.payload.size, forward->payload_bytes);
	assert_true(forward->payload_bytes == 0 || publish.payload.data == packet + size.head_bytes);
	assert_int_equal(publish.properties.size, size.property_bytes);
	if (forward->version == MQTT_VERSION_5)
		check_properties(forward, sent, publish.properties);
	if (!forward->alias_known)
		check_relocation(forward, &size, packet, &publish);
	free(packet);
}

static void test_random_messages_are_read_back(void **state)
{
	(void)state;
	struct random random = {17};
	for (int i = 0; i < 20000; i++) {
		static struct sent sent;
		choose_properties(&sent, &random);
		struct mqtt_forward forward = choose_forward(&random, &sent);
		check_forward(&forward, &sent);
	}
}

/* ---- lengths ---- */

/* Where the Remaining Length, or that of the properties, takes one byte more. */
static void test_lengths_at_their_boundaries(void **state)
{
	(void)state;
	static const uint32_t BOUNDARIES[] = {127, 16383, 2097151};
	static struct sent none;
	for (size_t i = 0; i < 3; i++) {
		for (uint32_t payload = BOUNDARIES[i] - 12; payload <= BOUNDARIES[i] + 3; payload++) {
			struct mqtt_forward forward = {.topic = slice_string("a/b"), .payload_bytes = payload};
			forward.version = 4;
			check_forward(&forward, &none);
			forward.version = 5;
			forward.qos = 1;
			forward.packet_id = 9;
			check_forward(&forward, &none);
		}
	}
	for (size_t bytes = 105; bytes <= 125; bytes++) {
		static struct sent sent;
		sent = (struct sent){.count = 0};
		uint8_t text[200] = {0, (uint8_t)bytes};
		memset(text + 2, 'x', bytes);
		send_property(&sent, MQTT_PROPERTY_CONTENT_TYPE, text, bytes + 2);
		struct mqtt_forward forward = {
			.topic = slice_string("a/b"),
			.properties = slice_of(sent.wire, sent.wire_bytes),
			.version = 5,
			.alias = 3,
			.subscription_id = 300,
		};
		check_forward(&forward, &sent);
	}
}

/* Measured only: nobody has a quarter of a gigabyte at hand. */
static void test_longest_packet(void **state)
{
	(void)state;
	struct mqtt_forward forward = {.topic = slice_string("a/b"), .version = 4, .qos = 1, .packet_id = 1};
	forward.payload_bytes = MQTT_BODY_BYTES_MAX - 7;
	struct mqtt_forward_size size = mqtt_forward_measure(&forward);
	assert_int_equal(size.packet_bytes, MQTT_BODY_BYTES_MAX + MQTT_HEADER_BYTES_MAX);
	uint8_t *head = block_new(size.head_bytes);
	mqtt_forward_encode(&forward, &size, head);
	struct mqtt_header header;
	assert_int_equal(mqtt_header_decode(head, size.head_bytes, &header), ERROR_OK);
	assert_int_equal(header.body_bytes, MQTT_BODY_BYTES_MAX);
	free(head);

	forward.payload_bytes++;
	assert_int_equal(mqtt_forward_measure(&forward).packet_bytes, 0);
	forward.payload_bytes--;
	forward.version = 5; /* the length of no properties is one byte too many */
	assert_int_equal(mqtt_forward_measure(&forward).packet_bytes, 0);
	forward.qos = 0;
	assert_int_not_equal(mqtt_forward_measure(&forward).packet_bytes, 0);
	forward.alias = 1;
	assert_int_equal(mqtt_forward_measure(&forward).packet_bytes, 0);
	forward.alias_known = true; /* three bytes more, three fewer */
	assert_int_not_equal(mqtt_forward_measure(&forward).packet_bytes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_the_receivers_own),
		cmocka_unit_test(test_random_messages_are_read_back),
		cmocka_unit_test(test_lengths_at_their_boundaries),
		cmocka_unit_test(test_longest_packet),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
