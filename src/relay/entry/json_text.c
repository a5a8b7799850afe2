#include "relay/entry/json_text.h"

#include <stdio.h>

/* In UTF-8 without a null character only these have to be escaped [RFC 8259, 7]. */
void json_text_append(struct bytes *out, struct slice text)
{
	bytes_append(out, "\"", 1);
	for (size_t i = 0; i < text.size; i++) {
		char escaped[8];
		uint8_t letter = text.data[i];
		if (letter == '"' || letter == '\\')
			bytes_append(out, (const char[]){'\\', (char)letter}, 2);
		else if (letter < 0x20)
			bytes_append(out, escaped, (size_t)snprintf(escaped, sizeof(escaped), "\\u%04x", letter));
		else
			bytes_append(out, &text.data[i], 1);
	}
	bytes_append(out, "\"", 1);
}
