#include "access/access.h"

#include "access/authority.h"
#include "access/snapshot.h"
#include "auth/revocation/revocation_file.h"
#include "auth/rules/client_id_pattern.h"
#include "base/check.h"
#include "base/layout_root.h"
#include "base/log.h"
#include "memory/notes.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

/* Revocations in force at one time, per source. */
#define REVOCATIONS_MAX 4000000u
/* The latest revocations, kept until all shards have looked for sessions they concern. */
#define LOG_ENTRIES 16384u
/* Sources that the next program hears of: users that are disabled are found so again when they come. */
#define SOURCES_NOTED ((uint32_t)ACCESS_DISABLED)

_Static_assert(ACCESS_DISABLED + 1 == SIGN_IN_REVOCATIONS_MAX, "each source has a table of revocations");
_Static_assert((LOG_ENTRIES & (LOG_ENTRIES - 1)) == 0, "the place in the log is a mask of the sequence number");

struct access {
	const struct access_settings *settings;
	struct hash_key key;
	struct mailbox *mailboxes;
	uint16_t shards;
	_Atomic uint32_t version;
	pthread_mutex_t reload_lock;   /* held while a snapshot is made; guards `fetched` */
	pthread_mutex_t snapshot_lock; /* guards the snapshot */
	struct access_snapshot snapshot;
	uint8_t *fetched; /* the JWK set that came from a URL; a reload adds it again */
	size_t fetched_bytes;

	_Atomic bool keys_requested;
	sem_t key_requests; /* at most one is pending. A semaphore, because gates must neither block nor need a
			       descriptor */
	_Atomic bool out_of_step;

	struct revocations *revocations[SIGN_IN_REVOCATIONS_MAX];
	pthread_mutex_t revocation_lock; /* guards revocations, file and log */
	struct revocation_file file;
	bool has_file;
	_Atomic uint64_t log_end;
	_Atomic uint64_t *seen;          /* sequence number up to which each shard has read the log */
	struct access_observer observer; /* under revocation_lock */
	struct access_revoked log[LOG_ENTRIES];
};

static bool access_is_set(const char *text)
{
	return text[0] != '\0';
}

static bool takes_tokens(const struct access_settings *settings)
{
	return access_is_set(settings->token_secret_file) || access_is_set(settings->token_key_file) ||
	       access_is_set(settings->token_jwks_file) || access_is_set(settings->token_jwks_url);
}

/* ---- snapshots ---- */

static bool access_reload_files(struct access *access, FILE *report)
{
	struct access_snapshot fresh;
	if (!access_snapshot_read(access->settings, slice_of(access->fetched, access->fetched_bytes), report, &fresh))
		return false;
	pthread_mutex_lock(&access->snapshot_lock);
	struct access_snapshot old = access->snapshot;
	access->snapshot = fresh;
	atomic_fetch_add(&access->version, 1);
	pthread_mutex_unlock(&access->snapshot_lock);
	access_snapshot_drop(&old);
	return true;
}

bool access_reload(struct access *access, FILE *report)
{
	pthread_mutex_lock(&access->reload_lock);
	bool good = access_reload_files(access, report);
	pthread_mutex_unlock(&access->reload_lock);
	return good;
}

bool access_use_fetched_keys(struct access *access, struct slice jwks, struct fault *fault)
{
	uint8_t *copy = access_keys_try(jwks, fault) ? malloc(jwks.size) : NULL;
	if (copy == NULL)
		return false;
	memcpy(copy, jwks.data, jwks.size);
	pthread_mutex_lock(&access->reload_lock);
	uint8_t *last_fetched = access->fetched;
	size_t last_fetched_bytes = access->fetched_bytes;
	access->fetched = copy;
	access->fetched_bytes = jwks.size;
	bool good = access_reload_files(access, NULL);
	if (!good) {
		access->fetched = last_fetched;
		access->fetched_bytes = last_fetched_bytes;
		last_fetched = copy;
		fault_set(fault, 0, "the configured files could not be read again");
	}
	pthread_mutex_unlock(&access->reload_lock);
	free(last_fetched);
	return good;
}

/* ---- fetched keys ---- */

void access_ask_for_keys(struct access *access)
{
	if (!atomic_exchange(&access->keys_requested, true))
		sem_post(&access->key_requests);
}

bool access_await_key_request(struct access *access, uint64_t until_ms)
{
	struct timespec until = {
		.tv_sec = (time_t)(until_ms / 1000),
		.tv_nsec = (long)(until_ms % 1000) * 1000000,
	};
	int status;
	while ((status = sem_clockwait(&access->key_requests, CLOCK_MONOTONIC, &until)) != 0 && errno == EINTR)
		;
	return status == 0 && atomic_exchange(&access->keys_requested, false);
}

void access_set_in_step(struct access *access, bool in_step)
{
	atomic_store(&access->out_of_step, access->settings->redis_refuses && !in_step);
}

bool access_is_out_of_step(const struct access *access)
{
	return atomic_load_explicit(&access->out_of_step, memory_order_relaxed);
}

/* ---- creation ---- */

static bool open_revocation_file(struct access *access, int64_t wall_s)
{
	const char *path = access->settings->revocation_file;
	if (!access_is_set(path))
		return true;
	struct journal_result result;
	const char *why =
		revocation_file_open(&access->file, path, access->revocations[ACCESS_EMBEDDED], wall_s, &result);
	if (why != NULL) {
		log_write(LOG_ERROR, "%s: %s", path, why);
		return false;
	}
	access->has_file = true;
	log_write(LOG_INFO, "%s: %u revocations are in force", path,
		  revocations_count(access->revocations[ACCESS_EMBEDDED]));
	return true;
}

struct access *access_new(const struct access_settings *settings, const struct hash_key *key, struct mailbox *mailboxes,
			  uint16_t shards)
{
	CHECK(mailboxes != NULL);
	CHECK_GT(shards, 0);
	struct access *access = calloc(1, sizeof(*access));
	if (access == NULL)
		return NULL;
	access->settings = settings;
	access->key = *key;
	access->mailboxes = mailboxes;
	access->shards = shards;
	access->seen = calloc(shards, sizeof(*access->seen));
	CHECK(pthread_mutex_init(&access->snapshot_lock, NULL) == 0 &&
	      pthread_mutex_init(&access->revocation_lock, NULL) == 0 &&
	      pthread_mutex_init(&access->reload_lock, NULL) == 0 && sem_init(&access->key_requests, 0, 0) == 0);
	/* Until the thread that follows the source says otherwise. */
	if (access_is_set(settings->redis_url))
		access_set_in_step(access, false);
	const char *wrong = client_id_pattern_check(slice_string(settings->client_id_pattern));
	if (wrong != NULL)
		log_write(LOG_ERROR, "client-id-pattern: \"%s\": %s", settings->client_id_pattern, wrong);
	bool good = access->seen != NULL && wrong == NULL;
	uint32_t sources = access_is_set(settings->auth_redis) ? SIGN_IN_REVOCATIONS_MAX : SOURCES_NOTED;
	for (uint32_t i = 0; i < sources && good; i++) {
		access->revocations[i] = revocations_new(REVOCATIONS_MAX, key);
		good = access->revocations[i] != NULL;
	}
	/* Where this fails the process exits, so nothing is freed. */
	return good && access_reload(access, NULL) && open_revocation_file(access, (int64_t)time(NULL)) ? access : NULL;
}

void access_free(struct access *access)
{
	if (access->has_file)
		revocation_file_close(&access->file);
	access_snapshot_drop(&access->snapshot);
	for (uint32_t i = 0; i < SIGN_IN_REVOCATIONS_MAX; i++)
		if (access->revocations[i] != NULL)
			revocations_free(access->revocations[i]);
	pthread_mutex_destroy(&access->snapshot_lock);
	pthread_mutex_destroy(&access->revocation_lock);
	pthread_mutex_destroy(&access->reload_lock);
	sem_destroy(&access->key_requests);
	free(access->seen);
	free(access->fetched);
	free(access);
}

/* ---- from one program to the next ---- */

/* The ids follow their notes, in the same order. */
struct revocation_note {
	int64_t until_s;
	uint32_t id_bytes;
	uint8_t kind; /* enum revocation_kind */
};
LAYOUT_ROOT(revocation_note);

static const char *const REVOCATION_NOTES[SOURCES_NOTED] = {"revoked here", "revoked elsewhere"};
static const char *const REVOKED_ID_NOTES[SOURCES_NOTED] = {"ids revoked here", "ids revoked elsewhere"};

static enum error save_revocations(const struct access *access, uint32_t source, struct notes *notes, const char *scope)
{
	const struct revocations *revocations = access->revocations[source];
	uint32_t count = revocations_count(revocations);
	size_t bytes = 0;
	for (uint32_t i = 0; i < count; i++)
		bytes += revocations_at(revocations, i).id.size;
	struct revocation_note *kept =
		notes_put_room(notes, scope, REVOCATION_NOTES[source], count * sizeof(struct revocation_note));
	if (kept == NULL)
		return ERROR_NO_MEMORY;
	for (uint32_t i = 0; i < count; i++) {
		struct revocation revocation = revocations_at(revocations, i);
		kept[i] = (struct revocation_note){.until_s = revocation.until_s,
						   .id_bytes = (uint32_t)revocation.id.size,
						   .kind = (uint8_t)revocation.kind};
	}
	uint8_t *ids = notes_put_room(notes, scope, REVOKED_ID_NOTES[source], bytes);
	if (ids == NULL)
		return ERROR_NO_MEMORY;
	for (uint32_t i = 0; i < count; i++) {
		struct slice id = revocations_at(revocations, i).id;
		memcpy(ids, id.data, id.size);
		ids += id.size;
	}
	return ERROR_OK;
}

static enum error restore_revocations(struct access *access, uint32_t source, const struct notes *notes,
				      const char *scope, int64_t wall_s)
{
	const void *items;
	uint32_t count;
	struct slice ids;
	if (!notes_get_array(notes, scope, REVOCATION_NOTES[source], sizeof(struct revocation_note), &items, &count) ||
	    !notes_get(notes, scope, REVOKED_ID_NOTES[source], &ids))
		return ERROR_NOT_FOUND;
	const struct revocation_note *kept = items;
	for (uint32_t i = 0; i < count; i++) {
		if (kept[i].kind >= REVOCATION_KIND_COUNT || kept[i].id_bytes > ids.size)
			return ERROR_NOT_FOUND;
		struct revocation revocation = {.kind = (enum revocation_kind)kept[i].kind,
						.id = slice_of(ids.data, kept[i].id_bytes),
						.until_s = kept[i].until_s};
		ids = slice_of(ids.data + kept[i].id_bytes, ids.size - kept[i].id_bytes);
		enum revocation_change change;
		enum error error = revocations_add(access->revocations[source], &revocation, wall_s, &change);
		if (error != ERROR_OK)
			return error;
	}
	return ERROR_OK;
}

bool access_hold(struct access *access)
{
	bool has_recent = false;
	pthread_mutex_lock(&access->reload_lock);
	pthread_mutex_lock(&access->revocation_lock);
	for (uint16_t i = 0; i < access->shards; i++)
		has_recent = has_recent || access_has_recent(access, i);
	if (has_recent)
		access_release(access);
	return !has_recent;
}

void access_release(struct access *access)
{
	CHECK(pthread_mutex_unlock(&access->revocation_lock) == 0);
	CHECK(pthread_mutex_unlock(&access->reload_lock) == 0);
}

enum error access_save(const struct access *access, struct notes *notes, const char *scope)
{
	enum error error = notes_put(notes, scope, "fetched keys", access->fetched, access->fetched_bytes);
	for (uint32_t i = 0; i < SOURCES_NOTED && error == ERROR_OK; i++)
		error = save_revocations(access, i, notes, scope);
	return error;
}

enum error access_restore(struct access *access, const struct notes *notes, const char *scope, int64_t wall_s)
{
	enum error error = ERROR_OK;
	/* Those made here are in the file, where there is one, and it may have been changed since. */
	for (uint32_t i = access->has_file ? ACCESS_EXTERNAL : ACCESS_EMBEDDED; i < SOURCES_NOTED && error == ERROR_OK;
	     i++)
		error = restore_revocations(access, i, notes, scope, wall_s);
	struct slice fetched;
	if (error != ERROR_OK || !access_is_set(access->settings->token_jwks_url))
		return error;
	if (!notes_get(notes, scope, "fetched keys", &fetched))
		return ERROR_NOT_FOUND;
	struct fault fault = {0};
	if (fetched.size != 0 && !access_use_fetched_keys(access, fetched, &fault))
		log_write(LOG_WARNING, "the keys that were fetched last are no longer good; they are fetched again");
	return ERROR_OK;
}

static bool has_sign_in(const struct access_settings *settings)
{
	return takes_tokens(settings) || access_is_set(settings->password_file) || authority_is_configured(settings);
}

bool access_has_sign_in(const struct access *access)
{
	return has_sign_in(access->settings);
}

bool access_has_passwords(const struct access *access)
{
	return access_is_set(access->settings->password_file) || access_is_set(access->settings->auth_redis);
}

bool access_has_authority(const struct access *access)
{
	return authority_is_configured(access->settings);
}

enum access_anonymous access_anonymous(const struct access_settings *settings)
{
	if (settings->anonymous != ANONYMOUS_AUTO)
		return settings->anonymous;
	return has_sign_in(settings) ? ANONYMOUS_NEVER : ANONYMOUS_LOOPBACK;
}

bool access_has_rules(const struct access *access)
{
	return access_is_set(access->settings->rule_file) || !access->settings->allow_by_default ||
	       access_has_sign_in(access);
}

uint32_t access_version(const struct access *access)
{
	return atomic_load_explicit(&access->version, memory_order_relaxed);
}

/* ---- signing in ---- */

static struct slice text_or(const char *text, struct slice otherwise)
{
	return access_is_set(text) ? slice_string(text) : otherwise;
}

enum error access_sign_in_init(const struct access *access, struct sign_in *sign_in, bool takes_passwords)
{
	const struct access_settings *settings = access->settings;
	struct sign_in_policy policy = sign_in_policy_default();
	policy.tokens_in_user_name = settings->token_in_user_name;
	struct outside_key key;
	policy.passwords = takes_passwords && access_is_set(settings->password_file);
	policy.outside = takes_passwords && authority_is_configured(settings);
	policy.outside_has_passwords = access_is_set(settings->auth_redis);
	policy.outside_means_client_id = access_is_set(settings->auth_redis) &&
					 outside_key_read(&key, settings->auth_redis) == NULL &&
					 key.placeholder == OUTSIDE_KEY_OF_CLIENT;
	/* Where only passwords are configured, one that looks like a token is still a password. */
	policy.tokens = takes_tokens(settings) || !(policy.passwords || policy.outside);
	policy.claims.leeway_s = settings->token_leeway_s;
	policy.claims.issuer = slice_string(settings->token_issuer);
	policy.claims.audience = slice_string(settings->token_audience);
	policy.claims.client_id = text_or(settings->token_claim_client_id, policy.claims.client_id);
	policy.claims.user = text_or(settings->token_claim_user, policy.claims.user);
	policy.claims.permissions = text_or(settings->token_claim_permissions, policy.claims.permissions);
	enum error error = sign_in_init(sign_in, &policy);
	for (uint32_t i = 0; i < SIGN_IN_REVOCATIONS_MAX && error == ERROR_OK; i++)
		sign_in_use_revocations(sign_in, i, access->revocations[i]);
	return error;
}

uint32_t access_refresh(struct access *access, struct sign_in *sign_in, struct acl **acl)
{
	acl_put(acl);
	pthread_mutex_lock(&access->snapshot_lock);
	const struct access_snapshot *snapshot = &access->snapshot;
	*acl = acl_get(snapshot->acl);
	if (sign_in != NULL) {
		if (sign_in->verifier != NULL)
			sign_in_use_keys(sign_in, snapshot->keys);
		if (snapshot->passwords != NULL)
			sign_in_use_passwords(sign_in, snapshot->passwords);
	}
	uint32_t version = access_version(access);
	pthread_mutex_unlock(&access->snapshot_lock);
	return version;
}

enum error access_check_revoked(const struct access *access, struct slice token_id, struct slice user,
				struct slice client_id, int64_t wall_s)
{
	const struct revocations *tables[SIGN_IN_REVOCATIONS_MAX];
	for (uint32_t i = 0; i < SIGN_IN_REVOCATIONS_MAX; i++)
		tables[i] = access->revocations[i];
	return sign_in_revoked(tables, token_id, user, client_id, wall_s);
}

uint64_t access_hash(const struct access *access, enum revocation_kind kind, struct slice id)
{
	return revocation_hash(&access->key, kind, id);
}

/* ---- revoking ---- */

static struct revocations *access_table(const struct access *access, enum access_source source)
{
	CHECK_LT((uint32_t)source, SIGN_IN_REVOCATIONS_MAX);
	CHECK(access->revocations[source] != NULL);
	return access->revocations[source];
}

static bool log_has_room(const struct access *access)
{
	uint64_t end = atomic_load(&access->log_end);
	for (uint16_t i = 0; i < access->shards; i++) {
		if (end - atomic_load(&access->seen[i]) >= LOG_ENTRIES)
			return false;
	}
	return true;
}

/* Announces a revocation to the shards, which look for the sessions it concerns. The caller holds revocation_lock and
 * has checked for room: an entry that a shard has not read must not be overwritten. */
static void announce_revocation(struct access *access, const struct revocation *revocation)
{
	CHECK(log_has_room(access));
	uint64_t end = atomic_load(&access->log_end);
	uint64_t hash = access_hash(access, revocation->kind, revocation->id);
	access->log[end % LOG_ENTRIES] = (struct access_revoked){hash, revocation->kind};
	atomic_store(&access->log_end, end + 1);
	for (uint16_t i = 0; i < access->shards; i++)
		waker_wake(&access->mailboxes[i].waker);
}

uint16_t access_waker_fds(const struct access *access, int *fds)
{
	for (uint16_t i = 0; i < access->shards && fds != NULL; i++)
		fds[i] = access->mailboxes[i].waker.fd;
	return access->shards;
}

static enum error apply_revocation(struct access *access, enum access_source source,
				   const struct revocation *revocation, int64_t wall_s, enum revocation_change *change)
{
	if (source != ACCESS_EMBEDDED || !access->has_file)
		return revocations_add(access_table(access, source), revocation, wall_s, change);
	const char *why;
	enum error error = revocation_file_add(&access->file, revocation, wall_s, change, &why);
	if (why != NULL)
		log_write(LOG_ERROR, "%s: %s: a revocation will be lost at the next restart",
			  access->settings->revocation_file, why);
	return error == ERROR_OK && why != NULL ? ERROR_SYSTEM : error;
}

/* The lock is held. */
static enum error revoke_locked(struct access *access, enum access_source source, const struct revocation *revocation,
				int64_t wall_s, enum revocation_change *change)
{
	*change = REVOCATION_UNCHANGED;
	if (!log_has_room(access))
		return ERROR_MORE;
	enum error error = apply_revocation(access, source, revocation, wall_s, change);
	if (*change == REVOCATION_ADDED)
		announce_revocation(access, revocation);
	return error;
}

static void tell_observer(struct access *access, enum access_source source, const struct revocation *revocation,
			  enum revocation_change change)
{
	if (source != ACCESS_EMBEDDED || access->observer.changed == NULL || change == REVOCATION_UNCHANGED)
		return;
	struct revocation told = *revocation;
	if (change == REVOCATION_LIFTED)
		told.until_s = REVOCATION_LIFTED_S;
	access->observer.changed(access->observer.context, &told);
}

void access_observe(struct access *access, struct access_observer observer)
{
	pthread_mutex_lock(&access->revocation_lock);
	access->observer = observer;
	pthread_mutex_unlock(&access->revocation_lock);
}

enum error access_revoke(struct access *access, enum access_source source, const struct revocation *revocation,
			 int64_t wall_s)
{
	enum revocation_change change;
	pthread_mutex_lock(&access->revocation_lock);
	enum error error = revoke_locked(access, source, revocation, wall_s, &change);
	tell_observer(access, source, revocation, change);
	pthread_mutex_unlock(&access->revocation_lock);
	return error;
}

enum error access_follow(struct access *access, const struct revocation *revocation, int64_t wall_s)
{
	enum revocation_change change;
	struct revocation followed = *revocation;
	if (followed.until_s == REVOCATION_LIFTED_S)
		followed.until_s = wall_s;
	pthread_mutex_lock(&access->revocation_lock);
	enum error error = followed.until_s > wall_s
				   ? revoke_locked(access, ACCESS_EMBEDDED, &followed, wall_s, &change)
				   : apply_revocation(access, ACCESS_EMBEDDED, &followed, wall_s, &change);
	pthread_mutex_unlock(&access->revocation_lock);
	return error;
}

bool access_lift(struct access *access, enum access_source source, enum revocation_kind kind, struct slice id,
		 int64_t wall_s)
{
	struct revocation over = {.kind = kind, .id = id, .until_s = wall_s};
	enum revocation_change change = REVOCATION_UNCHANGED;
	pthread_mutex_lock(&access->revocation_lock);
	apply_revocation(access, source, &over, wall_s, &change);
	tell_observer(access, source, &over, change);
	pthread_mutex_unlock(&access->revocation_lock);
	return change == REVOCATION_LIFTED;
}

void access_round_begin(struct access *access, enum access_source source)
{
	pthread_mutex_lock(&access->revocation_lock);
	revocations_round_begin(access_table(access, source));
	pthread_mutex_unlock(&access->revocation_lock);
}

uint32_t access_round_end(struct access *access, enum access_source source)
{
	pthread_mutex_lock(&access->revocation_lock);
	uint32_t lifted = revocations_round_end(access_table(access, source));
	pthread_mutex_unlock(&access->revocation_lock);
	return lifted;
}

void access_expire(struct access *access, int64_t wall_s)
{
	pthread_mutex_lock(&access->revocation_lock);
	for (uint32_t i = 0; i < SIGN_IN_REVOCATIONS_MAX; i++)
		if (access->revocations[i] != NULL)
			revocations_expire(access->revocations[i], wall_s);
	pthread_mutex_unlock(&access->revocation_lock);
}

uint32_t access_list(struct access *access, enum access_source source, uint32_t from, uint32_t count,
		     access_visit *visit, void *context)
{
	pthread_mutex_lock(&access->revocation_lock);
	const struct revocations *revocations = access_table(access, source);
	uint32_t all = revocations_count(revocations);
	for (uint32_t i = from; i < all && i - from < count; i++) {
		struct revocation revocation = revocations_at(revocations, i);
		visit(context, &revocation);
	}
	pthread_mutex_unlock(&access->revocation_lock);
	return all;
}

bool access_has_recent(const struct access *access, uint16_t shard)
{
	return atomic_load_explicit(&access->log_end, memory_order_acquire) !=
	       atomic_load_explicit(&access->seen[shard], memory_order_relaxed);
}

uint32_t access_recent(struct access *access, uint16_t shard, struct access_revoked *revoked, uint32_t most)
{
	CHECK_LT(shard, access->shards);
	uint64_t end = atomic_load(&access->log_end);
	uint64_t seen = atomic_load(&access->seen[shard]);
	CHECK_LE(end - seen, LOG_ENTRIES); /* else entries were overwritten unread */
	uint32_t count = 0;
	for (; seen != end && count < most; seen++)
		revoked[count++] = access->log[seen % LOG_ENTRIES];
	atomic_store(&access->seen[shard], seen);
	return count;
}
