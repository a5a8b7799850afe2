/* What another node says of its filters and of who has to wait, and the messages that it sends: promises are kept
 * whatever comes. The input is messages: kind, length (two bytes), body. There are subscribers for everything, so that
 * what is sound is matched. */
#include "fuzz.h"

#include "control/gateway.h"
#include "nodes/interest/interest.h"
#include "nodes/interest/peer_filters.h"
#include "nodes/publish/inbound.h"
#include "reactor/mailbox.h"
#include "runtime/nodes/node_filters.h"
#include "runtime/nodes/node_mail.h"
#include "topics/index/rcu.h"

#include <stdlib.h>
#include <string.h>

#define SLOT 2u
#define NOW_S 1000u

struct scene {
	struct mailbox mailboxes[2];
	struct outbox shard;
	struct congestion_board boards[2];
	struct gateway_parts parts;
	struct interest *interest;
	struct inbound inbound;
	struct peer_filters filters;
};

static void subscribe(struct index *index, route_bits route)
{
	struct index_slot slot = index_find(index, slice_string("#"), route != 0);
	CHECK(slot.node == 0 || index_set_route(slot, 0, route) == ERROR_OK);
	index_leave(slot);
}

static struct scene *scene_new(void)
{
	struct hash_key key = {{1}};
	struct scene *scene = aligned_alloc(64, sizeof(*scene));
	CHECK(scene != NULL);
	memset(scene, 0, sizeof(*scene));
	CHECK(mailbox_open(&scene->mailboxes[0]) == ERROR_OK);
	scene->parts = (struct gateway_parts){
		.mailboxes = scene->mailboxes,
		.boards = scene->boards,
		.index = index_new(1, &key, NULL),
		.nodes = node_port_new(scene->mailboxes, 1, "fuzz"),
		.shard_count = 1,
	};
	struct index_watcher watcher = {node_filters_changed, scene->parts.nodes->filters};
	CHECK(index_watch(scene->parts.index, &watcher, true, NULL) == ERROR_OK);
	reader_register();
	CHECK(outbox_init(&scene->shard, scene->mailboxes, node_port_numbers(scene->parts.nodes), 0) == ERROR_OK);
	outbox_share(&scene->shard, 1);
	scene->interest = interest_new(&scene->parts);
	CHECK(scene->interest != NULL && inbound_init(&scene->inbound, &scene->parts, scene->interest) == ERROR_OK);
	inbound_begin(&scene->inbound, SLOT, 1, 2);
	inbound_run(&scene->inbound, NOW_S);
	peer_filters_init(&scene->filters, SLOT, scene->parts.index, scene->parts.nodes->filters, 1);
	subscribe(scene->parts.index, route_make(ROUTE_ONE, 0, 1, 1));
	return scene;
}

static void take_records(struct scene *scene)
{
	struct batch *batch;
	inbound_send(&scene->inbound);
	while ((batch = outbox_receive(&scene->shard)) != NULL)
		outbox_return(&scene->shard, batch);
	inbound_run(&scene->inbound, NOW_S);
}

static void scene_free(struct scene *scene)
{
	subscribe(scene->parts.index, 0);
	peer_filters_fini(&scene->filters);
	CHECK(index_size(scene->parts.index).filters == 0);
	CHECK(inbound_are_done(&scene->inbound));
	inbound_fini(&scene->inbound);
	interest_free(scene->interest);
	outbox_fini(&scene->shard);
	node_port_free(scene->parts.nodes);
	reader_unregister();
	index_free(scene->parts.index);
	mailbox_close(&scene->mailboxes[0]);
	free(scene);
}

static void feed_one(struct scene *scene, uint8_t kind, struct slice body)
{
	uint8_t ranges[DIGEST_RANGES];
	uint32_t count;
	struct record note;
	switch (kind % 11) {
	case 0:
		peer_filters_begin(&scene->filters);
		break;
	case 1:
		peer_filters_range(&scene->filters, body);
		break;
	case 2:
		peer_filters_exact(&scene->filters, body);
		break;
	case 3:
		peer_filters_other(&scene->filters, body);
		break;
	case 4:
		peer_filters_other_ends(&scene->filters, body);
		break;
	case 5:
		peer_filters_members(&scene->filters, body);
		break;
	case 6:
		peer_filters_end(&scene->filters, body);
		break;
	case 7:
		peer_filters_sums(&scene->filters, body, ranges, &count);
		break;
	case 9:
		if (far_waits_hear_note(&scene->inbound.waits, SLOT, body, kind > 99, NOW_S, &note))
			CHECK(note.record_bytes == 0 || note.publisher.shard == 0);
		break;
	case 10:
		far_waits_hear_places(&scene->inbound.waits, SLOT, body, NOW_S);
		break;
	default:
		inbound_receive(&scene->inbound, SLOT, body);
		take_records(scene);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct scene *scene = scene_new();
	struct slice input = slice_of(data, size);
	while (input.size >= 3) {
		size_t bytes = input.data[1] | (size_t)input.data[2] << 8;
		if (bytes > input.size - 3)
			bytes = input.size - 3;
		uint8_t *body = block_new(bytes);
		memcpy(body, input.data + 3, bytes);
		feed_one(scene, input.data[0], slice_of(body, bytes));
		free(body);
		input = slice_of(input.data + 3 + bytes, input.size - 3 - bytes);
	}
	scene_free(scene);
	return 0;
}
