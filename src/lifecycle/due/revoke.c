#include "lifecycle/due/revoke.h"

#include "access/access.h"
#include "session/session.h"
#include "state/ending.h"
#include "state/principal.h"
#include "state/shard.h"

#include <stdlib.h>

#define SLOTS_MIN 128u
/* How many hashes one sweep looks for: as many as the log of recent revocations holds. */
#define HASHES_MAX 16384u
#define TAKEN_PER_STEP 64u
_Static_assert((SLOTS_MIN & (SLOTS_MIN - 1)) == 0 && SLOTS_MIN >= 2 * TAKEN_PER_STEP,
	       "slots are found by mask, and one doubling makes room for a step");
/* How many clients a turn looks at: each costs two cache lines. */
#define LOOKS_PER_TURN 2048u

/* ---- the set ---- */

/* The key's slot, or the free slot where it belongs. The hashes are keyed, and a token and a user of the same name have
 * different ones, so they need no further mixing. A free slot always exists: the set is at most half full. */
static uint64_t *revoke_slot_of(const struct revoke *revoke, uint64_t key)
{
	CHECK_LT(revoke->count, revoke->slots);
	uint32_t at = (uint32_t)key & (revoke->slots - 1);
	while (revoke->hashes[at] != 0 && revoke->hashes[at] != key)
		at = (at + 1) & (revoke->slots - 1);
	return &revoke->hashes[at];
}

static bool revoke_grow(struct revoke *revoke)
{
	struct revoke grown = {.slots = revoke->slots != 0 ? revoke->slots * 2 : SLOTS_MIN};
	grown.hashes = calloc(grown.slots, sizeof(*grown.hashes));
	if (grown.hashes == NULL)
		return false;
	for (uint32_t i = 0; i < revoke->slots; i++) {
		if (revoke->hashes[i] != 0)
			*revoke_slot_of(&grown, revoke->hashes[i]) = revoke->hashes[i];
	}
	free(revoke->hashes);
	revoke->hashes = grown.hashes;
	revoke->slots = grown.slots;
	return true;
}

static bool revoke_has_room(struct revoke *revoke)
{
	return revoke->count + TAKEN_PER_STEP <= HASHES_MAX &&
	       ((revoke->count + TAKEN_PER_STEP) * 2 <= revoke->slots || revoke_grow(revoke));
}

static void revoke_add(struct revoke *revoke, uint64_t key)
{
	uint64_t *slot = revoke_slot_of(revoke, key);
	revoke->count += *slot == 0 && key != 0;
	*slot = key;
	CHECK_LE(revoke->count * 2, revoke->slots);
}

static bool revoke_has(const struct revoke *revoke, uint64_t hash)
{
	return hash != 0 && *revoke_slot_of(revoke, hash) != 0;
}

void revoke_fini(struct revoke *revoke)
{
	free(revoke->hashes);
	*revoke = (struct revoke){0};
}

/* ---- the sweep ---- */

/* Looks a revoked client id up by its hash. The session ends too, since this client may not come back for it. */
static void revoke_end_client(struct shard *shard, uint64_t hash)
{
	uint32_t index = table_first(&shard->sessions.registry.table, (uint32_t)hash);
	while (index != 0) {
		uint32_t next = table_next(&shard->sessions.registry.table, index);
		struct slice id = registry_id(&shard->sessions.registry,
					      &shard_client(shard, (struct client_ref){index})->session);
		if (access_hash(shard->env.access, REVOCATION_CLIENT, id) == hash && !session_id_is_internal(id))
			session_end(shard, (struct client_ref){index}, ERROR_CLIENT_REVOKED);
		index = next;
	}
}

/* Takes recent revocations before a sweep begins. True: the set is not empty, and it has all of them or is full. */
static bool take_recent(struct shard *shard, uint64_t until)
{
	struct revoke *revoke = &shard->guard.revoke;
	while (access_has_recent(shard->env.access, shard->env.number)) {
		if (turn_work_is_spent(&shard->loop.work, until))
			return false;
		if (!revoke_has_room(revoke))
			break; /* sweeps for what it has; without memory for any it tries again in the next turn */
		struct access_revoked revoked[TAKEN_PER_STEP];
		uint32_t count = access_recent(shard->env.access, shard->env.number, revoked, TAKEN_PER_STEP);
		turn_work_charge(&shard->loop.work, (uint64_t)count * WORK_NODE);
		for (uint32_t i = 0; i < count; i++) {
			if (revoked[i].kind == REVOCATION_CLIENT)
				revoke_end_client(shard, revoked[i].hash);
			else
				revoke_add(revoke, revoked[i].hash);
		}
	}
	return revoke->count != 0;
}

/* A revoked user loses the connection and the session. A client whose token was revoked loses only the connection, and
 * may return with another token. */
static void revoke_look_at(struct shard *shard, struct client_ref ref)
{
	const struct client *client = shard_client(shard, ref);
	if (principal_ref_is_none(client->principal) || client->session.id == 0)
		return;
	const struct principal *principal = principal_of(shard, client);
	if (revoke_has(&shard->guard.revoke, principal->user_hash))
		session_end(shard, ref, ERROR_USER_REVOKED);
	else if (client_is_connected(client) && revoke_has(&shard->guard.revoke, principal->token_hash))
		client_end(shard, ref, ERROR_TOKEN_REVOKED);
}

void revoke_some(struct shard *shard)
{
	struct revoke *revoke = &shard->guard.revoke;
	uint64_t until = turn_work_share(&shard->loop.work, WORK_SHARE_ENDS);
	if (revoke->next == 0 && (!access_has_recent(shard->env.access, shard->env.number) && revoke->count == 0))
		return;
	if (revoke->next == 0 && !take_recent(shard, until))
		return;
	if (revoke->next == 0)
		revoke->next = 1;
	for (uint32_t i = 0; i < LOOKS_PER_TURN && !turn_work_is_spent(&shard->loop.work, until); i++) {
		if (endings_are_many(&shard->sessions.endings))
			return;
		if (revoke->next > shard->mem.clients.touched) {
			revoke_fini(revoke);
			return;
		}
		turn_work_charge(&shard->loop.work, WORK_NODE);
		revoke_look_at(shard, (struct client_ref){revoke->next++});
	}
}

bool revoke_has_work(const struct shard *shard)
{
	return shard->guard.revoke.count != 0 || access_has_recent(shard->env.access, shard->env.number);
}
