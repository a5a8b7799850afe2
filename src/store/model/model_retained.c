#include "store/model/model_state.h"

#include "base/check.h"

static struct retained_slot *model_retained_find(const struct model_state *state, struct slice topic)
{
	const struct table *table = &state->retained_by_topic;
	uint32_t index = table_first(table, model_text_hash(state, topic));
	for (; index != 0; index = table_next(table, index)) {
		struct retained_slot *retained = pool_at(&state->retained, index);
		if (slice_equal(retained->told.topic, topic))
			return retained;
	}
	return NULL;
}

static struct retained_slot *model_retained_new(struct model_state *state, struct slice topic)
{
	struct slice copy;
	uint32_t index = model_text_copy(state, topic, &copy) ? pool_take(&state->retained) : 0;
	if (index == 0)
		return NULL;
	struct retained_slot *retained = pool_at(&state->retained, index);
	*retained = (struct retained_slot){.told.topic = copy};
	table_insert(&state->retained_by_topic, index, model_text_hash(state, topic));
	return retained;
}

/* One that was taken away stays as a number: the log of another shard may still have an older message. */
bool model_retained_apply(struct model_state *state, const struct store_record *record)
{
	bool stays = store_kind_is_retained(record->kind);
	CHECK(stays || store_kind_is_retained_gone(record->kind));
	struct retained_slot *retained = model_retained_find(state, record->text);
	if (retained == NULL)
		retained = model_retained_new(state, record->text);
	if (retained == NULL)
		return false;
	struct model_retained *told = &retained->told;
	if (record->number < told->number)
		return true;
	struct slice packet = slice_of(NULL, 0);
	if (stays && !model_text_copy(state, record->body, &packet))
		return false;
	struct slice before = slice_of(told->packet, told->packet != NULL ? told->publication.packet_bytes : 0);
	model_text_free(state, &before);
	told->number = record->number;
	told->packet = packet.data;
	told->stamp = (struct stamp){.time = record->stamp_time, .node = record->stamp_node};
	if (stays) {
		told->publication = store_record_publication(record);
		told->expires_at_s = record->expires_at_s;
	}
	return true;
}
