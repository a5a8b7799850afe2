#include "layout/conversion.h"

#include "base/check.h"
#include "layout/layout_text.h"
#include "layout/memory_layout.h"
#include "layout/type_text.h"

#include <stdio.h>

#define TYPES_MAX (sizeof(((struct layout_conversion *)0)->types) / sizeof(struct convert_type))

/* Where objects of a type are. */
struct conversion_place {
	const char *type;
	enum convert_kind kind;
	const char *name;   /* of the region or note */
	const char *member; /* CONVERT_OFFSET: whose offset the note begins with; within another: "session.node" */
};

/* In the order of the types. A type with another place has to be here with all of them. */
static const struct conversion_place PLACES[] = {
	{"struct ack_line", CONVERT_POOL, "ack lines", NULL},
	{"struct ack_line", CONVERT_OFFSET, "acks by client", "node"},
	{"struct acl_pool_entry", CONVERT_POOL, "token rules", NULL},
	{"struct acl_pool_entry", CONVERT_OFFSET, "token rules table", "links"},
	{"struct acl_pool_note", CONVERT_NOTE, "token rules note", NULL},
	{"struct address", CONVERT_POOL, "addresses #", NULL},
	{"struct address", CONVERT_OFFSET, "addresses # table", "node"},
	{"struct client", CONVERT_POOL, "clients", NULL},
	{"struct client", CONVERT_OFFSET, "registry", "session.node"},
	{"struct flow_entry", CONVERT_POOL, "flow entries", NULL},
	{"struct index_note", CONVERT_NOTE, "index", NULL},
	{"struct index_part_note", CONVERT_NOTE, "index # table", NULL},
	{"struct messages_note", CONVERT_NOTE, "messages", NULL},
	{"struct own_entry", CONVERT_POOL, "own", NULL},
	{"struct own_entry", CONVERT_OFFSET, "own by key", "links"},
	{"struct pending_acks_note", CONVERT_NOTE, "pending acks", NULL},
	{"struct proxied", CONVERT_POOL, "proxied", NULL},
	{"struct retained_job", CONVERT_POOL, "jobs", NULL},
	{"struct retained_job", CONVERT_OFFSET, "jobs by sub", "node"},
	{"struct retained_jobs_note", CONVERT_NOTE, "retained jobs", NULL},
	{"struct retained_node", CONVERT_POOL, "retained nodes", NULL},
	{"struct retained_node", CONVERT_OFFSET, "retained table", "table"},
	{"struct retained_node", CONVERT_OFFSET, "retained expiries", "expiry"},
	{"struct retained_note", CONVERT_NOTE, "retained", NULL},
	{"struct retained_queue", CONVERT_POOL, "job queues", NULL},
	{"struct retained_queue", CONVERT_OFFSET, "jobs by client", "node"},
	{"struct review", CONVERT_NOTE, "review", NULL},
	{"struct shard_note", CONVERT_NOTE, "loop", NULL},
	{"struct subscriber_list", CONVERT_POOL, "lists", NULL},
	{"struct subscription", CONVERT_POOL, "subscriptions", NULL},
	{"struct ticket", CONVERT_POOL, "acks", NULL},
	{"struct tls_streams_note", CONVERT_NOTE, "tls streams", NULL},
	{"struct websocket", CONVERT_POOL, "websockets", NULL},
	{"struct websocket_streams_note", CONVERT_NOTE, "websocket streams", NULL},
};
#define PLACE_COUNT (sizeof(PLACES) / sizeof(PLACES[0]))
_Static_assert(PLACE_COUNT + 1 <= CONVERT_RULES_MAX, "all of them may be rules, and unchanged clients");

/* Types whose objects are blocks of a shard's slab, and where the one reference to each is. Holders come first. */
static const struct conversion_block {
	const char *type;
	const char *holder;     /* the type that has the reference */
	const char *member;     /* as which */
	const char *of_client;  /* the member of struct client that leads to the holder; NULL: the client is it */
	const char *tail;       /* NULL: none */
	const char *tail_count; /* a u16 */
} BLOCKS[] = {
	{"struct extension", "struct client", "extension", NULL, NULL, NULL},
	{"struct account", "struct extension", "account", "extension", NULL, NULL},
	{"struct principal", "struct client", "principal", NULL, "user", "user_bytes"},
};
#define BLOCK_COUNT (sizeof(BLOCKS) / sizeof(BLOCKS[0]))
_Static_assert(BLOCK_COUNT <= CONVERT_BLOCKS_MAX, "all of them may have to be converted");

#define CLIENT_TYPE "struct client"
#define CLIENT_POOL "clients"
#define CLIENT_SLAB "slab"

struct planning {
	const char *from;
	const char *to;
	struct convert_type *type;
	struct slice root; /* for the sentence */
	char *sentence;
	size_t size;
};

static bool planning_refuse(const struct planning *planning, struct slice member, const char *why)
{
	snprintf(planning->sentence, planning->size, "%.*s differs: %.*s %s", (int)planning->root.size,
		 (const char *)planning->root.data, (int)member.size, (const char *)member.data, why);
	return false;
}

/* ---- moves ---- */

static bool planning_move(const struct planning *planning, struct slice member, uint64_t from_bit, uint64_t to_bit,
			  uint64_t bits)
{
	struct convert_type *type = planning->type;
	if (bits == 0)
		return true;
	if (from_bit + bits > (uint64_t)type->from_bytes * 8 || to_bit + bits > (uint64_t)type->to_bytes * 8)
		return planning_refuse(planning, member, "lies outside of it");
	struct convert_move *last = type->move_count != 0 ? &type->moves[type->move_count - 1] : NULL;
	if (last != NULL && last->from_bit + last->bits == from_bit && last->to_bit + last->bits == to_bit) {
		last->bits += (uint32_t)bits;
		return true;
	}
	if (type->move_count == CONVERT_MOVES_MAX)
		return planning_refuse(planning, member, "is one of too many that have moved");
	type->moves[type->move_count++] = (struct convert_move){
		.from_bit = (uint32_t)from_bit, .to_bit = (uint32_t)to_bit, .bits = (uint32_t)bits};
	return true;
}

static bool find_member(struct slice members, struct slice name, struct type_member *found)
{
	while (type_text_member(&members, found)) {
		if (slice_equal(found->name, name))
			return true;
	}
	return false;
}

/* Of the same name. One without a name has to be of the same words. */
static bool find_counterpart(struct slice members, const struct type_member *wanted, struct type_member *found)
{
	while (type_text_member(&members, found)) {
		if (slice_equal(found->name, wanted->name) &&
		    (wanted->name.size != 0 || slice_equal(found->word.whole, wanted->word.whole)))
			return true;
	}
	return false;
}

static uint64_t member_bits(const char *text, const struct type_member *member)
{
	return member->bits != 0 ? member->bits
				 : type_text_bytes(text, member->word.element, 0) * member->word.count * 8;
}

static bool is_unsigned(struct slice element)
{
	return element.size >= 2 && element.data[0] == 'u' && element.data[1] >= '1' && element.data[1] <= '9';
}

static bool plan_members(const struct planning *planning, struct slice from, uint64_t from_bit, struct slice to,
			 uint64_t to_bit, uint32_t depth);

/* Elements of a record that differs itself, or of several. */
static bool plan_records(const struct planning *planning, const struct type_member *from, uint64_t from_bit,
			 const struct type_member *to, uint64_t to_bit, uint32_t depth)
{
	struct type_line from_line, to_line;
	if (!type_text_is_named(from->word.element) || !slice_equal(from->word.element, to->word.element) ||
	    memcmp(from->word.element.data, "struct ", 7) != 0 || from->word.count != to->word.count ||
	    !type_text_find(planning->from, from->word.element, &from_line) ||
	    !type_text_find(planning->to, to->word.element, &to_line))
		return planning_refuse(planning, to->name, "is of another type");
	for (uint64_t i = 0; i < to->word.count; i++) {
		if (!plan_members(planning, from_line.members, from_bit + i * from_line.bytes * 8, to_line.members,
				  to_bit + i * to_line.bytes * 8, depth + 1))
			return false;
	}
	return true;
}

static bool plan_member(const struct planning *planning, const struct type_member *from, uint64_t from_bit,
			const struct type_member *to, uint64_t to_bit, uint32_t depth)
{
	uint64_t bits = member_bits(planning->from, from);
	uint64_t to_bits = member_bits(planning->to, to);
	from_bit += from->at_bit;
	to_bit += to->at_bit;
	if (slice_equal(from->word.whole, to->word.whole) &&
	    type_text_is_same(planning->from, planning->to, to->word.whole, 0))
		return bits <= to_bits ? planning_move(planning, to->name, from_bit, to_bit, bits)
				       : planning_refuse(planning, to->name, "has become narrower");
	if (is_unsigned(from->word.element) && is_unsigned(to->word.element) && from->word.count == to->word.count) {
		if (bits > to_bits || to->word.count != 1)
			return planning_refuse(planning, to->name, "has become narrower, or is an array");
		return planning_move(planning, to->name, from_bit, to_bit, bits);
	}
	return plan_records(planning, from, from_bit, to, to_bit, depth);
}

/* These hold nothing. */
static bool is_padding(struct slice name)
{
	return slice_equal(name, slice_string("zero")) || slice_equal(name, slice_string("reserved")) ||
	       slice_equal(name, slice_string("unused"));
}

/* Nothing of what there was may be lost. */
static bool keeps_all_members(const struct planning *planning, struct slice from, struct slice to)
{
	struct type_member member, other;
	while (type_text_member(&from, &member)) {
		if (!is_padding(member.name) && !find_counterpart(to, &member, &other))
			return planning_refuse(planning, member.name.size != 0 ? member.name : member.word.whole,
					       "is gone, and what it holds would be lost");
	}
	return true;
}

static bool plan_members(const struct planning *planning, struct slice from, uint64_t from_bit, struct slice to,
			 uint64_t to_bit, uint32_t depth)
{
	struct type_member member, before;
	struct slice rest = to;
	if (depth > TYPE_TEXT_DEPTH_MAX)
		return planning_refuse(planning, to, "is nested too deep");
	if (!keeps_all_members(planning, from, to))
		return false;
	while (type_text_member(&rest, &member)) {
		if (!is_padding(member.name) && find_counterpart(from, &member, &before) &&
		    !plan_member(planning, &before, from_bit, &member, to_bit, depth))
			return false;
	}
	return true;
}

/* ---- rules ---- */

/* The offset of a member in bytes, along a path of names. */
static bool member_offset(const char *text, struct slice type, const char *path, uint64_t *offset)
{
	*offset = 0;
	for (;;) {
		struct type_line line;
		struct type_member member;
		size_t size = strcspn(path, ".");
		if (!type_text_find(text, type, &line) || !find_member(line.members, slice_of(path, size), &member) ||
		    member.bits != 0)
			return false;
		*offset += member.at_bit / 8;
		type = member.word.element;
		if (path[size] == '\0')
			return true;
		path += size + 1;
	}
}

/* All places of the type. False: there is none. */
static bool conversion_add_rules(struct conversion *conversion, const char *text, struct slice type, uint32_t number)
{
	bool any = false;
	for (size_t i = 0; i < PLACE_COUNT; i++) {
		const struct conversion_place *place = &PLACES[i];
		uint64_t offset = 0;
		if (!slice_equal(type, slice_string(place->type)))
			continue;
		if (place->member != NULL && !member_offset(text, type, place->member, &offset))
			return false;
		conversion->rules[conversion->rule_count++] = (struct convert_rule){
			.kind = place->kind, .name = place->name, .type = number, .offset = (uint32_t)offset};
		any = true;
	}
	return any;
}

static const struct conversion_block *conversion_block_of(struct slice type)
{
	for (size_t i = 0; i < BLOCK_COUNT; i++) {
		if (slice_equal(type, slice_string(BLOCKS[i].type)))
			return &BLOCKS[i];
	}
	return NULL;
}

static bool member_offset_u32(const char *text, const char *type, const char *member, uint32_t *offset)
{
	uint64_t wide;
	if (!member_offset(text, slice_string(type), member, &wide) || wide > UINT16_MAX)
		return false;
	*offset = (uint32_t)wide;
	return true;
}

/* A reference of four bytes, in both layouts: it is not looked for among others. */
static bool plan_block(const struct planning *planning, const struct conversion_block *found,
		       struct convert_block *block)
{
	bool is_known = member_offset_u32(planning->to, found->holder, found->member, &block->at);
	block->holder_at = CONVERT_IN_OBJECT;
	if (is_known && found->of_client != NULL)
		is_known = member_offset_u32(planning->to, CLIENT_TYPE, found->of_client, &block->holder_at);
	block->has_tail = found->tail != NULL;
	if (is_known && block->has_tail)
		is_known = member_offset_u32(planning->from, found->type, found->tail, &block->from_tail) &&
			   member_offset_u32(planning->to, found->type, found->tail, &block->to_tail) &&
			   member_offset_u32(planning->from, found->type, found->tail_count, &block->tail_count_at);
	return is_known || planning_refuse(planning, planning->root, "has no place that is known");
}

/* Clients have to be copied where blocks of theirs move. */
static bool plan_same_clients(struct layout_conversion *made, const char *text)
{
	struct conversion *conversion = &made->conversion;
	struct type_line line;
	for (uint32_t i = 0; i < conversion->rule_count; i++) {
		if (strcmp(conversion->rules[i].name, CLIENT_POOL) == 0)
			return true;
	}
	if (!type_text_find(text, slice_string(CLIENT_TYPE), &line) || line.bytes == 0 || line.bytes > UINT16_MAX ||
	    conversion->type_count == TYPES_MAX)
		return false;
	uint32_t number = conversion->type_count++;
	made->types[number] = (struct convert_type){.from_bytes = (uint32_t)line.bytes,
						    .to_bytes = (uint32_t)line.bytes,
						    .move_count = 1,
						    .moves = {{0, 0, (uint32_t)line.bytes * 8}}};
	conversion->rules[conversion->rule_count++] =
		(struct convert_rule){.kind = CONVERT_POOL, .name = CLIENT_POOL, .type = number};
	return true;
}

/* numbers: of the types of BLOCKS that differ, from 1. */
static bool plan_blocks(struct layout_conversion *made, const struct planning *planning,
			const uint32_t numbers[BLOCK_COUNT])
{
	struct conversion *conversion = &made->conversion;
	for (size_t i = 0; i < BLOCK_COUNT; i++) {
		if (numbers[i] == 0)
			continue;
		struct convert_block block = {.type = numbers[i] - 1};
		struct planning own = *planning;
		own.root = slice_string(BLOCKS[i].type);
		if (!plan_block(&own, &BLOCKS[i], &block))
			return false;
		const struct convert_type *type = &made->types[block.type];
		if (block.has_tail && (block.from_tail > type->from_bytes || block.to_tail > type->to_bytes ||
				       block.tail_count_at + sizeof(uint16_t) > type->from_bytes))
			return planning_refuse(&own, own.root, "cannot be read");
		if (!plan_same_clients(made, planning->to))
			return planning_refuse(&own, slice_string(CLIENT_TYPE), "cannot be read");
		conversion->blocks[conversion->block_count++] = block;
	}
	conversion->blocks_pool = CLIENT_POOL;
	conversion->blocks_slab = CLIENT_SLAB;
	return true;
}

static bool plan_type(struct layout_conversion *made, struct planning *planning)
{
	struct conversion *conversion = &made->conversion;
	struct type_line from, to;
	if (!type_text_find(planning->from, planning->root, &from))
		return planning_refuse(planning, planning->root, "is new");
	if (!type_text_find(planning->to, planning->root, &to) || from.bytes == 0 || from.bytes > UINT16_MAX ||
	    to.bytes > UINT16_MAX || conversion->type_count == TYPES_MAX)
		return planning_refuse(planning, planning->root, "cannot be read");
	uint32_t number = conversion->type_count++;
	planning->type = &made->types[number];
	*planning->type = (struct convert_type){.from_bytes = (uint32_t)from.bytes, .to_bytes = (uint32_t)to.bytes};
	if (conversion_block_of(planning->root) == NULL &&
	    !conversion_add_rules(conversion, planning->to, planning->root, number))
		return planning_refuse(planning, planning->root, "is kept where it cannot be converted");
	return plan_members(planning, from.members, 0, to.members, 0, 0);
}

/* What objects of a type that is gone hold would be lost. */
static bool keeps_all_types(const char *from, const char *to, char *sentence, size_t size)
{
	struct slice name;
	struct type_line line;
	while (type_text_next(&from, &name)) {
		if (!type_text_find(to, name, &line)) {
			snprintf(sentence, size, "%.*s is gone", (int)name.size, (const char *)name.data);
			return false;
		}
	}
	return true;
}

/* In place: a hundred kilobytes need no second copy on a stack. */
static void conversion_begin(struct layout_conversion *made)
{
	memset(made, 0, sizeof(*made));
	made->conversion.types = made->types;
}

bool layout_conversion_between(struct layout_conversion *made, const char *from, const char *to, const char *roots,
			       char *sentence, size_t size)
{
	CHECK(size != 0);
	conversion_begin(made);
	sentence[0] = '\0';
	char first[128] = "";
	uint32_t blocks[BLOCK_COUNT] = {0};
	if (!keeps_all_types(from, to, sentence, size))
		return false;
	while (*roots != '\0') {
		struct planning planning = {.from = from, .to = to, .sentence = sentence, .size = size};
		planning.root = slice_of(roots, strcspn(roots, "\n"));
		roots += planning.root.size + (roots[planning.root.size] == '\n');
		if (type_text_is_same(from, to, planning.root, 0))
			continue;
		if (!plan_type(made, &planning))
			return false;
		const struct conversion_block *block = conversion_block_of(planning.root);
		if (block != NULL)
			blocks[block - BLOCKS] = made->conversion.type_count;
		if (first[0] == '\0')
			snprintf(first, sizeof(first), "%.*s", (int)planning.root.size,
				 (const char *)planning.root.data);
	}
	const struct planning planning = {.from = from, .to = to, .sentence = sentence, .size = size};
	if (!plan_blocks(made, &planning, blocks))
		return false;
	snprintf(sentence, size, "%s", first);
	return true;
}

bool layout_conversion_make(struct layout_conversion *made, const char *text, uint32_t version, char *sentence,
			    size_t size)
{
	if (version != MEMORY_LAYOUT_VERSION) {
		conversion_begin(made);
		snprintf(sentence, size, "memory has layout version %u, and this program %u", version,
			 MEMORY_LAYOUT_VERSION);
		return false;
	}
	return layout_conversion_between(made, text, LAYOUT_TEXT, LAYOUT_ROOTS, sentence, size);
}
