#include "session/pending_acks.h"
#include "base/layout_root.h"
#include "memory/notes.h"

#include <stddef.h>

/* Tickets beyond the limit. It is checked before a packet is taken, so the messages being routed and the refusals of a
 * turn may exceed it. */
#define SPARE_TICKETS 4096u

struct ticket {
	union {
		uint32_t next;           /* in its line */
		struct message_ref kept; /* in none: until it is safe; none: nothing */
	};
	uint32_t line;    /* 0: none */
	uint32_t holders; /* those that have not reported it safe */
	uint16_t packet_id;
	uint8_t qos : 2;
	uint8_t failed : 1;
	uint8_t era : 1; /* pending_acks_begin_era() */
	uint8_t reason;
};
_Static_assert(sizeof(struct ticket) == 16, "part of the cost of a message at QoS 1 that crosses shards");
LAYOUT_ROOT(ticket);

struct ack_line {
	struct table_node node; /* its hash is the client's index: each client has one line at most */
	uint32_t first;
	uint32_t last;
	uint32_t count;
	uint32_t forgotten;  /* at the front of the line, those whose connection has ended */
	uint32_t answers;    /* that have left it, or were never in it, and are out */
	uint32_t next_ready; /* in the list of lines that are ready */
	uint32_t previous_ready;
	bool ready;
};
_Static_assert(sizeof(struct ack_line) == 40, "part of the cost of a client that waits for acknowledgements");
LAYOUT_ROOT(ack_line);

/* What there is beside pools and table. */
struct pending_acks_note {
	uint32_t ready_first;
	uint32_t ready_last;
	uint32_t answers;
	uint32_t older;
	uint32_t era;
};
LAYOUT_ROOT(pending_acks_note);

static enum error pending_acks_find_note(struct pending_acks *acks, const struct arena *arena)
{
	struct pending_acks_note note;
	if (!arena_get_exact(arena, "pending acks", &note, sizeof(note)) || note.ready_first > acks->lines.touched ||
	    note.ready_last > acks->lines.touched || note.era > 1)
		return ERROR_NOT_FOUND;
	acks->ready_first = note.ready_first;
	acks->ready_last = note.ready_last;
	acks->answers = note.answers;
	acks->older = note.older;
	acks->era = note.era;
	return ERROR_OK;
}

enum error pending_acks_open(struct pending_acks *acks, struct arena *arena, uint32_t clients)
{
	*acks = (struct pending_acks){.limit = PENDING_ACKS_SHARD_MAX};
	uint32_t tickets = PENDING_ACKS_SHARD_MAX + SPARE_TICKETS;
	uint32_t lines = clients < tickets ? clients : tickets;
	if (pool_open_in(&acks->tickets, arena, "acks", sizeof(struct ticket), tickets) != ERROR_OK ||
	    pool_open_in(&acks->lines, arena, "ack lines", sizeof(struct ack_line), lines) != ERROR_OK)
		return ERROR_NO_MEMORY;
	enum error error = table_open_in(&acks->by_client, arena, "acks by client", &acks->lines,
					 offsetof(struct ack_line, node), lines);
	return error == ERROR_OK && arena_is_adopted(arena) ? pending_acks_find_note(acks, arena) : error;
}

enum error pending_acks_save(const struct pending_acks *acks, const struct arena *arena)
{
	struct pending_acks_note note = {.ready_first = acks->ready_first,
					 .ready_last = acks->ready_last,
					 .answers = acks->answers,
					 .older = acks->older,
					 .era = acks->era};
	enum error error = arena_put(arena, "pending acks", &note, sizeof(note));
	if (error == ERROR_OK)
		error = pool_save(&acks->tickets, arena);
	if (error == ERROR_OK)
		error = pool_save(&acks->lines, arena);
	return error == ERROR_OK ? table_save(&acks->by_client, arena) : error;
}

void pending_acks_close(struct pending_acks *acks)
{
	table_close(&acks->by_client);
	pool_close(&acks->lines);
	pool_close(&acks->tickets);
}

static struct ticket *ticket_at(const struct pending_acks *acks, uint32_t ticket)
{
	return pool_at(&acks->tickets, ticket);
}

static struct ack_line *ack_line_at(const struct pending_acks *acks, uint32_t line)
{
	return pool_at(&acks->lines, line);
}

static void ticket_give(struct pending_acks *acks, uint32_t ticket)
{
	if (ticket_at(acks, ticket)->era != acks->era) {
		CHECK_NE(acks->older, 0u);
		acks->older--;
	}
	pool_give(&acks->tickets, ticket);
}

void pending_acks_begin_era(struct pending_acks *acks)
{
	CHECK_EQ(acks->older, 0u);
	acks->older = acks->tickets.used;
	acks->era ^= 1u;
}

uint32_t pending_acks_take(struct pending_acks *acks)
{
	uint32_t ticket = pool_take(&acks->tickets);
	if (ticket != 0)
		*ticket_at(acks, ticket) = (struct ticket){.holders = 1, .era = acks->era & 1u};
	return ticket;
}

void pending_acks_hold(struct pending_acks *acks, uint32_t ticket)
{
	struct ticket *held = ticket_at(acks, ticket);
	CHECK(held->holders != 0 && held->holders != UINT32_MAX);
	held->holders++;
}

static void push_ready(struct pending_acks *acks, uint32_t line)
{
	struct ack_line *pushed = ack_line_at(acks, line);
	if (pushed->ready)
		return;
	pushed->ready = true;
	pushed->next_ready = 0;
	pushed->previous_ready = acks->ready_last;
	if (acks->ready_last == 0)
		acks->ready_first = line;
	else
		ack_line_at(acks, acks->ready_last)->next_ready = line;
	acks->ready_last = line;
}

static void unlink_ready(struct pending_acks *acks, struct ack_line *line)
{
	if (!line->ready)
		return;
	line->ready = false;
	if (line->previous_ready == 0)
		acks->ready_first = line->next_ready;
	else
		ack_line_at(acks, line->previous_ready)->next_ready = line->next_ready;
	if (line->next_ready == 0)
		acks->ready_last = line->previous_ready;
	else
		ack_line_at(acks, line->next_ready)->previous_ready = line->previous_ready;
}

void pending_acks_keep(struct pending_acks *acks, uint32_t ticket, struct message_ref message)
{
	struct ticket *keeping = ticket_at(acks, ticket);
	CHECK(keeping->line == 0 && keeping->holders != 0 && message_ref_is_none(keeping->kept));
	keeping->kept = message;
}

struct message_ref pending_acks_is_safe(struct pending_acks *acks, uint32_t ticket)
{
	struct ticket *safe = ticket_at(acks, ticket);
	struct message_ref kept = message_ref_none();
	CHECK(safe->holders != 0);
	if (--safe->holders != 0)
		return kept;
	if (safe->line == 0) {
		kept = safe->kept;
		ticket_give(acks, ticket);
	} else if (ack_line_at(acks, safe->line)->first == ticket) {
		push_ready(acks, safe->line);
	}
	return kept;
}

/* A client's index serves as the hash. Indices are unique and dense, so no two hashes are equal. */
static uint32_t line_of(const struct pending_acks *acks, struct client_ref client)
{
	if (acks->lines.used == 0)
		return 0;
	return client_ref_equal(acks->recent_client, client) ? acks->recent_line
							     : table_first(&acks->by_client, client.index);
}

static uint32_t line_need(struct pending_acks *acks, struct client_ref client)
{
	uint32_t line = line_of(acks, client);
	if (line == 0) {
		line = pool_take(&acks->lines);
		if (line == 0)
			return 0;
		*ack_line_at(acks, line) = (struct ack_line){0};
		table_insert(&acks->by_client, line, client.index);
	}
	acks->recent_client = client;
	acks->recent_line = line;
	return line;
}

enum error pending_acks_file(struct pending_acks *acks, struct client_ref client, uint32_t ticket, uint8_t qos,
			     uint16_t packet_id)
{
	struct ticket *filed = ticket_at(acks, ticket);
	CHECK(filed->line == 0 && filed->holders != 0 && message_ref_is_none(filed->kept));
	CHECK(!client_ref_is_none(client) && (qos == 1 || qos == 2));
	uint32_t at = line_need(acks, client);
	if (at == 0)
		return ERROR_NO_MEMORY;
	struct ack_line *line = ack_line_at(acks, at);
	filed->line = at;
	filed->qos = qos & 3u;
	filed->packet_id = packet_id;
	if (line->count++ == 0)
		line->first = ticket;
	else
		ticket_at(acks, line->last)->next = ticket;
	line->last = ticket;
	return ERROR_OK;
}

void pending_acks_set_reason(struct pending_acks *acks, uint32_t ticket, uint8_t reason, bool failed)
{
	struct ticket *set = ticket_at(acks, ticket);
	CHECK(set->holders != 0);
	if (set->failed && !failed)
		return;
	set->reason = reason;
	set->failed = failed;
}

uint32_t pending_acks_of(const struct pending_acks *acks, struct client_ref client)
{
	uint32_t line = line_of(acks, client);
	return line != 0 ? ack_line_at(acks, line)->count : 0;
}

uint32_t pending_acks_mark(const struct pending_acks *acks, struct client_ref client, uint64_t *ids)
{
	uint32_t line = table_first(&acks->by_client, client.index);
	uint32_t tickets = 0;
	for (uint32_t at = line != 0 ? ack_line_at(acks, line)->first : 0; at != 0; at = ticket_at(acks, at)->next) {
		const struct ticket *ticket = ticket_at(acks, at);
		if (ticket->qos == 2)
			ids[ticket->packet_id / 64u] |= UINT64_C(1) << ticket->packet_id % 64u;
		tickets++;
	}
	return tickets;
}

/* Gives back an empty line. */
static void line_give(struct pending_acks *acks, uint32_t at)
{
	struct ack_line *line = ack_line_at(acks, at);
	CHECK(line->count == 0 && line->answers == 0);
	unlink_ready(acks, line);
	if (acks->recent_line == at) {
		acks->recent_client = client_ref_none();
		acks->recent_line = 0;
	}
	table_remove(&acks->by_client, at);
	pool_give(&acks->lines, at);
}

static void line_trim(struct pending_acks *acks, uint32_t at)
{
	const struct ack_line *line = ack_line_at(acks, at);
	if (line->count == 0 && line->answers == 0)
		line_give(acks, at);
}

enum error pending_acks_answer_begin(struct pending_acks *acks, struct client_ref client)
{
	uint32_t line = line_need(acks, client);
	if (line == 0)
		return ERROR_NO_MEMORY;
	ack_line_at(acks, line)->answers++;
	acks->answers++;
	return ERROR_OK;
}

void pending_acks_answer_end(struct pending_acks *acks, struct client_ref client)
{
	uint32_t line = line_of(acks, client);
	CHECK(line != 0 && ack_line_at(acks, line)->answers != 0 && acks->answers != 0);
	ack_line_at(acks, line)->answers--;
	acks->answers--;
	line_trim(acks, line);
}

uint32_t pending_acks_all_of(const struct pending_acks *acks, struct client_ref client)
{
	uint32_t line = line_of(acks, client);
	return line != 0 ? ack_line_at(acks, line)->count + ack_line_at(acks, line)->answers : 0;
}

static void forget_answers(struct pending_acks *acks, struct ack_line *line)
{
	CHECK_LE(line->answers, acks->answers);
	acks->answers -= line->answers;
	line->answers = 0;
}

void pending_acks_forget(struct pending_acks *acks, struct client_ref client)
{
	uint32_t at = line_of(acks, client);
	if (at == 0)
		return;
	struct ack_line *line = ack_line_at(acks, at);
	line->forgotten = line->count;
	forget_answers(acks, line);
	line_trim(acks, at);
}

void pending_acks_drop(struct pending_acks *acks, struct client_ref client)
{
	uint32_t at = line_of(acks, client);
	if (at == 0)
		return;
	struct ack_line *line = ack_line_at(acks, at);
	for (uint32_t ticket = line->first; line->count != 0; line->count--) {
		struct ticket *dropped = ticket_at(acks, ticket);
		CHECK_EQ(dropped->line, at);
		uint32_t next = dropped->next;
		dropped->line = 0;
		dropped->kept = message_ref_none();
		if (dropped->holders == 0)
			ticket_give(acks, ticket);
		ticket = next;
	}
	forget_answers(acks, line);
	line_give(acks, at);
}

/* Takes the first ticket of the line, which may leave. */
static void pop_ticket(struct pending_acks *acks, struct ack_line *line, struct pending_answer *answer)
{
	uint32_t first = line->first;
	const struct ticket *ticket = ticket_at(acks, first);
	CHECK(ticket->holders == 0 && ticket->qos != 0);
	CHECK_LE(line->forgotten, line->count);
	*answer = (struct pending_answer){
		.client = {line->node.hash},
		.packet_id = ticket->packet_id,
		.qos = ticket->qos,
		.reason = ticket->reason,
		.failed = ticket->failed,
		.forgotten = line->forgotten != 0,
	};
	line->forgotten -= answer->forgotten;
	line->first = ticket->next;
	line->count--;
	ticket_give(acks, first);
}

bool pending_acks_next(struct pending_acks *acks, struct pending_answer *answer)
{
	while (acks->ready_first != 0) {
		uint32_t at = acks->ready_first;
		struct ack_line *line = ack_line_at(acks, at);
		CHECK(line->count != 0);
		if (ticket_at(acks, line->first)->holders != 0) {
			unlink_ready(acks, line);
			continue;
		}
		pop_ticket(acks, line, answer);
		if (line->count == 0)
			unlink_ready(acks, line);
		line_trim(acks, at);
		return true;
	}
	return false;
}
