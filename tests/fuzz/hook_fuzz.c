/* What a hook reads: payloads that may be JSON, messages that become events, answers of endpoints, and values of its
 * keys. The first byte says which of it the others are. Another reader of JSON says whether ours is right. */
#include "fuzz.h"

#include "base/error.h"
#include "mqtt/field/property.h"
#include "relay/hook/event.h"
#include "relay/hook/verdict.h"
#include "relay/json/json_text.h"

#include <jansson.h>
#include <stdio.h>

#define NOW_S 1790000000u

/* jansson is stricter in some: it refuses numbers that it cannot hold, U+0000, and halves of surrogate pairs. */
static bool is_refused_by_jansson_alone(const json_error_t *error)
{
	enum json_error_code code = json_error_code(error);
	return code == json_error_numeric_overflow || code == json_error_null_byte_in_key ||
	       strstr(error->text, "\\u") != NULL || code == json_error_null_character;
}

static void read_json(struct slice text)
{
	json_error_t error = {0};
	json_t *json = json_loadb((const char *)text.data, text.size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
	bool ours = json_text_is_value(text);
	if (ours)
		CHECK(json != NULL || is_refused_by_jansson_alone(&error));
	/* It takes a null byte for the end. */
	bool has_null = text.size != 0 && memchr(text.data, '\0', text.size) != NULL;
	if (json != NULL && text.size < JSON_DEPTH_MAX && !has_null)
		CHECK(ours);
	json_decref(json);
}

static void check_event(const struct bytes *out, const struct relay_message *message)
{
	json_error_t error = {0};
	json_t *json = json_loadb((const char *)out->data, out->size, 0, &error);
	CHECK(json != NULL || is_refused_by_jansson_alone(&error));
	if (json == NULL)
		return;
	const char *subject = json_string_value(json_object_get(json, "subject"));
	CHECK(subject != NULL && strlen(subject) == message->topic.size);
	CHECK((json_object_get(json, "data") != NULL) != (json_object_get(json, "data_base64") != NULL));
	json_decref(json);
}

/* The properties' size, the properties in wire form, and the payload. */
static void read_event(struct slice bytes)
{
	struct hook hook;
	struct relay_message message;
	struct bytes out = {0};
	if (bytes.size == 0 || bytes.data[0] >= bytes.size)
		return;
	size_t size = bytes.data[0];
	const struct mqtt_publish publish = {
		.topic = slice_string("$SYS/presence/x"),
		.properties = slice_of(bytes.data + 1, size),
		.payload = slice_of(bytes.data + 1 + size, bytes.size - 1 - size),
		.qos = 1,
	};
	if (mqtt_properties_check(publish.properties, MQTT_PUBLISH) != ERROR_OK)
		return;
	hook_init(&hook);
	relay_message_read(&publish, &message);
	event_append(&out, &hook, "urn:roost:h", &message);
	CHECK(!out.failed);
	check_event(&out, &message);
	bytes_free(&out);
}

/* A status, Retry-After, a line end, and the body. */
static void read_answer(struct slice bytes)
{
	char retry_after[FETCH_ANSWER_TEXT_BYTES_MAX + 1];
	struct verdict verdict;
	const uint8_t *end = bytes.size > 2 ? memchr(bytes.data + 2, '\n', bytes.size - 2) : NULL;
	if (end == NULL || end - bytes.data - 2 > (ptrdiff_t)FETCH_ANSWER_TEXT_BYTES_MAX)
		return;
	size_t size = (size_t)(end - bytes.data) - 2;
	memcpy(retry_after, bytes.data + 2, size);
	retry_after[size] = '\0';
	const struct fetch_answer answer = {
		.outcome = (enum fetch_outcome)(bytes.data[0] % FETCH_OUTCOME_COUNT),
		.status = bytes.data[1] * 4u,
		.fault = "",
		.retry_after = retry_after,
		.location = retry_after,
		.body = slice_of(end + 1, bytes.size - size - 3),
	};
	verdict_of_answer(&answer, NOW_S, &verdict);
	CHECK(verdict.retry_after_s <= RETRY_AFTER_S_MAX && verdict.failure < HOOK_FAILURE_COUNT);
	CHECK((verdict.words[0] == '\0') == (verdict.kind == VERDICT_TAKEN));
	CHECK(strlen(verdict.words) < sizeof(verdict.words) - 1);
}

/* The number of a key, and its value. */
static void read_hook_value(struct slice bytes)
{
	static const char *const KEYS[] = {"name",         "topics",      "url",          "headers",
					   "header_files", "source",      "content_type", "delay_ms",
					   "ca_file",      "batch_bytes", "qos",          "concurrency"};
	char fault[ITEM_FAULT_BYTES_MAX] = "";
	struct hook hook;
	if (bytes.size == 0 || bytes.data[0] >= sizeof(KEYS) / sizeof(KEYS[0]))
		return;
	char *text = calloc(1, bytes.size);
	CHECK(text != NULL);
	memcpy(text, bytes.data + 1, bytes.size - 1);
	hook_init(&hook);
	bool taken = hook_key(KEYS[bytes.data[0]])->set(&hook, text, fault);
	CHECK(taken == (fault[0] == '\0'));
	CHECK(strpbrk(hook.url, "\r\n ") == NULL && hook.concurrency <= HOOK_CONCURRENCY_MAX && hook.qos <= 1);
	CHECK(!taken || hook.header_count == 0 || strpbrk(hook.headers[0], "\r\n") == NULL);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const READERS[])(struct slice) = {read_json, read_event, read_answer, read_hook_value};
	if (size == 0 || data[0] >= sizeof(READERS) / sizeof(READERS[0]))
		return 0;
	uint8_t *rest = block_new(size - 1);
	if (size > 1)
		memcpy(rest, data + 1, size - 1);
	READERS[data[0]](slice_of(rest, size - 1));
	free(rest);
	return 0;
}
