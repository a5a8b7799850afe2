#include "admin/api/handlers.h"

#include "admin/clients/elsewhere.h"
#include "base/check.h"
#include "mqtt/field/topic.h"
#include "runtime/client_transport.h"
#include "runtime/command.h"
#include "shard/command_clients.h"
#include "state/shard.h"

#include <arpa/inet.h>
#include <stdlib.h>

#define LIST_ROWS_DEFAULT 100u
#define LIST_ROWS_MAX 1000u
/* Pool slots that one request examines, whether or not they match. It bounds the time a page takes; `next` continues
 * from there. */
#define LIST_PLACES_MAX 100000u
#define LIST_ID_BYTES (4u * COMMAND_ID_BYTES_MAX)
#define FILTER_BYTES (4u * COMMAND_ID_BYTES_MAX)

_Static_assert(LIST_ROWS_DEFAULT <= LIST_ROWS_MAX, "the default can be asked for");
_Static_assert(LIST_ID_BYTES >= COMMAND_ID_BYTES_MAX, "a page takes the longest client id, so it always goes on");
_Static_assert(FILTER_BYTES >= COMMAND_ID_BYTES_MAX, "the longest filter is shown");

static const char NO_CLIENT[] = "there is no client with this id";

/* ---- what is known of a client, as JSON ---- */

static json_t *json_of_address(const union peer *address)
{
	char text[PEER_TEXT_BYTES_MAX];
	return address->any.sa_family != AF_UNSPEC ? json_string(peer_print(address, text)) : json_null();
}

static const char *state_name(uint8_t state)
{
	return client_state_is_connected(state) ? "connected" : "offline";
}

/* How its silence is graded (client/keepalive.h); NULL where there is no connection to grade. */
static const char *grade_name(uint8_t state)
{
	static const char *const NAMES[CLIENT_STATE_COUNT] = {
		[CLIENT_GREETING] = "greeting", [CLIENT_ACTIVE] = "active",   [CLIENT_QUIET] = "quiet",
		[CLIENT_SUSPECT] = "suspect",   [CLIENT_CLOSING] = "closing",
	};
	return state < CLIENT_STATE_COUNT ? NAMES[state] : NULL;
}

static const char *version_name(uint8_t version)
{
	static const char *const NAMES[] = {"3.1", "3.1.1", "5.0"};
	return version >= 3 && version <= 5 ? NAMES[version - 3] : "";
}

static const char *transport_name(const struct client_row *row)
{
	return client_state_is_connected(row->state) ? client_transport_name(row->transport) : NULL;
}

/* Fields that describe a connection are null for a client without one. */
static json_t *json_of_row(const struct client_row *row, struct slice id)
{
	bool connected = client_state_is_connected(row->state);
	return json_pack("{s:o, s:s, s:s?, s:s, s:o, s:s?, s:s?, s:s?, s:i, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I}",
			 "client_id", json_of_slice(id), "state", state_name(row->state), "grade",
			 grade_name(row->state), "protocol", version_name(row->version), "address",
			 json_of_address(&row->address), "transport", transport_name(row), "tls_version",
			 client_tls_version(row->tls_version), "tls_cipher", client_tls_cipher(row->tls_cipher),
			 "keepalive_seconds", row->keepalive_s, "connected_seconds",
			 connected ? json_integer(row->connected_s) : json_null(), "silent_seconds",
			 connected ? json_real(row->silent_ms / 1000.0) : json_null(), "subscriptions",
			 (json_int_t)row->subscriptions, "inflight_messages", (json_int_t)row->inflight,
			 "queued_messages", (json_int_t)row->queued, "queued_bytes", (json_int_t)row->queued_bytes,
			 "dropped_messages", (json_int_t)row->dropped, "output_bytes", (json_int_t)row->output_bytes);
}

/* ---- lists ---- */

/* The position of a list: the shard, and the slot in it to continue after. */
struct place {
	uint32_t shard;
	uint32_t cursor;
};

/* "shard.place" */
static bool parse_cursor(struct slice text, uint32_t shards, struct place *place)
{
	const uint8_t *dot = text.size != 0 ? memchr(text.data, '.', text.size) : NULL;
	if (dot == NULL)
		return false;
	size_t size = (size_t)(dot - text.data);
	return target_number(slice_of(text.data, size), shards - 1, &place->shard) &&
	       target_number(slice_of(dot + 1, text.size - size - 1), UINT32_MAX - 1, &place->cursor);
}

static bool parse_states(struct slice text, uint32_t *states)
{
	if (slice_equal(text, slice_string("connected")))
		*states = LIST_CONNECTED;
	else if (slice_equal(text, slice_string("offline")))
		*states = LIST_OFFLINE;
	else if (slice_equal(text, slice_string("all")))
		*states = LIST_CONNECTED | LIST_OFFLINE;
	else
		return false;
	return true;
}

/* Returns false after answering what is wrong. */
static bool read_list_query(struct request *request, struct command_list *list, struct place *place)
{
	for (uint32_t i = 0; i < request->target.query_count; i++) {
		const struct target_query *query = &request->target.queries[i];
		struct slice name = query->name;
		bool good = false;
		if (slice_equal(name, slice_string("limit")))
			good = target_number(query->value, LIST_ROWS_MAX, &list->row_max) && list->row_max != 0;
		else if (slice_equal(name, slice_string("state")))
			good = parse_states(query->value, &list->states);
		else if (slice_equal(name, slice_string("cursor")))
			good = elsewhere_is_cursor(query->value) ||
			       parse_cursor(query->value, gateway_parts(request->api->gateway).shard_count, place);
		else if (slice_equal(name, slice_string("node")))
			good = elsewhere_is_asked(request);
		else if (slice_equal(name, slice_string("prefix")))
			good = (list->prefix = query->value, true);
		if (!good) {
			request_fail(request, HTTP_BAD_REQUEST,
				     "query %.*s: there are limit (1 to %u), cursor (as it was answered), prefix, "
				     "state (connected, offline, all) and, in a cluster, node",
				     (int)(name.size < 40 ? name.size : 40), (const char *)name.data, LIST_ROWS_MAX);
			return false;
		}
	}
	return true;
}

/* In a cluster each client is shown with its node; another node that asks adds the name itself. */
static void clients_add_node(const struct request *request, json_t *client)
{
	if (elsewhere_is_asked(request))
		json_object_set_new(client, "node", json_string(gateway_settings(request->api->gateway)->node));
}

static bool add_rows(const struct request *request, json_t *clients, const struct command_list *list)
{
	CHECK(list->row_count <= list->row_max);
	for (uint32_t i = 0; i < list->row_count; i++) {
		const struct client_row *row = &list->rows[i];
		CHECK(row->id_offset + row->id_bytes <=
		      list->ids_capacity); /* the shard wrote the id into that buffer */
		struct slice id = slice_of(list->ids + row->id_offset, row->id_bytes);
		json_t *client = json_of_row(row, id);
		clients_add_node(request, client);
		if (json_array_append_new(clients, client) != 0)
			return false;
	}
	return true;
}

static enum error ask_shard(struct api *api, uint32_t shard, struct command *command)
{
	struct gateway_parts parts = gateway_parts(api->gateway);
	CHECK(shard < parts.shard_count);
	return command_do(command, &parts.shards[shard].shared.commands, &parts.mailboxes[shard].waker,
			  COMMAND_TIMEOUT_MS);
}

/* Walks slots and shards until the page is full or LIST_PLACES_MAX slots were examined. */
static enum error fill_page(const struct request *request, struct command_list *list, struct place *place,
			    json_t *clients)
{
	struct api *api = request->api;
	uint32_t shards = gateway_parts(api->gateway).shard_count;
	uint32_t rows_left = list->row_max;
	for (uint32_t places = 0; places < LIST_PLACES_MAX && rows_left != 0 && place->shard < shards;
	     places += COMMAND_PLACES_MAX) {
		list->row_max = rows_left;
		list->cursor = place->cursor;
		struct command command = {.kind = COMMAND_LIST, .list = list};
		enum error error = ask_shard(api, place->shard, &command);
		if (error != ERROR_OK)
			return error;
		if (!add_rows(request, clients, list))
			return ERROR_NO_MEMORY;
		rows_left -= list->row_count;
		place->cursor = list->cursor;
		if (list->ended)
			*place = (struct place){.shard = place->shard + 1};
	}
	return ERROR_OK;
}

static json_t *json_of_cursor(const struct request *request, const struct place *place)
{
	char text[32];
	if (place->shard >= gateway_parts(request->api->gateway).shard_count)
		return elsewhere_next(request, NULL);
	snprintf(text, sizeof(text), "%u.%u", place->shard, place->cursor);
	return json_string(text);
}

void serve_clients(struct request *request)
{
	struct place place = {0};
	struct command_list list = {
		.states = LIST_CONNECTED | LIST_OFFLINE,
		.row_max = LIST_ROWS_DEFAULT,
		.ids_capacity = LIST_ID_BYTES,
	};
	if (!read_list_query(request, &list, &place) || elsewhere_list(request))
		return;
	list.rows = calloc(list.row_max, sizeof(*list.rows));
	list.ids = malloc(list.ids_capacity);
	json_t *clients = json_array();
	enum error error = ERROR_NO_MEMORY;
	if (list.rows != NULL && list.ids != NULL && clients != NULL)
		error = fill_page(request, &list, &place, clients);
	free(list.rows);
	free(list.ids);
	if (request_check(request, error, ""))
		request_answer(request, HTTP_OK,
			       json_pack("{s:O, s:o}", "clients", clients, "next", json_of_cursor(request, &place)));
	json_decref(clients);
}

/* ---- one ---- */

/* Sends the command to the shard that owns the client id. */
static enum error ask_home(struct request *request, enum command_kind kind, struct command_client *client)
{
	struct gateway_parts parts = gateway_parts(request->api->gateway);
	client->id = request->id;
	client->hash = hash_slice(parts.key, request->id);
	struct command command = {.kind = kind, .client = client};
	return ask_shard(request->api, shard_of_hash(client->hash, parts.shard_count), &command);
}

static json_t *json_of_subscriptions(const struct command_client *client)
{
	json_t *subscriptions = json_array();
	CHECK(client->subscription_rows <= COMMAND_SUBSCRIPTIONS_MAX);
	for (uint32_t i = 0; i < client->subscription_rows; i++) {
		const struct subscription_row *row = &client->subscriptions[i];
		CHECK(row->filter_offset + row->filter_bytes <= client->filters_capacity);
		struct slice filter = slice_of(client->filters + row->filter_offset, row->filter_bytes);
		json_t *json = json_pack("{s:o, s:i, s:b, s:b, s:I}", "filter", json_of_slice(filter), "qos", row->qos,
					 "no_local", row->no_local, "retain_as_published", row->retain_as_published,
					 "identifier", (json_int_t)row->identifier);
		json_array_append_new(subscriptions, json);
	}
	return subscriptions;
}

static json_t *json_of_seconds(uint32_t seconds)
{
	return seconds != UINT32_MAX ? json_integer(seconds) : json_null();
}

static json_t *json_of_tcp(const struct command_client *client)
{
	if (!client->has_tcp)
		return json_null();
	return json_pack("{s:f, s:I, s:I, s:f}", "round_trip_seconds", client->rtt_us / 1e6, "unacknowledged_packets",
			 (json_int_t)client->unacknowledged, "retransmits", (json_int_t)client->retransmits,
			 "last_heard_seconds", client->last_ack_ms / 1e3);
}

/* UTF-8, which may have been cut in the middle of a character. */
static json_t *json_of_subject(const char *subject)
{
	struct slice text = slice_string(subject);
	while (text.size != 0 && mqtt_string_check(text) != ERROR_OK)
		text.size--;
	return text.size != 0 ? json_of_slice(text) : json_null();
}

static json_t *json_of_client(const struct command_client *client)
{
	json_t *json = json_of_row(&client->row, client->id);
	bool offline = client->row.state == CLIENT_OFFLINE;
	json_t *more = json_pack(
		"{s:o, s:o, s:o, s:I, s:I, s:o, s:b, s:o, s:b, s:o}", "certificate_subject",
		json_of_subject(client->subject), "session_expiry_seconds", json_of_seconds(client->session_expiry_s),
		"session_ends_in_seconds", offline ? json_of_seconds(client->ends_in_s) : json_null(),
		"packet_bytes_max", (json_int_t)client->packet_bytes_max, "unreleased_messages",
		(json_int_t)client->unreleased, "will_delay_seconds",
		client->has_will ? json_integer(client->will_delay_s) : json_null(), "paused", client->paused, "tcp",
		json_of_tcp(client), "subscriptions_cut", client->subscription_rows < client->row.subscriptions,
		"subscription_list", json_of_subscriptions(client));
	if (json == NULL || more == NULL || json_object_update(json, more) != 0) {
		json_decref(json);
		json = NULL;
	}
	json_decref(more);
	return json;
}

void serve_client(struct request *request)
{
	struct command_client client = {
		.subscriptions = calloc(COMMAND_SUBSCRIPTIONS_MAX, sizeof(*client.subscriptions)),
		.filters = malloc(FILTER_BYTES),
		.filters_capacity = FILTER_BYTES,
	};
	enum error error = ERROR_NO_MEMORY;
	if (client.subscriptions != NULL && client.filters != NULL)
		error = ask_home(request, COMMAND_INSPECT, &client);
	if (error == ERROR_NOT_FOUND && elsewhere_is_asked(request) && elsewhere_answer(request))
		error = ERROR_OK;
	else if (request_check(request, error, NO_CLIENT)) {
		json_t *json = json_of_client(&client);
		clients_add_node(request, json);
		request_answer(request, HTTP_OK, json);
	}
	free(client.subscriptions);
	free(client.filters);
}

static void end_by_command(struct request *request, enum command_kind kind, const char *what, const char *missing)
{
	struct command_client client = {0};
	enum error error = ask_home(request, kind, &client);
	if (error == ERROR_NOT_FOUND && elsewhere_is_asked(request) && elsewhere_answer(request))
		return;
	if (request_check(request, error, missing))
		request_answer(request, HTTP_OK,
			       json_pack("{s:o, s:s}", "client_id", json_of_slice(request->id), "ended", what));
}

void serve_disconnect(struct request *request)
{
	end_by_command(request, COMMAND_DISCONNECT, "connection", "no client with this id is connected");
}

void serve_end_session(struct request *request)
{
	end_by_command(request, COMMAND_END_SESSION, "session", NO_CLIENT);
}
