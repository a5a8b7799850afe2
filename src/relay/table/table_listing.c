#include "relay/table/table_listing.h"

#include "control/gateway.h"
#include "relay/session/session_asker.h"
#include "runtime/client_transport.h"
#include "runtime/command.h"
#include "session/session.h"
#include "state/shard.h"

_Static_assert(sizeof(((struct table_listing *)NULL)->texts) >= COMMAND_ID_BYTES_MAX + UINT16_MAX,
	       "the longest id and the longest user fit, so that each page makes progress");

void table_listing_begin(struct table_listing *listing)
{
	listing->shard = listing->cursor = 0;
}

bool table_listing_is_over(const struct table_listing *listing)
{
	return listing->shard == gateway_parts(listing->gateway).shard_count;
}

static enum error ask_page(struct table_listing *listing, struct command_list *list)
{
	struct gateway_parts parts = gateway_parts(listing->gateway);
	struct command command = {.kind = COMMAND_LIST, .list = list};
	*list = (struct command_list){
		.states = LIST_CONNECTED,
		.with_users = true,
		.row_max = TABLE_PAGE_ROWS,
		.rows = listing->rows,
		.ids = listing->texts,
		.ids_capacity = sizeof(listing->texts),
		.cursor = listing->cursor,
	};
	return command_do(&command, &parts.shards[listing->shard].shared.commands,
			  &parts.mailboxes[listing->shard].waker, SESSION_ASKER_WAIT_MS);
}

enum error table_listing_next(struct table_listing *listing, uint64_t wall_ms,
			      void (*visit)(void *context, struct slice client, const struct table_entry *entry),
			      void *context)
{
	struct command_list list;
	char address[PEER_TEXT_BYTES_MAX];
	CHECK(!table_listing_is_over(listing));
	enum error error = ask_page(listing, &list);
	if (error != ERROR_OK)
		return error;
	for (uint32_t i = 0; i < list.row_count; i++) {
		const struct client_row *row = &listing->rows[i];
		struct slice client = slice_of(listing->texts + row->id_offset, row->id_bytes);
		const struct table_entry entry = {
			.since_ms = wall_ms - (uint64_t)row->connected_s * 1000,
			.transport = slice_string(client_transport_name((enum client_transport)row->transport)),
			.address = slice_string(
				row->address.any.sa_family != AF_UNSPEC ? peer_print(&row->address, address) : ""),
			.user = slice_of(client.data + client.size, row->user_bytes),
			.version = row->version,
		};
		if (!session_id_is_internal(client))
			visit(context, client, &entry);
	}
	listing->cursor = list.ended ? 0 : list.cursor;
	listing->shard += list.ended ? 1 : 0;
	return ERROR_OK;
}
