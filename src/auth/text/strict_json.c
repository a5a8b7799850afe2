#include "auth/text/strict_json.h"

#include "auth/text/utf8.h"
#include "base/check.h"

/* The text is read from `at` and, inside strings, written at an earlier or the same place: what an escape resolves to
 * is never longer than the escape. */
struct strict_json_reader {
	struct strict_json *json;
	uint8_t *begin;
	uint8_t *at;
	uint8_t *end;
	const char *fault;
	uint32_t depth;
};

static bool strict_json_fail(struct strict_json_reader *reader, const char *fault)
{
	reader->fault = fault;
	return false;
}

static void strict_json_skip_space(struct strict_json_reader *reader)
{
	while (reader->at < reader->end &&
	       (*reader->at == ' ' || *reader->at == '\t' || *reader->at == '\n' || *reader->at == '\r'))
		reader->at++;
}

/* Steps over the character, if it is the next. */
static bool strict_json_take(struct strict_json_reader *reader, char character)
{
	if (reader->at == reader->end || *reader->at != (uint8_t)character)
		return false;
	reader->at++;
	return true;
}

/* Four hexadecimal digits, the second half of \uXXXX. */
static bool strict_json_read_hex(struct strict_json_reader *reader, uint32_t *value)
{
	if (reader->end - reader->at < 4)
		return strict_json_fail(reader, "an escape is cut off");
	*value = 0;
	for (int i = 0; i < 4; i++) {
		uint8_t digit = *reader->at++, lower = digit | 0x20;
		if (digit >= '0' && digit <= '9')
			*value = *value << 4 | (uint32_t)(digit - '0');
		else if (lower >= 'a' && lower <= 'f')
			*value = *value << 4 | (uint32_t)(lower - 'a' + 10);
		else
			return strict_json_fail(reader, "an escape has a digit that is not hexadecimal");
	}
	return true;
}

static uint8_t *strict_json_write_utf8(uint8_t *out, uint32_t point)
{
	if (point < 0x80) {
		*out++ = (uint8_t)point;
		return out;
	}
	if (point < 0x800) {
		*out++ = (uint8_t)(0xC0 | point >> 6);
	} else {
		if (point < 0x10000) {
			*out++ = (uint8_t)(0xE0 | point >> 12);
		} else {
			*out++ = (uint8_t)(0xF0 | point >> 18);
			*out++ = (uint8_t)(0x80 | (point >> 12 & 0x3F));
		}
		*out++ = (uint8_t)(0x80 | (point >> 6 & 0x3F));
	}
	*out++ = (uint8_t)(0x80 | (point & 0x3F));
	return out;
}

/* Behind "\u". A character beyond U+FFFF is written as a pair of surrogates, and a surrogate stands in pairs only. */
static bool strict_json_read_unicode_escape(struct strict_json_reader *reader, uint8_t **out)
{
	uint32_t point, low;
	if (!strict_json_read_hex(reader, &point))
		return false;
	if (point == 0)
		return strict_json_fail(reader, "a string contains the null character");
	if (point >= 0xDC00 && point <= 0xDFFF)
		return strict_json_fail(reader, "a string contains a lone surrogate");
	if (point >= 0xD800 && point <= 0xDBFF) {
		if (!strict_json_take(reader, '\\') || !strict_json_take(reader, 'u'))
			return strict_json_fail(reader, "a string contains a lone surrogate");
		if (!strict_json_read_hex(reader, &low))
			return false;
		if (low < 0xDC00 || low > 0xDFFF)
			return strict_json_fail(reader, "a string contains a lone surrogate");
		point = 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00);
	}
	*out = strict_json_write_utf8(*out, point);
	return true;
}

/* Behind the backslash. */
static bool strict_json_read_escape(struct strict_json_reader *reader, uint8_t **out)
{
	static const char NAMES[] = "\"\\/bfnrt";
	static const char VALUES[] = "\"\\/\b\f\n\r\t";
	_Static_assert(sizeof(NAMES) == sizeof(VALUES), "a value for each name");
	if (reader->at == reader->end)
		return strict_json_fail(reader, "a string is cut off");
	uint8_t name = *reader->at++;
	if (name == 'u')
		return strict_json_read_unicode_escape(reader, out);
	const char *found = name == 0 ? NULL : strchr(NAMES, name);
	if (found == NULL)
		return strict_json_fail(reader, "a string contains an unknown escape");
	*(*out)++ = (uint8_t)VALUES[found - NAMES];
	return true;
}

static bool strict_json_copy_character(struct strict_json_reader *reader, uint8_t **out)
{
	size_t size = utf8_character_bytes(slice_of(reader->at, (size_t)(reader->end - reader->at)));
	if (size == 0)
		return strict_json_fail(reader, "a string is not well-formed UTF-8");
	memmove(*out, reader->at, size);
	*out += size;
	reader->at += size;
	return true;
}

/* The bytes of a string that stand for themselves: ASCII without quotes, backslashes and control characters. */
static size_t strict_json_plain_bytes(const uint8_t *at, const uint8_t *end)
{
	const uint8_t *begin = at;
	while (at < end && *at >= 0x20 && *at < 0x80 && *at != '"' && *at != '\\')
		at++;
	return (size_t)(at - begin);
}

/* Behind the opening quote. */
static bool strict_json_read_string(struct strict_json_reader *reader, struct slice *string)
{
	uint8_t *begin = reader->at, *out = begin;
	for (;;) {
		size_t plain = strict_json_plain_bytes(reader->at, reader->end);
		if (out != reader->at)
			memmove(out, reader->at, plain);
		out += plain;
		reader->at += plain;
		if (reader->at == reader->end)
			return strict_json_fail(reader, "a string is cut off");
		uint8_t byte = *reader->at;
		if (byte < 0x20)
			return strict_json_fail(reader, "a string contains a control character");
		if (byte >= 0x80) {
			if (!strict_json_copy_character(reader, &out))
				return false;
			continue;
		}
		reader->at++;
		if (byte == '"')
			break;
		if (!strict_json_read_escape(reader, &out))
			return false;
	}
	CHECK(out <= reader->at); /* nothing that is still to be read was written over */
	*string = slice_of(begin, (size_t)(out - begin));
	return true;
}

static bool strict_json_read_digits(struct strict_json_reader *reader)
{
	const uint8_t *begin = reader->at;
	while (reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9')
		reader->at++;
	return reader->at > begin || strict_json_fail(reader, "a number lacks a digit");
}

static bool strict_json_read_number(struct strict_json_reader *reader, struct slice *number)
{
	const uint8_t *begin = reader->at;
	strict_json_take(reader, '-');
	bool zero = reader->at < reader->end && *reader->at == '0';
	const uint8_t *digits = reader->at;
	if (!strict_json_read_digits(reader))
		return false;
	if (zero && reader->at - digits > 1)
		return strict_json_fail(reader, "a number begins with 0");
	if (strict_json_take(reader, '.') && !strict_json_read_digits(reader))
		return false;
	if (strict_json_take(reader, 'e') || strict_json_take(reader, 'E')) {
		if (!strict_json_take(reader, '+'))
			strict_json_take(reader, '-');
		if (!strict_json_read_digits(reader))
			return false;
	}
	*number = slice_of(begin, (size_t)(reader->at - begin));
	return true;
}

static bool strict_json_read_word(struct strict_json_reader *reader, const char *word)
{
	size_t size = strlen(word);
	if ((size_t)(reader->end - reader->at) < size || memcmp(reader->at, word, size) != 0)
		return strict_json_fail(reader, "no value stands where one must");
	reader->at += size;
	return true;
}

static bool strict_json_read_value(struct strict_json_reader *reader, struct slice name);

/* [RFC 7515, section 4]: of two members of one name each reader takes another. */
static bool strict_json_is_new_name(const struct strict_json *json, uint32_t object, struct slice name)
{
	uint32_t child = object + 1;
	for (uint32_t i = 0; i < json->nodes[object].count; i++, child = json->nodes[child].next)
		if (slice_equal(json->nodes[child].name, name))
			return false;
	return true;
}

static bool strict_json_read_member(struct strict_json_reader *reader, uint32_t object)
{
	struct slice name;
	strict_json_skip_space(reader);
	if (!strict_json_take(reader, '"'))
		return strict_json_fail(reader, "a member has no name");
	if (!strict_json_read_string(reader, &name))
		return false;
	if (!strict_json_is_new_name(reader->json, object, name))
		return strict_json_fail(reader, "a member's name comes twice in one object");
	strict_json_skip_space(reader);
	if (!strict_json_take(reader, ':'))
		return strict_json_fail(reader, "a member has no value");
	return strict_json_read_value(reader, name);
}

/* Behind the opening bracket or brace. */
static bool strict_json_read_children(struct strict_json_reader *reader, uint32_t parent, bool object)
{
	char closing = object ? '}' : ']';
	if (++reader->depth > STRICT_DEPTH_MAX)
		return strict_json_fail(reader, "nested too deeply");
	strict_json_skip_space(reader);
	if (!strict_json_take(reader, closing)) {
		do {
			bool read = object ? strict_json_read_member(reader, parent)
					   : strict_json_read_value(reader, slice_of(NULL, 0));
			if (!read)
				return false;
			reader->json->nodes[parent].count++;
			strict_json_skip_space(reader);
		} while (strict_json_take(reader, ','));
		if (!strict_json_take(reader, closing))
			return strict_json_fail(reader, "a list of values does not end");
	}
	reader->depth--;
	return true;
}

static bool strict_json_read_content(struct strict_json_reader *reader, struct strict_node *node, uint32_t index)
{
	uint8_t first = reader->at == reader->end ? 0 : *reader->at;
	switch (first) {
	case '"':
		node->type = STRICT_STRING;
		reader->at++;
		return strict_json_read_string(reader, &node->text);
	case '{':
	case '[':
		node->type = first == '{' ? STRICT_OBJECT : STRICT_ARRAY;
		reader->at++;
		return strict_json_read_children(reader, index, first == '{');
	case 't':
		node->type = STRICT_TRUE;
		return strict_json_read_word(reader, "true");
	case 'f':
		node->type = STRICT_FALSE;
		return strict_json_read_word(reader, "false");
	case 'n':
		node->type = STRICT_NULL;
		return strict_json_read_word(reader, "null");
	default:
		node->type = STRICT_NUMBER;
		if (first != '-' && (first < '0' || first > '9'))
			return strict_json_fail(reader, "no value stands where one must");
		return strict_json_read_number(reader, &node->text);
	}
}

static bool strict_json_read_value(struct strict_json_reader *reader, struct slice name)
{
	struct strict_json *json = reader->json;
	if (json->count == json->capacity)
		return strict_json_fail(reader, "too many values");
	uint32_t index = json->count++;
	struct strict_node *node = &json->nodes[index];
	*node = (struct strict_node){.name = name};
	strict_json_skip_space(reader);
	if (!strict_json_read_content(reader, node, index))
		return false;
	node->next = json->count;
	return true;
}

const char *strict_json_read(struct strict_json *json, uint8_t *text, size_t size, size_t *at)
{
	CHECK(json->capacity > 0);
	json->count = 0;
	struct strict_json_reader reader = {.json = json, .begin = text, .at = text, .end = text + size};
	bool read = strict_json_read_value(&reader, slice_of(NULL, 0));
	strict_json_skip_space(&reader);
	if (read && reader.at != reader.end)
		reader.fault = "something stands behind the value";
	CHECK(reader.at <= reader.end && json->count <= json->capacity);
	CHECK(!read || reader.depth == 0);
	*at = (size_t)(reader.at - reader.begin);
	return reader.fault;
}

const struct strict_node *strict_member(const struct strict_json *json, const struct strict_node *object,
					struct slice name)
{
	if (object->type != STRICT_OBJECT)
		return NULL;
	const struct strict_node *child = strict_first(object);
	for (uint32_t i = 0; i < object->count; i++, child = strict_next(json, child))
		if (slice_equal(child->name, name))
			return child;
	return NULL;
}
