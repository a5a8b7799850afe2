#include "relay/json/json_text.h"

#include "auth/text/utf8.h"
#include "base/check.h"

#include <sodium.h>
#include <stdio.h>

/* ---- looking ---- */

bool json_text_is_string(struct slice text)
{
	while (text.size != 0) {
		size_t size = utf8_character_bytes(text);
		if (size == 0)
			return false;
		text = slice_of(text.data + size, text.size - size);
	}
	return true;
}

/* What is left of the text. A reader takes its part off the front and returns whether that was well-formed. */
struct json_reader {
	const uint8_t *at;
	const uint8_t *end;
	uint8_t open[JSON_DEPTH_MAX]; /* '{' or '[' */
	uint32_t depth;
};

static bool json_take(struct json_reader *reader, uint8_t byte)
{
	if (reader->at == reader->end || *reader->at != byte)
		return false;
	reader->at++;
	return true;
}

static void json_skip_blanks(struct json_reader *reader)
{
	while (reader->at < reader->end &&
	       (*reader->at == ' ' || *reader->at == '\t' || *reader->at == '\n' || *reader->at == '\r'))
		reader->at++;
}

static bool json_take_word(struct json_reader *reader, const char *word)
{
	size_t size = strlen(word);
	if ((size_t)(reader->end - reader->at) < size || memcmp(reader->at, word, size) != 0)
		return false;
	reader->at += size;
	return true;
}

static bool is_digit(uint8_t byte)
{
	return byte >= '0' && byte <= '9';
}

static bool json_take_digits(struct json_reader *reader)
{
	const uint8_t *begin = reader->at;
	while (reader->at < reader->end && is_digit(*reader->at))
		reader->at++;
	return reader->at != begin;
}

static bool json_take_number(struct json_reader *reader)
{
	json_take(reader, '-');
	if (!json_take(reader, '0') && !json_take_digits(reader))
		return false;
	if (json_take(reader, '.') && !json_take_digits(reader))
		return false;
	if (!json_take(reader, 'e') && !json_take(reader, 'E'))
		return true;
	if (!json_take(reader, '+'))
		json_take(reader, '-');
	return json_take_digits(reader);
}

static bool json_take_escape(struct json_reader *reader)
{
	if (reader->at == reader->end)
		return false;
	uint8_t letter = *reader->at++;
	if (letter != 'u')
		return memchr("\"\\/bfnrt", letter, 8) != NULL;
	for (int i = 0; i < 4; i++, reader->at++) {
		if (reader->at == reader->end || strchr("0123456789abcdefABCDEF", *reader->at) == NULL ||
		    *reader->at == '\0')
			return false;
	}
	return true;
}

static bool json_take_string(struct json_reader *reader)
{
	if (!json_take(reader, '"'))
		return false;
	while (reader->at < reader->end) {
		uint8_t letter = *reader->at++;
		if (letter == '"')
			return true;
		if (letter < 0x20 || (letter == '\\' && !json_take_escape(reader)))
			return false;
	}
	return false;
}

static bool json_take_scalar(struct json_reader *reader)
{
	if (reader->at == reader->end)
		return false;
	switch (*reader->at) {
	case '"':
		return json_take_string(reader);
	case 't':
		return json_take_word(reader, "true");
	case 'f':
		return json_take_word(reader, "false");
	case 'n':
		return json_take_word(reader, "null");
	default:
		return json_take_number(reader);
	}
}

/* A member's name and colon, where the innermost is an object. */
static bool json_take_name(struct json_reader *reader)
{
	json_skip_blanks(reader);
	if (reader->depth == 0 || reader->open[reader->depth - 1] != '{')
		return true;
	if (!json_take_string(reader))
		return false;
	json_skip_blanks(reader);
	return json_take(reader, ':');
}

/* Takes what opens in front of the next scalar or the end of an empty object or array: *closed says that it is the
 * latter. */
static bool json_descend(struct json_reader *reader, bool *closed)
{
	for (*closed = false; !*closed;) {
		json_skip_blanks(reader);
		if (reader->at == reader->end || (*reader->at != '{' && *reader->at != '['))
			return true;
		if (reader->depth == JSON_DEPTH_MAX)
			return false;
		uint8_t opened = *reader->at++;
		reader->open[reader->depth++] = opened;
		json_skip_blanks(reader);
		*closed = json_take(reader, opened == '{' ? '}' : ']');
		reader->depth -= *closed;
		if (!*closed && !json_take_name(reader))
			return false;
	}
	return true;
}

/* Behind a value: closes what ends here. *more: another value follows. */
static bool json_ascend(struct json_reader *reader, bool *more)
{
	for (*more = false; reader->depth != 0 && !*more;) {
		json_skip_blanks(reader);
		if (json_take(reader, ',')) {
			*more = true;
			return json_take_name(reader);
		}
		if (!json_take(reader, reader->open[reader->depth - 1] == '{' ? '}' : ']'))
			return false;
		reader->depth--;
	}
	return true;
}

bool json_text_is_value(struct slice text)
{
	if (text.size == 0 || !json_text_is_string(text))
		return false;
	struct json_reader reader = {.at = text.data, .end = text.data + text.size};
	for (bool more = true, closed; more;) {
		if (!json_descend(&reader, &closed) || (!closed && !json_take_scalar(&reader)) ||
		    !json_ascend(&reader, &more))
			return false;
	}
	json_skip_blanks(&reader);
	CHECK(reader.at <= reader.end && reader.depth == 0);
	return reader.at == reader.end;
}

/* ---- writing ---- */

void json_text_append(struct bytes *out, struct slice text)
{
	size_t kept = 0; /* what is before it was appended */
	bytes_append(out, "\"", 1);
	for (size_t i = 0; i < text.size; i++) {
		char escaped[8];
		uint8_t letter = text.data[i];
		if (letter >= 0x20 && letter != '"' && letter != '\\')
			continue;
		bytes_append(out, text.data + kept, i - kept);
		kept = i + 1;
		if (letter < 0x20)
			bytes_append(out, escaped, (size_t)snprintf(escaped, sizeof(escaped), "\\u%04x", letter));
		else
			bytes_append(out, (const char[]){'\\', (char)letter}, 2);
	}
	CHECK_LE(kept, text.size);
	if (kept < text.size)
		bytes_append(out, text.data + kept, text.size - kept);
	bytes_append(out, "\"", 1);
}

void json_text_append_base64(struct bytes *out, struct slice data)
{
	size_t room = sodium_base64_ENCODED_LEN(data.size, sodium_base64_VARIANT_ORIGINAL);
	bytes_append(out, "\"", 1);
	if (out->failed || !bytes_reserve(out, room)) {
		out->failed = true;
		return;
	}
	sodium_bin2base64((char *)out->data + out->size, room, data.data, data.size, sodium_base64_VARIANT_ORIGINAL);
	out->size += room - 1; /* without the null character */
	bytes_append(out, "\"", 1);
}
