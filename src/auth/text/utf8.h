/* Well-formed UTF-8, by table 3-7 of the Unicode Standard: overlong forms, surrogates and what is past U+10FFFF are
 * kept out. Pure; any thread. */
#ifndef AUTH_UTF8_H
#define AUTH_UTF8_H

#include "base/slice.h"

/* Bytes of the character at the start of the text, which is not empty; 0 where it is ill-formed. */
static inline size_t utf8_character_bytes(struct slice text)
{
	const uint8_t *at = text.data;
	uint8_t lead = at[0];
	if (lead < 0x80)
		return 1;
	size_t size = lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;
	if (size == 0 || text.size < size)
		return 0;
	uint8_t least = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
	uint8_t most = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
	bool good = at[1] >= least && at[1] <= most;
	for (size_t i = 2; i < size; i++)
		good = good && (at[i] & 0xC0) == 0x80;
	return good ? size : 0;
}

/* Well-formed and without control characters, U+0000 among them. */
static inline bool utf8_is_text(struct slice text)
{
	while (text.size > 0) {
		size_t size = utf8_character_bytes(text);
		if (size == 0 || text.data[0] < 0x20 || text.data[0] == 0x7F)
			return false;
		text = slice_of(text.data + size, text.size - size);
	}
	return true;
}

#endif
