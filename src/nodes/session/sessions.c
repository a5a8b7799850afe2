#include "nodes/session/sessions.h"

#include "base/check.h"
#include "cluster/common/key.h"
#include "cluster/takeover/takeover.h"
#include "nodes/thread/nodes_thread.h"
#include "runtime/nodes/session_mail.h"
#include "state/shard.h"

#include <sodium.h>
#include <stdlib.h>

#define TICK_MS 200u
_Static_assert((unsigned)SESSION_SAYS_ANNOUNCED < (unsigned)MESSAGE_RETAINED, "the kinds stay in their range");
_Static_assert((unsigned)SESSION_TOLD_ANNOUNCE < (unsigned)MESSAGE_RETAINED, "the kinds stay in their range");

/* A message for which there was no room yet. */
struct waiting {
	struct waiting *next;
	uint8_t kind;
	size_t bytes;
	uint8_t body[];
};

struct waiting_queue {
	struct waiting *first;
	struct waiting **end;
	size_t bytes;
};

struct sessions_service {
	struct nodes_thread *thread;
	struct takeover takeover;
	struct waiting_queue queues[NODES_MAX];
	uint64_t next_tick_ms;
	uint64_t view; /* taken last; 0: none */
	void (*told)(void *context, uint64_t question, struct slice node);
	void *told_context;
	uint64_t dropped;
	bool ends;
};

/* ---- to peers ---- */

static void forget_queue(struct waiting_queue *queue)
{
	while (queue->first != NULL) {
		struct waiting *waiting = queue->first;
		queue->first = waiting->next;
		free(waiting);
	}
	queue->end = &queue->first;
	queue->bytes = 0;
}

static void wait_for_room(struct sessions_service *service, struct waiting_queue *queue, uint8_t kind,
			  struct slice head, struct slice body)
{
	size_t bytes = head.size + body.size;
	struct waiting *waiting =
		queue->bytes + bytes <= SESSIONS_WAITING_BYTES_MAX ? malloc(sizeof(*waiting) + bytes) : NULL;
	if (waiting == NULL) {
		service->dropped++;
		return;
	}
	*waiting = (struct waiting){.kind = kind, .bytes = bytes};
	memcpy(waiting->body, head.data, head.size);
	if (body.size != 0)
		memcpy(waiting->body + head.size, body.data, body.size);
	CHECK(queue->end != NULL);
	*queue->end = waiting;
	queue->end = &waiting->next;
	queue->bytes += bytes;
}

static void on_send(void *context, uint8_t slot, enum takeover_kind kind, const struct takeover_message *message)
{
	struct sessions_service *service = context;
	struct node_peer *peer = slot < NODES_MAX ? service->thread->peers[slot] : NULL;
	struct waiting_queue *queue = slot < NODES_MAX ? &service->queues[slot] : NULL;
	if (peer == NULL || peer->link == NULL)
		return;
	uint8_t small[512];
	size_t bytes = takeover_head_bytes(message);
	uint8_t *head = bytes <= sizeof(small) ? small : malloc(bytes);
	if (head == NULL) {
		service->dropped++;
		return;
	}
	struct slice encoded = slice_of(head, takeover_encode(message, head));
	if (queue->first != NULL || !peer_send(peer, (uint8_t)kind, encoded, message->body))
		wait_for_room(service, queue, (uint8_t)kind, encoded, message->body);
	if (head != small)
		free(head);
}

/* True: something still waits. */
static bool send_waiting(struct sessions_service *service)
{
	bool some = false;
	for (uint32_t slot = 0; slot < NODES_MAX; slot++) {
		struct waiting_queue *queue = &service->queues[slot];
		struct node_peer *peer = service->thread->peers[slot];
		if (queue->first != NULL && (peer == NULL || peer->link == NULL))
			forget_queue(queue);
		while (queue->first != NULL) {
			struct waiting *waiting = queue->first;
			if (!peer_send(peer, waiting->kind, slice_of(waiting->body, waiting->bytes), slice_of(NULL, 0)))
				break;
			queue->first = waiting->next;
			if (queue->first == NULL)
				queue->end = &queue->first;
			CHECK_GE(queue->bytes, waiting->bytes);
			queue->bytes -= waiting->bytes;
			free(waiting);
		}
		some |= queue->first != NULL;
	}
	return some;
}

/* ---- to shards ---- */

static uint64_t hash_of(const struct sessions_service *service, struct slice id)
{
	return hash_slice(service->thread->parts.key, id);
}

static uint16_t on_shard_of(void *context, struct slice id)
{
	const struct sessions_service *service = context;
	return shard_of_hash(hash_of(service, id), service->thread->parts.shard_count);
}

static void post(struct sessions_service *service, uint16_t shard, uint8_t kind, const struct session_piece *head,
		 struct slice id, struct slice user, struct slice body)
{
	struct node_mail *mail = session_mail_new(kind, head, id, user, body);
	if (mail != NULL)
		node_port_post(service->thread->parts.nodes, shard, mail);
	else
		service->dropped++;
}

static void on_go_on(void *context, uint16_t shard, uint64_t claim, struct slice id)
{
	struct session_piece head = {.number = claim, .hash = hash_of(context, id)};
	post(context, shard, SESSION_TOLD_GO_ON, &head, id, slice_of(NULL, 0), slice_of(NULL, 0));
}

static void on_yield(void *context, uint64_t number, uint8_t flags, struct slice id, struct slice user)
{
	struct session_piece head = {.number = number, .flags = flags, .hash = hash_of(context, id)};
	post(context, on_shard_of(context, id), SESSION_TOLD_YIELD, &head, id, user, slice_of(NULL, 0));
}

static void on_part(void *context, uint64_t number, const struct takeover_message *part)
{
	struct session_piece head = {
		.number = number, .sequence = part->sequence, .flags = part->flags, .hash = hash_of(context, part->id)};
	post(context, on_shard_of(context, part->id), SESSION_TOLD_PART, &head, part->id, slice_of(NULL, 0),
	     part->body);
}

static void post_number(struct sessions_service *service, uint16_t shard, uint8_t kind, uint64_t number,
			uint32_t sequence)
{
	struct session_piece head = {.number = number, .sequence = sequence};
	post(service, shard, kind, &head, slice_of(NULL, 0), slice_of(NULL, 0), slice_of(NULL, 0));
}

static void on_taken(void *context, uint16_t shard, uint64_t number, uint32_t sequence)
{
	post_number(context, shard, SESSION_TOLD_TAKEN, number, sequence);
}

static void on_arrived(void *context, uint16_t shard, uint64_t number)
{
	post_number(context, shard, SESSION_TOLD_ARRIVED, number, 0);
}

static void on_give_up(void *context, uint16_t shard, uint64_t number)
{
	post_number(context, shard, SESSION_TOLD_GIVE_UP, number, 0);
}

static void on_announce(void *context, uint64_t walk)
{
	struct sessions_service *service = context;
	for (uint16_t shard = 0; shard < service->thread->parts.shard_count; shard++)
		post(service, shard, SESSION_TOLD_ANNOUNCE, &(struct session_piece){.view = walk}, slice_of(NULL, 0),
		     slice_of(NULL, 0), slice_of(NULL, 0));
}

static void on_holder(void *context, uint64_t question, struct slice node)
{
	const struct sessions_service *service = context;
	if (service->told != NULL)
		service->told(service->told_context, question, node);
}

/* ---- beginning and end ---- */

struct sessions_service *sessions_service_new(struct nodes_thread *thread)
{
	struct sessions_service *service = calloc(1, sizeof(*service));
	if (service == NULL)
		return NULL;
	service->thread = thread;
	for (uint32_t i = 0; i < NODES_MAX; i++)
		service->queues[i].end = &service->queues[i].first;
	const struct takeover_actions actions = {
		.context = service,
		.send = on_send,
		.shard_of = on_shard_of,
		.go_on = on_go_on,
		.yield = on_yield,
		.part = on_part,
		.taken = on_taken,
		.arrived = on_arrived,
		.give_up = on_give_up,
		.announce = on_announce,
		.holder = on_holder,
	};
	struct hash_key key = cluster_key(slice_string(thread->settings->name), CLUSTER_KEY_SESSION);
	/* So that the decisions of two homes, and of two runs of one, have numbers of their own. */
	uint64_t first;
	randombytes_buf(&first, sizeof(first));
	takeover_init(&service->takeover, &key, first & ~((uint64_t)0xffff), thread->parts.shard_count, &actions);
	return service;
}

void sessions_service_free(struct sessions_service *service)
{
	if (service == NULL)
		return;
	for (uint32_t i = 0; i < NODES_MAX; i++)
		forget_queue(&service->queues[i]);
	takeover_fini(&service->takeover);
	free(service);
}

/* ---- the view ---- */

static void add_member(struct sessions_service *service, struct home_view *view, uint8_t slot, struct slice name)
{
	if (view->count > NODES_MAX || name.size > HOME_NAME_BYTES_MAX)
		return;
	struct home_member *member = &view->members[view->count++];
	member->slot = slot;
	member->name_bytes = (uint8_t)name.size;
	memcpy(member->name, name.data, name.size);
	member->name_hash = hash_slice(&service->takeover.home.key, name);
}

/* Who is alive and can be reached. Members agree on that in the end, and only those that do decide together. */
static void take_view(struct sessions_service *service)
{
	struct nodes_thread *thread = service->thread;
	struct home_view view = {.number = members_view_hash(thread->members)};
	add_member(service, &view, HOME_SELF, slice_string(thread->node));
	for (uint32_t slot = 0; slot < NODES_MAX; slot++) {
		const struct node_peer *peer = thread->peers[slot];
		if (peer != NULL && peer->link != NULL && peer_is_reachable(peer))
			add_member(service, &view, (uint8_t)slot, slice_string(peer->name));
	}
	service->view = view.number;
	takeover_view(&service->takeover, &view, thread->now_ms);
}

static void on_view_changed(void *context)
{
	take_view(context);
}

static void sessions_gone(void *context, struct node_peer *peer)
{
	struct sessions_service *service = context;
	forget_queue(&service->queues[peer->slot]);
	takeover_lost(&service->takeover, peer->slot, service->thread->now_ms);
}

static bool sessions_received(void *context, struct node_peer *peer, uint8_t kind, struct slice body)
{
	struct sessions_service *service = context;
	struct takeover_message message;
	if (!takeover_decode(body, &message))
		return false;
	takeover_receive(&service->takeover, peer->slot, (enum takeover_kind)kind, &message, service->thread->now_ms);
	return true;
}

/* ---- what shards say ---- */

static void take_held(struct sessions_service *service, const struct session_piece *piece)
{
	struct slice body = session_piece_body(piece);
	struct session_held held;
	for (size_t at = 0; body.size - at >= sizeof(held); at += sizeof(held) + held.id_bytes) {
		memcpy(&held, body.data + at, sizeof(held));
		takeover_held(&service->takeover, piece->view, held.age_s, held.is_husk != 0,
			      slice_of(body.data + at + sizeof(held), held.id_bytes));
	}
}

static void take_ended(struct sessions_service *service, struct slice body)
{
	uint16_t size;
	for (size_t at = 0; body.size - at >= sizeof(size); at += sizeof(size) + size) {
		memcpy(&size, body.data + at, sizeof(size));
		takeover_session_ended(&service->takeover, slice_of(body.data + at + sizeof(size), size));
	}
}

static void sessions_mail(void *context, struct node_mail *mail)
{
	struct sessions_service *service = context;
	struct takeover *takeover = &service->takeover;
	const struct session_piece *piece = session_piece_of(mail);
	struct slice id = session_piece_id(piece);
	switch ((enum session_says)mail->kind) {
	case SESSION_SAYS_CLAIM:
		takeover_claim(takeover, mail->shard, piece->number, piece->flags, id, session_piece_user(piece));
		break;
	case SESSION_SAYS_LATE:
		takeover_claim_late(takeover, id);
		break;
	case SESSION_SAYS_PART:
		takeover_gives(takeover, piece->number, piece->sequence, piece->flags, session_piece_body(piece));
		break;
	case SESSION_SAYS_NOTHING:
		takeover_gives_nothing(takeover, piece->number);
		break;
	case SESSION_SAYS_TAKEN:
		takeover_has_taken(takeover, piece->number, piece->sequence);
		break;
	case SESSION_SAYS_SAFE:
		takeover_is_safe(takeover, piece->number);
		break;
	case SESSION_SAYS_FAILED:
		takeover_failed(takeover, piece->number);
		break;
	case SESSION_SAYS_BACK:
		takeover_is_back(takeover, piece->number, piece->age_s, id);
		break;
	case SESSION_SAYS_ENDED:
		take_ended(service, session_piece_body(piece));
		break;
	case SESSION_SAYS_HELD:
		take_held(service, piece);
		break;
	case SESSION_SAYS_ANNOUNCED:
		takeover_announced(takeover, piece->view);
		break;
	}
	node_mail_free(mail);
}

/* ---- a turn ---- */

static bool sessions_turn(void *context, uint64_t now_ms)
{
	struct sessions_service *service = context;
	if (service->view == 0)
		take_view(service);
	takeover_tick(&service->takeover, now_ms);
	service->next_tick_ms = now_ms + TICK_MS;
	send_waiting(service);
	return false;
}

static uint64_t on_deadline_ms(const void *context)
{
	return ((const struct sessions_service *)context)->next_tick_ms;
}

static void sessions_status(const void *context, struct nodes_status *status)
{
	const struct sessions_service *service = context;
	status->claims = service->takeover.claims_begun;
	status->sessions_moved_in = service->takeover.moved_in;
	status->sessions_moved_out = service->takeover.moved_out;
	status->claims_timed_out = service->takeover.late;
}

void sessions_service_ask(struct sessions_service *service, struct slice id,
			  void (*told)(void *context, uint64_t question, struct slice node), void *context,
			  uint64_t question)
{
	service->told = told;
	service->told_context = context;
	takeover_ask(&service->takeover, question, id);
}

const struct node_service SESSIONS_SERVICE = {
	.name = "sessions",
	.kind_first = MESSAGE_SESSIONS,
	.kind_last = MESSAGE_RETAINED - 1,
	.received = sessions_received,
	.gone = sessions_gone,
	.view_changed = on_view_changed,
	.mail = sessions_mail,
	.turn = sessions_turn,
	.deadline_ms = on_deadline_ms,
	.status = sessions_status,
};
