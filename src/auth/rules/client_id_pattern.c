#include "auth/rules/client_id_pattern.h"

#include "base/check.h"

/* A part of a pattern: literal text, or what %u stands for. */
struct part {
	struct slice text;
	bool is_user;
};

/* Takes the first part off a pattern that is well-formed. False: none is left but a '*', or nothing. */
static bool client_id_pattern_take_part(struct slice *pattern, struct slice user, struct part *part)
{
	if (pattern->size == 0 || pattern->data[0] == '*')
		return false;
	bool escaped = pattern->data[0] == '%';
	CHECK(!escaped || pattern->size >= 2); /* client_id_pattern_check() has seen to it */
	part->is_user = escaped && pattern->data[1] == 'u';
	part->text = part->is_user ? user : slice_of(pattern->data + escaped, 1);
	size_t size = escaped ? 2 : 1;
	*pattern = slice_of(pattern->data + size, pattern->size - size);
	return true;
}

const char *client_id_pattern_check(struct slice pattern)
{
	for (size_t i = 0; i < pattern.size; i++) {
		if (pattern.data[i] == '*' && i + 1 != pattern.size)
			return "a '*' may stand at the end only";
		if (pattern.data[i] != '%')
			continue;
		i++;
		if (i == pattern.size || (pattern.data[i] != 'u' && pattern.data[i] != '%'))
			return "a '%' begins %u, the user's name, or %%, a percent sign";
	}
	return NULL;
}

bool client_id_pattern_allows(struct slice pattern, struct slice user, struct slice client_id)
{
	struct part part;
	while (client_id_pattern_take_part(&pattern, user, &part)) {
		if (part.text.size == 0 || client_id.size < part.text.size ||
		    memcmp(client_id.data, part.text.data, part.text.size) != 0)
			return false;
		client_id = slice_of(client_id.data + part.text.size, client_id.size - part.text.size);
	}
	return pattern.size != 0 || client_id.size == 0;
}

bool client_id_pattern_expand(struct slice pattern, struct slice user, uint8_t *out, size_t room, size_t *size,
			      bool *open)
{
	struct part part;
	*size = 0;
	while (client_id_pattern_take_part(&pattern, user, &part)) {
		if (part.text.size == 0 || room - *size < part.text.size)
			return false;
		memcpy(out + *size, part.text.data, part.text.size);
		*size += part.text.size;
	}
	CHECK(*size <= room);
	*open = pattern.size != 0;
	return true;
}
