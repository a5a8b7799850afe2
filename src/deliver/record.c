#include "deliver/record.h"

#include "state/shard.h"

bool record_send_note(struct shard *shard, const struct publisher_name *publisher, uint16_t place)
{
	CHECK_LT(publisher->shard, shard->env.shard_count);
	CHECK_NE(publisher->shard, shard->env.number); /* our own publishers are told directly */
	CHECK_LT(place, CONGESTION_PLACES);
	struct record *record = outbox_write(&shard->routing.outbox, publisher->shard, sizeof(*record));
	if (record == NULL)
		return false;
	*record = (struct record){
		.record_bytes = sizeof(*record),
		.publisher = *publisher,
		.note_shard = shard->env.number,
		.note_place = place,
	};
	return true;
}
