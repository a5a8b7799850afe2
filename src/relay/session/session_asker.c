#include "relay/session/session_asker.h"

#include "base/check.h"
#include "base/hash.h"
#include "control/gateway.h"
#include "runtime/command.h"
#include "shard/command_clients.h"
#include "state/shard.h"

#include <stdlib.h>
#include <string.h>

#define FILTER_BYTES (2u * COMMAND_ID_BYTES_MAX)
#define LIST_ROWS 64u

_Static_assert(SESSION_STALE_MAX <= COMMAND_SUBSCRIPTIONS_MAX, "a command shows as many filters");

struct session_asker {
	struct gateway *gateway;
	struct subscription_row subscriptions[COMMAND_SUBSCRIPTIONS_MAX];
	uint8_t filters[FILTER_BYTES];
	struct client_row rows[LIST_ROWS];
	uint8_t ids[COMMAND_ID_BYTES_MAX];
};

struct session_asker *session_asker_new(struct gateway *gateway)
{
	struct session_asker *asker = calloc(1, sizeof(*asker));
	if (asker != NULL)
		asker->gateway = gateway;
	return asker;
}

void session_asker_free(struct session_asker *asker)
{
	free(asker);
}

static enum error ask_one_shard(struct session_asker *asker, uint32_t shard, struct command *command)
{
	struct gateway_parts parts = gateway_parts(asker->gateway);
	CHECK(shard < parts.shard_count);
	return command_do(command, &parts.shards[shard].shared.commands, &parts.mailboxes[shard].waker,
			  SESSION_ASKER_WAIT_MS);
}

/* Of the shard that the client id belongs to. */
static enum error ask_home_shard(struct session_asker *asker, enum command_kind kind, struct slice client_id,
				 struct command_client *client)
{
	struct gateway_parts parts = gateway_parts(asker->gateway);
	struct command command = {.kind = kind, .client = client};
	client->id = client_id;
	client->hash = hash_slice(parts.key, client_id);
	return ask_one_shard(asker, shard_of_hash(client->hash, parts.shard_count), &command);
}

/* ---- one session ---- */

static void find_stale(const struct session_asker *asker, const struct command_client *client,
		       const struct topics *topics, struct session_facts *session)
{
	CHECK(client->subscription_rows <= COMMAND_SUBSCRIPTIONS_MAX);
	for (uint32_t i = 0; i < client->subscription_rows && session->stale_count < SESSION_STALE_MAX; i++) {
		const struct subscription_row *row = &client->subscriptions[i];
		struct slice filter = slice_of(asker->filters + row->filter_offset, row->filter_bytes);
		if (topics == NULL || !topics_has(topics, filter))
			session->stale[session->stale_count++] = filter;
	}
}

enum error session_asker_inspect(struct session_asker *asker, struct slice client_id, const struct topics *topics,
				 struct session_facts *session)
{
	struct command_client client = {
		.subscriptions = asker->subscriptions,
		.filters = asker->filters,
		.filters_capacity = sizeof(asker->filters),
	};
	*session = (struct session_facts){0};
	enum error error = ask_home_shard(asker, COMMAND_INSPECT, client_id, &client);
	if (error != ERROR_OK)
		return error;
	session->messages = (uint64_t)client.row.inflight + client.row.queued;
	session->bytes = client.row.queued_bytes;
	session->dropped = client.row.dropped;
	find_stale(asker, &client, topics, session);
	return ERROR_OK;
}

enum error session_asker_disconnect(struct session_asker *asker, struct slice client_id)
{
	struct command_client client = {0};
	return ask_home_shard(asker, COMMAND_DISCONNECT, client_id, &client);
}

enum error session_asker_end(struct session_asker *asker, struct slice client_id)
{
	struct command_client client = {0};
	return ask_home_shard(asker, COMMAND_END_SESSION, client_id, &client);
}

/* ---- all of them ---- */

static enum error list_shard(struct session_asker *asker, uint32_t shard, const char *prefix,
			     void (*visit)(void *context, struct slice client_id), void *context)
{
	struct command_list list = {
		.prefix = slice_string(prefix),
		.states = LIST_CONNECTED | LIST_OFFLINE | LIST_CLOSING,
		.row_max = LIST_ROWS,
		.rows = asker->rows,
		.ids = asker->ids,
		.ids_capacity = sizeof(asker->ids),
	};
	while (!list.ended) {
		struct command command = {.kind = COMMAND_LIST, .list = &list};
		enum error error = ask_one_shard(asker, shard, &command);
		if (error != ERROR_OK)
			return error;
		CHECK(list.row_count <= LIST_ROWS);
		for (uint32_t i = 0; i < list.row_count; i++)
			visit(context, slice_of(asker->ids + asker->rows[i].id_offset, asker->rows[i].id_bytes));
	}
	return ERROR_OK;
}

enum error session_asker_list(struct session_asker *asker, const char *prefix,
			      void (*visit)(void *context, struct slice client_id), void *context)
{
	enum error error = ERROR_OK;
	uint32_t shards = gateway_parts(asker->gateway).shard_count;
	for (uint32_t i = 0; i < shards && error == ERROR_OK; i++)
		error = list_shard(asker, i, prefix, visit, context);
	return error;
}

size_t session_waker_fds(const struct gateway *gateway, int *fds)
{
	struct gateway_parts parts = gateway_parts(gateway);
	for (uint16_t i = 0; fds != NULL && i < parts.shard_count; i++)
		fds[i] = parts.mailboxes[i].waker.fd;
	return parts.shard_count;
}
