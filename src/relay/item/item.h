/* What the items of the configuration's lists (`streams` and its like) have in common: a name, and values that are
 * wrong in the same ways. Pure; any thread. */
#ifndef RELAY_ITEM_ITEM_H
#define RELAY_ITEM_ITEM_H

#include "base/slice.h"

#include <stdio.h>

#define ITEM_NAME_BYTES_MAX 49u /* with the null character */
#define ITEM_FAULT_BYTES_MAX 384u
/* The client id of an item's session: a prefix for each kind, and the item's name. */
#define ITEM_PREFIX_BYTES_MAX 20u
#define ITEM_CLIENT_BYTES_MAX (ITEM_PREFIX_BYTES_MAX + ITEM_NAME_BYTES_MAX)

/* Writes the sentence. Returns false. */
bool item_fault(char fault[ITEM_FAULT_BYTES_MAX], const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Each sets a value; false: fault says what is wrong with the text. */
bool item_set_name(char name[ITEM_NAME_BYTES_MAX], const char *text, char fault[ITEM_FAULT_BYTES_MAX]);
bool item_set_number(uint32_t *number, const char *text, uint32_t least, uint32_t most,
		     char fault[ITEM_FAULT_BYTES_MAX]);
/* `true` or `false`. */
bool item_set_switch(bool *on, const char *text, char fault[ITEM_FAULT_BYTES_MAX]);
/* Of at most size - 1 bytes, and not empty. */
bool item_set_text(char *copy, size_t size, const char *text, char fault[ITEM_FAULT_BYTES_MAX]);

/* Writes the client id of the session of an item of this name. Returns its size. */
size_t item_client_id(const char *prefix, const char *name, char id[ITEM_CLIENT_BYTES_MAX]);

/* A key of an item of one kind. */
struct item_key {
	const char *name;
	bool is_list; /* it may be set several times */
	bool (*set)(void *item, const char *text, char *fault);
};

/* The key of this name among `count`. NULL: there is none. */
const struct item_key *item_key_find(const struct item_key *keys, size_t count, const char *name);

#endif
