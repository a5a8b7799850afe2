/* Several nodes, each with its part of the take-over and a shard that does what it is told, late. Clients come
 * anywhere, views change at each node at a time of its own, nodes die, split and come again, and clients lose patience.
 * When all is quiet and all nodes agree there is one holder of an id at most, no claim waits, the home names the
 * holder, and what a session had is with it unless its node died. Seeds are printed. */
#include "cluster/takeover/takeover.h"
#include "random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NODES 4u
#define IDS 5u
#define PLAYS 500u /* ROOST_TAKEOVER_PLAYS in the environment: another number */
#define STEPS 600u

enum state {
	ABSENT,
	LIVE,
	HUSK,
	COMING,
};

struct event {
	struct event *next;
	enum { GO_ON, YIELD, PART, ARRIVED, GIVE_UP, ANNOUNCE, SAFE } kind;
	uint64_t number;
	uint8_t flags;
	uint32_t id;
	uint64_t data;
};

struct datagram {
	struct datagram *next;
	uint8_t kind;
	size_t bytes;
	uint8_t body[];
};

struct session {
	enum state state;
	uint64_t number; /* HUSK, COMING */
	uint64_t data;
	uint64_t claim; /* of a client that waits; 0: none */
	bool arrived;
};

struct node {
	struct play *play;
	uint32_t number;
	bool is_alive;
	bool has_view;
	uint32_t incarnation;
	uint32_t linked[NODES]; /* incarnation of the other one that the link is with; 0: none */
	struct takeover takeover;
	struct event *events;
	struct event **events_end;
	struct datagram *out[NODES]; /* to each other node */
	struct datagram **out_end[NODES];
	struct session sessions[IDS];
	uint64_t claims;
	uint64_t view;
	uint32_t answers;
	uint32_t answer;
};

struct play {
	struct random random;
	struct node nodes[NODES];
	uint32_t groups[NODES]; /* nodes that see each other have the same one */
	uint64_t now_ms;
	uint64_t views;
	bool died;
	uint32_t moved;
	uint32_t merged;
	uint32_t late;
};

static const char *const NAMES[NODES] = {"north", "east", "south", "west"};
static const char *const ID_NAMES[IDS] = {"a", "bb", "ccc", "dddd", "eeeee"};
static const struct hash_key KEY = {{7, 1, 2, 3}};

static uint32_t any(struct play *play, uint32_t limit)
{
	return random_below(&play->random, limit);
}

static uint32_t id_of(struct slice id)
{
	assert_true(id.size >= 1 && id.size <= IDS);
	return (uint32_t)id.size - 1;
}

static struct slice name_of(uint32_t id)
{
	return slice_string(ID_NAMES[id]);
}

/* ---- what a node's take-over says ---- */

static void push_event(struct node *node, struct event event)
{
	struct event *pushed = malloc(sizeof(*pushed));
	*pushed = event;
	pushed->next = NULL;
	*node->events_end = pushed;
	node->events_end = &pushed->next;
}

static void on_send(void *context, uint8_t slot, enum takeover_kind kind, const struct takeover_message *message)
{
	struct node *node = context;
	assert_true(slot < NODES && slot != node->number);
	if (node->linked[slot] == 0)
		return;
	size_t head = takeover_head_bytes(message);
	struct datagram *datagram = malloc(sizeof(*datagram) + head + message->body.size);
	datagram->next = NULL;
	datagram->kind = (uint8_t)kind;
	datagram->bytes = head + message->body.size;
	assert_int_equal(takeover_encode(message, datagram->body), head);
	if (message->body.size != 0)
		memcpy(datagram->body + head, message->body.data, message->body.size);
	*node->out_end[slot] = datagram;
	node->out_end[slot] = &datagram->next;
}

static uint16_t on_shard_of(void *context, struct slice id)
{
	(void)context;
	(void)id;
	return 0;
}

static void on_go_on(void *context, uint16_t shard, uint64_t claim, struct slice id)
{
	(void)shard;
	push_event(context, (struct event){.kind = GO_ON, .number = claim, .id = id_of(id)});
}

static void on_yield(void *context, uint64_t number, uint8_t flags, struct slice id, struct slice user)
{
	(void)user;
	push_event(context, (struct event){.kind = YIELD, .number = number, .flags = flags, .id = id_of(id)});
}

static void on_part(void *context, uint64_t number, const struct takeover_message *part)
{
	struct event event = {.kind = PART, .number = number, .flags = part->flags, .id = id_of(part->id)};
	if (part->body.size == sizeof(event.data))
		memcpy(&event.data, part->body.data, sizeof(event.data));
	push_event(context, event);
}

static void on_taken(void *context, uint16_t shard, uint64_t number, uint32_t sequence)
{
	(void)context;
	(void)shard;
	(void)number;
	(void)sequence;
}

static void on_arrived(void *context, uint16_t shard, uint64_t number)
{
	(void)shard;
	push_event(context, (struct event){.kind = ARRIVED, .number = number});
}

static void on_give_up(void *context, uint16_t shard, uint64_t number)
{
	(void)shard;
	push_event(context, (struct event){.kind = GIVE_UP, .number = number});
}

static void on_announce(void *context, uint64_t view)
{
	push_event(context, (struct event){.kind = ANNOUNCE, .number = view});
}

static void on_holder(void *context, uint64_t question, struct slice name)
{
	struct node *node = context;
	(void)question;
	node->answers++;
	node->answer = NODES;
	for (uint32_t i = 0; i < NODES; i++) {
		if (slice_equal(name, slice_string(NAMES[i])))
			node->answer = i;
	}
}

/* ---- its shard ---- */

static struct session *session_of_number(struct node *node, uint64_t number, enum state state)
{
	for (uint32_t i = 0; i < IDS; i++) {
		if (node->sessions[i].number == number && node->sessions[i].state == state)
			return &node->sessions[i];
	}
	return NULL;
}

static void shard_yields(struct node *node, const struct event *event)
{
	struct session *session = &node->sessions[event->id];
	if (session->state != LIVE) {
		takeover_gives_nothing(&node->takeover, event->number);
		return;
	}
	session->state = HUSK;
	session->number = event->number;
	session->arrived = false;
	takeover_gives(&node->takeover, event->number, 0, SESSION_WHOLE,
		       slice_of(&session->data, sizeof(session->data)));
}

static void shard_takes(struct node *node, const struct event *event)
{
	struct session *session = &node->sessions[event->id];
	if ((event->flags & SESSION_LAST) != 0)
		return;
	assert_true(event->flags & SESSION_WHOLE);
	bool is_back = session->state == HUSK && !session->arrived;
	if (session->state == HUSK && session->arrived)
		session->data = 0; /* what it left behind is gone */
	session->state = LIVE;
	session->data |= event->data;
	session->claim = 0;
	if (is_back)
		takeover_is_back(&node->takeover, session->number, 5, name_of(event->id));
	push_event(node, (struct event){.kind = SAFE, .number = event->number});
}

static void shard_gives_up(struct node *node, uint64_t number)
{
	struct session *session = session_of_number(node, number, HUSK);
	if (session == NULL)
		takeover_gives_nothing(&node->takeover, number);
	if (session == NULL || session->arrived)
		return;
	session->state = LIVE;
	takeover_is_back(&node->takeover, number, 5, name_of((uint32_t)(session - node->sessions)));
}

static void shard_announces(struct node *node, uint64_t view)
{
	for (uint32_t i = 0; i < IDS; i++) {
		if (node->sessions[i].state != ABSENT)
			takeover_held(&node->takeover, view, any(node->play, 100), node->sessions[i].state == HUSK,
				      name_of(i));
	}
	takeover_announced(&node->takeover, view);
}

/* As moving_make_way() and client_admit() do: a husk of which it is not known that it has arrived is a session again.
 */
static void admit(struct node *node, uint32_t id)
{
	struct session *session = &node->sessions[id];
	bool is_back = session->state == HUSK && !session->arrived;
	if (session->state == HUSK && session->arrived)
		session->data = 0; /* what it left behind is gone */
	session->state = LIVE;
	if (is_back)
		takeover_is_back(&node->takeover, session->number, 5, name_of(id));
}

static void shard_goes_on(struct node *node, const struct event *event)
{
	struct session *session = &node->sessions[event->id];
	if (session->claim != event->number)
		return;
	session->claim = 0;
	admit(node, event->id);
}

static void shard_step(struct node *node)
{
	struct event *event = node->events;
	node->events = event->next;
	if (node->events == NULL)
		node->events_end = &node->events;
	struct session *session;
	switch (event->kind) {
	case GO_ON:
		shard_goes_on(node, event);
		break;
	case YIELD:
		shard_yields(node, event);
		break;
	case PART:
		shard_takes(node, event);
		break;
	case ARRIVED:
		session = session_of_number(node, event->number, HUSK);
		if (session != NULL) {
			session->state = ABSENT;
			session->data = 0;
			takeover_gives(&node->takeover, event->number, 1, SESSION_LAST, slice_of(NULL, 0));
		}
		break;
	case GIVE_UP:
		shard_gives_up(node, event->number);
		break;
	case ANNOUNCE:
		shard_announces(node, event->number);
		break;
	case SAFE:
		takeover_is_safe(&node->takeover, event->number);
		break;
	}
	free(event);
}

/* ---- nodes that come and go ---- */

static void forget(struct node *node)
{
	while (node->events != NULL) {
		struct event *event = node->events;
		node->events = event->next;
		free(event);
	}
	node->events_end = &node->events;
}

static void forget_link(struct node *node, uint32_t to)
{
	while (node->out[to] != NULL) {
		struct datagram *datagram = node->out[to];
		node->out[to] = datagram->next;
		free(datagram);
	}
	node->out_end[to] = &node->out[to];
}

static void begin_node(struct node *node)
{
	static const struct takeover_actions ACTIONS = {
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
	struct takeover_actions actions = ACTIONS;
	actions.context = node;
	node->is_alive = true;
	node->incarnation++;
	node->events_end = &node->events;
	for (uint32_t i = 0; i < NODES; i++)
		node->out_end[i] = &node->out[i];
	takeover_init(&node->takeover, &KEY, ((uint64_t)node->number + 1) << 40 | (uint64_t)node->incarnation << 20, 1,
		      &actions);
}

static void end_node(struct node *node)
{
	takeover_fini(&node->takeover);
	forget(node);
	for (uint32_t i = 0; i < NODES; i++) {
		forget_link(node, i);
		node->linked[i] = 0;
	}
	memset(node->sessions, 0, sizeof(node->sessions));
	node->is_alive = false;
	node->has_view = false;
}

static bool sees(const struct play *play, uint32_t a, uint32_t b)
{
	return play->nodes[a].is_alive && play->nodes[b].is_alive && play->groups[a] == play->groups[b];
}

/* The node takes up who is alive now. */
static void take_view(struct play *play, struct node *node)
{
	struct home_view view = {.number = 0};
	uint64_t sum = 0;
	for (uint32_t i = 0; i < NODES; i++) {
		struct node *other = &play->nodes[i];
		bool is_lost = node->linked[i] != 0 && node->linked[i] != other->incarnation;
		if (is_lost) {
			node->linked[i] = 0;
			forget_link(node, i);
			takeover_lost(&node->takeover, (uint8_t)i, play->now_ms);
		}
		if (!sees(play, node->number, i))
			continue;
		if (i != node->number && node->linked[i] == 0)
			node->linked[i] = other->incarnation;
		struct home_member *member = &view.members[view.count++];
		member->slot = i == node->number ? HOME_SELF : (uint8_t)i;
		member->name_bytes = (uint8_t)strlen(NAMES[i]);
		memcpy(member->name, NAMES[i], member->name_bytes);
		member->name_hash = hash_slice(&KEY, slice_string(NAMES[i]));
		sum += ((uint64_t)1 << (8 * i)) * (other->incarnation + 1);
	}
	view.number = sum;
	if (node->has_view && node->view == sum)
		return;
	node->has_view = true;
	node->view = sum;
	takeover_view(&node->takeover, &view, play->now_ms);
}

static void deliver(struct play *play, struct node *from, uint32_t to)
{
	struct datagram *datagram = from->out[to];
	struct node *node = &play->nodes[to];
	if (datagram == NULL || !sees(play, from->number, to) || from->linked[to] != node->incarnation)
		return;
	if (node->linked[from->number] != from->incarnation)
		return; /* the other side has yet to begin the link */
	from->out[to] = datagram->next;
	if (from->out[to] == NULL)
		from->out_end[to] = &from->out[to];
	struct takeover_message message;
	assert_true(takeover_decode(slice_of(datagram->body, datagram->bytes), &message));
	takeover_receive(&node->takeover, (uint8_t)from->number, (enum takeover_kind)datagram->kind, &message,
			 play->now_ms);
	free(datagram);
}

/* ---- clients ---- */

static void client_comes(struct play *play, struct node *node, uint32_t id)
{
	struct session *session = &node->sessions[id];
	if (!node->is_alive || session->state == LIVE || session->claim != 0)
		return;
	session->claim = ++node->claims;
	takeover_claim(&node->takeover, 0, session->claim, 0, name_of(id), slice_of(NULL, 0));
	play->moved++;
}

/* It loses patience. */
static void client_is_late(struct play *play, struct node *node, uint32_t id)
{
	struct session *session = &node->sessions[id];
	if (!node->is_alive || session->claim == 0)
		return;
	session->claim = 0;
	admit(node, id);
	takeover_claim_late(&node->takeover, name_of(id));
	play->late++;
}

/* ---- the play ---- */

static uint32_t holders(const struct play *play, uint32_t id, uint64_t *data)
{
	uint32_t count = 0;
	*data = 0;
	for (uint32_t i = 0; i < NODES; i++) {
		if (!play->nodes[i].is_alive || play->nodes[i].sessions[id].state != LIVE)
			continue;
		count++;
		*data |= play->nodes[i].sessions[id].data;
	}
	return count;
}

static bool step_something(struct play *play)
{
	bool any_left = false;
	uint32_t first = any(play, NODES);
	for (uint32_t i = 0; i < NODES; i++) {
		struct node *node = &play->nodes[(first + i) % NODES];
		if (!node->is_alive)
			continue;
		if (node->events != NULL && any(play, 2) == 0)
			shard_step(node);
		any_left |= node->events != NULL;
		for (uint32_t to = 0; to < NODES; to++) {
			if (any(play, 2) == 0)
				deliver(play, node, to);
			any_left |= node->out[to] != NULL && sees(play, node->number, to);
		}
	}
	return any_left;
}

static void all_take_views(struct play *play)
{
	for (uint32_t i = 0; i < NODES; i++) {
		if (play->nodes[i].is_alive)
			take_view(play, &play->nodes[i]);
	}
}

static void settle(struct play *play)
{
	for (uint32_t rounds = 0; rounds < 200; rounds++) {
		all_take_views(play);
		uint32_t steps = 0;
		for (uint32_t quiet = 0; quiet < 20; steps++) {
			assert_true(steps < 10030);
			quiet = step_something(play) ? 0 : quiet + 1;
		}
		play->now_ms += 500;
		for (uint32_t i = 0; i < NODES; i++) {
			if (play->nodes[i].is_alive)
				takeover_tick(&play->nodes[i].takeover, play->now_ms);
		}
	}
}

static void check(struct play *play)
{
	for (uint32_t id = 0; id < IDS; id++) {
		uint64_t data;
		uint32_t count = holders(play, id, &data);
		assert_true(count <= 1);
		if (!play->died)
			assert_int_equal(data, (uint64_t)1 << id);
		for (uint32_t i = 0; i < NODES; i++) {
			struct node *node = &play->nodes[i];
			if (!node->is_alive)
				continue;
			assert_int_not_equal(node->sessions[id].state, HUSK);
			assert_int_equal(node->sessions[id].claim, 0);
			assert_int_equal(node->takeover.claim_count, 0);
			uint32_t answers = node->answers;
			takeover_ask(&node->takeover, 1, name_of(id));
			for (uint32_t quiet = 0, steps = 0; quiet < 20; steps++) {
				assert_true(steps < 10000);
				quiet = step_something(play) ? 0 : quiet + 1;
			}
			assert_int_equal(node->answers, answers + 1);
			if (count == 1) {
				assert_true(node->answer < NODES);
				assert_int_equal(play->nodes[node->answer].sessions[id].state, LIVE);
			}
		}
	}
}

/* Whose claim was lost with a view gets a new session, and what another node has comes to it. */
static void lose_patience(struct play *play)
{
	for (uint32_t i = 0; i < NODES; i++) {
		for (uint32_t id = 0; id < IDS; id++)
			client_is_late(play, &play->nodes[i], id);
	}
}

static void random_step(struct play *play, bool faults, bool deaths)
{
	struct node *node = &play->nodes[any(play, NODES)];
	uint32_t what = any(play, 100);
	if (what < 20)
		client_comes(play, node, any(play, IDS));
	else if (what < 22 && faults)
		client_is_late(play, node, any(play, IDS));
	else if (what < 24 && faults)
		play->groups[any(play, NODES)] = any(play, 2);
	else if (what < 26)
		memset(play->groups, 0, sizeof(play->groups));
	else if (what < 27 && deaths && node->is_alive) {
		end_node(node);
		play->died = true;
	} else if (what < 30 && !node->is_alive)
		begin_node(node);
	else if (what < 45 && node->is_alive)
		take_view(play, node);
	else if (what < 50)
		play->now_ms += any(play, 2000);
	else
		step_something(play);
	for (uint32_t i = 0; i < NODES; i++) {
		if (play->nodes[i].is_alive && any(play, 4) == 0)
			takeover_tick(&play->nodes[i].takeover, play->now_ms);
	}
}

static void play_once(uint64_t seed, bool faults, bool deaths)
{
	struct play *play = calloc(1, sizeof(*play));
	play->random.state = seed * 0x9E3779B97F4A7C15u;
	play->now_ms = 1000000;
	for (uint32_t i = 0; i < NODES; i++) {
		play->nodes[i].play = play;
		play->nodes[i].number = i;
		begin_node(&play->nodes[i]);
	}
	for (uint32_t id = 0; id < IDS; id++) {
		play->nodes[any(play, NODES)].sessions[id] = (struct session){.state = LIVE, .data = (uint64_t)1 << id};
	}
	settle(play);
	for (uint32_t step = 0; step < STEPS; step++)
		random_step(play, faults, deaths);
	memset(play->groups, 0, sizeof(play->groups));
	settle(play);
	lose_patience(play);
	settle(play);
	check(play);
	for (uint32_t i = 0; i < NODES; i++) {
		if (play->nodes[i].is_alive)
			end_node(&play->nodes[i]);
	}
	free(play);
}

static uint64_t plays(void)
{
	const char *asked = getenv("ROOST_TAKEOVER_PLAYS");
	return asked != NULL ? strtoull(asked, NULL, 10) : PLAYS;
}

static void test_clients_alone(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= plays() / 4; seed++) {
		printf("# seed %llu, no faults\n", (unsigned long long)seed);
		play_once(seed, false, false);
	}
}

static void test_splits_and_impatience(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= plays(); seed++) {
		printf("# seed %llu, splits\n", (unsigned long long)seed);
		play_once(seed, true, false);
	}
}

static void test_deaths(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= plays(); seed++) {
		printf("# seed %llu, deaths\n", (unsigned long long)seed);
		play_once(seed, true, true);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clients_alone),
		cmocka_unit_test(test_splits_and_impatience),
		cmocka_unit_test(test_deaths),
	};
	return cmocka_run_group_tests_name("take-overs of several nodes", tests, NULL, NULL);
}
