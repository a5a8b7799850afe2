/* A command to Redis in its protocol, appended to bytes: an array of so many words, then the words. */
#ifndef RELAY_ENTRY_BYTES_H
#define RELAY_ENTRY_BYTES_H

#include "memory/bytes.h"

void bytes_append_array(struct bytes *bytes, uint32_t words);
void bytes_append_word(struct bytes *bytes, struct slice word);
void bytes_append_text(struct bytes *bytes, const char *word);
void bytes_append_number(struct bytes *bytes, uint64_t number);

#endif
