#include "nodes/replica/replication.h"

#include "base/check.h"
#include "base/log.h"
#include "lifecycle/inherit.h"
#include "nodes/replica/replication_state.h"
#include "runtime/nodes/node_mail.h"

#include <stdlib.h>
#include <string.h>

bool replication_give(struct replication *replication, struct replica_work *job)
{
	if (job == NULL || replication->worker == NULL) {
		replica_work_free(job);
		return false;
	}
	replica_worker_give(replication->worker, job);
	return true;
}

bool replication_is_reachable(const struct replication *replication, uint8_t slot)
{
	const struct node_peer *peer = slot < NODES_MAX ? replication->settings.peers[slot] : NULL;
	return peer != NULL && peer->link != NULL && peer_is_reachable(peer);
}

/* ---- the service ---- */

static void replication_on_joined(void *context, struct node_peer *peer)
{
	own_joined(context, peer);
	copies_joined(context, peer);
}

static bool replication_on_received(void *context, struct node_peer *peer, uint8_t kind, struct slice body)
{
	bool is_own = kind == REPLICATION_HELD || kind == REPLICATION_SAFE || kind == REPLICATION_REFUSED;
	return is_own ? own_received(context, peer, kind, body) : copies_received(context, peer, kind, body);
}

static void replication_on_away(void *context, struct node_peer *peer)
{
	own_away(context, peer);
	copies_away(context, peer);
}

static void replication_on_back(void *context, struct node_peer *peer)
{
	own_back(context, peer);
	copies_back(context, peer);
}

static void replication_on_gone(void *context, struct node_peer *peer)
{
	own_gone(context, peer);
	copies_gone(context, peer);
}

static void replication_on_mail(void *context, struct node_mail *mail)
{
	struct replication *replication = context;
	struct inherit_taken taken;
	if (mail->kind == INHERIT_TAKEN && mail->bytes == sizeof(taken) && replication->takeover != NULL) {
		memcpy(&taken, mail->body, sizeof(taken));
		replica_takeover_answered(replication->takeover, mail->shard, &taken);
	}
	node_mail_free(mail);
}

static bool replication_on_turn(void *context, uint64_t now_ms)
{
	struct replication *replication = context;
	struct replica_work *note;
	replication->now_ms = now_ms;
	if (replication->begun_ms == 0)
		replication->begun_ms = now_ms;
	while (replication->worker != NULL && (note = replica_worker_take(replication->worker)) != NULL) {
		if (note->kind == REPLICA_NOTE_PIECE || note->kind == REPLICA_NOTE_FAILED) {
			own_note(replication, note);
			continue;
		}
		copies_note(replication, note);
		replica_work_free(note);
	}
	own_turn(replication);
	copies_turn(replication);
	return false;
}

static bool replication_on_has_mail(const void *context)
{
	const struct replication *replication = context;
	return replication->worker != NULL && replica_worker_has_notes(replication->worker);
}

static uint64_t replication_on_deadline_ms(const void *context)
{
	uint64_t own_ms = own_deadline_ms(context), copies_ms = copies_deadline_ms(context);
	return own_ms < copies_ms ? own_ms : copies_ms;
}

static void replication_on_status(const void *context, struct nodes_status *status)
{
	own_status(context, &status->replicas.own);
	copies_status(context, &status->replicas);
}

/* What is told from now on is acknowledged by this node's own store; it goes to the replica all the same, as far as
 * there is time. */
static void replication_on_ending(void *context)
{
	struct replication *replication = context;
	replication->is_ending = true;
	replica_takeover_free(replication->takeover);
	replication->takeover = NULL;
}

static bool replication_on_is_done(const void *context)
{
	const struct replication *replication = context;
	const struct own_replica *own = &replication->own;
	return own->state != REPLICA_IN_STEP || own->confirmed >= own->sent;
}

const struct node_service REPLICATION_SERVICE = {
	.name = "replication",
	.kind_first = MESSAGE_REPLICATION,
	.kind_last = MESSAGE_REPLICATION + 15u,
	.joined = replication_on_joined,
	.received = replication_on_received,
	.away = replication_on_away,
	.back = replication_on_back,
	.gone = replication_on_gone,
	.mail = replication_on_mail,
	.turn = replication_on_turn,
	.has_mail = replication_on_has_mail,
	.deadline_ms = replication_on_deadline_ms,
	.status = replication_on_status,
	.ending = replication_on_ending,
	.is_done = replication_on_is_done,
};

/* ---- its life ---- */

static bool replication_start_worker(struct replication *replication)
{
	const struct replication_settings *settings = &replication->settings;
	struct replica_worker_settings worker = {.directory = settings->directory,
						 .trail = settings->trail,
						 .identity = settings->identity,
						 .waker = &settings->port->waker};
	if (settings->directory[0] == '\0')
		return true;
	replication->worker = replica_worker_start(&worker);
	return replication->worker != NULL &&
	       replication_give(replication, replica_work_new(REPLICA_LIST, slice_of(NULL, 0), slice_of(NULL, 0)));
}

struct replication *replication_new(const struct replication_settings *settings)
{
	struct replication *replication = calloc(1, sizeof(*replication));
	if (replication == NULL)
		return NULL;
	replication->settings = *settings;
	for (uint32_t i = 0; i < NODES_MAX; i++)
		replication->copies[i].peer = NO_SLOT;
	own_prepare(replication);
	if (replication_start_worker(replication))
		return replication;
	replication_free(replication);
	return NULL;
}

void replication_free(struct replication *replication)
{
	if (replication == NULL)
		return;
	own_finish(replication);
	replica_takeover_free(replication->takeover);
	replica_worker_stop(replication->worker);
	explicit_bzero(&replication->settings.identity, sizeof(replication->settings.identity));
	free(replication);
}

const char *replica_state_name(enum replica_state state)
{
	static const char *const NAMES[] = {
		[REPLICA_OFF] = "off",         [REPLICA_NONE] = "none",
		[REPLICA_OFFERED] = "offered", [REPLICA_CATCHING_UP] = "catching-up",
		[REPLICA_IN_STEP] = "in-step", [REPLICA_AWAY] = "away",
	};
	return NAMES[state];
}

const char *copy_state_name(enum copy_state state)
{
	static const char *const NAMES[] = {
		[COPY_NONE] = "none",
		[COPY_HELD] = "held",
		[COPY_FOLLOWS] = "follows",
		[COPY_TAKING_OVER] = "taking-over",
		[COPY_TAKEN_OVER] = "taken-over",
	};
	return NAMES[state];
}
