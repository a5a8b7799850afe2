#include "auth/rules/acl_claims.h"

#include "auth/rules/acl_pattern.h"
#include "auth/rules/acl_rules.h"
#include "base/check.h"

_Static_assert(ACL_PATTERN_BYTES_MAX <= UINT16_MAX, "an entry has two bytes for the length of its pattern");

struct rules_writer {
	const struct strict_json *json;
	uint8_t *out;
	size_t size;
	size_t room;
};

static const struct {
	const char *name;
	unsigned flag;
} ACTIONS[] = {{"publish", ACL_PUBLISHES}, {"subscribe", ACL_SUBSCRIBES}};

#define ACTION_COUNT (sizeof(ACTIONS) / sizeof(ACTIONS[0]))

static enum error acl_claims_write_rule(struct rules_writer *writer, const struct strict_node *filter, unsigned flags)
{
	if (filter->type != STRICT_STRING || filter->text.size > ACL_PATTERN_BYTES_MAX ||
	    writer->room - writer->size < acl_entry_bytes(filter->text.size))
		return ERROR_TOKEN_CLAIM;
	uint8_t *pattern = writer->out + writer->size + sizeof(struct acl_entry);
	size_t size;
	if (acl_pattern_compile(filter->text, pattern, &size) != NULL)
		return ERROR_TOKEN_CLAIM;
	struct slice compiled = slice_of(pattern, size);
	flags |= acl_pattern_is_literal(compiled) ? (unsigned)ACL_LITERAL : 0;
	writer->size += acl_entry_write(writer->out + writer->size, ACL_RULE, (uint8_t)flags, compiled);
	CHECK(writer->size <= writer->room);
	return ERROR_OK;
}

/* {"publish": [...], "subscribe": [...]} */
static enum error acl_claims_write_lists(struct rules_writer *writer, const struct strict_node *object, unsigned flags)
{
	for (size_t i = 0; i < ACTION_COUNT; i++) {
		const struct strict_node *list = strict_member(writer->json, object, slice_string(ACTIONS[i].name));
		if (list == NULL)
			continue;
		if (list->type != STRICT_ARRAY)
			return ERROR_TOKEN_CLAIM;
		const struct strict_node *filter = strict_first(list);
		for (uint32_t j = 0; j < list->count; j++, filter = strict_next(writer->json, filter)) {
			enum error error = acl_claims_write_rule(writer, filter, flags | ACTIONS[i].flag);
			if (error != ERROR_OK)
				return error;
		}
	}
	return ERROR_OK;
}

/* A denial with a slip in its name must not be passed over. */
static bool acl_claims_has_known_members(const struct strict_json *json, const struct strict_node *object,
					 bool may_deny)
{
	if (object->type != STRICT_OBJECT)
		return false;
	const struct strict_node *member = strict_first(object);
	for (uint32_t i = 0; i < object->count; i++, member = strict_next(json, member)) {
		bool known = may_deny && slice_equal(member->name, slice_string("deny"));
		for (size_t j = 0; j < ACTION_COUNT; j++)
			known = known || slice_equal(member->name, slice_string(ACTIONS[j].name));
		if (!known)
			return false;
	}
	return true;
}

enum error acl_claims_compile(const struct strict_json *json, const struct strict_node *node, uint8_t *out, size_t room,
			      size_t *size)
{
	CHECK((uintptr_t)out % ACL_ENTRY_ALIGN == 0);
	struct rules_writer writer = {.json = json, .out = out, .room = room};
	*size = 0;
	if (!acl_claims_has_known_members(json, node, true))
		return ERROR_TOKEN_CLAIM;
	const struct strict_node *deny = strict_member(json, node, slice_string("deny"));
	if (deny != NULL) {
		if (!acl_claims_has_known_members(json, deny, false))
			return ERROR_TOKEN_CLAIM;
		enum error error = acl_claims_write_lists(&writer, deny, 0);
		if (error != ERROR_OK)
			return error;
	}
	enum error error = acl_claims_write_lists(&writer, node, ACL_ALLOWS);
	*size = writer.size;
	return error;
}
