/* Access control for the whole gateway. Keys, passwords and rules form an immutable snapshot that is swapped as a
 * whole. Revocations are kept in tables, and the latest also in a log that shards follow to end live sessions.
 *
 * The main thread creates and loads it. Gates and shards take references when the version changes. Any other thread may
 * revoke; gates and shards must not, because revoking may block on the disk. */
#ifndef ACCESS_ACCESS_H
#define ACCESS_ACCESS_H

#include "auth/revocation/revocation_journal.h"
#include "auth/rules/acl.h"
#include "auth/sign_in.h"
#include "base/hash.h"
#include "reactor/mailbox.h"
#include "runtime/settings/access_settings.h"

#include <stdio.h>

/* The source of a revocation. */
enum access_source {
	ACCESS_EMBEDDED, /* commands, and the file that survives a restart */
	ACCESS_EXTERNAL, /* Redis */
	ACCESS_DISABLED, /* users whose record in Redis says so (asking/redis_users.h): for as long as it takes that
			    those on their way in are in */
};

struct access;

/* Loads the files that the settings name. mailboxes: the shards', `shards` of them; their wakers are used to announce a
 * revocation. Returns NULL after logging the reason. */
struct access *access_new(const struct access_settings *settings, const struct hash_key *key, struct mailbox *mailboxes,
			  uint16_t shards);
/* No other thread may use it any more. */
void access_free(struct access *access);

/* Until access_release() nobody can revoke, lift, or bring keys: who tries waits. So nothing is answered that would not
 * be noted. No shard has a thread. False, and nobody waits: a revocation has come that shards have not carried out. */
bool access_hold(struct access *access);
void access_release(struct access *access);
/* Notes what is in no file: revocations in force, and the fetched keys. Access is held, or no other thread uses it.
 * ERROR_NO_MEMORY. */
struct notes;
enum error access_save(const struct access *access, struct notes *notes, const char *scope);
/* Takes that over, after access_new() and before any other thread uses it. ERROR_NOT_FOUND: a note is missing or
 * damaged; ERROR_LIMIT, ERROR_NO_MEMORY. */
enum error access_restore(struct access *access, const struct notes *notes, const char *scope, int64_t wall_s);

/* Whether tokens, passwords or an authority outside are configured. */
bool access_has_sign_in(const struct access *access);
/* The policy for anonymous clients, with ANONYMOUS_AUTO resolved. A proxy on the same machine turns all of its clients
 * into loopback clients, so where a client can sign in, it must. */
enum access_anonymous access_anonymous(const struct access_settings *settings);
/* Whether there are hashes to compare passwords with: in a password file, or in Redis. */
bool access_has_passwords(const struct access *access);
/* Whether somebody outside is asked (access/authority.h). */
bool access_has_authority(const struct access *access);
/* Whether permissions are checked. If so, each client has a principal (state/principal.h). */
bool access_has_rules(const struct access *access);

/* Reads all files again and takes over all of them or none. Returns false after writing the reason to report, or to the
 * log if that is NULL. Fetched keys stay. Main or admin thread. */
bool access_reload(struct access *access, FILE *report);
/* Replaces the last fetched JWK set by this one. Returns false and sets *fault if that fails; the last one then stays
 * in use. Any thread that may block. */
bool access_use_fetched_keys(struct access *access, struct slice jwks, struct fault *fault);

/* Changes with every new snapshot. Any thread; costs one load. */
uint32_t access_version(const struct access *access);

/* ---- between the threads that sign clients in and those that fetch; any thread ---- */

/* Wakes the thread that fetches keys, because a token names an unknown key. Never blocks. */
void access_ask_for_keys(struct access *access);
/* Sleeps until keys are requested or the monotonic time is reached. Returns true if they were requested. One thread
 * only. */
bool access_await_key_request(struct access *access, uint64_t until_ms);
/* Says whether the external source of revocations is followed without a gap. Called by the thread that follows it. */
void access_set_in_step(struct access *access, bool in_step);
/* Whether sign-ins must be refused because of a gap. Costs one load. */
bool access_is_out_of_step(const struct access *access);

/* ---- for gates, and for shards that handle AUTH; each has its own sign_in ---- */

/* Initialises *sign_in; call access_refresh() before its first use. Only a gate takes passwords, because hashing one
 * takes as long as thousands of messages. */
enum error access_sign_in_init(const struct access *access, struct sign_in *sign_in, bool takes_passwords);
/* Gives *sign_in (may be NULL) the snapshot's keys and passwords, and replaces *acl by a reference to its rules, which
 * the caller releases with acl_put(). Returns the version. */
uint32_t access_refresh(struct access *access, struct sign_in *sign_in, struct acl **acl);
/* ERROR_TOKEN_REVOKED, _USER_REVOKED, _CLIENT_REVOKED, or ERROR_OK. Any thread. */
enum error access_check_revoked(const struct access *access, struct slice token_id, struct slice user,
				struct slice client_id, int64_t wall_s);

/* ---- revocations ---- */

/* The descriptors of the shards' wakers. Revoking wakes the shards, so a thread that revokes and has a private
 * descriptor table must keep these in it. Returns their number; fds may be NULL. */
uint16_t access_waker_fds(const struct access *access, int *fds);
/* Puts a revocation in force and makes the shards end the live sessions it concerns. ERROR_MORE: the shards have not
 * caught up, try again. ERROR_LIMIT, ERROR_NO_MEMORY. ERROR_SYSTEM: in force, but not on the disk. */
enum error access_revoke(struct access *access, enum access_source source, const struct revocation *revocation,
			 int64_t wall_s);
/* Lifts a revocation. Returns false if there was none. */
bool access_lift(struct access *access, enum access_source source, enum revocation_kind kind, struct slice id,
		 int64_t wall_s);
/* Who hears of each change by access_revoke() and access_lift() with ACCESS_EMBEDDED. */
struct access_observer {
	/* With a lock held; must not block. revocation->until_s: REVOCATION_LIFTED_S: it was lifted. */
	void (*changed)(void *context, const struct revocation *revocation);
	void *context;
};
/* changed NULL: nobody. Any thread. */
void access_observe(struct access *access, struct access_observer observer);
/* What another node of the cluster has revoked, or lifted (REVOCATION_LIFTED_S): the same here, and as durable, but the
 * observer does not hear of it. The errors of access_revoke(). */
enum error access_follow(struct access *access, const struct revocation *revocation, int64_t wall_s);

/* Enclose a full listing of a source: what the listing does not repeat is lifted. access_round_end() returns how many
 * were. */
void access_round_begin(struct access *access, enum access_source source);
uint32_t access_round_end(struct access *access, enum access_source source);
/* Frees expired revocations. */
void access_expire(struct access *access, int64_t wall_s);

/* A page of the revocations in force, for the admin API: calls visit for positions [from, from + count), with a lock
 * held. Returns the number of all revocations of the source. */
typedef void access_visit(void *context, const struct revocation *revocation);
uint32_t access_list(struct access *access, enum access_source source, uint32_t from, uint32_t count,
		     access_visit *visit, void *context);

/* What a shard looks for among its clients: the keyed hash of a token id, a user or a client id. */
struct access_revoked {
	uint64_t hash;
	enum revocation_kind kind;
};

/* Takes up to `most` revocations that this shard has not taken yet, oldest first. Returns their number. Shard's
 * thread. */
uint32_t access_recent(struct access *access, uint16_t shard, struct access_revoked *revoked, uint32_t most);
/* Whether access_recent() would return any; costs two loads. */
bool access_has_recent(const struct access *access, uint16_t shard);
/* revocation_hash() with the gateway's key. Sessions are found by this hash. */
uint64_t access_hash(const struct access *access, enum revocation_kind kind, struct slice id);

#endif
