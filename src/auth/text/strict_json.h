/* A strict reader of JSON [RFC 8259] for untrusted input, used by every sign-in: it allocates nothing, works in place
 * and refuses what could be read in two ways. Beyond the grammar it refuses member names that occur twice in
 * one object (after escapes are resolved), U+0000, lone surrogates, ill-formed UTF-8, a byte order mark, nesting deeper
 * than STRICT_DEPTH_MAX and more values than the caller has nodes for. Why it is not jansson:
 * docs/decisions/0006-tokens.md.
 *
 * Nodes lie in the order of the text: an object's or array's children follow it, and `next` leads past a value and all
 * below it. They point into the text, which the reader changes, and are good for as long as it is. Pure; one thread. */
#ifndef AUTH_STRICT_JSON_H
#define AUTH_STRICT_JSON_H

#include "base/check.h"
#include "base/slice.h"

#define STRICT_DEPTH_MAX 16u

enum strict_type {
	STRICT_NULL,
	STRICT_FALSE,
	STRICT_TRUE,
	STRICT_NUMBER,
	STRICT_STRING,
	STRICT_ARRAY,
	STRICT_OBJECT,
};

struct strict_node {
	struct slice name; /* of a member, escapes resolved; otherwise empty */
	struct slice text; /* a string, escapes resolved; a number as it is written; otherwise empty */
	uint32_t next;     /* the node behind this value */
	uint32_t count;    /* of an array's or object's own children */
	enum strict_type type;
};

struct strict_json {
	struct strict_node *nodes; /* the caller's; nodes[0] is the whole */
	uint32_t capacity;
	uint32_t count;
};

/* Reads one value that fills the text; json->nodes and json->capacity are set by the caller. Returns NULL, or what is
 * wrong, in static storage, with its place in *at; the text is changed in any case. */
const char *strict_json_read(struct strict_json *json, uint8_t *text, size_t size, size_t *at);

/* The object's member of this name, or NULL: there is none, or it is no object. */
const struct strict_node *strict_member(const struct strict_json *json, const struct strict_node *object,
					struct slice name);

/* The first child of an array or object, and from a child to the one behind it, for `count` children. */
static inline const struct strict_node *strict_first(const struct strict_node *parent)
{
	return parent + 1;
}

static inline const struct strict_node *strict_next(const struct strict_json *json, const struct strict_node *child)
{
	CHECK(child->next <= json->count);
	return json->nodes + child->next;
}

#endif
