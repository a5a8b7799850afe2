/* Who may come in and what each may do, for the whole gateway: keys, passwords and rules as immutable snapshots that
 * are swapped as a whole, and what was revoked, with the latest of it in a log that shards follow to end live sessions.
 *
 * Made and loaded by the main thread; gates and shards take references when the version has changed. Revocations come
 * from any thread but those: they may block on the disk. */
#ifndef ACCESS_ACCESS_H
#define ACCESS_ACCESS_H

#include "auth/rules/acl.h"
#include "auth/sign_in.h"
#include "base/hash.h"
#include "reactor/mailbox.h"
#include "runtime/access_settings.h"

#include <stdio.h>

/* Where a revocation comes from. */
enum access_source {
	ACCESS_EMBEDDED, /* commands and the file that survives a restart */
	ACCESS_EXTERNAL, /* Redis */
};

struct access;

/* wakers: of the shards, woken when something was revoked. Loads what the settings name. NULL: it was logged why. */
struct access *access_new(const struct access_settings *settings, const struct hash_key *key, struct mailbox *mailboxes,
			  uint16_t shards);
/* No other thread uses it any more. */
void access_free(struct access *access);

/* Whether any way to sign in is configured. */
bool access_has_sign_in(const struct access *access);
/* Who is let in without signing in: ANONYMOUS_AUTO is decided. A proxy on the same machine makes all of its clients
 * loopback ones, so where clients can sign in they have to. */
enum access_anonymous access_anonymous(const struct access_settings *settings);
/* Whether passwords are looked up. */
bool access_has_passwords(const struct access *access);
/* Whether rules are configured: then each client has a principal. */
bool access_has_rules(const struct access *access);

/* Reads all files again: all of them are taken, or none and a line of *report, or of the log where it is NULL, says
 * why. Keys that were fetched from elsewhere stay. Main or admin thread. */
bool access_reload(struct access *access, FILE *report);
/* A JWK set that was fetched from a URL takes the place of the one fetched before. False: *fault says why, and the one
 * fetched before stays in use. Any thread that may block. */
bool access_use_fetched_keys(struct access *access, struct slice jwks, struct fault *fault);

/* Changes whenever there is another snapshot. Any thread, costs a load. */
uint32_t access_version(const struct access *access);

/* ---- between those who sign clients in and those who fetch; any thread ---- */

/* A token names a key that nobody knows: whoever fetches keys is woken. Never blocks. */
void access_ask_for_keys(struct access *access);
/* Sleeps until keys are asked for or the (monotonic) time has come. True: they were asked for. By one thread. */
bool access_await_key_request(struct access *access, uint64_t until_ms);
/* The external source of revocations is followed without a gap, or it is not; said by the thread that follows it. */
void access_set_in_step(struct access *access, bool in_step);
/* Whether sign-ins have to be refused because it is not. Costs a load. */
bool access_is_out_of_step(const struct access *access);

/* ---- gates, and shards for AUTH: each with a sign_in of its own ---- */

/* Ready for the first use; access_refresh() follows. Only a gate takes passwords: their hashes take as long as
 * thousands of messages. */
enum error access_sign_in_init(const struct access *access, struct sign_in *sign_in, bool takes_passwords);
/* The snapshot's keys and passwords for a sign_in (may be NULL), and its rules in place of *acl (a reference that the
 * caller puts back with acl_put()). Returns the version. */
uint32_t access_refresh(struct access *access, struct sign_in *sign_in, struct acl **acl);
/* ERROR_TOKEN_REVOKED, _USER_REVOKED, _CLIENT_REVOKED, or ERROR_OK. Any thread. */
enum error access_check_revoked(const struct access *access, struct slice token_id, struct slice user,
				struct slice client_id, int64_t wall_s);

/* ---- revocations ---- */

/* Whoever revokes wakes the shards: a thread with a descriptor table of its own keeps these in it. Returns how many
 * there are; fds may be NULL. */
uint16_t access_waker_fds(const struct access *access, int *fds);
/* Puts it in force and has the shards end live sessions that it is about. ERROR_MORE: the shards have not caught up,
 * try again; ERROR_LIMIT, ERROR_NO_MEMORY; ERROR_SYSTEM: in force, but not on the disk. */
enum error access_revoke(struct access *access, enum access_source source, const struct revocation *revocation,
			 int64_t wall_s);
/* False: there was none. */
bool access_lift(struct access *access, enum access_source source, enum revocation_kind kind, struct slice id,
		 int64_t wall_s);
/* Around a source's telling of all that it has: what was not told again is lifted. */
void access_round_begin(struct access *access, enum access_source source);
uint32_t access_round_end(struct access *access, enum access_source source);
/* Frees what has expired. */
void access_expire(struct access *access, int64_t wall_s);

/* A page of what is in force, for the admin side: calls visit for places [from, from + count). Returns how many there
 * are in all. */
typedef void access_visit(void *context, const struct revocation *revocation);
uint32_t access_list(struct access *access, enum access_source source, uint32_t from, uint32_t count,
		     access_visit *visit, void *context);

/* What a shard looks for among its clients: keyed hashes of token ids and users, and client ids in full. */
struct access_revoked {
	uint64_t hash;
	enum revocation_kind kind;
};

/* Recent revocations after number *seen, up to `most` of them, which it moves on. Client ids are looked up at once by
 * their hash. By the shard's thread. */
uint32_t access_recent(struct access *access, uint16_t shard, struct access_revoked *revoked, uint32_t most);
/* Whether access_recent() would find some; costs a load. */
bool access_has_recent(const struct access *access, uint16_t shard);
/* The hash by which a session is found. */
uint64_t access_hash(const struct access *access, struct slice id);

#endif
