#include "state/ending.h"

#include "base/check.h"
#include "state/client_state.h"
#include "state/offline.h"
#include "state/shard.h"

#include <stdlib.h>

static void endings_push(struct endings *endings, struct ending ending)
{
	CHECK_LE(endings->first, endings->count);
	if (endings->first == endings->count)
		endings->first = endings->count = 0;
	if (endings->count == endings->capacity)
		endings->items = list_grow(endings->items, &endings->capacity, sizeof(*endings->items));
	endings->items[endings->count++] = ending;
}

static void ending_note(struct shard *shard, struct client_ref ref, enum ending_kind kind, enum error reason)
{
	endings_push(&shard->sessions.endings, (struct ending){
						       .client = ref,
						       .generation = shard_client(shard, ref)->conn.generation,
						       .kind = (uint8_t)kind,
						       .reason = (uint8_t)reason,
					       });
}

void client_end(struct shard *shard, struct client_ref ref, enum error reason)
{
	struct client *client = shard_client(shard, ref);
	bool greeted = client_is_connected(client);
	if (!greeted && client->state != CLIENT_GREETING)
		return;
	CHECK(reason != ERROR_OK);
	client_set_state(shard, client, CLIENT_CLOSING);
	wheel_remove(&shard->loop.wheel, ref.index);
	ending_note(shard, ref, greeted ? ENDING_CONNECTION : ENDING_GREETING, reason);
}

void session_end(struct shard *shard, struct client_ref ref, enum error reason)
{
	struct client *client = shard_client(shard, ref);
	CHECK(client->state != CLIENT_FREE);
	CHECK(reason != ERROR_OK);
	if (client->state == CLIENT_OFFLINE) {
		if (!offline_let_go(shard, ref))
			return; /* its end is noted already */
		wheel_remove(&shard->loop.wheel, ref.index);
		ending_note(shard, ref, ENDING_SESSION, reason);
		return;
	}
	struct extension *extension = extension_of(shard, client);
	if (extension != NULL)
		extension->expiry_s = 0;
	client_end(shard, ref, reason);
}

void session_will_is_due(struct shard *shard, struct client_ref ref)
{
	CHECK(shard_client(shard, ref)->state == CLIENT_OFFLINE);
	ending_note(shard, ref, ENDING_WILL, ERROR_OK);
}

void endings_fini(struct endings *endings)
{
	free(endings->items);
	*endings = (struct endings){0};
}
