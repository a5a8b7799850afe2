/* What a comparison with a peer does to the tree: values that come, and what is here and not there. */
#include "mqtt/decode.h"
#include "nodes/retained/retained_sync_state.h"

#include <stdlib.h>

/* ---- values ---- */

/* False: it is no PUBLISH that this node could have got from a client. */
static bool value_decode(const struct retained_value_message *value, uint32_t now_s, struct publication *publication)
{
	struct mqtt_header header;
	struct mqtt_publish publish;
	if (mqtt_header_decode(value->packet.data, value->packet.size, &header) != ERROR_OK ||
	    header.type != MQTT_PUBLISH || header.header_bytes + (size_t)header.body_bytes != value->packet.size)
		return false;
	struct slice body = slice_of(value->packet.data + header.header_bytes, header.body_bytes);
	if (mqtt_publish_decode(body, header.flags, value->version, false, &publish) != ERROR_OK ||
	    publish.topic.size == 0)
		return false;
	*publication = publication_of(&publish, value->version, value->packet.size, header.header_bytes, now_s);
	uint64_t expires_s = (uint64_t)now_s + value->expires_in_s;
	publication->expires_s = value->expires_in_s != 0 && expires_s <= UINT32_MAX ? (uint32_t)expires_s : 0;
	return true;
}

bool pull_take_value(struct retained_sync *sync, const struct retained_value_message *value,
		     struct retained_clocks clocks)
{
	struct retained_change change = {
		.wall_ms = clocks.wall_ms, .now_s = (uint32_t)(clocks.now_ms / 1000), .stamp = value->stamp};
	struct publication publication;
	struct retained_result result;
	if (!value_decode(value, change.now_s, &publication))
		return false;
	enum error error = retained_apply(sync->retained, &publication, value->packet.data, &change, &result);
	sync->figures.ahead += result.is_ahead;
	if (error != ERROR_OK)
		sync->figures.refused++;
	else if (!result.is_older)
		sync->figures.taken++;
	if (result.number != 0)
		sync->ends.changed(sync->ends.context, &publication, value->packet.data, value->stamp, result.number,
				   false);
	return true;
}

/* ---- what is here and not there ---- */

static int check_compare_topics(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
	return a < b ? -1 : a > b;
}

void pull_sort_listed(struct pull *pull)
{
	if (pull->listed.count > 1)
		qsort(pull->listed.items, pull->listed.count, sizeof(*pull->listed.items), check_compare_topics);
}

static bool check_is_listed(const struct pull *pull, uint64_t topic)
{
	return pull->listed.count != 0 && bsearch(&topic, pull->listed.items, pull->listed.count,
						  sizeof(*pull->listed.items), check_compare_topics) != NULL;
}

/* A retained_expired callback: the lock is held. */
static void check_note_dropped(void *context, const struct publication *publication, const uint8_t *packet,
			       uint64_t number, struct stamp stamp)
{
	struct retained_sync *sync = context;
	sync->ends.changed(sync->ends.context, publication, packet, stamp, number, true);
}

/* The peer has had it, and has it no more; that it was taken away there was so long ago that it has forgotten it. The
 * stamp is the next one after the message's, so others that have the same message take it away too. */
static void check_drop(struct retained_sync *sync, const struct retained_item *item, struct retained_clocks clocks)
{
	struct retained_change change = {
		.wall_ms = clocks.wall_ms, .now_s = (uint32_t)(clocks.now_ms / 1000), .stamp = item->stamp};
	if (change.stamp.node != UINT64_MAX)
		change.stamp.node++;
	else
		change.stamp = (struct stamp){.time = item->stamp.time + 1};
	if (!retained_clear(sync->retained, item->topic, &change, check_note_dropped, sync))
		return;
	sync->figures.cleared++;
	sync->figures.dropped++;
}

static void check_item(struct retained_sync *sync, struct pull *pull, const struct retained_item *item,
		       struct retained_clocks clocks)
{
	if (item->is_cleared || check_is_listed(pull, item->topic))
		return;
	uint64_t time = item->stamp.time;
	if (!pull->peer_lacks && time <= pull->peer_forgotten && time < pull->shared)
		check_drop(sync, item, clocks);
	else if (time < pull->lacking)
		pull->lacking = time;
}

void pull_check(struct retained_sync *sync, struct pull *pull, struct retained_clocks clocks)
{
	struct retained_item items[RETAINED_ITEMS_MAX];
	uint32_t count = retained_list(sync->retained, &pull->parts, &pull->place, items, RETAINED_ITEMS_MAX);
	for (uint32_t i = 0; i < count; i++)
		check_item(sync, pull, &items[i], clocks);
	if (pull->place != 0)
		return;
	pull->state = PULL_FETCHING;
	pull->is_asked = false;
	pull->fetched = 0;
}
