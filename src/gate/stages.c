#include "gate/stages.h"

#include "access/addresses.h"
#include "gate/connect.h"
#include "gate/handshake/tls_queue.h"
#include "gate/tls.h"
#include "mqtt/field/protocol.h"
#include "mqtt/field/topic.h"
#include "transport/proxy.h"
#include "ws/upgrade.h"

#include <errno.h>
#include <stdlib.h>

/* In a row that may yield nothing although bytes came: frames or records without content. Whoever sends more of them
 * than a socket's buffer holds, and no CONNECT, would hold the gate up for as long as it likes. */
#define EMPTY_READS_MAX 32u

/* ---- from stage to stage ---- */

static enum gate_stage stage_after_tls(const struct listener *listener)
{
	return listener_is_websocket(listener) ? GATE_WEBSOCKET : GATE_CONNECT;
}

static enum gate_stage stage_after_proxy(const struct listener *listener)
{
	return listener_is_tls(listener) ? GATE_TLS : stage_after_tls(listener);
}

enum gate_stage gate_first_stage(const struct gate *gate, uint8_t listener, const union peer *peer)
{
	return gate_is_proxy(gate, listener, peer) ? GATE_PROXY : stage_after_proxy(gate_listener(gate, listener));
}

/* ---- PROXY ---- */

/* The certificate was the balancer's affair, and so is its name. */
static enum error take_proxied_names(struct gate *gate, struct handshake *handshake, const struct proxy_head *head)
{
	const struct listener_settings *own = gate_listener_settings(gate, handshake->listener);
	if (head->authority.size != 0)
		handshake->server_name = gate_copy_text(head->authority);
	if (own->certificate_names == CERTIFICATE_NAMES_NOTHING || !head->is_verified || head->common_name.size == 0)
		return ERROR_OK;
	if (mqtt_string_check(head->common_name) != ERROR_OK)
		return ERROR_TLS_CERTIFICATE_NAME;
	handshake->name = gate_copy_text(head->common_name);
	return handshake->name != NULL ? ERROR_OK : ERROR_NO_MEMORY;
}

/* From here on limits, logs and rules see the client's own address. */
static enum error take_proxied_client(struct gate *gate, struct handshake *handshake, const union peer *client)
{
	CHECK(handshake->address == 0); /* the proxy's own address is not limited */
	handshake->peer = *client;
	handshake->is_named = true;
	enum error error = gate_check_address(gate, client, true, &handshake->address);
	if (error != ERROR_OK)
		return error;
	struct stream stream = proxied_stream_over(&gate->io.streams, handshake->conn.stream, client);
	if (!stream_exists(stream))
		return ERROR_NO_MEMORY;
	handshake->conn.stream = stream;
	return ERROR_OK;
}

static enum error take_proxy_head(struct gate *gate, uint32_t index, struct slice *bytes)
{
	struct handshake *handshake = gate_handshake_at(gate, index);
	struct proxy_head head;
	enum error error = proxy_head_read(*bytes, &head);
	if (error == ERROR_MORE)
		gate_handshake_keep(gate, index, *bytes, 0, false, 0);
	if (error != ERROR_OK)
		return error;
	handshake->is_proxied = true;
	handshake->is_check = head.is_local;
	error = take_proxied_names(gate, handshake, &head);
	if (error == ERROR_OK && head.client.any.sa_family != AF_UNSPEC)
		error = take_proxied_client(gate, handshake, &head.client);
	*bytes = slice_of(bytes->data + head.bytes, bytes->size - head.bytes);
	handshake->stage = (uint8_t)stage_after_proxy(gate_listener(gate, handshake->listener));
	return error;
}

/* ---- WebSocket ---- */

/* Another protocol, by its first byte. */
static enum error look_for_http(struct slice bytes)
{
	if (proxy_head_look(bytes) == ERROR_OK)
		return ERROR_PROXY_UNEXPECTED;
	if (bytes.data[0] == 0x16) /* a TLS handshake record */
		return ERROR_TLS_UNEXPECTED;
	return bytes.data[0] >> 4 == MQTT_CONNECT ? ERROR_WS_PLAIN_MQTT : ERROR_OK;
}

static enum error begin_frames(struct gate *gate, struct handshake *handshake, struct slice unread)
{
	struct stream stream = websocket_stream_over(&gate->io.streams, handshake->conn.stream, unread);
	if (!stream_exists(stream))
		return ERROR_NO_MEMORY;
	handshake->conn.stream = stream;
	handshake->stage = GATE_CONNECT;
	handshake->is_over = false;
	return ERROR_OK;
}

static enum error read_upgrade(const struct gate *gate, const struct handshake *handshake, struct slice bytes,
			       size_t *used, char response[WS_RESPONSE_BYTES_MAX], size_t *response_bytes)
{
	const struct listener_settings *own = gate_listener_settings(gate, handshake->listener);
	const char *origins[LISTENER_ORIGINS_MAX];
	CHECK_LE(own->origin_count, LISTENER_ORIGINS_MAX);
	for (uint32_t i = 0; i < own->origin_count; i++)
		origins[i] = own->origins[i];
	const char *const path = gate_listener(gate, handshake->listener)->path;
	struct ws_rules rules = {
		.paths = &path, .path_count = 1, .origins = origins, .origin_count = own->origin_count};
	return ws_upgrade_read(&rules, bytes, gate->environment.wall_s, used, response, response_bytes);
}

/* Frames may begin behind the request: they are the stream's. */
static enum error take_upgrade(struct gate *gate, uint32_t index, struct slice *bytes)
{
	struct handshake *handshake = gate_handshake_at(gate, index);
	char response[WS_RESPONSE_BYTES_MAX];
	size_t response_bytes = 0, used = 0;
	struct slice all = *bytes;
	*bytes = slice_of(NULL, 0);
	if (handshake->is_over)
		return begin_frames(gate, handshake, all);
	enum error error = look_for_http(all);
	if (error == ERROR_OK)
		error = read_upgrade(gate, handshake, all, &used, response, &response_bytes);
	if (error == ERROR_MORE) {
		gate_handshake_keep(gate, index, all, 0, false, 0);
		return ERROR_MORE;
	}
	CHECK(used <= all.size && response_bytes <= sizeof(response));
	bool sent = gate_handshake_send(gate, index, slice_of(response, response_bytes));
	if (error != ERROR_OK)
		return error;
	if (!sent)
		return ERROR_CONNECTION_LOST;
	struct slice rest = slice_of(all.data + used, all.size - used);
	if (handshake->conn.backlog == 0)
		return begin_frames(gate, handshake, rest);
	handshake->is_over = true;
	gate_handshake_keep(gate, index, rest, 0, true, 0);
	return ERROR_MORE;
}

/* ---- any ---- */

/* ERROR_OK: the stage is over, and *bytes is what it has left. ERROR_MORE: the bytes are kept, or the handshake has
 * ended. */
static enum error take_bytes(struct gate *gate, uint32_t index, struct slice *bytes)
{
	struct handshake *handshake = gate_handshake_at(gate, index);
	enum error error;
	switch ((enum gate_stage)handshake->stage) {
	case GATE_PROXY:
		return take_proxy_head(gate, index, bytes);
	case GATE_TLS:
		error = gate_tls_take(gate, index, *bytes);
		*bytes = slice_of(NULL, 0);
		if (error == ERROR_OK)
			handshake->stage = (uint8_t)stage_after_tls(gate_listener(gate, handshake->listener));
		return error;
	case GATE_WEBSOCKET:
		return take_upgrade(gate, index, bytes);
	case GATE_CONNECT:
		gate_connect_take(gate, index, *bytes);
		return ERROR_MORE;
	}
	return ERROR_MORE;
}

static void stages_take(struct gate *gate, uint32_t index, struct slice bytes)
{
	enum error error = ERROR_OK;
	while (error == ERROR_OK && bytes.size != 0)
		error = take_bytes(gate, index, &bytes);
	if (error != ERROR_OK && error != ERROR_MORE)
		gate_handshake_refuse(gate, index, error, 0);
}

/* How the peer broke the protocol of a layer, where that is why nothing can be read any more. */
static enum error reason_of_break(const struct gate *gate, const struct handshake *handshake, int number)
{
	enum error error = ERROR_OK;
	if (number == EPROTO)
		error = stream_facts(&gate->io.streams, handshake->conn.stream).error;
	return error != ERROR_OK ? error : ERROR_CONNECTION_LOST;
}

void gate_stages_read(struct gate *gate, uint32_t index)
{
	struct handshake *handshake = gate_handshake_at(gate, index);
	uint16_t generation = handshake->conn.generation;
	uint32_t empty_reads = 0;
	do {
		struct slice bytes;
		bool more;
		switch (io_receive(&gate->io, &handshake->conn, &bytes, &more)) {
		case IO_BYTES:
			stages_take(gate, index, bytes);
			break;
		case IO_NOTHING:
			/* Half a record is kept by the stream. */
			if (gate_bytes_kept(gate) > gate->settings->handshake_bytes_max)
				gate_handshake_refuse(gate, index, ERROR_HANDSHAKE_BYTES, 0);
			else if (++empty_reads > EMPTY_READS_MAX)
				gate_handshake_refuse(gate, index, ERROR_CONNECT_WITHHELD, 0);
			else
				gate_handshake_wait(gate, index);
			if (!more)
				return;
			break;
		case IO_EOF:
			gate_handshake_lost(gate, index, ERROR_CONNECTION_LOST);
			return;
		case IO_BROKEN:
			gate_handshake_lost(gate, index, reason_of_break(gate, handshake, errno));
			return;
		}
	} while (handshake->conn.generation == generation && gate_handshake_reads(handshake));
}

void gate_stages_run_tls(struct gate *gate)
{
	uint32_t index;
	while ((index = gate_tls_overdue(gate)) != 0)
		gate_handshake_refuse(gate, index, ERROR_TLS_HANDSHAKE_TIMEOUT, 0);
	gate_tls_turn_begin(gate);
	while ((index = gate_tls_next(gate)) != 0)
		gate_stages_read(gate, index);
}
