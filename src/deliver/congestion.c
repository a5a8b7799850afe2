#include "deliver/congestion.h"

#include "deliver/outgoing.h"
#include "deliver/own_queue.h"
#include "deliver/record.h"
#include "runtime/nodes/node_mail.h"
#include "state/account.h"
#include "state/client_state.h"
#include "state/extension.h"
#include "state/release.h"
#include "state/shard.h"

/* What a queued message costs besides its packet: the entry, and the head of the kept message. */
#define ENTRY_BYTES ((uint32_t)(sizeof(struct flow_entry) + sizeof(struct message)))
/* How long a publisher reads the board after its last note. */
#define AWAITS_MS 1000u
/* The shortest time between two notes to one publisher for one place. */
#define TOLD_AGAIN_MS 2u
/* Clients of each list that are visited in one turn. */
#define LOOKS_PER_TURN 1024u

_Static_assert(CONGESTION_PLACES <= UINT16_MAX, "a note names a place in 16 bits");
_Static_assert(CONGESTION_PERIOD_MS_MIN != 0 && CONGESTION_PERIOD_MS_MIN <= CONGESTION_PERIOD_MS,
	       "a client has time to make progress");
_Static_assert(TOLD_AGAIN_MS < AWAITS_MS, "the next note comes before a publisher forgets the last one");
_Static_assert(ACCOUNT_AWAITED_MAX != 0 && ACCOUNT_AWAITED_MAX <= UINT8_MAX, "awaited_count has 8 bits");

void congestion_fini(struct congestion *congestion)
{
	client_list_fini(&congestion->congested);
	client_list_fini(&congestion->held);
}

static uint16_t congestion_place_of(struct client_ref ref)
{
	return (uint16_t)(ref.index % CONGESTION_PLACES);
}

static _Atomic uint16_t *count_at(const struct shard *shard, uint16_t at, uint16_t place)
{
	return &shard->env.boards[at].congested[place];
}

/* ---- the subscriber ---- */

static struct queue_limits limits_of(const struct shard *shard, const struct client *client)
{
	return outgoing_queue_limits(shard, client_is_internal(client));
}

/* Whether the queue is above 1 / `part` of its limit. */
static bool is_above(const struct shard *shard, const struct client *client, const struct flow *flow, uint32_t part)
{
	struct queue_limits limits = limits_of(shard, client);
	return flow->queued > limits.messages / part || flow->queued_bytes > limits.bytes / part;
}

/* How much memory the queue takes beyond its limit, with `bytes` more in it. */
static uint32_t queue_excess(const struct shard *shard, const struct client *client, const struct flow *flow,
			     uint32_t bytes)
{
	uint64_t all = (uint64_t)flow->queued_bytes + bytes + (uint64_t)flow->queued * ENTRY_BYTES;
	uint64_t limit = limits_of(shard, client).bytes;
	return all > limit ? (uint32_t)(all - limit) : 0;
}

static void set_excess(struct shard *shard, struct account *account, uint32_t bytes)
{
	struct congestion *congestion = &shard->routing.congestion;
	CHECK_GE(congestion->excess_bytes, account->excess_bytes); /* the first is the sum of all the others */
	congestion->excess_bytes += bytes;
	congestion->excess_bytes -= account->excess_bytes;
	account->excess_bytes = bytes;
}

static void restart_measurement(const struct shard *shard, struct account *account)
{
	account->since_ms = shard->loop.now_ms;
	account->taken_messages = 0;
	account->taken_bytes = 0;
}

static void congestion_begin(struct shard *shard, struct client_ref ref, struct account *account)
{
	account->congested = true;
	account->passed_bytes = 0;
	restart_measurement(shard, account);
	_Atomic uint16_t *count = count_at(shard, shard->env.number, congestion_place_of(ref));
	atomic_store(count, (uint16_t)(atomic_load_explicit(count, memory_order_relaxed) + 1u));
	account->congested_at = shard->routing.congestion.congested.count;
	client_list_push(&shard->routing.congestion.congested, ref);
	COUNT(&shard->counters, congestions);
}

/* The last client in the list takes its place. */
static void leave_list(struct shard *shard, struct client_ref ref, const struct account *account)
{
	struct client_list *list = &shard->routing.congestion.congested;
	CHECK_LT(account->congested_at, list->count);
	CHECK(client_ref_equal(list->items[account->congested_at], ref));
	struct client_ref last = list->items[--list->count];
	list->items[account->congested_at] = last;
	account_of(shard, shard_client(shard, last))->congested_at = account->congested_at;
}

static void congestion_relieve(struct shard *shard, struct client_ref ref, struct account *account)
{
	leave_list(shard, ref, account);
	account->congested = false;
	set_excess(shard, account, 0);
	_Atomic uint16_t *count = count_at(shard, shard->env.number, congestion_place_of(ref));
	uint16_t before = atomic_load_explicit(count, memory_order_relaxed);
	CHECK_GT(before, 0);
	atomic_store(count, (uint16_t)(before - 1u));
}

static bool was_told(const struct told *told, const struct publisher_name *publisher, uint32_t place)
{
	return told->publisher.index == publisher->index && told->publisher.shard == publisher->shard &&
	       told->publisher.generation == publisher->generation && told->place == place;
}

/* Whether the publisher is on another node: then its name is the nodes thread's (nodes/publish/far_waits.h). */
static bool is_far(const struct shard *shard, const struct publisher_name *publisher)
{
	const struct node_port *nodes = shard->env.nodes;
	return nodes != NULL && publisher->shard == node_port_numbers(nodes) - 1;
}

/* The publisher is on another shard, or node. False: there is no room for a note now. */
static bool congestion_send_note(struct shard *shard, const struct publisher_name *publisher, uint16_t place)
{
	CHECK(publisher->shard < shard->env.shard_count || is_far(shard, publisher));
	CHECK_NE(publisher->shard, shard->env.number); /* our own publishers are told directly */
	CHECK_LT(place, CONGESTION_PLACES);
	if (is_far(shard, publisher) && !atomic_load_explicit(&shard->env.nodes->is_open, memory_order_acquire))
		return false;
	struct record *record = outbox_write(&shard->routing.outbox, publisher->shard, sizeof(*record));
	if (record == NULL)
		return false;
	*record = (struct record){
		.record_bytes = sizeof(*record),
		.publisher = *publisher,
		.note = {.shard = shard->env.number, .place = place},
	};
	return true;
}

/* Tells the publisher to wait for the client at this place on our board. */
static void congestion_tell(struct shard *shard, const struct publisher_name *publisher, uint16_t place)
{
	if (publisher->shard == shard->env.number) {
		congestion_note(shard, publisher, shard->env.number, place);
		return;
	}
	uint32_t slot = (publisher->index * 31u + publisher->shard * 7u + place) % CONGESTION_TOLD;
	struct told *told = &shard->routing.congestion.told[slot];
	if (was_told(told, publisher, place) && shard->loop.now_ms < told->at_ms + TOLD_AGAIN_MS)
		return;
	if (congestion_send_note(shard, publisher, place))
		*told = (struct told){*publisher, place, shard->loop.now_ms};
}

void congestion_queued(struct shard *shard, struct client *client, const struct publisher_name *publisher)
{
	const struct flow *flow = &extension_of(shard, client)->flow;
	if (!client_is_connected(client) || !is_above(shard, client, flow, 2))
		return;
	if (client_is_internal(client) && own_queue_of(shard, client) != NULL)
		return;
	struct client_ref ref = shard_client_ref(shard, client);
	struct account *account = account_need(shard, client);
	if (account == NULL || account->stuck || shard->loop.now_s < account->denied_until_s)
		return;
	if (!account->congested)
		congestion_begin(shard, ref, account);
	set_excess(shard, account, queue_excess(shard, client, flow, 0));
	if (publisher->index != 0)
		congestion_tell(shard, publisher, congestion_place_of(ref));
}

bool congestion_takes(const struct shard *shard, const struct client *client, uint32_t bytes)
{
	const struct account *account = account_of(shard, client);
	if (account == NULL || !account->congested)
		return false;
	uint32_t excess = queue_excess(shard, client, &extension_of(shard, client)->flow, bytes + ENTRY_BYTES);
	/* What may be on its way from all shards before their publishers have got the note; of each other node at least
	 * one shard. */
	uint64_t senders = shard->env.shard_count + (shard->env.nodes != NULL ? NODES_MAX : 0u);
	uint64_t most = OUTBOX_BYTES_MAX * senders;
	return excess <= most &&
	       shard->routing.congestion.excess_bytes + excess <= CONGESTION_EXCESS_BYTES_MAX + account->excess_bytes;
}

void congestion_sent(struct shard *shard, struct client *client, uint32_t messages, uint32_t bytes)
{
	struct account *account = account_of(shard, client);
	if (account == NULL)
		return;
	const struct flow *flow = &extension_of(shard, client)->flow;
	if (account->stuck && !is_above(shard, client, flow, 4))
		account->stuck = false;
	if (!account->congested)
		return;
	account->taken_messages += messages;
	account->taken_bytes += bytes;
	set_excess(shard, account, queue_excess(shard, client, flow, 0));
	if (!is_above(shard, client, flow, 4))
		congestion_relieve(shard, shard_client_ref(shard, client), account);
}

void congestion_end(struct shard *shard, struct client *client)
{
	struct account *account = account_of(shard, client);
	if (account != NULL && account->congested)
		congestion_relieve(shard, shard_client_ref(shard, client), account);
}

/* Half of the queue's limit per second, in messages or in bytes; for a long queue, no more than any client that reads
 * takes. */
static bool makes_progress(const struct shard *shard, const struct client *client, const struct account *account)
{
	struct queue_limits limits = limits_of(shard, client);
	uint64_t messages = limits.messages / 2;
	uint64_t bytes = limits.bytes / 2;
	uint64_t period_ms = shard->loop.now_ms - account->since_ms;
	if (messages > CONGESTION_MESSAGES_PER_SECOND)
		messages = CONGESTION_MESSAGES_PER_SECOND;
	if (bytes > CONGESTION_BYTES_PER_SECOND)
		bytes = CONGESTION_BYTES_PER_SECOND;
	return account->taken_messages * UINT64_C(1000) >= messages * period_ms ||
	       account->taken_bytes * UINT64_C(1000) >= bytes * period_ms;
}

/* How many clients were found to be stuck lately. */
static uint32_t stuck_lately(const struct shard *shard)
{
	const struct congestion *congestion = &shard->routing.congestion;
	return shard->loop.now_s < congestion->stuck_since_s + CONGESTION_DENIED_S ? congestion->stuck : 0;
}

static void count_stuck(struct shard *shard)
{
	struct congestion *congestion = &shard->routing.congestion;
	congestion->stuck = stuck_lately(shard) + 1;
	if (congestion->stuck == 1)
		congestion->stuck_since_s = shard->loop.now_s;
	COUNT(&shard->counters, congestions_stuck);
}

/* The time in which a client has to show that it takes its messages. It gets shorter with each client that was stuck
 * lately, so that many clients that pretend to read, one after another, do not hold publishers up for long. */
static uint64_t period_ms(const struct shard *shard)
{
	uint32_t period = CONGESTION_PERIOD_MS / (1 + stuck_lately(shard));
	return period > CONGESTION_PERIOD_MS_MIN ? period : CONGESTION_PERIOD_MS_MIN;
}

/* True: the client is no longer congested, and has left the list. */
static bool visit_congested(struct shard *shard, uint32_t at)
{
	struct client_ref ref = shard->routing.congestion.congested.items[at];
	struct account *account = account_of(shard, shard_client(shard, ref));
	CHECK(account != NULL && account->congested);
	/* Nothing is written to it now, so it cannot show that it reads. */
	if (io_held(&shard->mem.io, &shard_client(shard, ref)->conn) != 0) {
		restart_measurement(shard, account);
		return false;
	}
	if (shard->loop.now_ms < account->since_ms + period_ms(shard))
		return false;
	if (makes_progress(shard, shard_client(shard, ref), account)) {
		restart_measurement(shard, account);
		return false;
	}
	account->denied_until_s = shard->loop.now_s + CONGESTION_DENIED_S;
	account->stuck = true;
	count_stuck(shard);
	congestion_relieve(shard, ref, account);
	return true;
}

/* ---- the publisher ---- */

void congestion_note(struct shard *shard, const struct publisher_name *publisher, uint16_t from, uint16_t place)
{
	CHECK_LE(from, shard->env.shard_count);
	CHECK_LT(place, CONGESTION_PLACES);
	/* Another node may call a publisher what it likes. */
	if (from == shard->env.shard_count && publisher->index - 1 >= shard->mem.clients.touched)
		return;
	struct client *client = shard_client(shard, (struct client_ref){publisher->index});
	if (!client_is_connected(client) || client->conn.generation != publisher->generation)
		return;
	struct account *account = account_need(shard, client);
	if (account == NULL)
		return;
	client->slowed = 1;
	account->awaits_until_ms = shard->loop.now_ms + AWAITS_MS;
	for (uint32_t i = 0; i < account->awaited_count; i++) {
		if (account->awaited[i].shard == from && account->awaited[i].place == place)
			return;
	}
	/* Of many, the newest are kept: the publisher will be told of the others again when it publishes to them. */
	if (account->awaited_count == ACCOUNT_AWAITED_MAX) {
		account->awaited_count--;
		memmove(&account->awaited[0], &account->awaited[1],
			account->awaited_count * sizeof(account->awaited[0]));
	}
	account->awaited[account->awaited_count++] = (struct awaited){from, place};
}

static bool has_to_wait(const struct shard *shard, const struct account *account)
{
	for (uint32_t i = 0; i < account->awaited_count; i++) {
		const struct awaited *awaited = &account->awaited[i];
		if (atomic_load_explicit(count_at(shard, awaited->shard, awaited->place), memory_order_relaxed) != 0)
			return true;
	}
	return false;
}

/* A client's acknowledgements come behind its messages, so two clients that publish to each other and have full windows
 * must not wait for each other: a congested publisher may pass. It must wait if its queue goes on without its
 * acknowledgements, or if it has had its share (CONGESTION_PASSED_BYTES_MAX): otherwise clients that publish to each
 * other would lose messages, and all others would wait. */
static bool may_pass(const struct shard *shard, const struct client *client, const struct account *account)
{
	return account->congested && account->passed_bytes < CONGESTION_PASSED_BYTES_MAX &&
	       outgoing_awaits_acks(shard, client);
}

bool congestion_holds(struct shard *shard, struct client_ref ref, struct client *client, size_t bytes)
{
	CHECK(client->slowed);
	struct account *account = account_of(shard, client);
	if (account == NULL || shard->loop.now_ms >= account->awaits_until_ms) {
		client->slowed = 0;
		if (account != NULL)
			account->awaited_count = 0;
		extension_trim(shard, client);
		return false;
	}
	if (!has_to_wait(shard, account))
		return false;
	if (may_pass(shard, client, account)) {
		account->passed_bytes += (uint32_t)bytes + ENTRY_BYTES;
		return false;
	}
	account->awaits_until_ms = shard->loop.now_ms + AWAITS_MS;
	client_pause(client, PAUSE_SUBSCRIBER);
	client_list_push(&shard->routing.congestion.held, ref);
	COUNT(&shard->counters, subscriber_pauses);
	return true;
}

/* True: the client no longer waits, and has left the list. */
static bool visit_held(struct shard *shard, uint32_t at)
{
	struct client_list *held = &shard->routing.congestion.held;
	struct client_ref ref = held->items[at];
	const struct client *client = shard_client(shard, ref);
	bool waits = client_is_connected(client) && client->pause == PAUSE_SUBSCRIBER;
	const struct account *account = waits ? account_of(shard, client) : NULL;
	if (account != NULL && has_to_wait(shard, account) && !may_pass(shard, client, account))
		return false;
	held->items[at] = held->items[--held->count];
	if (waits)
		client_resume(shard, ref, PAUSE_SUBSCRIBER);
	return true;
}

/* ---- once a turn ---- */

static void visit_some(struct shard *shard, const struct client_list *list, uint32_t *next,
		       bool (*is_over)(struct shard *, uint32_t))
{
	for (uint32_t looks = 0; looks < LOOKS_PER_TURN && looks < list->count; looks++) {
		if (*next >= list->count)
			*next = 0;
		if (!is_over(shard, *next))
			(*next)++;
	}
}

void congestion_run(struct shard *shard)
{
	struct congestion *congestion = &shard->routing.congestion;
	if (congestion->congested.count + congestion->held.count == 0 ||
	    shard->loop.now_ms < congestion->looked_ms + CONGESTION_POLL_MS)
		return;
	congestion->looked_ms = shard->loop.now_ms;
	visit_some(shard, &congestion->congested, &congestion->look_congested, visit_congested);
	visit_some(shard, &congestion->held, &congestion->look_held, visit_held);
}

uint32_t congestion_wait_ms(const struct shard *shard, uint32_t limit_ms)
{
	uint32_t wait_ms = limit_ms;
	if (shard->routing.congestion.held.count != 0)
		wait_ms = CONGESTION_POLL_MS;
	else if (shard->routing.congestion.congested.count != 0)
		wait_ms = (uint32_t)period_ms(shard);
	return wait_ms < limit_ms ? wait_ms : limit_ms;
}
