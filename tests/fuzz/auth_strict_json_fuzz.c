/* Any bytes. The strict reader must agree with jansson on what is JSON and on what it says, but for where it is
 * stricter (depth, number of values) and where jansson is (numbers that do not fit its types). */
#include "fuzz.h"

#include "auth/text/strict_json.h"

#include <jansson.h>
#include <string.h>

#define NODES 512u

static struct strict_node nodes[NODES];

static void compare(const struct strict_json *json, const struct strict_node *node, const json_t *other);

static void compare_members(const struct strict_json *json, const struct strict_node *node, const json_t *other)
{
	CHECK(json_is_object(other) && json_object_size(other) == node->count);
	const struct strict_node *member = strict_first(node);
	for (uint32_t i = 0; i < node->count; i++, member = strict_next(json, member)) {
		CHECK(strict_member(json, node, member->name) == member);
		char *name = (char *)block_new(member->name.size + 1);
		memcpy(name, member->name.data, member->name.size);
		name[member->name.size] = '\0';
		CHECK(strlen(name) == member->name.size);
		compare(json, member, json_object_get(other, name));
		free(name);
	}
}

static void compare(const struct strict_json *json, const struct strict_node *node, const json_t *other)
{
	CHECK(other != NULL && node->next <= json->count);
	const struct strict_node *child = strict_first(node);
	switch (node->type) {
	case STRICT_NULL:
		CHECK(json_is_null(other));
		break;
	case STRICT_FALSE:
		CHECK(json_is_false(other));
		break;
	case STRICT_TRUE:
		CHECK(json_is_true(other));
		break;
	case STRICT_NUMBER:
		CHECK(json_is_number(other) && node->text.size > 0);
		break;
	case STRICT_STRING:
		CHECK(json_is_string(other));
		CHECK(slice_equal(node->text, slice_of(json_string_value(other), json_string_length(other))));
		break;
	case STRICT_ARRAY:
		CHECK(json_is_array(other) && json_array_size(other) == node->count);
		for (uint32_t i = 0; i < node->count; i++, child = strict_next(json, child))
			compare(json, child, json_array_get(other, i));
		break;
	case STRICT_OBJECT:
		compare_members(json, node, other);
		break;
	}
}

static bool is_our_limit(const char *fault)
{
	return strcmp(fault, "nested too deeply") == 0 || strcmp(fault, "too many values") == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *text = block_new(size);
	if (size != 0)
		memcpy(text, data, size);
	struct strict_json json = {.nodes = nodes, .capacity = NODES};
	size_t at;
	const char *fault = strict_json_read(&json, text, size, &at);
	CHECK(at <= size);
	json_error_t error;
	json_t *other = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
	if (other != NULL && fault == NULL)
		compare(&json, nodes, other);
	else if (other != NULL)
		CHECK(is_our_limit(fault) || memchr(data, '\0', size) != NULL);
	else if (fault == NULL)
		CHECK(json_error_code(&error) == json_error_numeric_overflow);
	json_decref(other);
	free(text);
	return 0;
}
