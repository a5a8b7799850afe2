#include "auth/outside/question.h"

#include "auth/text/utf8.h"
#include <sodium.h>
#include <stdio.h>

static const char *const PLACEHOLDERS[] = {
	[OUTSIDE_KEY_OF_USER] = "{user}",
	[OUTSIDE_KEY_OF_CLIENT] = "{client}",
};

/* ---- keys ---- */

const char *outside_key_read(struct outside_key *key, const char *text)
{
	const char *found = NULL;
	*key = (struct outside_key){0};
	for (unsigned i = 0; i < sizeof(PLACEHOLDERS) / sizeof(PLACEHOLDERS[0]); i++) {
		const char *at = strstr(text, PLACEHOLDERS[i]);
		if (at == NULL)
			continue;
		const char *behind = at + strlen(PLACEHOLDERS[i]);
		if (found != NULL || strstr(behind, PLACEHOLDERS[i]) != NULL)
			return "it has more than one {user} or {client}";
		found = at;
		key->placeholder = (enum outside_placeholder)i;
		key->before = slice_of(text, (size_t)(at - text));
		key->after = slice_string(behind);
	}
	if (found == NULL)
		return "it has neither {user} nor {client} in it";
	return key->before.size != 0 ? NULL : "something has to stand in front of {user} or {client}";
}

struct slice outside_key_value(const struct outside_key *key, const struct outside_question *question)
{
	return key->placeholder == OUTSIDE_KEY_OF_USER ? question->user_name : question->client_id;
}

bool outside_key_value_of(const struct outside_key *key, struct slice name, struct slice *value)
{
	size_t around = key->before.size + key->after.size;
	if (name.size <= around)
		return false;
	*value = slice_of(name.data + key->before.size, name.size - around);
	return slice_equal(slice_of(name.data, key->before.size), key->before) &&
	       slice_equal(slice_of(value->data + value->size, key->after.size), key->after);
}

/* ---- writing ---- */

/* Counts all, and writes what there is room for. */
struct text {
	uint8_t *out;
	size_t room;
	size_t size;
};

static void text_add(struct text *text, const void *bytes, size_t size)
{
	if (size != 0 && text->size + size <= text->room)
		memcpy(text->out + text->size, bytes, size);
	text->size += size;
}

size_t outside_key_write(const struct outside_key *key, struct slice value, uint8_t *out, size_t room)
{
	struct text text = {.out = out, .room = room};
	text_add(&text, key->before.data, key->before.size);
	text_add(&text, value.data, value.size);
	text_add(&text, key->after.data, key->after.size);
	return text.size;
}

static void text_add_name(struct text *text, const char *name)
{
	text_add(text, text->size == 0 ? "{\"" : ",\"", 2);
	text_add(text, name, strlen(name));
	text_add(text, "\":", 2);
}

/* [RFC 8259, 7]: well-formed UTF-8 needs no other escapes. */
static void text_add_escaped(struct text *text, uint8_t byte)
{
	char escaped[8];
	if (byte == '"' || byte == '\\')
		text_add(text, (const char[]){'\\', (char)byte}, 2);
	else if (byte < 0x20)
		text_add(text, escaped, (size_t)snprintf(escaped, sizeof(escaped), "\\u%04x", byte));
	else
		text_add(text, &byte, 1);
}

static void text_add_string(struct text *text, const char *name, struct slice value)
{
	if (value.data == NULL)
		return;
	text_add_name(text, name);
	text_add(text, "\"", 1);
	for (size_t i = 0; i < value.size; i++)
		text_add_escaped(text, value.data[i]);
	text_add(text, "\"", 1);
}

static void text_add_base64(struct text *text, const char *name, struct slice value)
{
	size_t room = sodium_base64_ENCODED_LEN(value.size, sodium_base64_VARIANT_ORIGINAL);
	text_add_name(text, name);
	text_add(text, "\"", 1);
	/* The null character behind it is overwritten by the quote. */
	if (text->size + room <= text->room)
		sodium_bin2base64((char *)text->out + text->size, room, value.data, value.size,
				  sodium_base64_VARIANT_ORIGINAL);
	text->size += room - 1;
	text_add(text, "\"", 1);
}

static bool outside_is_utf8(struct slice text)
{
	while (text.size != 0) {
		size_t size = utf8_character_bytes(text);
		if (size == 0)
			return false;
		text = slice_of(text.data + size, text.size - size);
	}
	return true;
}

size_t outside_json_write(const struct outside_question *question, uint8_t *out, size_t room)
{
	struct text text = {.out = out, .room = room};
	bool has_id = question->client_id.data != NULL;
	text_add_string(&text, "client_id", has_id ? question->client_id : slice_string(""));
	text_add_string(&text, "username", question->user_name);
	if (question->password.data != NULL && !outside_is_utf8(question->password))
		text_add_base64(&text, "password_base64", question->password);
	else
		text_add_string(&text, "password", question->password);
	text_add_string(&text, "address", question->address);
	text_add_string(&text, "transport", question->transport);
	text_add_string(&text, "certificate", question->certificate);
	char version[16];
	text_add_name(&text, "version");
	text_add(&text, version, (size_t)snprintf(version, sizeof(version), "%u", question->version));
	text_add(&text, "}", 1);
	return text.size;
}
