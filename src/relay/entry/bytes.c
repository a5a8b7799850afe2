#include "relay/entry/bytes.h"

#include "base/check.h"

/* "$18446744073709551615\r\n" */
#define HEAD_BYTES_MAX 24u

/* A letter, a number and the end of the line. */
static void append_head(struct bytes *bytes, char kind, uint64_t number)
{
	char text[HEAD_BYTES_MAX];
	char *at = text + sizeof(text);
	*--at = '\n';
	*--at = '\r';
	do {
		*--at = (char)('0' + number % 10);
		number /= 10;
	} while (number != 0);
	*--at = kind;
	CHECK(at >= text);
	bytes_append(bytes, at, (size_t)(text + sizeof(text) - at));
}

void bytes_append_array(struct bytes *bytes, uint32_t words)
{
	append_head(bytes, '*', words);
}

void bytes_append_word(struct bytes *bytes, struct slice word)
{
	append_head(bytes, '$', word.size);
	bytes_append(bytes, word.data, word.size);
	bytes_append(bytes, "\r\n", 2);
}

void bytes_append_text(struct bytes *bytes, const char *word)
{
	bytes_append_word(bytes, slice_string(word));
}

void bytes_append_number(struct bytes *bytes, uint64_t number)
{
	char text[HEAD_BYTES_MAX];
	char *at = text + sizeof(text);
	do {
		*--at = (char)('0' + number % 10);
		number /= 10;
	} while (number != 0);
	bytes_append_word(bytes, slice_of(at, (size_t)(text + sizeof(text) - at)));
}
