#include "admin/api/handlers.h"

#include "control/gateway.h"
#include "nodes/nodes.h"

#include <stdlib.h>

static json_t *nodes_json_of_text(const char *text)
{
	json_t *json = text[0] != '\0' ? json_string(text) : json_null();
	return json != NULL ? json : json_string("(not UTF-8)");
}

static json_t *json_of_peer(const struct peer_status *peer)
{
	return json_pack("{s:s, s:s, s:I, s:o, s:b, s:o, s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "name",
			 peer->name, "state", peer_state_name(peer->state), "state_seconds", (json_int_t)peer->state_s,
			 "version", nodes_json_of_text(peer->version), "has_store", peer->has_store,
			 "round_trip_seconds", peer->rtt_us != 0 ? json_real(peer->rtt_us / 1e6) : json_null(),
			 "clock_ahead_seconds", (double)peer->clock_ms / 1e3, "clients", (json_int_t)peer->clients,
			 "filters", (json_int_t)peer->filters, "messages_sent", (json_int_t)peer->messages_out,
			 "messages_received", (json_int_t)peer->messages_in, "bytes_sent", (json_int_t)peer->bytes_out,
			 "bytes_received", (json_int_t)peer->bytes_in, "waiting_messages", (json_int_t)peer->waiting,
			 "dropped_messages", (json_int_t)peer->dropped, "fault", nodes_json_of_text(peer->fault));
}

static json_t *json_of_replica(const struct replica_status *replica)
{
	return json_pack("{s:s, s:o, s:I, s:I, s:I, s:I, s:o}", "state", replica_state_name(replica->state), "node",
			 nodes_json_of_text(replica->name), "state_seconds", (json_int_t)replica->state_s,
			 "behind_commits", (json_int_t)replica->behind_commits, "behind_bytes",
			 (json_int_t)replica->behind_bytes, "refusals", (json_int_t)replica->refusals, "fault",
			 nodes_json_of_text(replica->fault));
}

static json_t *json_of_copies(const struct replicas_status *replicas)
{
	json_t *copies = json_array();
	for (uint32_t i = 0; i < replicas->copy_count; i++) {
		const struct copy_status *copy = &replicas->copies[i];
		json_array_append_new(copies,
				      json_pack("{s:s, s:s, s:I, s:I, s:I, s:o}", "node", copy->name, "state",
						copy_state_name(copy->state), "bytes", (json_int_t)copy->bytes,
						"sessions_taken_over", (json_int_t)copy->sessions, "refusals",
						(json_int_t)copy->refusals, "fault", nodes_json_of_text(copy->fault)));
	}
	return copies;
}

static json_t *json_of_nodes(const struct request *request, const struct nodes_status *status)
{
	char view[20];
	json_t *peers = json_array();
	for (uint32_t i = 0; i < status->peer_count; i++)
		json_array_append_new(peers, json_of_peer(&status->peers[i]));
	snprintf(view, sizeof(view), "%016lx", status->view);
	return json_pack("{s:b, s:s, s:b, s:o, s:I, s:b, s:s, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o}", "cluster",
			 status->is_on, "node", gateway_settings(request->api->gateway)->node, "nats_connected",
			 status->is_connected, "nats_server", nodes_json_of_text(status->server), "nats_reconnects",
			 (json_int_t)status->reconnects, "caught_up", status->is_caught_up, "view", view, "claims",
			 (json_int_t)status->claims, "claims_timed_out", (json_int_t)status->claims_timed_out,
			 "sessions_moved_in", (json_int_t)status->sessions_moved_in, "sessions_moved_out",
			 (json_int_t)status->sessions_moved_out, "fault", nodes_json_of_text(status->fault), "replica",
			 json_of_replica(&status->replicas.own), "copies", json_of_copies(&status->replicas), "nodes",
			 peers);
}

void serve_nodes(struct request *request)
{
	struct nodes_status *status = calloc(1, sizeof(*status));
	if (status == NULL) {
		request_check(request, ERROR_NO_MEMORY, "");
		return;
	}
	nodes_status(request->api->hooks.nodes, status);
	request_answer(request, HTTP_OK, json_of_nodes(request, status));
	free(status);
}

void serve_forget(struct request *request)
{
	char name[CLUSTER_NAME_BYTES_MAX];
	const char *why = "this gateway is in no cluster";
	snprintf(name, sizeof(name), "%.*s", (int)request->id.size, (const char *)request->id.data);
	enum error error = ERROR_NOT_FOUND;
	if (request->api->hooks.nodes != NULL)
		error = nodes_forget(request->api->hooks.nodes, name, &why);
	if (error == ERROR_OK)
		request_answer(request, HTTP_OK, json_pack("{s:s}", "forgotten", name));
	else
		request_fail(request, error == ERROR_NOT_FOUND ? HTTP_NOT_FOUND : HTTP_CONFLICT, "%s", why);
}
