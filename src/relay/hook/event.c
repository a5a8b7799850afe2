#include "relay/hook/event.h"

#include "base/check.h"
#include "mqtt/field/property.h"
#include "relay/json/json_text.h"

#include <sodium.h>
#include <stdio.h>
#include <strings.h>
#include <time.h>

#define PRESENCE_TOPIC "$SYS/presence/"
#define JSON_TYPE "application/json"
#define TEXT_TYPE "text/plain; charset=utf-8"
#define BINARY_TYPE "application/octet-stream"
#define ID_BYTES 16u
/* 2026-11-29T17:00:00.123Z, and years beyond */
#define TIME_TEXT_BYTES 48u

/* ---- members ---- */

static void add_text(struct bytes *out, const char *text)
{
	bytes_append(out, text, strlen(text));
}

/* name: with its quotes and colon, and a comma in front. */
static void add_string_member(struct bytes *out, const char *name, struct slice value)
{
	if (value.data == NULL)
		return;
	add_text(out, name);
	json_text_append(out, value);
}

/* Each part with its length, so that no two messages are one row of bytes. */
static void add_to_hash(crypto_generichash_state *state, struct slice part)
{
	uint64_t size = part.size;
	crypto_generichash_update(state, (const unsigned char *)&size, sizeof(size));
	if (part.size != 0)
		crypto_generichash_update(state, part.data, part.size);
}

/* Where the time is not known, as where memory was short when the message came, nothing tells the message from another
 * one of the same content, so the id is made up: better two ids for a message than one for two. */
static void add_id(struct bytes *out, const struct relay_message *message)
{
	crypto_generichash_state state;
	unsigned char id[ID_BYTES];
	char text[2 * ID_BYTES + 1];
	CHECK(crypto_generichash_init(&state, NULL, 0, sizeof(id)) == 0);
	add_to_hash(&state, message->client);
	add_to_hash(&state, message->time);
	add_to_hash(&state, message->topic);
	add_to_hash(&state, message->payload);
	crypto_generichash_final(&state, id, sizeof(id));
	if (relay_message_time_ms(message) == 0)
		randombytes_buf(id, sizeof(id));
	add_text(out, "\"id\":\"");
	add_text(out, sodium_bin2hex(text, sizeof(text), id, sizeof(id)));
	add_text(out, "\"");
}

static bool is_presence(const struct relay_message *message)
{
	size_t size = sizeof(PRESENCE_TOPIC) - 1;
	return message->topic.size > size && memcmp(message->topic.data, PRESENCE_TOPIC, size) == 0;
}

static void add_type(struct bytes *out, const struct relay_message *message)
{
	if (!is_presence(message)) {
		add_text(out, ",\"type\":\"" EVENT_TYPE_MESSAGE "\"");
		return;
	}
	size_t before = sizeof(PRESENCE_TOPIC) - 1;
	struct slice rest = slice_of(message->topic.data + before, message->topic.size - before);
	add_text(out, ",\"type\":\"" EVENT_TYPE_PRESENCE);
	for (size_t i = 0; i < rest.size; i++) {
		char letter = (char)rest.data[i];
		bool fits = (letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9') || letter == '_';
		bytes_append(out, fits ? &letter : ".", 1);
	}
	add_text(out, "\"");
}

static void add_time(struct bytes *out, const struct relay_message *message)
{
	char text[TIME_TEXT_BYTES];
	struct tm parts;
	uint64_t time_ms = relay_message_time_ms(message);
	time_t time_s = (time_t)(time_ms / 1000);
	if (time_ms == 0 || gmtime_r(&time_s, &parts) == NULL || parts.tm_year > 9999 - 1900)
		return;
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &parts);
	add_text(out, ",\"time\":\"");
	add_text(out, text);
	bytes_append(out, text, (size_t)snprintf(text, sizeof(text), ".%03uZ\"", (unsigned)(time_ms % 1000)));
}

/* ---- the payload ---- */

static struct slice content_type_of(const struct relay_message *message)
{
	struct mqtt_property property;
	for (struct slice rest = message->properties; rest.size != 0;) {
		if (mqtt_property_next(&rest, &property) != ERROR_OK)
			break; /* the decoder has checked them */
		if (property.id == MQTT_PROPERTY_CONTENT_TYPE && property.data.size != 0)
			return property.data;
	}
	return slice_of(NULL, 0);
}

static bool has_text_at(struct slice text, size_t at, const char *word)
{
	return text.size >= at && text.size - at == strlen(word) &&
	       strncasecmp((const char *)text.data + at, word, strlen(word)) == 0;
}

/* As the specification has it: application/json, text/json, and what ends in +json. */
static bool is_json_type(struct slice type)
{
	const uint8_t *parameters = type.size != 0 ? memchr(type.data, ';', type.size) : NULL;
	if (parameters != NULL)
		type.size = (size_t)(parameters - type.data);
	while (type.size != 0 && type.data[type.size - 1] == ' ')
		type.size--;
	return has_text_at(type, 0, JSON_TYPE) || has_text_at(type, 0, "text/json") ||
	       (type.size > 5 && has_text_at(type, type.size - 5, "+json"));
}

static void add_data(struct bytes *out, const struct hook *hook, const struct relay_message *message)
{
	struct slice type = content_type_of(message);
	bool is_text = json_text_is_string(message->payload);
	if (type.size == 0 && is_presence(message))
		type = slice_string(JSON_TYPE);
	if (type.size == 0 && hook->content_type[0] != '\0')
		type = slice_string(hook->content_type);
	bool says_json = is_json_type(type);
	if (type.size == 0)
		type = slice_string(is_text ? TEXT_TYPE : BINARY_TYPE);
	add_string_member(out, ",\"datacontenttype\":", type);
	if (says_json && json_text_is_value(message->payload)) {
		add_text(out, ",\"data\":");
		bytes_append(out, message->payload.data, message->payload.size);
	} else if (is_text && !says_json) {
		add_text(out, ",\"data\":");
		json_text_append(out, message->payload);
	} else {
		add_text(out, ",\"data_base64\":");
		json_text_append_base64(out, message->payload);
	}
}

void event_append(struct bytes *out, const struct hook *hook, const char *source, const struct relay_message *message)
{
	add_text(out, "{\"specversion\":\"1.0\",");
	add_id(out, message);
	add_string_member(out, ",\"source\":", slice_string(hook->source[0] != '\0' ? hook->source : source));
	add_type(out, message);
	add_string_member(out, ",\"subject\":", message->topic);
	add_time(out, message);
	add_string_member(out, ",\"client\":", message->client);
	add_string_member(out, ",\"user\":", message->user);
	add_text(out, message->qos == 0 ? ",\"qos\":0" : ",\"qos\":1");
	add_text(out, message->retain ? ",\"retain\":true" : ",\"retain\":false");
	add_data(out, hook, message);
	add_text(out, "}");
}
