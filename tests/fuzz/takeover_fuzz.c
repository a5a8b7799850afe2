/* Messages of the take-over from other nodes, and what a shard says in between, in a play: each step is a byte that
 * says who speaks and how, and bytes that follow. Whatever comes, nothing is read past its end, and what is said to
 * others can be read again. */
#include "fuzz.h"

#include "cluster/takeover/takeover.h"

#include <string.h>

#define MEMBERS 3u

struct input {
	const uint8_t *at;
	size_t left;
};

static uint8_t next_byte(struct input *input)
{
	if (input->left == 0)
		return 0;
	input->left--;
	return *input->at++;
}

static struct slice next_slice(struct input *input, size_t most)
{
	size_t size = next_byte(input) % (most + 1);
	size = size < input->left ? size : input->left;
	struct slice slice = slice_of(input->at, size);
	input->at += size;
	input->left -= size;
	return slice;
}

static void on_send(void *context, uint8_t slot, enum takeover_kind kind, const struct takeover_message *message)
{
	struct takeover_message again;
	(void)context;
	CHECK(slot < MEMBERS && kind >= TAKEOVER_CLAIM && kind < TAKEOVER_KIND_LIMIT);
	uint8_t *bytes = block_new(takeover_head_bytes(message));
	CHECK_EQ(takeover_encode(message, bytes), takeover_head_bytes(message));
	CHECK(takeover_decode(slice_of(bytes, takeover_head_bytes(message)), &again));
	CHECK(slice_equal(again.id, message->id) && again.number == message->number);
	free(bytes);
}

static uint16_t on_shard_of(void *context, struct slice id)
{
	(void)context;
	return (uint16_t)(id.size % 2);
}

static void on_go_on(void *context, uint16_t shard, uint64_t claim, struct slice id)
{
	(void)context, (void)shard, (void)claim;
	CHECK(id.size != 0);
}

static void on_yield(void *context, uint64_t number, uint8_t flags, struct slice id, struct slice user)
{
	(void)context, (void)number, (void)flags, (void)user;
	CHECK(id.size != 0);
}

static void on_part(void *context, uint64_t number, const struct takeover_message *part)
{
	(void)context, (void)number;
	CHECK(part->id.size != 0);
}

static void on_taken(void *context, uint16_t shard, uint64_t number, uint32_t sequence)
{
	(void)context, (void)shard, (void)number, (void)sequence;
}

static void on_number(void *context, uint16_t shard, uint64_t number)
{
	(void)context, (void)shard, (void)number;
}

static void on_announce(void *context, uint64_t walk)
{
	(void)context, (void)walk;
}

static void on_holder(void *context, uint64_t question, struct slice node)
{
	(void)context, (void)question, (void)node;
}

static const struct takeover_actions ACTIONS = {
	.send = on_send,
	.shard_of = on_shard_of,
	.go_on = on_go_on,
	.yield = on_yield,
	.part = on_part,
	.taken = on_taken,
	.arrived = on_number,
	.give_up = on_number,
	.announce = on_announce,
	.holder = on_holder,
};

static void begin_view(struct takeover *takeover, uint64_t number, uint64_t now_ms)
{
	static const char *const NAMES[] = {"a", "b", "c", "me"};
	struct home_view view = {.number = number};
	for (uint8_t i = 0; i <= MEMBERS; i++) {
		struct home_member *member = &view.members[view.count++];
		member->slot = i < MEMBERS ? i : HOME_SELF;
		member->name_bytes = (uint8_t)strlen(NAMES[i]);
		memcpy(member->name, NAMES[i], member->name_bytes);
		member->name_hash = hash_slice(&takeover->home.key, slice_string(NAMES[i]));
	}
	takeover_view(takeover, &view, now_ms);
}

/* From another node: bytes as they are, or a message that makes sense so far. */
static void hear(struct takeover *takeover, struct input *input, bool makes_sense, uint64_t now_ms)
{
	static const char *const NAMES[] = {"a", "b", "c", "me"};
	struct takeover_message message;
	uint8_t slot = next_byte(input) % MEMBERS;
	uint8_t kind = (uint8_t)(MESSAGE_SESSIONS + next_byte(input) % 32);
	if (!makes_sense) {
		struct slice bytes = next_slice(input, 255);
		if (takeover_decode(bytes, &message))
			takeover_receive(takeover, slot, (enum takeover_kind)kind, &message, now_ms);
		return;
	}
	message = (struct takeover_message){
		.view = next_byte(input) % 3,
		.number = takeover->home.number - next_byte(input) % 4,
		.claim = next_byte(input) % 4,
		.sequence = next_byte(input) % 3,
		.flags = next_byte(input),
		.node = slice_string(NAMES[next_byte(input) % 4]),
		.id = next_slice(input, 2),
	};
	message.body = next_slice(input, 40);
	takeover_receive(takeover, slot, (enum takeover_kind)kind, &message, now_ms);
}

static void shard_says(struct takeover *takeover, struct input *input)
{
	uint8_t what = next_byte(input) % 9;
	uint64_t number = takeover->home.number - next_byte(input) % 4;
	uint64_t small = next_byte(input) % 4;
	struct slice id = next_slice(input, 2);
	if (id.size == 0)
		return;
	switch (what) {
	case 0:
		takeover_claim(takeover, 0, small, 0, id, slice_of(NULL, 0));
		break;
	case 1:
		takeover_claim_late(takeover, id);
		break;
	case 2:
		takeover_gives(takeover, number, 0, (uint8_t)(small << 4), id);
		break;
	case 3:
		takeover_gives_nothing(takeover, number);
		break;
	case 4:
		takeover_is_safe(takeover, number);
		break;
	case 5:
		takeover_failed(takeover, number);
		break;
	case 6:
		takeover_is_back(takeover, number, 7, id);
		break;
	case 7:
		takeover_session_ended(takeover, id);
		break;
	default:
		takeover_held(takeover, takeover->walk, 3, small == 0, id);
		takeover_announced(takeover, takeover->walk);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct hash_key KEY = {{1}};
	struct input input = {data, size};
	uint64_t now_ms = 1000000;
	struct takeover *takeover = malloc(sizeof(*takeover));
	CHECK(takeover != NULL);
	takeover_init(takeover, &KEY, 1000, 2, &ACTIONS);
	begin_view(takeover, 1, now_ms);
	while (input.left != 0) {
		uint8_t step = next_byte(&input);
		now_ms += step;
		if (step % 8 < 4)
			hear(takeover, &input, step % 8 != 0, now_ms);
		else if (step % 8 < 6)
			shard_says(takeover, &input);
		else if (step % 8 == 6)
			takeover_tick(takeover, now_ms + step * 100u);
		else if (step >= 128)
			begin_view(takeover, 1 + step % 2, now_ms);
		else
			takeover_lost(takeover, step % MEMBERS, now_ms);
	}
	takeover_fini(takeover);
	free(takeover);
	return 0;
}
