#include "store/format/record.h"

#include "base/check.h"

#include <stddef.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define HASH_BYTES 8u
#define CHECKSUM_BYTES 4u
#define PACKET_ID_MAX 0xffffu
#define LENGTH_BYTES 2u    /* of the topic in a PUBLISH packet */
#define PACKET_ID_BYTES 2u /* behind it */

/* How a field is written. */
enum record_form {
	FORM_U32,      /* a varint */
	FORM_U64,      /* a varint */
	FORM_TIME,     /* 0: STORE_NEVER_S; otherwise 1 more than the zigzag-encoded time */
	FORM_HASH,     /* eight bytes as they are */
	FORM_CHECKSUM, /* four bytes, computed from the body */
	FORM_SLICE,    /* the length and the bytes */
};

struct record_field {
	const char *name;
	uint16_t offset; /* in struct store_record */
	uint8_t form;
	uint32_t max; /* of FORM_U32 */
};

#define FIELD(member, form, max)                                                                                       \
	{                                                                                                              \
#member, offsetof(struct store_record, member), form, max                                              \
	}

/* By enum store_field. */
static const struct record_field RECORD_FIELDS[] = {
	[STORE_FIELD_SESSION] = FIELD(session, FORM_U32, UINT32_MAX),
	[STORE_FIELD_ENTRY] = FIELD(entry, FORM_U32, UINT32_MAX),
	[STORE_FIELD_ENTRY_TO] = FIELD(entry_to, FORM_U32, UINT32_MAX),
	[STORE_FIELD_MESSAGE] = FIELD(message, FORM_U32, UINT32_MAX),
	[STORE_FIELD_SUBSCRIPTION] = FIELD(subscription, FORM_U32, UINT32_MAX),
	[STORE_FIELD_FLAGS] = FIELD(flags, FORM_U32, UINT16_MAX),
	[STORE_FIELD_PACKET_ID] = FIELD(packet_id, FORM_U32, PACKET_ID_MAX),
	[STORE_FIELD_IDENTIFIER] = FIELD(identifier, FORM_U32, UINT32_MAX),
	[STORE_FIELD_COUNT_OF] = FIELD(count, FORM_U32, UINT32_MAX),
	[STORE_FIELD_EXPIRY_S] = FIELD(expiry_s, FORM_U32, UINT32_MAX),
	[STORE_FIELD_DELAY_S] = FIELD(delay_s, FORM_U32, UINT32_MAX),
	[STORE_FIELD_ENDS_AT_S] = FIELD(ends_at_s, FORM_TIME, 0),
	[STORE_FIELD_WILL_AT_S] = FIELD(will_at_s, FORM_TIME, 0),
	[STORE_FIELD_EXPIRES_AT_S] = FIELD(expires_at_s, FORM_TIME, 0),
	[STORE_FIELD_TOKEN_HASH] = FIELD(token_hash, FORM_HASH, 0),
	[STORE_FIELD_USER_HASH] = FIELD(user_hash, FORM_HASH, 0),
	[STORE_FIELD_NUMBER] = FIELD(number, FORM_U64, 0),
	[STORE_FIELD_STAMP_TIME] = FIELD(stamp_time, FORM_HASH, 0),
	[STORE_FIELD_STAMP_NODE] = FIELD(stamp_node, FORM_HASH, 0),
	[STORE_FIELD_SEGMENT] = FIELD(segment, FORM_U32, UINT32_MAX),
	[STORE_FIELD_OFFSET] = FIELD(offset, FORM_U32, UINT32_MAX),
	[STORE_FIELD_PUBLISHER] = FIELD(publisher, FORM_U32, UINT32_MAX),
	[STORE_FIELD_PUBLISHER_SHARD] = FIELD(publisher_shard, FORM_U32, UINT16_MAX),
	[STORE_FIELD_PUBLISHER_GENERATION] = FIELD(publisher_generation, FORM_U32, UINT16_MAX),
	[STORE_FIELD_TOPIC_BYTES] = FIELD(topic_bytes, FORM_U32, UINT16_MAX),
	[STORE_FIELD_HEADER_BYTES] = FIELD(header_bytes, FORM_U32, UINT8_MAX),
	[STORE_FIELD_PACKET_BYTES] = FIELD(packet_bytes, FORM_U32, UINT32_MAX),
	[STORE_FIELD_CHECKSUM] = FIELD(checksum, FORM_CHECKSUM, 0),
	[STORE_FIELD_TEXT] = FIELD(text, FORM_SLICE, 0),
	[STORE_FIELD_BODY] = FIELD(body, FORM_SLICE, 0),
};
_Static_assert(sizeof(RECORD_FIELDS) / sizeof(RECORD_FIELDS[0]) == STORE_FIELD_LIMIT, "one for each field");
_Static_assert(STORE_FIELD_LIMIT <= 32, "a kind's fields are the bits of a word");

#define BIT(field) (1u << STORE_FIELD_##field)
/* PUBLISHER_SHARD and _GENERATION are left out where PUBLISHER is 0. */
#define PUBLISHER (BIT(PUBLISHER) | BIT(PUBLISHER_SHARD) | BIT(PUBLISHER_GENERATION))
#define MESSAGE (BIT(FLAGS) | BIT(EXPIRES_AT_S) | PUBLISHER | BIT(TOPIC_BYTES) | BIT(HEADER_BYTES))
#define STAMP (BIT(STAMP_TIME) | BIT(STAMP_NODE))
#define MESSAGE_FLAGS (STORE_FLAG_QOS | STORE_FLAG_RETAIN | STORE_FLAG_IS_5 | STORE_FLAG_AGAIN)

struct record_kind {
	const char *name;
	uint32_t fields;
	uint32_t flags; /* that it may have */
};

/* By enum store_kind: part of the format. */
static const struct record_kind RECORD_KINDS[STORE_KIND_COUNT] = {
	[STORE_DEAD] = {"dead", 0, 0},
	[STORE_OPENED] = {"opened", BIT(SESSION) | BIT(FLAGS) | BIT(TEXT), STORE_FLAG_AGAIN},
	[STORE_CONNECTED] = {"connected", BIT(SESSION) | BIT(FLAGS) | BIT(EXPIRY_S) | BIT(PUBLISHER_GENERATION),
			     STORE_FLAG_IS_BRIDGE},
	[STORE_PRINCIPAL] = {"principal",
			     BIT(SESSION) | BIT(FLAGS) | BIT(EXPIRES_AT_S) | BIT(TOKEN_HASH) | BIT(USER_HASH) |
				     BIT(TEXT) | BIT(BODY),
			     STORE_FLAG_USES_AUTH | STORE_FLAG_HAS_RULES},
	[STORE_LEFT] = {"left", BIT(SESSION) | BIT(EXPIRY_S) | BIT(ENDS_AT_S) | BIT(WILL_AT_S), 0},
	[STORE_ENDED] = {"ended", BIT(SESSION), 0},
	[STORE_SUBSCRIBED] = {"subscribed",
			      BIT(SESSION) | BIT(SUBSCRIPTION) | BIT(IDENTIFIER) | BIT(COUNT_OF) | BIT(TEXT), 0},
	[STORE_UNSUBSCRIBED] = {"unsubscribed", BIT(SESSION) | BIT(SUBSCRIPTION), 0},
	[STORE_OWED] = {"owed", BIT(SESSION) | BIT(SUBSCRIPTION) | BIT(COUNT_OF), 0},
	[STORE_WILL_SET] = {"will_set", BIT(SESSION) | BIT(MESSAGE) | BIT(EXPIRY_S) | BIT(DELAY_S), 0},
	[STORE_WILL_PUBLISHED] = {"will_published", BIT(SESSION) | BIT(EXPIRES_AT_S), 0},
	[STORE_WILL_DROPPED] = {"will_dropped", BIT(SESSION), 0},
	[STORE_KEPT] = {"kept", BIT(MESSAGE) | MESSAGE | BIT(CHECKSUM) | BIT(BODY), MESSAGE_FLAGS},
	[STORE_KEPT_AT] = {"kept_at", BIT(MESSAGE) | MESSAGE | BIT(SEGMENT) | BIT(OFFSET) | BIT(PACKET_BYTES),
			   MESSAGE_FLAGS},
	[STORE_FORGOTTEN] = {"forgotten", BIT(MESSAGE), 0},
	[STORE_QUEUED] = {"queued",
			  BIT(SESSION) | BIT(ENTRY) | BIT(MESSAGE) | BIT(SUBSCRIPTION) | BIT(FLAGS) | BIT(IDENTIFIER),
			  STORE_FLAG_QOS | STORE_FLAG_RETAIN | STORE_FLAG_SHARED | STORE_FLAG_AGAIN},
	[STORE_SENT] = {"sent", BIT(ENTRY) | BIT(PACKET_ID), 0},
	[STORE_RELEASED] = {"released", BIT(ENTRY), 0},
	[STORE_DONE] = {"done", BIT(ENTRY), 0},
	[STORE_DROPPED] = {"dropped", BIT(ENTRY), 0},
	[STORE_HANDED_ON] = {"handed_on", BIT(ENTRY), 0},
	[STORE_MOVED] = {"moved", BIT(ENTRY) | BIT(ENTRY_TO), 0},
	[STORE_NUMBERED] = {"numbered", BIT(SESSION) | BIT(PACKET_ID), 0},
	[STORE_RECEIVED] = {"received", BIT(SESSION) | BIT(PACKET_ID), 0},
	[STORE_RECEIVED_FROM] = {"received_from", PUBLISHER | BIT(PACKET_ID) | BIT(FLAGS) | BIT(TEXT),
				 STORE_FLAG_SHARED},
	[STORE_COMPLETED] = {"completed", BIT(SESSION) | BIT(PACKET_ID), 0},
	[STORE_RETAINED] = {"retained", BIT(NUMBER) | MESSAGE | BIT(BODY), MESSAGE_FLAGS},
	[STORE_RETAINED_GONE] = {"retained_gone", BIT(NUMBER) | BIT(TEXT), 0},
	[STORE_QUEUED_RUN] = {"queued_run",
			      BIT(SESSION) | BIT(ENTRY) | BIT(MESSAGE) | BIT(FLAGS) | BIT(IDENTIFIER) | BIT(COUNT_OF) |
				      BIT(BODY),
			      STORE_FLAG_QOS | STORE_FLAG_RETAIN},
	[STORE_RETAINED_STAMPED] = {"retained_stamped", BIT(NUMBER) | STAMP | MESSAGE | BIT(BODY), MESSAGE_FLAGS},
	[STORE_RETAINED_CLEARED] = {"retained_cleared", BIT(NUMBER) | STAMP | BIT(TEXT), 0},
};

/* ---- bytes ---- */

static inline uint8_t *put_varint(uint8_t *at, uint64_t value)
{
	while (value >= 0x80) {
		*at++ = (uint8_t)(value | 0x80);
		value >>= 7;
	}
	*at++ = (uint8_t)value;
	return at;
}

/* NULL: cut short, not minimal, or above 64 bits. */
static inline const uint8_t *get_varint(const uint8_t *at, const uint8_t *end, uint64_t *value)
{
	if (at == end)
		return NULL;
	uint64_t sum = *at & 0x7fu;
	unsigned shift = 0;
	while (*at & 0x80) {
		at++;
		shift += 7;
		if (at == end || shift > 63 || (shift == 63 && *at > 1) || *at == 0)
			return NULL;
		sum |= (uint64_t)(*at & 0x7fu) << shift;
	}
	*value = sum;
	return at + 1;
}

static inline uint64_t time_to_number(int64_t time_s)
{
	CHECK_GT(time_s, INT64_MIN); /* whose number would be the one of STORE_NEVER_S */
	if (time_s == STORE_NEVER_S)
		return 0;
	return (((uint64_t)time_s << 1) ^ (uint64_t)(time_s >> 63)) + 1;
}

/* False: a second way to write STORE_NEVER_S. */
static inline bool time_from_number(uint64_t number, int64_t *time_s)
{
	uint64_t zigzag = number - 1;
	*time_s = number == 0 ? STORE_NEVER_S : (int64_t)(zigzag >> 1) ^ -(int64_t)(zigzag & 1);
	return number == 0 || *time_s != STORE_NEVER_S;
}

static inline uint8_t *put_slice(uint8_t *at, struct slice bytes)
{
	at = put_varint(at, bytes.size);
	if (bytes.size != 0)
		memcpy(at, bytes.data, bytes.size);
	return at + bytes.size;
}

static inline uint32_t body_checksum(struct slice body)
{
	return (uint32_t)XXH3_64bits(body.data, body.size);
}

static inline uint8_t *put_checksum(uint8_t *at, struct slice body)
{
	uint32_t checksum = body_checksum(body);
	memcpy(at, &checksum, CHECKSUM_BYTES);
	return at + CHECKSUM_BYTES;
}

/* Fields of a fixed size, as they are. NULL: cut short. */
static inline const uint8_t *get_bytes(const uint8_t *at, const uint8_t *end, void *member, size_t size)
{
	if ((size_t)(end - at) < size)
		return NULL;
	memcpy(member, at, size);
	return at + size;
}

/* ---- fields ---- */

static inline uint8_t *put_field(uint8_t *at, const struct store_record *record, const struct record_field *field)
{
	const uint8_t *member = (const uint8_t *)record + field->offset;
	switch ((enum record_form)field->form) {
	case FORM_U32:
		CHECK_LE(*(const uint32_t *)(const void *)member, field->max);
		return put_varint(at, *(const uint32_t *)(const void *)member);
	case FORM_U64:
		return put_varint(at, *(const uint64_t *)(const void *)member);
	case FORM_TIME:
		return put_varint(at, time_to_number(*(const int64_t *)(const void *)member));
	case FORM_HASH:
		memcpy(at, member, HASH_BYTES);
		return at + HASH_BYTES;
	case FORM_CHECKSUM:
		return put_checksum(at, record->body);
	case FORM_SLICE:
		return put_slice(at, *(const struct slice *)(const void *)member);
	}
	return at;
}

/* NULL: these bytes are no such field. */
static inline const uint8_t *get_field(const uint8_t *at, const uint8_t *end, struct store_record *record,
				       const struct record_field *field)
{
	uint8_t *member = (uint8_t *)record + field->offset;
	if (field->form == FORM_HASH)
		return get_bytes(at, end, member, HASH_BYTES);
	if (field->form == FORM_CHECKSUM)
		return get_bytes(at, end, member, CHECKSUM_BYTES);
	uint64_t number;
	at = get_varint(at, end, &number);
	if (at == NULL)
		return NULL;
	switch ((enum record_form)field->form) {
	case FORM_U32:
		*(uint32_t *)(void *)member = (uint32_t)number;
		return number <= field->max ? at : NULL;
	case FORM_U64:
		*(uint64_t *)(void *)member = number;
		return at;
	case FORM_TIME:
		return time_from_number(number, (int64_t *)(void *)member) ? at : NULL;
	case FORM_SLICE:
		if (number > (size_t)(end - at))
			return NULL;
		*(struct slice *)(void *)member = slice_of(at, (size_t)number);
		return at + number;
	case FORM_HASH:
	case FORM_CHECKSUM:
		break;
	}
	return NULL;
}

static inline uint32_t skip_publisher(uint32_t fields, uint32_t publisher)
{
	return publisher != 0 ? fields : fields & ~(PUBLISHER & ~BIT(PUBLISHER));
}

/* ---- records ---- */

size_t store_record_encode(const struct store_record *record, uint8_t *to)
{
	CHECK(record->kind > STORE_DEAD && record->kind < STORE_KIND_COUNT);
	uint32_t fields = RECORD_KINDS[record->kind].fields;
	if (fields & BIT(PUBLISHER))
		fields = skip_publisher(fields, record->publisher);
	if (fields & BIT(FLAGS))
		CHECK_EQ(record->flags & ~RECORD_KINDS[record->kind].flags, 0u);
	uint8_t *at = to;
	*at++ = (uint8_t)record->kind;
	for (; fields != 0; fields &= fields - 1)
		at = put_field(at, record, &RECORD_FIELDS[__builtin_ctz(fields)]);
	return (size_t)(at - to);
}

/* The parts of a message must lie in its packet, for those who take it apart later. */
static bool record_is_sound(struct store_record *record, const struct record_kind *kind)
{
	if ((record->flags & ~kind->flags) != 0 || (record->flags & STORE_FLAG_QOS) == STORE_FLAG_QOS)
		return false;
	if (record->kind == STORE_SUBSCRIBED)
		return record->count <= UINT8_MAX;
	if (record->kind == STORE_QUEUED_RUN)
		return store_run_is_sound(record);
	if (record->kind == STORE_PRINCIPAL)
		return (record->flags & STORE_FLAG_HAS_RULES) != 0 || record->body.size == 0;
	if (record->kind == STORE_RECEIVED_FROM)
		return record->publisher != 0 && record->packet_id != 0;
	if ((kind->fields & BIT(TOPIC_BYTES)) == 0)
		return true;
	if (record->kind != STORE_KEPT_AT) {
		if (record->body.size > UINT32_MAX)
			return false;
		record->packet_bytes = (uint32_t)record->body.size;
	}
	size_t topic_at = record->header_bytes + LENGTH_BYTES;
	size_t packet_id_bytes = (record->flags & STORE_FLAG_QOS) != 0 ? PACKET_ID_BYTES : 0;
	if (topic_at + record->topic_bytes + packet_id_bytes > record->packet_bytes)
		return false;
	if (store_kind_is_retained(record->kind))
		record->text = slice_of(record->body.data + topic_at, record->topic_bytes);
	return true;
}

size_t store_record_decode(struct slice bytes, struct store_record *record)
{
	if (bytes.size == 0 || bytes.data[0] == STORE_DEAD || bytes.data[0] >= STORE_KIND_COUNT)
		return 0;
	const struct record_kind *kind = &RECORD_KINDS[bytes.data[0]];
	const uint8_t *at = bytes.data + 1, *end = bytes.data + bytes.size;
	memset(record, 0, sizeof(*record));
	record->kind = (enum store_kind)bytes.data[0];
	for (uint32_t fields = kind->fields; fields != 0;) {
		uint32_t field = (uint32_t)__builtin_ctz(fields);
		fields &= fields - 1;
		at = get_field(at, end, record, &RECORD_FIELDS[field]);
		if (at == NULL)
			return 0;
		if (field == STORE_FIELD_PUBLISHER)
			fields = skip_publisher(fields, record->publisher);
	}
	return record_is_sound(record, kind) ? (size_t)(at - bytes.data) : 0;
}

bool store_record_is_intact(const struct store_record *record)
{
	CHECK_EQ(record->kind, STORE_KEPT);
	return record->checksum == body_checksum(record->body);
}

uint8_t *store_varint_put(uint8_t *to, uint64_t value)
{
	return put_varint(to, value);
}

const uint8_t *store_varint_get(const uint8_t *at, const uint8_t *end, uint64_t *value)
{
	return get_varint(at, end, value);
}

/* ---- field by field ---- */

const char *store_kind_name(enum store_kind kind)
{
	return (unsigned)kind < STORE_KIND_COUNT ? RECORD_KINDS[kind].name : "unknown";
}

static uint32_t shown_fields(const struct store_record *record)
{
	if ((unsigned)record->kind >= STORE_KIND_COUNT)
		return 0;
	uint32_t fields = RECORD_KINDS[record->kind].fields;
	if (store_kind_is_retained(record->kind))
		fields |= BIT(TEXT);
	return fields & BIT(PUBLISHER) ? skip_publisher(fields, record->publisher) : fields;
}

bool store_record_field(const struct store_record *record, uint32_t *next, struct store_field_value *value)
{
	uint32_t fields = *next < STORE_FIELD_LIMIT ? shown_fields(record) >> *next << *next : 0;
	if (fields == 0)
		return false;
	uint32_t number = (uint32_t)__builtin_ctz(fields);
	const struct record_field *field = &RECORD_FIELDS[number];
	const uint8_t *member = (const uint8_t *)record + field->offset;
	*next = number + 1;
	*value = (struct store_field_value){.field = (enum store_field)number, .name = field->name};
	switch ((enum record_form)field->form) {
	case FORM_U32:
	case FORM_CHECKSUM:
		value->type = STORE_TYPE_NUMBER;
		value->number = *(const uint32_t *)(const void *)member;
		break;
	case FORM_U64:
		value->type = STORE_TYPE_NUMBER;
		value->number = *(const uint64_t *)(const void *)member;
		break;
	case FORM_TIME:
		value->type = STORE_TYPE_TIME;
		value->time_s = *(const int64_t *)(const void *)member;
		break;
	case FORM_HASH:
		value->type = STORE_TYPE_HASH;
		value->number = *(const uint64_t *)(const void *)member;
		break;
	case FORM_SLICE:
		value->type = number == STORE_FIELD_TEXT ? STORE_TYPE_TEXT : STORE_TYPE_BODY;
		value->bytes = *(const struct slice *)(const void *)member;
		break;
	}
	return true;
}

/* ---- messages ---- */

struct publication store_record_publication(const struct store_record *record)
{
	CHECK(record->kind == STORE_KEPT || record->kind == STORE_KEPT_AT || store_kind_is_retained(record->kind));
	CHECK(record->topic_bytes <= UINT16_MAX && record->header_bytes <= UINT8_MAX);
	return (struct publication){.packet_bytes = record->packet_bytes,
				    .topic_bytes = (uint16_t)record->topic_bytes,
				    .header_bytes = (uint8_t)record->header_bytes,
				    .qos = record->flags & STORE_FLAG_QOS,
				    .retain = (record->flags & STORE_FLAG_RETAIN) != 0,
				    .is_5 = (record->flags & STORE_FLAG_IS_5) != 0};
}

void store_record_set_publication(struct store_record *record, const struct publication *publication)
{
	record->packet_bytes = publication->packet_bytes;
	record->topic_bytes = publication->topic_bytes;
	record->header_bytes = publication->header_bytes;
	record->flags = (record->flags & STORE_FLAG_AGAIN) | publication->qos |
			(publication->retain ? STORE_FLAG_RETAIN : 0u) | (publication->is_5 ? STORE_FLAG_IS_5 : 0u);
}
