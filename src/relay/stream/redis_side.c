#include "relay/stream/redis_side.h"

#include "base/check.h"
#include "base/error.h"
#include "base/log.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* How old the map becomes; and while a master is away, so that the replica that takes over is found. Up to half of the
 * latter is random in addition. */
#define MAP_AGE_MS 60000u
#define MAP_AGE_AWAY_MS 500u
/* Between two maps at least. */
#define MAP_PAUSE_MS 100u
/* A node that has no slots is kept for so long: an ASK may send there. */
#define NODE_IDLE_MS 30000u
/* In the list for poll(): behind what says that a thread has connected, and a Sentinel. */
#define AT_NODES 2u

static void side_redirected(void *context, struct flight *flight, uint64_t now_ms);
static void side_landed(void *context, struct flight *flight, const char *fault, uint64_t now_ms);

/* NOLINTBEGIN(bugprone-macro-parentheses): the name of what is declared */
#define EACH_NODE(side, node)                                                                                          \
	for (uint32_t number = 0; number < (side)->node_end; number++)                                                 \
		for (struct redis_node *node = (side)->nodes[number]; node != NULL; node = NULL)
/* NOLINTEND(bugprone-macro-parentheses) */

/* ---- nodes ---- */

static uint16_t add_node(struct redis_side *side, const struct redis_place *place, uint64_t now_ms)
{
	uint32_t number = 0;
	while (number < side->node_end && side->nodes[number] != NULL)
		number++;
	if (number == REDIS_NODES_MAX)
		return REDIS_NO_NODE;
	side->nodes[number] = redis_node_new(side->target, place, &side->owner, side->done_fd, now_ms);
	if (side->nodes[number] == NULL)
		return REDIS_NO_NODE;
	if (number == side->node_end)
		side->node_end++;
	return (uint16_t)number;
}

/* The node at this place, which is added where it is new. REDIS_NO_NODE: there is no room. */
static uint16_t find_redis_node(struct redis_side *side, const struct redis_place *place, uint64_t now_ms)
{
	EACH_NODE(side, node)
	{
		if (redis_place_equal(&node->place, place))
			return (uint16_t)number;
	}
	return add_node(side, place, now_ms);
}

static bool has_slots(const struct redis_side *side, uint32_t number)
{
	for (uint32_t i = 0; i < side->slots->node_count; i++) {
		if (side->has_slots[i] && side->number_of[i] == number)
			return true;
	}
	return false;
}

/* Nodes for all masters; others go when nothing was sent there for a while. */
static void take_up_map(struct redis_side *side, uint64_t now_ms)
{
	struct redis_slots *slots = side->slots;
	memset(side->has_slots, 0, sizeof(side->has_slots));
	for (uint32_t slot = 0; slot < REDIS_SLOTS; slot++) {
		if (slots->node_of[slot] != REDIS_NO_NODE)
			side->has_slots[slots->node_of[slot]] = true;
	}
	for (uint32_t i = 0; i < slots->node_count; i++)
		side->number_of[i] =
			side->has_slots[i] ? find_redis_node(side, &slots->nodes[i], now_ms) : (uint16_t)REDIS_NO_NODE;
	EACH_NODE(side, node)
	{
		if (has_slots(side, number) || redis_node_owes(node) || redis_node_is_dialling(node) ||
		    now_ms < node->used_ms + NODE_IDLE_MS)
			continue;
		redis_node_free(side->nodes[number]);
		side->nodes[number] = NULL;
	}
}

static bool is_master_away(const struct redis_side *side)
{
	for (uint32_t i = 0; i < side->slots->node_count; i++) {
		uint16_t number = side->number_of[i];
		if (side->has_slots[i] && (number == REDIS_NO_NODE || !side->nodes[number]->connected))
			return true;
	}
	return side->slots->covered < REDIS_SLOTS;
}

/* ---- the map ---- */

static uint64_t map_due_ms(const struct redis_side *side)
{
	uint64_t age_ms = is_master_away(side) ? MAP_AGE_AWAY_MS : MAP_AGE_MS;
	uint64_t due_ms = side->map_ms == 0 || side->wants_map ? 0 : side->map_ms + age_ms + side->map_jitter_ms;
	return due_ms > side->map_pause.until_ms ? due_ms : side->map_pause.until_ms;
}

static void note_no_map(struct redis_side *side)
{
	const char *fault = side->scout.link.fault;
	if (strcmp(side->map_told, fault) != 0)
		log_write(LOG_WARNING, "rules: redis: the cluster's slots are not known: %s; trying again", fault);
	snprintf(side->map_told, sizeof(side->map_told), "%s", fault);
	snprintf(side->fault, sizeof(side->fault), "%s", fault);
	side->scout.link.fault[0] = '\0';
}

static void end_map(struct redis_side *side, uint64_t now_ms)
{
	if (!redis_dial_end(&side->dial)) {
		note_no_map(side);
		pause_begin(&side->map_pause, now_ms);
		return;
	}
	*side->slots = *side->fresh;
	take_up_map(side, now_ms);
	side->map_ms = now_ms;
	side->map_jitter_ms = randombytes_uniform(MAP_AGE_AWAY_MS / 2);
	side->wants_map = false;
	side->map_told[0] = '\0';
	pause_clear(&side->map_pause);
	side->map_pause.until_ms = now_ms + MAP_PAUSE_MS + randombytes_uniform(MAP_PAUSE_MS);
}

static void tend_map(struct redis_side *side, uint64_t now_ms)
{
	if (redis_dial_is_over(&side->dial))
		end_map(side, now_ms);
	if (side->dial.is_running || now_ms < map_due_ms(side))
		return;
	*side->fresh = *side->slots; /* whose nodes are asked */
	if (redis_dial_begin(&side->dial))
		return;
	note_no_map(side);
	pause_begin(&side->map_pause, now_ms);
}

/* ---- beginning and end ---- */

static bool init_cluster(struct redis_side *side)
{
	side->slots = malloc(sizeof(*side->slots));
	side->fresh = malloc(sizeof(*side->fresh));
	if (side->slots == NULL || side->fresh == NULL || !redis_connection_init(&side->scout, side->target)) {
		free(side->slots);
		free(side->fresh);
		return false;
	}
	redis_slots_init(side->slots);
	side->dial.kind = REDIS_DIAL_SLOTS;
	side->dial.connection = &side->scout;
	side->dial.slots = side->fresh;
	return true;
}

static bool has_sentinels(const struct redis_side *side)
{
	return side->target->url.kind == REDIS_SENTINEL;
}

bool redis_side_init(struct redis_side *side, const struct redis_target *target)
{
	*side = (struct redis_side){.target = target, .done_fd = -1};
	side->owner = (struct redis_node_owner){.context = side, .redirected = side_redirected, .landed = side_landed};
	pause_clear(&side->map_pause);
	entry_groups_init(&side->groups);
	if (redis_side_is_cluster(side))
		return init_cluster(side);
	if (has_sentinels(side) && !master_watch_init(&side->watch, target))
		return false;
	return add_node(side, target->url.kind == REDIS_SINGLE ? &target->url.seeds[0] : NULL, 0) != REDIS_NO_NODE;
}

/* Without one it is found out a second later. */
void redis_side_begin(struct redis_side *side)
{
	side->done_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	side->dial.done_fd = side->done_fd;
	master_watch_begin(&side->watch, side->done_fd);
	EACH_NODE(side, node)
	node->dial.done_fd = side->done_fd;
}

void redis_side_fini(struct redis_side *side)
{
	redis_dial_give_up(&side->dial);
	EACH_NODE(side, node)
	redis_node_free(node);
	if (redis_side_is_cluster(side)) {
		redis_connection_fini(&side->scout);
		free(side->slots);
		free(side->fresh);
	}
	if (has_sentinels(side))
		master_watch_fini(&side->watch);
	entry_groups_free(&side->groups);
	if (side->done_fd >= 0)
		close(side->done_fd);
}

bool redis_side_owes(const struct redis_side *side)
{
	EACH_NODE(side, node)
	{
		if (redis_node_owes(node))
			return true;
	}
	return false;
}

bool redis_side_takes(const struct redis_side *side)
{
	return side->connected && (redis_side_is_cluster(side) || !redis_node_owes(side->nodes[0]));
}

/* What is connected, and if nothing is, why. */
static void note_connected(struct redis_side *side)
{
	side->connected = false;
	EACH_NODE(side, node)
	{
		side->connected = side->connected || node->connected;
		if (!node->connected && node->fault[0] != '\0')
			snprintf(side->fault, sizeof(side->fault), "%s", node->fault);
	}
}

void redis_side_tend(struct redis_side *side, uint64_t now_ms)
{
	if (redis_side_is_cluster(side))
		tend_map(side, now_ms);
	EACH_NODE(side, node)
	{
		bool was_connected = node->connected;
		redis_node_tend(node, now_ms);
		/* A replica may have taken over. */
		side->wants_map = side->wants_map || (was_connected && !node->connected);
	}
	if (has_sentinels(side) && master_watch_tend(&side->watch, now_ms))
		redis_node_leave(side->nodes[0], &side->watch.master, now_ms);
	note_connected(side);
}

static uint64_t sooner_ms(uint64_t one, uint64_t other)
{
	return one < other ? one : other;
}

uint64_t redis_side_due_ms(const struct redis_side *side)
{
	uint64_t due_ms = UINT64_MAX;
	if (redis_side_is_cluster(side) && !side->dial.is_running)
		due_ms = map_due_ms(side);
	if (has_sentinels(side))
		due_ms = master_watch_due_ms(&side->watch);
	EACH_NODE(side, node)
	due_ms = sooner_ms(due_ms, redis_node_due_ms(node));
	return due_ms;
}

/* ---- redirections ---- */

/* The flight's entries go to another node at once, where it is there; the map says so from now on, and is asked for
 * anew, since others may have moved as well. */
static void side_redirected(void *context, struct flight *flight, uint64_t now_ms)
{
	struct redis_side *side = context;
	const struct redis_redirect *redirect = &flight->redirect;
	CHECK(redis_side_is_cluster(side));
	uint16_t node = find_redis_node(side, &redirect->place, now_ms);
	side->redirects++;
	if (node != REDIS_NO_NODE)
		side->nodes[node]->used_ms = now_ms;
	if (redirect->kind == REDIS_ASK) {
		flight_send_on(flight, node != REDIS_NO_NODE ? node : BATCH_NOT_ASKED);
		return;
	}
	flight_send_on(flight, BATCH_NOT_ASKED);
	side->wants_map = true;
	uint16_t known = redis_slots_node(side->slots, &redirect->place);
	if (node == REDIS_NO_NODE || known == REDIS_NO_NODE)
		return;
	redis_slots_move(side->slots, redirect->slot, &redirect->place);
	side->number_of[known] = node;
	side->has_slots[known] = true;
}

static void side_landed(void *context, struct flight *flight, const char *fault, uint64_t now_ms)
{
	struct redis_side *side = context;
	side->wants_map = side->wants_map || fault[0] != '\0' || strncmp(flight->refusal, "CLUSTERDOWN", 11) == 0;
	lane_settle(flight->lane, flight, fault, now_ms);
}

/* ---- sending ---- */

void redis_side_flush(struct redis_side *side, uint64_t now_ms)
{
	EACH_NODE(side, node)
	redis_node_flush(node, now_ms);
	note_connected(side);
}

/* ---- waiting ---- */

uint32_t redis_side_poll(const struct redis_side *side, struct pollfd polled[REDIS_SIDE_POLLED_MAX])
{
	polled[0] = (struct pollfd){.fd = side->done_fd, .events = POLLIN};
	polled[1] = (struct pollfd){.fd = has_sentinels(side) ? master_watch_fd(&side->watch) : -1, .events = POLLIN};
	for (uint32_t i = 0; i < side->node_end; i++)
		polled[AT_NODES + i] =
			side->nodes[i] != NULL ? redis_node_poll(side->nodes[i]) : (struct pollfd){.fd = -1};
	return AT_NODES + side->node_end;
}

/* Nodes that were added since poll() was called have nothing to say yet. */
void redis_side_hear(struct redis_side *side, const struct pollfd *polled, uint64_t now_ms)
{
	eventfd_t count;
	uint32_t end = side->node_end;
	if (polled[0].revents != 0)
		(void)!eventfd_read(side->done_fd, &count);
	if (polled[1].revents != 0 && master_watch_hear(&side->watch, now_ms))
		redis_node_leave(side->nodes[0], &side->watch.master, now_ms);
	for (uint32_t i = 0; i < end; i++) {
		if (side->nodes[i] != NULL && side->nodes[i]->connected)
			redis_node_hear(side->nodes[i], polled[AT_NODES + i].revents, now_ms);
	}
	redis_side_tend(side, now_ms);
}

/* ---- how it is doing ---- */

static bool all_connected(const struct redis_side *side)
{
	return redis_side_is_cluster(side) ? side->map_ms != 0 && !is_master_away(side) : side->connected;
}

void redis_side_status(const struct redis_side *side, uint64_t now_ms, struct redis_status *status)
{
	status->kind = side->target->url.kind;
	status->connected = all_connected(side);
	status->redirects = side->redirects;
	status->slots_covered = redis_side_is_cluster(side) ? side->slots->covered : 0;
	status->map_s = side->map_ms != 0 ? (double)(now_ms - side->map_ms) / 1e3 : 0;
	status->node_count = 0;
	EACH_NODE(side, node)
	{
		char text[REDIS_PLACE_BYTES];
		if (status->node_count == STATUS_NODES_MAX)
			break;
		struct redis_node_status *shown = &status->nodes[status->node_count++];
		/* A thread that connects may be writing to its place. */
		snprintf(shown->address, sizeof(shown->address), "%s",
			 node->connected && side->target->url.kind != REDIS_CLUSTER
				 ? redis_place_text(&node->connection.place, text)
				 : redis_node_text(node, text));
		snprintf(shown->fault, sizeof(shown->fault), "%s", node->connected ? "" : node->fault);
		shown->connected = node->connected;
		shown->has_slots = !redis_side_is_cluster(side) || has_slots(side, number);
	}
}
