#include "cluster/takeover/home.h"

#include "base/check.h"

#include <stdlib.h>

#define TICK_MS 500u
_Static_assert((HOME_BUCKETS & (HOME_BUCKETS - 1)) == 0, "a mask finds the bucket");
_Static_assert(HOME_SELF < HOME_NOBODY && HOME_NOBODY <= UINT8_MAX, "a slot, and nobody, fit into a byte");
_Static_assert(HOME_NAME_BYTES_MAX <= UINT8_MAX && HOME_BESIDE_MAX <= UINT8_MAX, "both are counted in a byte");

/* ---- rendezvous ---- */

uint64_t home_hash(const struct home *home, struct slice id)
{
	uint64_t hash = hash_slice(&home->key, id);
	return hash != 0 ? hash : 1;
}

/* The finalizer of MurmurHash3: every bit of the input changes half of the output's. Both inputs are keyed hashes. */
static uint64_t mix(uint64_t value)
{
	value ^= value >> 33;
	value *= 0xff51afd7ed558ccdu;
	value ^= value >> 33;
	value *= 0xc4ceb9fe1a85ec53u;
	return value ^ value >> 33;
}

uint8_t home_of(const struct home_view *view, uint64_t hash)
{
	uint64_t best = 0;
	uint8_t slot = HOME_SELF;
	for (uint32_t i = 0; i < view->count; i++) {
		uint64_t score = mix(hash ^ view->members[i].name_hash);
		if (i != 0 && score <= best)
			continue;
		best = score;
		slot = view->members[i].slot;
	}
	return slot;
}

const struct home_member *home_member_at(const struct home_view *view, uint8_t slot)
{
	for (uint32_t i = 0; i < view->count; i++) {
		if (view->members[i].slot == slot)
			return &view->members[i];
	}
	return NULL;
}

const struct home_member *home_member_named(const struct home_view *view, struct slice name)
{
	for (uint32_t i = 0; i < view->count; i++) {
		const struct home_member *member = &view->members[i];
		if (slice_equal(slice_of(member->name, member->name_bytes), name))
			return member;
	}
	return NULL;
}

/* ---- jobs ---- */

void home_init(struct home *home, const struct hash_key *key, uint64_t first_number, struct home_observer observer)
{
	memset(home, 0, sizeof(*home));
	home->key = *key;
	home->number = first_number;
	home->observer = observer;
	directory_init(&home->directory);
}

static struct home_job **home_bucket_of(struct home *home, uint64_t hash)
{
	return &home->jobs[hash & (HOME_BUCKETS - 1)];
}

static struct home_job *job_find(struct home *home, uint64_t hash)
{
	struct home_job *job = *home_bucket_of(home, hash);
	while (job != NULL && job->hash != hash)
		job = job->next;
	return job;
}

/* NULL: no room, which is counted. */
static struct home_job *job_need(struct home *home, uint64_t hash, struct slice id)
{
	struct home_job *job = job_find(home, hash);
	if (job != NULL)
		return job;
	job = home->job_count < HOME_JOBS_MAX ? calloc(1, sizeof(*job) + id.size) : NULL;
	if (job == NULL) {
		home->dropped++;
		return NULL;
	}
	job->hash = hash;
	job->busy = HOME_NOBODY;
	job->id_bytes = (uint16_t)id.size;
	memcpy(job->id, id.data, id.size);
	struct home_job **bucket = home_bucket_of(home, hash);
	job->next = *bucket;
	*bucket = job;
	home->job_count++;
	return job;
}

static void claim_drop_first(struct home_job *job)
{
	struct home_claim *claim = job->claims;
	CHECK(claim != NULL);
	job->claims = claim->next;
	free(claim);
}

static void job_free(struct home *home, struct home_job *job)
{
	struct home_job **at = home_bucket_of(home, job->hash);
	while (*at != job)
		at = &(*at)->next;
	*at = job->next;
	while (job->claims != NULL)
		claim_drop_first(job);
	free(job);
	CHECK_GT(home->job_count, 0u);
	home->job_count--;
}

static void jobs_clear(struct home *home)
{
	for (uint32_t i = 0; i < HOME_BUCKETS; i++) {
		while (home->jobs[i] != NULL)
			job_free(home, home->jobs[i]);
	}
}

void home_fini(struct home *home)
{
	jobs_clear(home);
	directory_fini(&home->directory);
}

static struct takeover_message message_of(const struct home *home, const struct home_job *job)
{
	return (struct takeover_message){
		.view = home->view.number, .number = job->number, .id = slice_of(job->id, job->id_bytes)};
}

static void job_begin(struct home *home, struct home_job *job, uint8_t who, uint64_t now_ms)
{
	CHECK_EQ(job->busy, HOME_NOBODY);
	job->busy = who;
	job->number = ++home->number;
	job->began_ms = now_ms;
	job->loser = (struct home_beside){.slot = HOME_NOBODY};
}

/* The next claim: whoever holds the id gives it to the claimant. */
static void begin_claim(struct home *home, struct home_job *job, uint64_t now_ms)
{
	const struct home_claim *claim = job->claims;
	const struct directory_entry *entry = directory_find(&home->directory, job->hash);
	const struct home_member *claimant = home_member_at(&home->view, claim->slot);
	if (claimant != NULL) {
		job_begin(home, job, claim->slot, now_ms);
		struct takeover_message message = message_of(home, job);
		message.claim = claim->claim;
		message.flags = claim->flags;
		message.node = slice_of(claimant->name, claimant->name_bytes);
		message.user = slice_of(claim->user, claim->user_bytes);
		if (entry == NULL)
			home->observer.send(home->observer.context, claim->slot, TAKEOVER_GRANT, &message);
		else
			home->observer.send(home->observer.context, entry->slot, TAKEOVER_YIELD, &message);
	}
	claim_drop_first(job);
}

/* Whether the connection at `one` is the later one of two. In one second the names decide: slots are each node's own,
 * and a home of the next view has to choose as this one did. */
static bool is_later(const struct home *home, uint8_t one, uint32_t one_since_s, uint8_t other, uint32_t other_since_s)
{
	const struct home_member *first = home_member_at(&home->view, one);
	const struct home_member *second = home_member_at(&home->view, other);
	if (one_since_s != other_since_s || first == NULL || second == NULL)
		return one_since_s > other_since_s;
	return first->name_hash > second->name_hash;
}

/* Of two holders one remains: the one with the later connection. */
static void begin_merge(struct home *home, struct home_job *job, uint64_t now_ms)
{
	CHECK_GT(job->beside_count, 0u);
	struct home_beside other = job->beside[--job->beside_count];
	const struct directory_entry *entry = directory_find(&home->directory, job->hash);
	if (entry == NULL || entry->is_husk || entry->slot == other.slot) {
		directory_set(&home->directory, job->hash, other.slot, other.since_s, false);
		return;
	}
	bool wins = is_later(home, other.slot, other.since_s, entry->slot, entry->since_s);
	uint8_t winner = wins ? other.slot : entry->slot;
	uint8_t loser = wins ? entry->slot : other.slot;
	uint32_t before_s = entry->since_s;
	if (wins)
		directory_set(&home->directory, job->hash, other.slot, other.since_s, false);
	const struct home_member *member = home_member_at(&home->view, winner);
	if (member == NULL)
		return;
	uint32_t loser_since_s = wins ? before_s : other.since_s;
	job_begin(home, job, winner, now_ms);
	job->loser = (struct home_beside){.slot = loser, .since_s = loser_since_s};
	struct takeover_message message = message_of(home, job);
	message.node = slice_of(member->name, member->name_bytes);
	home->observer.send(home->observer.context, loser, TAKEOVER_MERGE, &message);
}

/* Begins what is next, and frees the job where nothing is. */
static void pump(struct home *home, struct home_job *job, uint64_t now_ms)
{
	while (home->is_complete && job->busy == HOME_NOBODY && (job->beside_count != 0 || job->claims != NULL)) {
		if (job->beside_count != 0)
			begin_merge(home, job, now_ms);
		else
			begin_claim(home, job, now_ms);
	}
	if (job->busy == HOME_NOBODY && job->beside_count == 0 && job->claims == NULL)
		job_free(home, job);
}

static void note_beside(struct home *home, struct home_job *job, uint8_t slot, uint32_t since_s)
{
	for (uint32_t i = 0; i < job->beside_count; i++) {
		if (job->beside[i].slot != slot)
			continue;
		job->beside[i].since_s = since_s;
		return;
	}
	if (job->beside_count < HOME_BESIDE_MAX)
		job->beside[job->beside_count++] = (struct home_beside){.slot = slot, .since_s = since_s};
	else
		home->dropped++;
}

/* ---- what is heard ---- */

static uint32_t since_of(uint64_t now_ms, uint32_t age_s)
{
	uint64_t now_s = now_ms / 1000;
	return age_s < now_s ? (uint32_t)(now_s - age_s) : 0;
}

static void forget_claims(struct home_job *job, uint8_t slot)
{
	for (struct home_claim **at = &job->claims; *at != NULL;) {
		struct home_claim *claim = *at;
		if (claim->slot != slot) {
			at = &claim->next;
			continue;
		}
		*at = claim->next;
		free(claim);
	}
}

/* A node claims an id for one client at a time: what it claimed before is over. */
static void hear_claim(struct home *home, uint8_t slot, const struct takeover_message *message, uint64_t now_ms)
{
	struct home_job *job = job_need(home, home_hash(home, message->id), message->id);
	if (job == NULL)
		return;
	forget_claims(job, slot);
	struct home_claim *claim = calloc(1, sizeof(*claim) + message->user.size);
	if (claim != NULL) {
		claim->claim = message->claim;
		claim->slot = slot;
		claim->flags = message->flags;
		claim->user_bytes = (uint16_t)message->user.size;
		if (message->user.size != 0)
			memcpy(claim->user, message->user.data, message->user.size);
		struct home_claim **last = &job->claims;
		while (*last != NULL)
			last = &(*last)->next;
		*last = claim;
	} else {
		home->dropped++;
	}
	pump(home, job, now_ms);
}

static void hear_taken(struct home *home, uint8_t slot, const struct takeover_message *message, uint64_t now_ms)
{
	uint64_t hash = home_hash(home, message->id);
	struct home_job *job = job_need(home, hash, message->id);
	uint32_t since_s = since_of(now_ms, message->age_s);
	if (job == NULL)
		return;
	forget_claims(job, slot);
	if (job->busy == slot && message->number == job->number) {
		directory_set(&home->directory, hash, slot, since_s, false);
		job->busy = HOME_NOBODY;
	} else {
		note_beside(home, job, slot, since_s);
	}
	pump(home, job, now_ms);
}

static void end_job(struct home *home, const struct takeover_message *message, uint64_t now_ms)
{
	struct home_job *job = job_find(home, home_hash(home, message->id));
	if (job == NULL || job->number != message->number)
		return;
	job->busy = HOME_NOBODY;
	pump(home, job, now_ms);
}

/* It is held there, as it was announced, or after it had been given and came back. */
static void home_note_held(struct home *home, uint8_t slot, struct slice id, uint32_t since_s, bool is_husk,
			   uint64_t now_ms)
{
	uint64_t hash = home_hash(home, id);
	const struct directory_entry *entry = directory_find(&home->directory, hash);
	struct home_job *job = job_find(home, hash);
	bool in_work = job != NULL && job->busy != HOME_NOBODY;
	if (is_husk && entry != NULL)
		return;
	if (!in_work && (entry == NULL || entry->is_husk || entry->slot == slot)) {
		if (directory_set(&home->directory, hash, slot, since_s, is_husk) != ERROR_OK)
			home->dropped++;
		return;
	}
	job = job_need(home, hash, id);
	if (job == NULL)
		return;
	note_beside(home, job, slot, since_s);
	pump(home, job, now_ms);
}

static void hear_held(struct home *home, uint8_t slot, struct slice body, uint64_t now_ms)
{
	size_t at = 0;
	uint32_t age_s;
	bool is_husk;
	struct slice id;
	while (takeover_held_next(body, &at, &age_s, &is_husk, &id))
		home_note_held(home, slot, id, since_of(now_ms, age_s), is_husk, now_ms);
}

static void hear_ended(struct home *home, uint8_t slot, struct slice body)
{
	size_t at = 0;
	struct slice id;
	while (takeover_ended_next(body, &at, &id)) {
		uint64_t hash = home_hash(home, id);
		const struct directory_entry *entry = directory_find(&home->directory, hash);
		if (entry != NULL && entry->slot == slot)
			directory_remove(&home->directory, hash);
	}
}

static void pump_all(struct home *home, uint64_t now_ms)
{
	for (uint32_t i = 0; i < HOME_BUCKETS; i++) {
		for (struct home_job *job = home->jobs[i], *next; job != NULL; job = next) {
			next = job->next;
			pump(home, job, now_ms);
		}
	}
}

static void look_whether_complete(struct home *home, uint64_t now_ms)
{
	bool all = true;
	for (uint32_t i = 0; i < home->view.count; i++)
		all = all && home->said[home->view.members[i].slot] == home->turn;
	bool waits = home->view.count == 1 && now_ms < home->complete_ms;
	if (home->is_complete || (!all && now_ms < home->complete_ms) || waits)
		return;
	home->is_complete = true;
	pump_all(home, now_ms);
}

void home_hears(struct home *home, uint8_t slot, enum takeover_kind kind, const struct takeover_message *message,
		uint64_t now_ms)
{
	CHECK_LE(slot, HOME_SELF);
	switch (kind) {
	case TAKEOVER_CLAIM:
		hear_claim(home, slot, message, now_ms);
		break;
	case TAKEOVER_TAKEN:
		hear_taken(home, slot, message, now_ms);
		break;
	case TAKEOVER_DONE:
		end_job(home, message, now_ms);
		break;
	case TAKEOVER_BACK:
		home_note_held(home, slot, message->id, since_of(now_ms, message->age_s), false, now_ms);
		end_job(home, message, now_ms);
		break;
	case TAKEOVER_HELD:
		hear_held(home, slot, message->body, now_ms);
		break;
	case TAKEOVER_ENDED:
		hear_ended(home, slot, message->body);
		break;
	case TAKEOVER_ANNOUNCED:
		home->said[slot] = message->number;
		look_whether_complete(home, now_ms);
		break;
	default:
		break;
	}
}

void home_begin_view(struct home *home, const struct home_view *view, uint64_t now_ms, bool is_first)
{
	CHECK_LE(view->count, NODES_MAX + 1u);
	home->view = *view;
	jobs_clear(home);
	directory_clear(&home->directory);
	home->is_complete = false;
	home->turn = ++home->number;
	home->complete_ms = now_ms + HOME_ANNOUNCE_MS;
	/* Alone there is nobody to wait for, but for those who were not heard yet. */
	if (view->count == 1)
		home->complete_ms = now_ms + (is_first ? HOME_LISTEN_MS : 0);
}

void home_tick(struct home *home, uint64_t now_ms)
{
	if (!home->is_complete)
		look_whether_complete(home, now_ms);
	if (now_ms < home->next_tick_ms)
		return;
	home->next_tick_ms = now_ms + TICK_MS;
	for (uint32_t i = 0; i < HOME_BUCKETS; i++) {
		for (struct home_job *job = home->jobs[i], *next; job != NULL; job = next) {
			next = job->next;
			if (job->busy != HOME_NOBODY && now_ms - job->began_ms >= HOME_JOB_MS) {
				job->busy = HOME_NOBODY;
				if (job->loser.slot != HOME_NOBODY)
					note_beside(home, job, job->loser.slot, job->loser.since_s);
			}
			pump(home, job, now_ms);
		}
	}
}

uint8_t home_holder(struct home *home, struct slice id)
{
	const struct directory_entry *entry = directory_find(&home->directory, home_hash(home, id));
	return entry != NULL ? entry->slot : HOME_NOBODY;
}
