#include "tool/store/dump_json.h"

#include "base/check.h"
#include "tool/store/body_reader.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>

static void set_number(json_t *object, const char *name, uint64_t number)
{
	json_object_set_new(object, name, json_integer((json_int_t)number));
}

static void set_time(json_t *object, const char *name, int64_t time_s)
{
	json_object_set_new(object, name, time_s == STORE_NEVER_S ? json_null() : json_integer(time_s));
}

static void set_hash(json_t *object, const char *name, uint64_t hash)
{
	json_object_set_new(object, name, json_sprintf("%016" PRIx64, hash));
}

static void set_hex(json_t *object, const char *name, struct slice bytes)
{
	static const char DIGITS[] = "0123456789abcdef";
	char *text = malloc(bytes.size * 2 + 1), long_name[64];
	CHECK(text != NULL);
	for (size_t i = 0; i < bytes.size; i++) {
		text[2 * i] = DIGITS[bytes.data[i] >> 4];
		text[2 * i + 1] = DIGITS[bytes.data[i] & 15];
	}
	snprintf(long_name, sizeof(long_name), "%s_hex", name);
	json_object_set_new(object, long_name, json_stringn(text, bytes.size * 2));
	free(text);
}

static void set_text(json_t *object, const char *name, struct slice text)
{
	json_t *string = json_stringn(text.size != 0 ? (const char *)text.data : "", text.size);
	if (string != NULL)
		json_object_set_new(object, name, string);
	else
		set_hex(object, name, text);
}

static void print_line(FILE *out, json_t *object)
{
	CHECK(object != NULL);
	json_dumpf(object, out, JSON_COMPACT);
	fputc('\n', out);
	json_decref(object);
}

/* ---- records ---- */

void dump_json_record(FILE *out, uint64_t commit, uint16_t shard, const struct store_record *record,
		      struct store_place place)
{
	json_t *object = json_object();
	json_object_set_new(object, "kind", json_string(store_kind_name(record->kind)));
	set_number(object, "at_segment", place.segment);
	set_number(object, "at_offset", place.offset);
	set_number(object, "commit", commit);
	set_number(object, "shard", shard);
	struct store_field_value value;
	for (uint32_t next = 0; store_record_field(record, &next, &value);) {
		switch (value.type) {
		case STORE_TYPE_NUMBER:
			set_number(object, value.name, value.number);
			break;
		case STORE_TYPE_TIME:
			set_time(object, value.name, value.time_s);
			break;
		case STORE_TYPE_HASH:
			set_hash(object, value.name, value.number);
			break;
		case STORE_TYPE_TEXT:
			set_text(object, value.name, value.bytes);
			break;
		case STORE_TYPE_BODY:
			set_number(object, "body_bytes", value.bytes.size);
			break;
		}
	}
	print_line(out, object);
}

/* ---- the model ---- */

struct model_dump {
	FILE *out;
	struct opened_store *store;
	struct body_reader bodies;
	uint64_t lost;
};

static json_t *message_object(struct model_dump *dump, const struct model_message *message)
{
	json_t *object = json_object();
	uint8_t *packet;
	enum error error = body_reader_read(&dump->bodies, message, &packet);
	if (error == ERROR_OK)
		set_text(object, "topic", publication_parts(&message->publication, packet).topic);
	else
		dump->lost++;
	free(packet);
	set_number(object, "bytes", message->publication.packet_bytes);
	set_time(object, "expires_at_s", message->expires_at_s);
	return object;
}

static json_t *entry_object(struct model_dump *dump, const struct model_entry *entry)
{
	json_t *object = entry->message != NULL ? message_object(dump, entry->message) : json_object();
	set_number(object, "qos", entry->flags & STORE_FLAG_QOS);
	set_number(object, "packet_id", entry->packet_id);
	json_object_set_new(object, "retain", json_boolean(entry->flags & STORE_FLAG_RETAIN));
	json_object_set_new(object, "released", json_boolean(entry->released));
	if ((entry->flags & STORE_FLAG_SHARED) != 0)
		set_number(object, "shared_subscription", entry->subscription);
	if (entry->identifier != 0)
		set_number(object, "identifier", entry->identifier);
	return object;
}

static void set_principal(json_t *object, const struct model_session *session)
{
	if (!session->has_principal)
		return;
	set_text(object, "user", session->user);
	set_hash(object, "token_hash", session->token_hash);
	set_time(object, "token_expires_at_s", session->token_expires_at_s);
	json_object_set_new(object, "has_rules", json_boolean(session->rules.data != NULL));
}

static void set_subscriptions(json_t *object, const struct model_session *session)
{
	json_t *list = json_array();
	for (const struct model_subscription *at = session->subscriptions; at != NULL; at = at->next) {
		json_t *one = json_object();
		set_text(one, "filter", at->filter);
		set_number(one, "options", at->options);
		set_number(one, "identifier", at->identifier);
		set_number(one, "owed", at->owed);
		json_array_append_new(list, one);
	}
	json_object_set_new(object, "subscriptions", list);
}

static void print_session(struct model_dump *dump, const struct model_session *session)
{
	json_t *object = json_object(), *queue = json_array(), *received = json_array();
	set_text(object, "session", session->client_id);
	json_object_set_new(object, "connected", json_boolean(session->connected));
	json_object_set_new(object, "bridge", json_boolean(session->is_bridge));
	set_number(object, "expiry_s", session->expiry_s);
	set_time(object, "ends_at_s", session->ends_at_s);
	set_principal(object, session);
	set_subscriptions(object, session);
	for (const struct model_entry *at = session->queue; at != NULL; at = at->next)
		json_array_append_new(queue, entry_object(dump, at));
	json_object_set_new(object, "queue", queue);
	set_number(object, "packet_id", session->packet_id);
	for (uint32_t i = 0; i < session->received_count; i++)
		json_array_append_new(received, json_integer(session->received[i]));
	json_object_set_new(object, "received", received);
	if (session->will != NULL) {
		json_t *will = message_object(dump, session->will);
		set_number(will, "delay_s", session->will_delay_s);
		set_number(will, "expiry_s", session->will_expiry_s);
		set_time(will, "due_at_s", session->will_at_s);
		json_object_set_new(object, "will", will);
	}
	print_line(dump->out, object);
}

static void print_retained(FILE *out, const struct model_retained *retained)
{
	json_t *object = json_object();
	set_text(object, "retained", retained->topic);
	set_number(object, "number", retained->number);
	set_number(object, "qos", retained->publication.qos);
	set_number(object, "bytes", retained->publication.packet_bytes);
	set_time(object, "expires_at_s", retained->expires_at_s);
	print_line(out, object);
}

static void print_promised(struct model_dump *dump, const struct model_promised *promised)
{
	json_t *object = message_object(dump, promised->message);
	set_text(object, promised->filter.size != 0 ? "handed_on" : "will", promised->filter);
	print_line(dump->out, object);
}

bool dump_json_model(FILE *out, struct opened_store *store)
{
	struct model_dump dump = {.out = out, .store = store, .bodies = {.disk = &store->disk}};
	for (const struct model_session *at = store->model->sessions; at != NULL; at = at->next)
		print_session(&dump, at);
	for (const struct model_retained *at = store->model->retained; at != NULL; at = at->next)
		print_retained(out, at);
	for (const struct model_promised *at = store->model->promised; at != NULL; at = at->next)
		print_promised(&dump, at);
	body_reader_close(&dump.bodies);
	char fault[80];
	snprintf(fault, sizeof(fault), "the bodies of %" PRIu64 " messages cannot be read", dump.lost);
	return dump.lost == 0 || opened_complain(store, fault);
}
