#include "lifecycle/stored/restore_retained.h"

#include "base/log.h"
#include "state/shard.h"
#include "store/deadline.h"
#include "store/model/model.h"
#include "topics/retained_changes.h"

#include <inttypes.h>

enum error restore_retained(struct shard *shard, const struct model *model, uint64_t *count)
{
	struct deadline_clock clock = shard_deadline_clock(shard);
	struct retained_change change = {.wall_ms = clock.wall_s > 0 ? (uint64_t)clock.wall_s * 1000u : 0,
					 .now_s = clock.now_s};
	retained_number_from(shard->env.retained, model->retained_number);
	for (const struct model_retained *stored = model->retained; stored != NULL; stored = stored->next) {
		struct publication publication = stored->publication;
		publication.expires_s = deadline_expiry_from_wall(clock, stored->expires_at_s);
		change.stamp = stored->stamp;
		enum error error = retained_restore(shard->env.retained, &publication, stored->packet, &change);
		if (error != ERROR_OK) {
			log_write(LOG_ERROR,
				  "the store has %" PRIu64 " retained messages, of which %" PRIu64
				  " fit: set retained-max and retained-bytes-max higher (%s)",
				  model->retained_count, *count, error_sentence(error));
			return error;
		}
		++*count;
	}
	for (const struct model_retained *stored = model->retained_cleared; stored != NULL; stored = stored->next) {
		change.stamp = stored->stamp;
		retained_restore_cleared(shard->env.retained, stored->topic, &change);
	}
	return ERROR_OK;
}
