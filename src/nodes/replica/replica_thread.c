#include "nodes/replica/replica_worker.h"

#include "base/check.h"
#include "nodes/replica/replica_worker_state.h"
#include "reactor/waker.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- queues ---- */

static void queue_init(struct work_queue *queue)
{
	*queue = (struct work_queue){.first = NULL};
	CHECK(pthread_mutex_init(&queue->lock, NULL) == 0);
}

static void queue_put(struct work_queue *queue, struct replica_work *work)
{
	pthread_mutex_lock(&queue->lock);
	work->next = NULL;
	if (queue->last != NULL)
		queue->last->next = work;
	else
		queue->first = work;
	queue->last = work;
	atomic_fetch_add(&queue->count, 1);
	pthread_mutex_unlock(&queue->lock);
}

static struct replica_work *queue_take(struct work_queue *queue)
{
	if (atomic_load(&queue->count) == 0)
		return NULL;
	pthread_mutex_lock(&queue->lock);
	struct replica_work *work = queue->first;
	queue->first = work->next;
	if (queue->first == NULL)
		queue->last = NULL;
	atomic_fetch_sub(&queue->count, 1);
	pthread_mutex_unlock(&queue->lock);
	return work;
}

static void queue_fini(struct work_queue *queue)
{
	struct replica_work *work;
	while ((work = queue_take(queue)) != NULL)
		replica_work_free(work);
	pthread_mutex_destroy(&queue->lock);
}

struct replica_work *replica_work_new(uint32_t kind, struct slice head, struct slice body)
{
	struct replica_work *work = calloc(1, sizeof(*work) + head.size + body.size);
	if (work == NULL)
		return NULL;
	work->kind = kind;
	work->body_bytes = (uint32_t)(head.size + body.size);
	if (head.size != 0)
		memcpy(work->body, head.data, head.size);
	if (body.size != 0)
		memcpy(work->body + head.size, body.data, body.size);
	return work;
}

void replica_work_free(struct replica_work *work)
{
	free(work);
}

void replica_worker_note(struct replica_worker *worker, struct replica_work *note)
{
	queue_put(&worker->notes, note);
	waker_wake(worker->waker);
}

/* Without memory the thing is not said; whoever waits for it has a time limit. */
void replica_worker_refuse(struct replica_worker *worker, uint8_t slot, uint32_t stream, const char *why)
{
	struct slice words = slice_string(why);
	if (words.size > REPLICATION_WORDS_MAX)
		words.size = REPLICATION_WORDS_MAX;
	struct replica_work *note = replica_work_new(REPLICA_NOTE_REFUSED, slice_of(NULL, 0), words);
	if (note == NULL)
		return;
	note->slot = slot;
	note->stream = stream;
	note->reason = REPLICATION_REFUSES;
	replica_worker_note(worker, note);
}

/* ---- the own log ---- */

static void worker_unfollow(struct replica_worker *worker)
{
	if (worker->follows)
		follower_fini(&worker->follower);
	worker->follows = false;
}

static void worker_fail(struct replica_worker *worker, const char *why)
{
	struct replica_work *note = replica_work_new(REPLICA_NOTE_FAILED, slice_of(NULL, 0), slice_string(why));
	worker_unfollow(worker);
	if (note == NULL)
		return;
	note->stream = worker->stream;
	replica_worker_note(worker, note);
}

static const char *worker_open_disk(struct replica_worker *worker)
{
	const char *why = NULL;
	if (worker->has_disk)
		return NULL;
	int error = disk_open_directory(&worker->disk, worker->directory, false, &why);
	worker->has_disk = error == 0;
	if (error != 0 && why == NULL)
		why = strerror(-error); /* NOLINT(concurrency-mt-unsafe): glibc's is per thread */
	return why;
}

static struct follow_held *read_held(struct slice message, uint32_t *count)
{
	struct replication_held head;
	CHECK(replication_get_held(message, &head));
	*count = head.count;
	struct follow_held *held = calloc((size_t)head.count + 1, sizeof(*held));
	for (uint32_t i = 0; held != NULL && i < head.count; i++) {
		struct replication_segment segment;
		CHECK(replication_get_segment(message, i, &segment));
		held[i] = (struct follow_held){.number = segment.number,
					       .bytes = segment.bytes,
					       .next_commit = segment.next_commit,
					       .header_checksum = segment.header_checksum};
	}
	return held;
}

static void replica_thread_worker_follow(struct replica_worker *worker, const struct replica_work *job)
{
	worker_unfollow(worker);
	worker->stream = job->stream;
	worker->pieces = 0;
	const char *why = worker_open_disk(worker);
	if (why != NULL) {
		worker_fail(worker, why);
		return;
	}
	uint32_t count;
	struct follow_held *held = read_held(slice_of(job->body, job->body_bytes), &count);
	follower_init(&worker->follower, worker->trail, &worker->disk, worker->identity.id);
	worker->follows = true;
	if (held == NULL || follower_begin(&worker->follower, held, count) != ERROR_OK)
		worker_fail(worker, "there is no memory for it");
	free(held);
}

static struct replica_work *worker_piece(const struct replica_worker *worker, const struct follow_piece *piece)
{
	static const uint8_t MESSAGES[] = {
		[FOLLOW_BYTES] = REPLICATION_BYTES, [FOLLOW_GONE] = REPLICATION_GONE, [FOLLOW_MARK] = REPLICATION_MARK};
	struct replication_bytes head = {.stream = worker->stream,
					 .segment = piece->segment,
					 .offset = piece->offset,
					 .position = piece->position};
	uint8_t bytes[REPLICATION_BYTES_BYTES];
	replication_put_bytes(&head, bytes);
	struct replica_work *note = replica_work_new(REPLICA_NOTE_PIECE, slice_of(bytes, sizeof(bytes)), piece->bytes);
	if (note == NULL)
		return NULL;
	note->message = MESSAGES[piece->kind];
	note->stream = worker->stream;
	note->position = piece->position;
	note->last_commit = piece->last_commit;
	note->behind_bytes = piece->behind_bytes;
	return note;
}

/* False: there is nothing more to pass on, or no room for it. */
static bool worker_pass_on(struct replica_worker *worker)
{
	struct follow_piece piece;
	if (!worker->follows || worker->pieces >= atomic_load(&worker->taken) + REPLICA_PIECES_MAX)
		return false;
	follower_next(&worker->follower, &piece);
	if (piece.kind == FOLLOW_NOTHING)
		return false;
	struct replica_work *note = piece.kind != FOLLOW_FAILED ? worker_piece(worker, &piece) : NULL;
	if (note == NULL) {
		worker_fail(worker, piece.kind == FOLLOW_FAILED ? worker->follower.why : "there is no memory for it");
		return false;
	}
	note->pieces = ++worker->pieces;
	replica_worker_note(worker, note);
	return true;
}

/* ---- the thread ---- */

static void worker_do(struct replica_worker *worker, const struct replica_work *job)
{
	CHECK_LT(job->slot, NODES_MAX);
	switch ((enum replica_job_kind)job->kind) {
	case REPLICA_FOLLOW:
		replica_thread_worker_follow(worker, job);
		break;
	case REPLICA_UNFOLLOW:
		worker_unfollow(worker);
		break;
	case REPLICA_KEEP:
		replica_copies_keep(worker, job);
		break;
	case REPLICA_APPLY:
		replica_copies_apply(worker, job);
		break;
	case REPLICA_LET_GO:
		replica_copies_let_go(worker, job->slot);
		break;
	case REPLICA_DROP:
		replica_copies_drop(worker, job->name);
		break;
	case REPLICA_LIST:
		replica_copies_list(worker);
		break;
	}
}

/* False: there was nothing to do. */
static bool worker_step(struct replica_worker *worker)
{
	bool any = false;
	struct replica_work *job;
	for (uint32_t i = 0; i < REPLICA_PIECES_MAX && (job = queue_take(&worker->jobs)) != NULL; i++) {
		worker_do(worker, job);
		replica_work_free(job);
		any = true;
	}
	/* The own log goes first: the other node syncs it while this one syncs what it has of others. */
	if (!atomic_load(&worker->stops))
		any |= worker_pass_on(worker);
	for (uint8_t i = 0; i < NODES_MAX; i++)
		replica_copies_confirm(worker, i);
	return any;
}

static bool worker_has_work(const struct replica_worker *worker)
{
	return atomic_load(&worker->jobs.count) != 0 || atomic_load(&worker->stops);
}

static void *replica_main(void *argument)
{
	struct replica_worker *worker = argument;
	static const struct check_context WHO = {.thread = "replica"};
	check_context_set(&WHO);
	for (;;) {
		if (worker_step(worker))
			continue;
		if (worker_has_work(worker)) {
			if (atomic_load(&worker->jobs.count) == 0)
				break;
			continue;
		}
		sleeper_prepare(&worker->sleeper);
		/* Once more: what the writer wrote, and the room that the replica has, are seen by this as well. */
		if (worker_has_work(worker) || worker_pass_on(worker))
			sleeper_awake(&worker->sleeper);
		else
			sleeper_sleep(&worker->sleeper, SLEEPER_FOREVER);
	}
	worker_unfollow(worker);
	for (uint8_t i = 0; i < NODES_MAX; i++)
		replica_copies_let_go(worker, i);
	if (worker->has_disk)
		disk_close_directory(&worker->disk);
	check_context_set(NULL);
	return NULL;
}

static void worker_free(struct replica_worker *worker)
{
	queue_fini(&worker->jobs);
	queue_fini(&worker->notes);
	explicit_bzero(&worker->identity, sizeof(worker->identity));
	free(worker);
}

struct replica_worker *replica_worker_start(const struct replica_worker_settings *settings)
{
	struct replica_worker *worker = calloc(1, sizeof(*worker));
	if (worker == NULL)
		return NULL;
	snprintf(worker->directory, sizeof(worker->directory), "%s", settings->directory);
	worker->trail = settings->trail;
	worker->identity = settings->identity;
	worker->waker = settings->waker;
	queue_init(&worker->jobs);
	queue_init(&worker->notes);
	/* Signals are for the main thread. */
	sigset_t all, before;
	sigfillset(&all);
	CHECK(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
	int error = pthread_create(&worker->thread, NULL, replica_main, worker);
	CHECK(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
	if (error != 0) {
		worker_free(worker);
		return NULL;
	}
	if (worker->trail != NULL)
		trail_follow(worker->trail, &worker->sleeper);
	return worker;
}

void replica_worker_stop(struct replica_worker *worker)
{
	if (worker == NULL)
		return;
	if (worker->trail != NULL)
		trail_follow(worker->trail, NULL);
	atomic_store(&worker->stops, true);
	sleeper_wake(&worker->sleeper);
	pthread_join(worker->thread, NULL);
	worker_free(worker);
}

void replica_worker_give(struct replica_worker *worker, struct replica_work *job)
{
	if (job->kind == REPLICA_FOLLOW)
		atomic_store(&worker->taken, 0);
	queue_put(&worker->jobs, job);
	sleeper_wake(&worker->sleeper);
}

struct replica_work *replica_worker_take(struct replica_worker *worker)
{
	return queue_take(&worker->notes);
}

bool replica_worker_has_notes(const struct replica_worker *worker)
{
	return atomic_load(&worker->notes.count) != 0;
}

void replica_worker_taken(struct replica_worker *worker, uint64_t pieces)
{
	atomic_store(&worker->taken, pieces);
	sleeper_wake(&worker->sleeper);
}
