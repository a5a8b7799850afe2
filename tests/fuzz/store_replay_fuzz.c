/* A whole store. The input is a script of chunks, each of a byte that says what it is, two bytes of length, and so many
 * bytes: commits with these sections, new segments and epochs, and what a crash or a fault leaves behind. The store is
 * replayed strictly and as a repair does it, and what comes out must be consistent. */
#include "fuzz.h"

#include "../unit/store/memory_disk.h"
#include "store/model/replay.h"

#define SEGMENTS_MAX 20u

enum chunk {
	CHUNK_COMMIT,
	CHUNK_SEGMENT,
	CHUNK_EPOCH,
	CHUNK_RAW,      /* these bytes as they are */
	CHUNK_REWRITE,  /* a new segment that replaces the last commit */
	CHUNK_CUT,      /* the last segment ends earlier */
	CHUNK_SPOIL,    /* a byte of the last segment is another */
	CHUNK_SECTIONS, /* a commit with one section of these records, of the shard in the first byte */
	CHUNK_COUNT,
};

struct script {
	struct memory_disk memory;
	struct store_identity identity;
	struct store_segment_header segment;
	uint64_t epoch;
	uint64_t next_commit;
	struct disk_file *file;
};

static void begin_segment(struct script *script)
{
	char name[STORE_SEGMENT_NAME_BYTES];
	if (script->segment.number == SEGMENTS_MAX)
		return;
	store_segment_header_make(&script->segment, script->identity.id, script->segment.number + 1, script->epoch,
				  script->next_commit, 0);
	script->file = memory_disk_put(&script->memory, store_segment_name(script->segment.number, name),
				       &script->segment, sizeof(script->segment));
}

static void append(struct script *script, const uint8_t *bytes, size_t size)
{
	struct disk disk = memory_disk(&script->memory);
	disk.operations->write(disk.context, script->file, bytes, size, script->file->size);
}

static void commit(struct script *script, const struct store_section_header *section, struct slice payload)
{
	size_t head = sizeof(struct store_commit_header), at = head + (section != NULL ? sizeof(*section) : 0);
	size_t size = (at + payload.size + STORE_ALIGNMENT - 1) & ~(size_t)(STORE_ALIGNMENT - 1);
	uint8_t *bytes = calloc(1, size);
	CHECK(bytes != NULL);
	if (section != NULL)
		memcpy(bytes + head, section, sizeof(*section));
	if (payload.size != 0)
		memcpy(bytes + at, payload.data, payload.size);
	store_commit_seal(bytes, (uint32_t)(size - head), &script->segment, script->next_commit++, 0);
	append(script, bytes, size);
	free(bytes);
}

static void commit_records(struct script *script, struct slice bytes)
{
	struct store_section_header section = {.shard = bytes.size != 0 ? bytes.data[0] : 0};
	struct slice records = bytes.size != 0 ? slice_of(bytes.data + 1, bytes.size - 1) : bytes;
	section.bytes = (uint32_t)records.size;
	if (section.shard == 0xff) { /* a checkpoint that began in the segment that the next byte says */
		section = (struct store_section_header){.shard = STORE_SECTION_CHECKPOINT,
							.wall_s = records.size != 0 ? records.data[0] : 0};
		records = slice_of(NULL, 0);
	}
	commit(script, &section, records);
}

static void play_chunk(struct script *script, enum chunk chunk, struct slice bytes)
{
	switch (chunk) {
	case CHUNK_COMMIT:
		commit(script, NULL, bytes);
		return;
	case CHUNK_REWRITE:
		if (script->next_commit > script->segment.first_commit)
			script->next_commit--;
		begin_segment(script);
		return;
	case CHUNK_EPOCH:
		script->epoch++;
		begin_segment(script);
		return;
	case CHUNK_SEGMENT:
		begin_segment(script);
		return;
	case CHUNK_RAW:
		append(script, bytes.data, bytes.size);
		return;
	case CHUNK_CUT:
		script->file->size -= bytes.size < script->file->size ? bytes.size : script->file->size;
		return;
	case CHUNK_SPOIL:
		if (bytes.size >= 2 && script->file->size != 0)
			script->file->bytes[bytes.data[0] % script->file->size] ^= bytes.data[1];
		return;
	case CHUNK_SECTIONS:
		commit_records(script, bytes);
		return;
	case CHUNK_COUNT:
		break;
	}
}

static void check_session(const struct model_session *session)
{
	uint32_t count = 0, subscriptions = 0;
	for (const struct model_subscription *at = session->subscriptions; at != NULL; at = at->next)
		subscriptions++;
	for (const struct model_entry *at = session->queue; at != NULL; at = at->next, count++) {
		CHECK(at->message == NULL || at->message->references > 0);
		CHECK_LE(at->subscription, subscriptions);
	}
	CHECK_EQ(count, session->queue_count);
	for (uint32_t i = 1; i < session->received_count; i++)
		CHECK_LT(session->received[i - 1], session->received[i]);
}

static void count_references(void *argument, const struct model_message *message)
{
	*(uint64_t *)argument += message->references;
}

static void check_model(const struct model *model)
{
	uint64_t sessions = 0, held = 0, references = 0;
	for (const struct model_session *at = model->sessions; at != NULL; at = at->next, sessions++) {
		check_session(at);
		held += at->will != NULL;
		for (const struct model_entry *entry = at->queue; entry != NULL; entry = entry->next)
			held += entry->message != NULL;
	}
	for (const struct model_promised *at = model->promised; at != NULL; at = at->next)
		held++;
	CHECK_EQ(sessions, model->session_count);
	model_each_message(model, count_references, &references);
	CHECK_EQ(held, references);
	for (const struct model_retained *at = model->retained; at != NULL; at = at->next)
		CHECK(slice_equal(publication_parts(&(struct publication){.packet_bytes = at->publication.packet_bytes,
									  .topic_bytes = at->publication.topic_bytes,
									  .header_bytes = at->publication.header_bytes},
						    at->packet)
					  .topic,
				  at->topic));
}

static void replay(struct script *script, bool go_on)
{
	struct disk disk = memory_disk(&script->memory);
	struct replay_hooks hooks = {.go_on = go_on};
	struct model *model = model_new();
	struct replay found;
	CHECK(model != NULL);
	enum error error = replay_run(&disk, &script->identity, &hooks, model, &found);
	CHECK(error == ERROR_OK || error == ERROR_SYSTEM);
	CHECK((error == ERROR_OK && !go_on) <= (found.damages == 0));
	CHECK((found.damages == 0) == (found.damage[0] == '\0'));
	if (error == ERROR_OK) {
		check_model(model);
		CHECK(found.log_commit <= found.last_commit || go_on);
		CHECK(replay_remove_later(&disk, &found) == 0);
	}
	model_free(&model);
	replay_fini(&found);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (int go_on = 0; go_on <= 1; go_on++) {
		struct script script = {.epoch = 1, .next_commit = 1};
		begin_segment(&script);
		for (size_t at = 0; at + 3 <= size;) {
			size_t length = (size_t)data[at + 1] << 8 | data[at + 2];
			if (length > size - at - 3)
				length = size - at - 3;
			play_chunk(&script, (enum chunk)(data[at] % CHUNK_COUNT), slice_of(data + at + 3, length));
			at += 3 + length;
		}
		replay(&script, go_on);
		memory_disk_fini(&script.memory);
	}
	return 0;
}
