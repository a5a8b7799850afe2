/* What a rule reads: patterns of stream names, values of a rule, packets of its session as the gateway sends them, with
 * properties that publishers have chosen, and what a node of a cluster answers; and entries that a consumer reads. The
 * first byte says which of it the others are. */
#include "fuzz.h"

#include "mqtt/field/property.h"
#include "relay/consumer/incoming.h"
#include "relay/consumer/properties_read.h"
#include "relay/entry/entry_batch.h"
#include "relay/entry/rule.h"
#include "relay/entry/stream_name.h"
#include "relay/json/properties_json.h"
#include "relay/session/session_link.h"
#include "relay/stream/lane.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* What a socket's buffer takes at once, surely. */
#define PACKETS_BYTES_MAX 65536u
#define NOW_MS UINT64_C(1700000000000)

static char *text_of(struct slice bytes)
{
	char *text = malloc(bytes.size + 1);
	CHECK(text != NULL);
	if (bytes.size != 0)
		memcpy(text, bytes.data, bytes.size);
	text[bytes.size] = '\0';
	return text;
}

/* A pattern, a line end, and a topic. */
static void read_pattern(struct slice bytes)
{
	const uint8_t *end = bytes.size != 0 ? memchr(bytes.data, '\n', bytes.size) : NULL;
	if (end == NULL)
		return;
	char *pattern = text_of(slice_of(bytes.data, (size_t)(end - bytes.data)));
	uint8_t name[STREAM_NAME_BYTES_MAX];
	const char *why = NULL;
	const struct relay_message message = {
		.topic = slice_of(end + 1, bytes.size - (size_t)(end - bytes.data) - 1),
		.client = slice_string("c"),
	};
	if (!stream_name_check(pattern, &why))
		CHECK(why != NULL);
	else if (stream_name_fill(pattern, &message, name, &why) == 0)
		CHECK(why != NULL);
	free(pattern);
}

/* The number of a key, and its value. */
static void read_value(struct slice bytes)
{
	static const char *const KEYS[] = {"name", "topics", "stream", "fields", "qos", "max_length", "max_age_s"};
	char fault[ITEM_FAULT_BYTES_MAX] = "";
	struct rule rule;
	if (bytes.size == 0 || bytes.data[0] >= sizeof(KEYS) / sizeof(KEYS[0]))
		return;
	char *text = text_of(slice_of(bytes.data + 1, bytes.size - 1));
	rule_init(&rule);
	bool taken = rule_key(KEYS[bytes.data[0]])->set(&rule, text, fault);
	CHECK(taken == (fault[0] == '\0'));
	CHECK(memchr(rule.name, '\0', sizeof(rule.name)) != NULL && rule.topics.count <= 1 && rule.qos <= 1);
	free(text);
}

static void check_entries(const struct entry_batch *batch)
{
	size_t end = 0;
	for (uint32_t i = 0; i < batch->count; i++) {
		const struct batch_entry *entry = &batch->entries[i];
		CHECK(entry->command_at == end && entry->fields_at < entry->command_bytes);
		end += entry->command_bytes;
	}
	CHECK(end == batch->commands.size);
}

static void settle_one(void *context, const struct batch_entry *entry)
{
	uint32_t *done = context;
	CHECK(entry->fate == BATCH_DONE);
	++*done;
}

/* A third each is done, dead and to be sent again. */
static void settle(struct entry_batch *batch, const struct rule *rule)
{
	struct entry_batch rest = {0};
	uint32_t done = 0;
	uint32_t count = batch->count;
	for (uint32_t i = 0; i < count; i++)
		entry_batch_executed(batch, i, i % 3 == 0 ? "" : i % 3 == 1 ? "WRONGTYPE x" : "OOM x");
	CHECK(entry_batch_settle(batch, rule, "WRONGTYPE x", &rest, settle_one, &done));
	CHECK(done + rest.count == count && batch->count == 0);
	check_entries(&rest);
	entry_batch_free(&rest);
}

/* All that a connection brings, from CONNACK on. */
static void read_session(struct slice bytes)
{
	struct session_link link = {.fd = -1};
	struct entry_batch batch = {0};
	struct mqtt_publish publish;
	struct relay_message message;
	struct rule rule;
	int pair[2];
	bool more;
	if (bytes.size > PACKETS_BYTES_MAX)
		return;
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0);
	rule_init(&rule);
	snprintf(rule.name, sizeof(rule.name), "r");
	snprintf(rule.stream, sizeof(rule.stream), "%s", "{topic.2}{user}");
	snprintf(rule.topics.filters[0], sizeof(rule.topics.filters[0]), "#");
	rule.topics.count = 1;
	rule.fields = (1u << RULE_FIELD_COUNT) - 1;
	session_link_open(&link, pair[0], slice_string("$roost/rule/r"));
	CHECK(send(pair[1], bytes.data, bytes.size, 0) == (ssize_t)bytes.size || bytes.size == 0);
	while (session_link_read(&link, &more)) {
		while (session_link_next(&link, &publish)) {
			relay_message_read(&publish, &message);
			CHECK(entry_batch_add(&batch, &rule, &message, publish.packet_id, NOW_MS));
		}
		if (link.state == SESSION_CONNECTED)
			session_link_subscribe(&link, &rule.topics, rule.qos, NULL, 0);
		if (session_link_is_broken(&link) || !more)
			break;
	}
	check_entries(&batch);
	settle(&batch, &rule);
	entry_batch_free(&batch);
	session_link_close(&link);
	close(pair[1]);
}

/* What a node of a cluster answers to a flight: three entries of one stream, and one of another. What is not confirmed
 * is in the pool afterwards, in its order. */
static void read_answers(struct slice bytes)
{
	static const struct redis_place ASKED = {"asked", 7000};
	static const uint32_t FIRST[] = {0, 2, 3};
	static const uint32_t SECOND[] = {1};
	char fault[FLIGHT_FAULT_BYTES] = "";
	struct rule rule;
	struct lane lane;
	struct bytes out = {0};
	void *reply = NULL;
	enum flight_news news = FLIGHT_GOES_ON;
	redisReader *reader = redisReaderCreate();
	CHECK(reader != NULL);
	rule_init(&rule);
	snprintf(rule.stream, sizeof(rule.stream), "%s", "{topic}");
	rule.fields = 1u << RULE_FIELD_PAYLOAD;
	lane_init(&lane, &rule, true);
	for (uint32_t i = 0; i < 4; i++) {
		const struct relay_message message = {.topic = slice_string(i == 1 ? "b" : "a"),
						      .payload = slice_string("p")};
		CHECK(entry_batch_add(&lane.pool, &rule, &message, 0, NOW_MS));
	}
	struct flight *flight = lane_flight(&lane, 0);
	CHECK(flight_add(flight, &lane.pool, FIRST, 3, 7, true) && flight_add(flight, &lane.pool, SECOND, 1, 8, false));
	entry_batch_clear(&lane.pool);
	flight_write(flight, &out);
	bool good = !announces_much(bytes) && redisReaderFeed(reader, (const char *)bytes.data, bytes.size) == REDIS_OK;
	while (good && news != FLIGHT_WRONG && !flight_is_answered(flight) &&
	       redisReaderGetReply(reader, &reply) == REDIS_OK && reply != NULL) {
		news = flight_hear(flight, &ASKED, reply, fault);
		freeReplyObject(reply);
		if (news == FLIGHT_PARCEL && flight->is_redirected)
			flight_send_on(flight, flight->redirect.kind == REDIS_ASK ? 9 : BATCH_NOT_ASKED);
	}
	CHECK((news == FLIGHT_WRONG) == (fault[0] != '\0'));
	lane_settle(&lane, flight, fault, 1);
	CHECK(lane.counts.entries + lane.pool.count == 4);
	check_entries(&lane.pool);
	bytes_free(&out);
	lane_fini(&lane);
	redisReaderFree(reader);
}

/* What was read of properties can be written, and read again as the same. */
static void check_properties(struct slice properties)
{
	struct bytes text = {0};
	struct bytes again = {0};
	bool has_expiry = false;
	uint32_t expiry_s = 0;
	char fault[PROPERTIES_FAULT_BYTES];
	CHECK(mqtt_properties_check(properties, MQTT_PUBLISH) == ERROR_OK || properties.size == 0);
	properties_json(properties, &text);
	if (text.size == 0)
		return;
	size_t size = text.size;
	CHECK(properties_read(text.data, size, &again, &has_expiry, &expiry_s, fault));
	bytes_free(&text);
	bytes_free(&again);
}

/* An entry: fields, each a byte with the size of its name, two with that of its value, and both. */
static void read_entry(struct slice bytes)
{
	struct incoming_field fields[32];
	struct incoming incoming = {0};
	size_t count = 0;
	while (bytes.size >= 3 && count < 32) {
		size_t name = bytes.data[0];
		size_t value = (size_t)bytes.data[1] << 8 | bytes.data[2];
		if (name + value > bytes.size - 3)
			break;
		fields[count++] = (struct incoming_field){.name = slice_of(bytes.data + 3, name),
							  .value = slice_of(bytes.data + 3 + name, value)};
		bytes = slice_of(bytes.data + 3 + name + value, bytes.size - 3 - name - value);
	}
	const struct incoming_limits limits = {.packet_bytes_max = PACKETS_BYTES_MAX, .checks_format = true};
	bool good = incoming_read(&incoming, fields, count, &limits);
	CHECK(good == (incoming.fault[0] == '\0'));
	if (good && incoming.kind == INCOMING_PUBLISH && !incoming.publish.has_message_expiry)
		check_properties(incoming.publish.properties);
	incoming_free(&incoming);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const READERS[])(struct slice) = {read_pattern, read_value, read_session, read_answers,
							read_entry};
	if (size == 0 || data[0] >= sizeof(READERS) / sizeof(READERS[0]))
		return 0;
	uint8_t *rest = block_new(size - 1);
	if (size > 1)
		memcpy(rest, data + 1, size - 1);
	READERS[data[0]](slice_of(rest, size - 1));
	free(rest);
	return 0;
}
