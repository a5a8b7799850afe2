#include "nodes/replica/replica_takeover.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/hash.h"
#include "commit/follow/keeper.h"
#include "commit/follow/mark.h"
#include "commit/told/sleeper.h"
#include "deliver/origin/origin.h"
#include "lifecycle/inherit.h"
#include "lifecycle/packed/model_pack.h"
#include "runtime/nodes/node_mail.h"
#include "session/session.h"
#include "state/shard.h"
#include "store/format/segment_file.h"
#include "store/model/replay.h"
#include "store/store.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PATH_BYTES_MAX 4096u
#define NAP_MS 20u
/* The worker lets the copy go within so long. */
#define LOCK_MS 10000u
/* A session that is on its way between nodes is tried so often again, a nap apart. */
#define TRIES_MAX 500u

struct replica_takeover {
	struct replica_takeover_settings settings;
	char directory[PATH_BYTES_MAX];
	char name[CLUSTER_NAME_BYTES_MAX];
	pthread_t thread;
	_Atomic bool stops;
	_Atomic bool is_over;
	/* Between the threads. */
	pthread_mutex_t lock;
	struct sleeper sleeper;
	_Atomic uint64_t answered; /* parts */
	uint64_t *commits;         /* by shard: what was brought is safe with this one */
	uint64_t *again;           /* numbers of sessions that were on their way between nodes, and are tried again */
	uint32_t again_count;
	uint32_t again_room;
	enum error refused; /* why a session was refused last, and which one */
	uint64_t refused_number;
	uint64_t refusals; /* answers that say so */
	uint64_t merged;
	/* The thread's own. */
	struct replica_takeover_report report;
	struct disk disk;
	struct store_identity identity;
	struct disk_file *file;
	uint32_t file_number;
	uint64_t sent; /* parts */
	uint64_t number;
	const struct model_session **sessions; /* by number, from 1 */
	uint64_t sessions_room;
	uint64_t began_ms;
};

/* ---- faults ---- */

static bool takeover_fail(struct replica_takeover *takeover, const char *what, const char *why)
{
	if (takeover->report.fault[0] == '\0')
		snprintf(takeover->report.fault, sizeof(takeover->report.fault), "%.60s%s%.180s", what,
			 why != NULL ? ": " : "", why != NULL ? why : "");
	return false;
}

static const char *takeover_text(int error)
{
	return strerror(-error); /* NOLINT(concurrency-mt-unsafe): glibc's is per thread */
}

static void takeover_nap(void)
{
	static const struct timespec NAP = {.tv_nsec = NAP_MS * 1000000};
	clock_nanosleep(CLOCK_MONOTONIC, 0, &NAP, NULL);
}

/* ---- the copy ---- */

static bool takeover_open(struct replica_takeover *takeover)
{
	const char *why = NULL;
	int holder = 0;
	int error = disk_open_directory(&takeover->disk, takeover->directory, false, &why);
	if (error != 0) {
		takeover->disk.operations = NULL;
		return takeover_fail(takeover, "the copy cannot be opened", why != NULL ? why : takeover_text(error));
	}
	uint64_t until_ms = clock_now_ms() + LOCK_MS;
	while ((error = disk_lock(&takeover->disk, &holder)) == -EAGAIN && clock_now_ms() < until_ms &&
	       !atomic_load(&takeover->stops))
		takeover_nap();
	if (error != 0)
		return takeover_fail(takeover, "the copy cannot be locked", takeover_text(error));
	if (store_identity_load(&takeover->disk, &takeover->identity, &why) != ERROR_OK)
		return takeover_fail(takeover, "the copy has no identity", why);
	return true;
}

/* Cuts off what is not whole, and closes the copy for the node it is of. */
static bool takeover_mark(struct replica_takeover *takeover)
{
	struct keeper keeper;
	bool good = keeper_open(&keeper, &takeover->disk, &takeover->identity) == KEEPER_TAKEN;
	if (!good)
		takeover_fail(takeover, "the copy cannot be read", keeper.why);
	takeover->report.commit = keeper.last_commit;
	takeover->report.epoch = good && keeper.count != 0 ? keeper.segments[keeper.count - 1].header.epoch : 0;
	keeper_close(&keeper);
	struct mark mark = {
		.epoch = takeover->report.epoch, .commit = takeover->report.commit, .sessions = MARK_UNDERWAY};
	memcpy(mark.store_id, takeover->identity.id, sizeof(mark.store_id));
	if (good && mark_save(&takeover->disk, &mark) != ERROR_OK)
		good = takeover_fail(takeover, "the mark cannot be written", NULL);
	takeover->report.is_marked = good;
	return good;
}

static enum error takeover_read(void *context, struct store_place place, const struct publication *publication,
				uint8_t **packet)
{
	struct replica_takeover *takeover = context;
	const struct disk *disk = &takeover->disk;
	char name[STORE_SEGMENT_NAME_BYTES];
	if (takeover->file == NULL || takeover->file_number != place.segment) {
		if (takeover->file != NULL)
			disk->operations->close(disk->context, takeover->file);
		store_segment_name(place.segment, name);
		if (disk->operations->open(disk->context, name, false, &takeover->file) != 0) {
			takeover->file = NULL;
			return ERROR_NOT_FOUND;
		}
		takeover->file_number = place.segment;
	}
	int error;
	return replay_read_body(disk, takeover->file, place.offset, publication, packet, &error);
}

/* ---- to the shards ---- */

/* Waits until so many parts at most are not answered. */
static bool takeover_await(struct replica_takeover *takeover, uint64_t most)
{
	uint64_t last = atomic_load(&takeover->answered), since_ms = clock_now_ms();
	while (takeover->sent - atomic_load(&takeover->answered) > most) {
		if (atomic_load(&takeover->stops))
			return takeover_fail(takeover, "this node stops", NULL);
		uint64_t answered = atomic_load(&takeover->answered);
		if (answered != last)
			since_ms = clock_now_ms();
		last = answered;
		if (clock_now_ms() - since_ms > TAKEOVER_SILENCE_MS)
			return takeover_fail(takeover, "a shard does not answer", NULL);
		sleeper_prepare(&takeover->sleeper);
		if (takeover->sent - atomic_load(&takeover->answered) <= most || atomic_load(&takeover->stops))
			sleeper_awake(&takeover->sleeper);
		else
			sleeper_sleep(&takeover->sleeper, NAP_MS * UINT64_C(1000000));
	}
	return true;
}

static bool takeover_post(struct replica_takeover *takeover, uint16_t shard, uint8_t kind, struct slice head,
			  struct slice id, struct slice bytes)
{
	struct node_mail *mail = node_mail_new(kind, (uint32_t)(head.size + id.size + bytes.size));
	if (mail == NULL)
		return takeover_fail(takeover, "there is no memory for a session", NULL);
	memcpy(mail->body, head.data, head.size);
	if (id.size != 0)
		memcpy(mail->body + head.size, id.data, id.size);
	if (bytes.size != 0)
		memcpy(mail->body + head.size + id.size, bytes.data, bytes.size);
	takeover->sent++;
	node_port_post(takeover->settings.port, shard, mail);
	return true;
}

/* The next number, under which the session may be tried again; 0: no memory. */
static uint64_t takeover_number(struct replica_takeover *takeover, const struct model_session *session)
{
	if (takeover->number + 1 >= takeover->sessions_room) {
		uint64_t room = takeover->sessions_room * 2 + 1024;
		const struct model_session **grown = reallocarray(takeover->sessions, room, sizeof(*grown));
		if (grown == NULL)
			return 0;
		takeover->sessions = grown;
		takeover->sessions_room = room;
	}
	takeover->sessions[++takeover->number] = session;
	return INHERIT_NUMBER | takeover->number;
}

/* The parts of one session. */
static bool takeover_parts(struct replica_takeover *takeover, struct model_pack *pack, struct bytes *bytes)
{
	struct slice id = pack->session->client_id;
	struct inherit_part part = {.number = takeover_number(takeover, pack->session),
				    .hash = hash_slice(takeover->settings.key, id),
				    .id_bytes = (uint32_t)id.size,
				    .is_first = true};
	uint16_t shard = shard_of_hash(part.hash, takeover->settings.port->shard_count);
	bool good = part.number != 0 || takeover_fail(takeover, "there is no memory for a session", NULL);
	while (good && !part.is_last) {
		bytes_clear(bytes, 4 * TAKEOVER_PART_BYTES);
		enum error error = model_pack_some(pack, bytes, TAKEOVER_PART_BYTES);
		if (error != ERROR_OK || bytes->failed)
			good = takeover_fail(takeover, "a session cannot be read",
					     error_sentence(error != ERROR_OK ? error : ERROR_NO_MEMORY));
		part.is_last = !good || pack->stage == MODEL_PACK_DONE;
		/* Where it fails in the middle, the shard is told that no more comes. */
		if (!good && part.is_first)
			break;
		good &= takeover_post(takeover, shard, INHERIT_PART, slice_of(&part, sizeof(part)), id,
				      good ? bytes_slice(bytes) : slice_of(NULL, 0));
		part.is_first = false;
		good = good && takeover_await(takeover, TAKEOVER_PARTS_MAX - 1);
	}
	return good;
}

static bool takeover_session(struct replica_takeover *takeover, const struct model *model,
			     const struct model_session *session, int64_t now_s, struct bytes *bytes)
{
	struct model_pack pack;
	model_pack_begin(&pack, model, session, now_s, takeover_read, takeover);
	if (!takeover_parts(takeover, &pack, bytes))
		return false;
	takeover->report.messages += pack.entries;
	takeover->report.lost += pack.lost;
	return true;
}

/* Those that were on their way between other nodes and this one: that is over within its time limits. */
static bool takeover_again(struct replica_takeover *takeover, const struct model *model, int64_t now_s,
			   struct bytes *bytes)
{
	bool good = takeover_await(takeover, 0);
	for (uint32_t tries = 0; tries < TRIES_MAX && takeover->again_count != 0 && good; tries++) {
		pthread_mutex_lock(&takeover->lock);
		uint64_t *numbers = takeover->again;
		uint32_t count = takeover->again_count;
		takeover->again = NULL;
		takeover->again_count = takeover->again_room = 0;
		pthread_mutex_unlock(&takeover->lock);
		takeover_nap();
		for (uint32_t i = 0; i < count && good; i++)
			good = takeover_session(takeover, model, takeover->sessions[numbers[i] & ~INHERIT_NUMBER],
						now_s, bytes);
		free(numbers);
		good = good && takeover_await(takeover, 0);
	}
	takeover->refusals += takeover->again_count;
	return good;
}

/* No faster than it may. */
static void takeover_pace(const struct replica_takeover *takeover)
{
	while (takeover->report.sessions * 1000 / TAKEOVER_SESSIONS_PER_S > clock_now_ms() - takeover->began_ms &&
	       !atomic_load(&takeover->stops))
		takeover_nap();
}

static bool takeover_sessions(struct replica_takeover *takeover, const struct model *model, int64_t now_s)
{
	struct bytes bytes = {.data = NULL};
	bool good = true;
	takeover->began_ms = clock_now_ms();
	for (const struct model_session *session = model->sessions; session != NULL && good; session = session->next) {
		if (session_id_is_internal(session->client_id))
			continue;
		takeover_pace(takeover);
		good = takeover_session(takeover, model, session, now_s, &bytes);
		takeover->report.sessions += good;
	}
	good = good && takeover_again(takeover, model, now_s, &bytes);
	bytes_free(&bytes);
	return good;
}

static bool takeover_promised(struct replica_takeover *takeover, const struct model *model, int64_t now_s)
{
	uint16_t shard = 0;
	bool good = true;
	for (const struct model_promised *at = model->promised; at != NULL && good; at = at->next) {
		uint8_t *packet;
		const struct model_message *message = at->message;
		bool expires = message->expires_at_s != STORE_NEVER_S;
		if (expires && message->expires_at_s <= now_s)
			continue;
		if (takeover_read(takeover, message->place, &message->publication, &packet) != ERROR_OK) {
			takeover->report.lost++;
			continue;
		}
		struct inherit_promised promised = {.number = takeover_number(takeover, NULL),
						    .filter_bytes = (uint32_t)at->filter.size,
						    .expires_s = expires ? (uint32_t)(message->expires_at_s - now_s)
									 : UINT32_MAX};
		struct store_record record = {.kind = STORE_KEPT, .message = 1, .expires_at_s = STORE_NEVER_S};
		store_record_set_publication(&record, &message->publication);
		record.body = slice_of(packet, message->publication.packet_bytes);
		uint8_t *encoded = malloc(store_record_bytes_max(&record));
		good = encoded != NULL || takeover_fail(takeover, "there is no memory for a message", NULL);
		if (good)
			good = takeover_post(takeover, shard, INHERIT_PROMISED, slice_of(&promised, sizeof(promised)),
					     at->filter, slice_of(encoded, store_record_encode(&record, encoded)));
		free(encoded);
		free(packet);
		shard = (uint16_t)((shard + 1) % takeover->settings.port->shard_count);
		good = good && takeover_await(takeover, TAKEOVER_PARTS_MAX - 1);
	}
	return good;
}

/* Until all that was brought is safe here. */
static bool takeover_settle(struct replica_takeover *takeover)
{
	if (!takeover_await(takeover, 0))
		return false;
	for (uint16_t i = 0; i < takeover->settings.port->shard_count && takeover->settings.store != NULL; i++) {
		const struct store_shard *shard = store_shard(takeover->settings.store, i);
		while (STORE_JOURNAL_SAFETY.safe(shard, i) < takeover->commits[i]) {
			if (atomic_load(&takeover->stops))
				return takeover_fail(takeover, "this node stops", NULL);
			takeover_nap();
		}
	}
	return true;
}

/* ---- all of it ---- */

static int64_t takeover_now_s(const struct replica_takeover *takeover, const struct model *model)
{
	int64_t wall_s = (int64_t)(clock_wall_ms() / 1000);
	if (takeover->settings.away_s != UINT32_MAX)
		return model->wall_s + takeover->settings.away_s;
	return wall_s > model->wall_s ? wall_s : model->wall_s;
}

static bool takeover_bring(struct replica_takeover *takeover)
{
	struct model *model = model_new();
	struct replay replay;
	if (model == NULL)
		return takeover_fail(takeover, "there is no memory for what the copy has", NULL);
	enum error error = replay_run(&takeover->disk, &takeover->identity, NULL, model, &replay);
	bool good = error == ERROR_OK;
	if (!good)
		takeover_fail(takeover, "the copy is damaged",
			      replay.damage[0] != '\0' ? replay.damage : error_sentence(error));
	int64_t now_s = takeover_now_s(takeover, model);
	good = good && takeover_sessions(takeover, model, now_s) && takeover_promised(takeover, model, now_s) &&
	       takeover_settle(takeover);
	replay_fini(&replay);
	model_free(&model);
	if (takeover->file != NULL)
		takeover->disk.operations->close(takeover->disk.context, takeover->file);
	takeover->file = NULL;
	return good;
}

/* The log is of no use any more, unless there is something in it that no shard would take; the mark stays, for the node
 * that comes back. */
static bool takeover_finish(struct replica_takeover *takeover)
{
	struct mark mark = {.epoch = takeover->report.epoch,
			    .commit = takeover->report.commit,
			    .sessions = takeover->report.sessions};
	uint32_t *numbers, count;
	memcpy(mark.store_id, takeover->identity.id, sizeof(mark.store_id));
	if (mark_save(&takeover->disk, &mark) != ERROR_OK)
		return takeover_fail(takeover, "the mark cannot be written", NULL);
	if (takeover->refusals != 0 || segment_file_list(&takeover->disk, &numbers, &count) != 0)
		return true; /* the next offer removes them */
	for (uint32_t i = 0; i < count; i++) {
		char name[STORE_SEGMENT_NAME_BYTES];
		takeover->disk.operations->remove(takeover->disk.context, store_segment_name(numbers[i], name));
	}
	free(numbers);
	return true;
}

static void *takeover_main(void *argument)
{
	struct replica_takeover *takeover = argument;
	static const struct check_context WHO = {.thread = "take-over"};
	check_context_set(&WHO);
	if (takeover_open(takeover) && takeover_mark(takeover) && takeover_bring(takeover))
		takeover_finish(takeover);
	if (takeover->disk.operations != NULL)
		disk_close_directory(&takeover->disk);
	atomic_store(&takeover->is_over, true);
	waker_wake(&takeover->settings.port->waker);
	check_context_set(NULL);
	return NULL;
}

static void takeover_free(struct replica_takeover *takeover)
{
	pthread_mutex_destroy(&takeover->lock);
	explicit_bzero(&takeover->identity, sizeof(takeover->identity));
	free(takeover->commits);
	free(takeover->again);
	free(takeover->sessions);
	free(takeover);
}

struct replica_takeover *replica_takeover_start(const struct replica_takeover_settings *settings)
{
	struct replica_takeover *takeover = calloc(1, sizeof(*takeover));
	if (takeover == NULL)
		return NULL;
	takeover->settings = *settings;
	CHECK(pthread_mutex_init(&takeover->lock, NULL) == 0);
	takeover->commits = calloc(settings->port->shard_count, sizeof(*takeover->commits));
	int size = snprintf(takeover->directory, sizeof(takeover->directory), "%s/replicas/%s", settings->directory,
			    settings->name);
	/* Signals are for the main thread. */
	sigset_t all, before;
	sigfillset(&all);
	CHECK(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
	bool started = takeover->commits != NULL && size > 0 && (size_t)size < sizeof(takeover->directory) &&
		       pthread_create(&takeover->thread, NULL, takeover_main, takeover) == 0;
	CHECK(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
	if (started)
		return takeover;
	takeover_free(takeover);
	return NULL;
}

/* Under the lock. */
static void takeover_note_again(struct replica_takeover *takeover, uint64_t number)
{
	if (takeover->again_count == takeover->again_room) {
		uint32_t room = takeover->again_room * 2 + 64;
		uint64_t *grown = reallocarray(takeover->again, room, sizeof(*grown));
		takeover->refusals += grown == NULL; /* it stays in the copy */
		if (grown == NULL)
			return;
		takeover->again = grown;
		takeover->again_room = room;
	}
	takeover->again[takeover->again_count++] = number;
}

void replica_takeover_answered(struct replica_takeover *takeover, uint16_t shard, const struct inherit_taken *taken)
{
	pthread_mutex_lock(&takeover->lock);
	/* Of a session that was refused for good, the last part says nothing new. */
	if (taken->error == ERROR_MORE && taken->is_last && taken->number != takeover->refused_number) {
		takeover_note_again(takeover, taken->number);
	} else if (taken->error != ERROR_OK && taken->error != ERROR_MORE) {
		takeover->refused = (enum error)taken->error;
		takeover->refused_number = taken->number;
		takeover->refusals++;
	}
	takeover->merged += taken->is_merged;
	if (shard < takeover->settings.port->shard_count && taken->commit > takeover->commits[shard])
		takeover->commits[shard] = taken->commit;
	pthread_mutex_unlock(&takeover->lock);
	atomic_fetch_add(&takeover->answered, 1);
	sleeper_wake(&takeover->sleeper);
}

bool replica_takeover_is_over(const struct replica_takeover *takeover, struct replica_takeover_report *report)
{
	if (!atomic_load(&takeover->is_over))
		return false;
	*report = takeover->report;
	report->merged = takeover->merged;
	report->refused = takeover->refusals;
	report->refused_why = takeover->refused;
	return true;
}

void replica_takeover_free(struct replica_takeover *takeover)
{
	if (takeover == NULL)
		return;
	atomic_store(&takeover->stops, true);
	sleeper_wake(&takeover->sleeper);
	pthread_join(takeover->thread, NULL);
	takeover_free(takeover);
}
