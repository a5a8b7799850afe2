/* Writes a store's log step by step onto a disk in memory, without the store's writer. One thread. */
#ifndef UNIT_STORE_LOG_SCENE_H
#define UNIT_STORE_LOG_SCENE_H

#include "memory_disk.h"

#include "store/format/identity.h"
#include "store/model/model.h"
#include "store/model/replay.h"

struct log_scene {
	struct memory_disk memory;
	struct disk disk;
	struct store_identity identity;
	struct store_segment_header segment; /* that is written to */
	uint64_t epoch;
	uint64_t next_commit;
	int64_t wall_s;
	uint8_t *commit; /* that is being made */
	size_t size;
	size_t room;
	size_t section; /* where its last section begins; 0: it has none */
};

void log_scene_init(struct log_scene *scene);
void log_scene_fini(struct log_scene *scene);
/* A new segment, of an epoch of its own or of the last one. */
void log_scene_segment(struct log_scene *scene, bool new_epoch);
/* Adds a record to the commit, in a section of this shard. */
void log_scene_add(struct log_scene *scene, uint16_t shard, const struct store_record *record);
/* Adds a section without records: STORE_SECTION_... */
void log_scene_mark(struct log_scene *scene, uint16_t section, int64_t value);
/* Writes the commit at the end of the segment. */
void log_scene_commit(struct log_scene *scene);

/* The packet of a PUBLISH at QoS 2 with this topic and payload, and its publication; *body is malloc()ed. */
struct slice log_scene_packet(const char *topic, const char *payload, uint16_t packet_id,
			      struct publication *publication);
/* Replays it; the caller frees the model and what was found. */
enum error log_scene_replay(struct log_scene *scene, bool go_on, struct model **model, struct replay *replay);
const struct model_session *log_scene_session(const struct model *model, const char *client_id);

#endif
