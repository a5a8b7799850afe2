#include "commit/reader.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "reactor/waker.h"
#include "store/model/replay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A checkpoint may move a body between the look at its place and the opening of its file. */
#define READER_ATTEMPTS 4u
/* Files of segments that were removed keep their room as long as they are open. */
#define READER_KEEP_OPEN_NS 5000000000u

void reader_init(struct reader *reader, struct store_common *common, struct bodies *bodies, const struct disk *disk,
		 struct figures *figures, struct waker *const *wakers)
{
	*reader =
		(struct reader){.common = common, .bodies = bodies, .disk = disk, .figures = figures, .wakers = wakers};
}

static void reader_close_files(struct reader *reader)
{
	for (uint32_t i = 0; i < READER_FILES; i++) {
		if (reader->files[i].file != NULL)
			reader->disk->operations->close(reader->disk->context, reader->files[i].file);
		reader->files[i] = (struct reader_file){.segment = 0};
	}
}

/* ---- one body ---- */

/* 0 or a negative errno. */
static int reader_file_of(struct reader *reader, uint32_t segment, struct disk_file **file)
{
	struct reader_file *oldest = &reader->files[0];
	reader->reads++;
	for (uint32_t i = 0; i < READER_FILES; i++) {
		struct reader_file *opened = &reader->files[i];
		if (opened->file != NULL && opened->segment == segment) {
			opened->used = reader->reads;
			*file = opened->file;
			return 0;
		}
		if (opened->used < oldest->used)
			oldest = opened;
	}
	char name[STORE_SEGMENT_NAME_BYTES];
	int error =
		reader->disk->operations->open(reader->disk->context, store_segment_name(segment, name), false, file);
	if (error != 0)
		return error;
	if (oldest->file != NULL)
		reader->disk->operations->close(reader->disk->context, oldest->file);
	*oldest = (struct reader_file){.segment = segment, .file = *file, .used = reader->reads};
	return 0;
}

static bool reader_place_of(struct reader *reader, uint16_t shard, struct message_ref message, struct body *body)
{
	pthread_mutex_lock(&reader->bodies->lock);
	bool known = bodies_find(reader->bodies, shard, message.index, body);
	pthread_mutex_unlock(&reader->bodies->lock);
	return known;
}

static void reader_log_failure(const struct body *place, const char *why)
{
	log_write(LOG_ERROR, "store: the body of a message in segment %u at %u cannot be read: %s", place->segment,
		  place->offset, why);
}

/* The packet of the record KEPT at this place; the caller's. NULL: *why, and whether that may pass. A shard knows no
 * more of it than its size. */
static uint8_t *reader_packet(const struct reader *reader, struct disk_file *file, uint32_t offset,
			      uint32_t packet_bytes, const char **why, bool *passing)
{
	size_t size = (size_t)packet_bytes + STORE_RECORD_HEAD_BYTES_MAX, got = 0;
	uint8_t *bytes = malloc(size);
	*why = "out of memory";
	if (bytes == NULL)
		return NULL;
	int error = reader->disk->operations->read(reader->disk->context, file, bytes, size, offset, &got);
	struct store_record record;
	if (error == 0 && store_record_decode(slice_of(bytes, got), &record) != 0 && record.kind == STORE_KEPT &&
	    record.body.size == packet_bytes && store_record_is_intact(&record)) {
		memmove(bytes, record.body.data, packet_bytes);
		return bytes;
	}
	*passing = error != 0;
	*why = error != 0 ? strerror(-error) /* NOLINT(concurrency-mt-unsafe): glibc's is per thread */
			  : "something else is there, or its bytes have changed";
	free(bytes);
	return NULL;
}

/* NULL: it cannot be read, which was logged. *passing: it may be later on. */
static uint8_t *reader_read(struct reader *reader, uint16_t shard, const struct store_body *body, bool *passing)
{
	*passing = true;
	struct body place = {.message = 0};
	int error = 0;
	for (unsigned attempt = 0; attempt < READER_ATTEMPTS; attempt++) {
		struct disk_file *file;
		if (!reader_place_of(reader, shard, body->message, &place)) {
			reader_log_failure(&place, "its place is not known");
			*passing = false;
			return NULL;
		}
		error = reader_file_of(reader, place.segment, &file);
		if (error == -ENOENT)
			continue;
		if (error != 0)
			break;
		const char *why;
		uint8_t *packet = reader_packet(reader, file, place.offset, body->packet_bytes, &why, passing);
		if (packet == NULL)
			reader_log_failure(&place, why);
		return packet;
	}
	reader_log_failure(&place, strerror(-error)); /* NOLINT(concurrency-mt-unsafe): glibc's is per thread */
	return NULL;
}

/* ---- loads ---- */

static void reader_answer(struct reader *reader, struct store_load *load)
{
	_Atomic(struct store_load *) *loaded = &reader->common->shards[load->shard].loaded;
	figures_add(&reader->figures->load_failures, (uint64_t)__builtin_popcountll(load->missing));
	uint16_t load_shard = load->shard; /* it is not ours for long */
	load->next = atomic_load_explicit(loaded, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(loaded, &load->next, load, memory_order_release,
						      memory_order_relaxed))
		;
	if (reader->wakers != NULL)
		waker_wake(reader->wakers[load_shard]);
}

void reader_fini(struct reader *reader)
{
	while (reader->retries != NULL) {
		struct store_load *load = reader->retries;
		reader->retries = load->next;
		reader_answer(reader, load);
	}
	reader_close_files(reader);
}

/* Reads what is missing. */
static void reader_try(struct reader *reader, struct store_load *load, uint64_t now_ns)
{
	CHECK(load->count <= STORE_LOAD_MAX && load->tries < READER_TRIES);
	bool retries = false;
	for (uint32_t i = 0; i < load->count; i++) {
		bool passing;
		uint64_t bit = UINT64_C(1) << i;
		struct store_body *body = &load->bodies[i];
		if ((load->missing & bit) == 0)
			continue;
		body->packet = reader_read(reader, load->shard, body, &passing);
		body->later = body->packet == NULL && passing;
		if (body->packet != NULL) {
			load->missing &= ~bit;
			figures_add(&reader->figures->loads, 1);
		}
		retries |= body->later;
	}
	load->tries++;
	if (!retries || load->tries == READER_TRIES) {
		reader_answer(reader, load);
		return;
	}
	load->next = NULL;
	load->retry_at_ns = now_ns + READER_RETRY_NS;
	if (reader->retries == NULL)
		reader->retries = load;
	else
		reader->retries_last->next = load;
	reader->retries_last = load;
}

static struct store_load *loads_reverse(struct store_load *load)
{
	struct store_load *first = NULL;
	while (load != NULL) {
		struct store_load *next = load->next;
		load->next = first;
		first = load;
		load = next;
	}
	return first;
}

bool reader_step(struct reader *reader, uint64_t now_ns)
{
	bool has_some = false;
	while (reader->retries != NULL && reader->retries->retry_at_ns <= now_ns) {
		struct store_load *load = reader->retries;
		reader->retries = load->next;
		reader_try(reader, load, now_ns);
		has_some = true;
	}
	for (uint16_t i = 0; i < reader->common->shard_count; i++) {
		_Atomic(struct store_load *) *asked = &reader->common->shards[i].asked;
		struct store_load *load = loads_reverse(atomic_exchange_explicit(asked, NULL, memory_order_acquire));
		has_some |= load != NULL;
		while (load != NULL) {
			struct store_load *next = load->next;
			load->shard = i;
			load->tries = 0;
			load->missing = load->count < 64 ? (UINT64_C(1) << load->count) - 1 : UINT64_MAX;
			reader_try(reader, load, now_ns);
			load = next;
		}
	}
	return has_some;
}

static bool reader_waiting(const struct reader *reader)
{
	for (uint16_t i = 0; i < reader->common->shard_count; i++) {
		if (atomic_load_explicit(&reader->common->shards[i].asked, memory_order_relaxed) != NULL)
			return true;
	}
	return false;
}

static uint64_t reader_wait_ns(const struct reader *reader, bool has_files, uint64_t now_ns)
{
	uint64_t wait_ns = has_files ? READER_KEEP_OPEN_NS : SLEEPER_FOREVER;
	if (reader->retries == NULL)
		return wait_ns;
	uint64_t retry_at_ns = reader->retries->retry_at_ns;
	uint64_t retry_ns = retry_at_ns > now_ns ? retry_at_ns - now_ns : 0;
	return retry_ns < wait_ns ? retry_ns : wait_ns;
}

/* False: it goes on. */
static bool reader_rests(struct reader *reader)
{
	if (!rest_is_asked(&reader->rest))
		return false;
	bool idle = reader->retries == NULL && !reader_waiting(reader);
	if (!rest_move(&reader->rest, idle ? REST_RESTS : REST_REFUSED) || !idle)
		return false;
	reader_close_files(reader);
	return true;
}

void reader_run(struct reader *reader)
{
	struct sleeper *sleeper = &reader->common->reader;
	bool has_files = false;
	while (!atomic_load(&reader->stops) && !reader_rests(reader)) {
		if (reader_step(reader, clock_now_ns())) {
			has_files = true;
			continue;
		}
		sleeper_prepare(sleeper);
		if (atomic_load(&reader->stops) || rest_is_asked(&reader->rest) || reader_waiting(reader)) {
			sleeper_awake(sleeper);
			continue;
		}
		sleeper_sleep(sleeper, reader_wait_ns(reader, has_files, clock_now_ns()));
		if (has_files && !reader_waiting(reader)) {
			reader_close_files(reader);
			has_files = false;
		}
	}
}

/* ---- the shards' side ---- */

void store_load(struct store_shard *shard, struct store_load **load)
{
	struct store_load *asked = *load;
	*load = NULL;
	CHECK(asked->count > 0 && asked->count <= STORE_LOAD_MAX);
	_Atomic(struct store_load *) *loads = &shard->asked;
	asked->next = atomic_load_explicit(loads, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(loads, &asked->next, asked, memory_order_release,
						      memory_order_relaxed))
		;
	sleeper_wake(&shard->common->reader);
}

struct store_load *store_loaded(struct store_shard *shard)
{
	if (shard->answered == NULL) {
		if (atomic_load_explicit(&shard->loaded, memory_order_relaxed) == NULL)
			return NULL;
		shard->answered = loads_reverse(atomic_exchange_explicit(&shard->loaded, NULL, memory_order_acquire));
	}
	struct store_load *first = shard->answered;
	if (first != NULL)
		shard->answered = first->next;
	return first;
}

static void source_load(void *context, struct store_load **load)
{
	store_load(context, load);
}

static struct store_load *source_loaded(void *context)
{
	return store_loaded(context);
}

const struct message_source STORE_MESSAGE_SOURCE = {.load = source_load, .loaded = source_loaded};
