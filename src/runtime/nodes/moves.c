#include "runtime/nodes/moves.h"

#include "base/check.h"
#include "runtime/nodes/node_mail.h"

#include <stdlib.h>

_Static_assert((MOVES_BUCKETS & (MOVES_BUCKETS - 1)) == 0, "buckets are found by the low bits");

struct moves *moves_new(void)
{
	struct moves *moves = calloc(1, sizeof(*moves));
	if (moves != NULL)
		moves->asked_end = &moves->asked;
	return moves;
}

void moves_free(struct moves *moves)
{
	if (moves == NULL)
		return;
	CHECK(moves->count == 0 && moves->claim_count == 0 && moves->asked == NULL);
	bytes_free(&moves->ended);
	free(moves);
}

/* Homes count their decisions up, each from a place of its own. */
static struct move **number_bucket(struct moves *moves, uint64_t number)
{
	return &moves->by_number[number & (MOVES_BUCKETS - 1)];
}

static struct move **client_bucket(struct moves *moves, struct client_ref client)
{
	return &moves->by_client[client.index & (MOVES_BUCKETS - 1)];
}

struct move *moves_find(const struct moves *moves, uint64_t number)
{
	struct move *move = moves->by_number[number & (MOVES_BUCKETS - 1)];
	while (move != NULL && move->number != number)
		move = move->next_number;
	return move;
}

struct move *moves_of_client(const struct moves *moves, struct client_ref client)
{
	struct move *move = moves->by_client[client.index & (MOVES_BUCKETS - 1)];
	while (move != NULL && !client_ref_equal(move->client, client))
		move = move->next_client;
	return move;
}

struct move *moves_add(struct moves *moves, uint64_t number, struct client_ref client, enum move_kind kind)
{
	struct move *move = moves->count < MOVES_MAX ? calloc(1, sizeof(*move)) : NULL;
	if (move == NULL)
		return NULL;
	move->number = number;
	move->client = client;
	move->kind = kind;
	move->waiting_end = &move->waiting;
	struct move **bucket = number_bucket(moves, number);
	move->next_number = *bucket;
	*bucket = move;
	bucket = client_bucket(moves, client);
	move->next_client = *bucket;
	*bucket = move;
	move->next = moves->first != NULL ? moves->first : move;
	move->previous = moves->first != NULL ? moves->first->previous : move;
	move->next->previous = move;
	move->previous->next = move;
	if (moves->first == NULL)
		moves->first = moves->next = move;
	moves->count++;
	return move;
}

void moves_remove(struct moves *moves, struct move *move)
{
	struct move **at = number_bucket(moves, move->number);
	while (*at != move)
		at = &(*at)->next_number;
	*at = move->next_number;
	at = client_bucket(moves, move->client);
	while (*at != move)
		at = &(*at)->next_client;
	*at = move->next_client;
	struct move *next = move->next != move ? move->next : NULL;
	move->next->previous = move->previous;
	move->previous->next = move->next;
	if (moves->first == move)
		moves->first = next;
	if (moves->next == move)
		moves->next = next;
	CHECK_NE(moves->count, 0u);
	moves->count--;
	while (move->waiting != NULL) {
		struct node_mail *part = move->waiting;
		move->waiting = part->next;
		node_mail_free(part);
	}
	free(move);
}
