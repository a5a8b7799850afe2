#include "log_scene.h"

#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_WALL_S INT64_C(1800000000)

void log_scene_init(struct log_scene *scene)
{
	const char *why;
	*scene = (struct log_scene){.next_commit = 1, .wall_s = FIRST_WALL_S};
	scene->disk = memory_disk(&scene->memory);
	CHECK(store_identity_make(&scene->disk, &scene->identity, &why) == ERROR_OK);
}

void log_scene_fini(struct log_scene *scene)
{
	memory_disk_fini(&scene->memory);
	free(scene->commit);
}

void log_scene_segment(struct log_scene *scene, bool new_epoch)
{
	char name[STORE_SEGMENT_NAME_BYTES];
	scene->epoch += new_epoch ? 1 : 0;
	store_segment_header_make(&scene->segment, scene->identity.id, scene->segment.number + 1, scene->epoch,
				  scene->next_commit, scene->wall_s);
	memory_disk_put(&scene->memory, store_segment_name(scene->segment.number, name), &scene->segment,
			sizeof(scene->segment));
}

static uint8_t *make_room(struct log_scene *scene, size_t bytes)
{
	if (scene->size == 0)
		scene->size = sizeof(struct store_commit_header);
	if (scene->size + bytes > scene->room) {
		scene->room = (scene->size + bytes) * 2;
		scene->commit = realloc(scene->commit, scene->room);
		CHECK(scene->commit != NULL);
	}
	return scene->commit + scene->size;
}

static void end_section(struct log_scene *scene)
{
	size_t padding = -scene->size % STORE_ALIGNMENT;
	memset(make_room(scene, STORE_ALIGNMENT), 0, padding);
	scene->size += padding;
	scene->section = 0;
}

static void begin_section(struct log_scene *scene, uint16_t shard, int64_t value)
{
	if (scene->section != 0)
		end_section(scene);
	struct store_section_header header = {.shard = shard, .wall_s = value};
	memcpy(make_room(scene, sizeof(header)), &header, sizeof(header));
	scene->section = scene->size;
	scene->size += sizeof(header);
}

void log_scene_add(struct log_scene *scene, uint16_t shard, const struct store_record *record)
{
	struct store_section_header header = {.shard = UINT16_MAX};
	if (scene->section != 0)
		memcpy(&header, scene->commit + scene->section, sizeof(header));
	if (header.shard != shard) {
		begin_section(scene, shard, scene->wall_s);
		memcpy(&header, scene->commit + scene->section, sizeof(header));
	}
	size_t size = store_record_encode(record, make_room(scene, store_record_bytes_max(record)));
	CHECK_LE(size, store_record_bytes_max(record));
	scene->size += size;
	header.bytes += (uint32_t)size;
	memcpy(scene->commit + scene->section, &header, sizeof(header));
}

void log_scene_mark(struct log_scene *scene, uint16_t section, int64_t value)
{
	begin_section(scene, section, value);
}

void log_scene_commit(struct log_scene *scene)
{
	char name[STORE_SEGMENT_NAME_BYTES];
	make_room(scene, 0);
	end_section(scene);
	store_commit_seal(scene->commit, (uint32_t)(scene->size - sizeof(struct store_commit_header)), &scene->segment,
			  scene->next_commit++, scene->wall_s++);
	struct disk_file *file = memory_disk_file(&scene->memory, store_segment_name(scene->segment.number, name));
	CHECK(file != NULL);
	scene->disk.operations->write(scene->disk.context, file, scene->commit, scene->size, file->size);
	scene->size = 0;
}

struct slice log_scene_packet(const char *topic, const char *payload, uint16_t packet_id,
			      struct publication *publication)
{
	size_t topic_bytes = strlen(topic), size = 2 + 2 + topic_bytes + 2 + strlen(payload);
	CHECK_LT(size, 128u + 2u);
	uint8_t *packet = malloc(size);
	CHECK(packet != NULL);
	packet[0] = 0x34;
	packet[1] = (uint8_t)(size - 2);
	packet[2] = 0;
	packet[3] = (uint8_t)topic_bytes;
	memcpy(packet + 4, topic, topic_bytes);
	packet[4 + topic_bytes] = (uint8_t)(packet_id >> 8);
	packet[5 + topic_bytes] = (uint8_t)packet_id;
	memcpy(packet + 6 + topic_bytes, payload, strlen(payload));
	*publication = (struct publication){
		.packet_bytes = (uint32_t)size, .topic_bytes = (uint16_t)topic_bytes, .header_bytes = 2, .qos = 2};
	return slice_of(packet, size);
}

enum error log_scene_replay(struct log_scene *scene, bool go_on, struct model **model, struct replay *replay)
{
	struct replay_hooks hooks = {.go_on = go_on};
	*model = model_new();
	CHECK(*model != NULL);
	return replay_run(&scene->disk, &scene->identity, &hooks, *model, replay);
}

const struct model_session *log_scene_session(const struct model *model, const char *client_id)
{
	for (const struct model_session *session = model->sessions; session != NULL; session = session->next)
		if (slice_equal(session->client_id, slice_string(client_id)))
			return session;
	return NULL;
}
