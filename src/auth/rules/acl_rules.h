/* Compiled rules: one run of bytes without a pointer in it, so that it can be compared, hashed, copied to another
 * thread and shared as it stands. acl_file.c makes them of a rule file, acl_claims.c of a token's claims; acl.c reads
 * them. Entries stand in the order in which they are tried. Pure. */
#ifndef AUTH_ACL_RULES_H
#define AUTH_ACL_RULES_H

#include "base/check.h"
#include "base/slice.h"

enum acl_entry_kind {
	ACL_RULE,   /* text: a pattern */
	ACL_USER,   /* text: a name; what follows, up to `skip` bytes, is for this user only */
	ACL_CLIENT, /* the same for client ids */
	ACL_TOKEN,  /* here stand the rules of the client's token */
};

enum acl_entry_flag {
	ACL_ALLOWS = 1 << 0,     /* otherwise it denies */
	ACL_PUBLISHES = 1 << 1,  /* it is about publishing */
	ACL_SUBSCRIBES = 1 << 2, /* it is about subscribing */
	ACL_LITERAL = 1 << 3,    /* the pattern has neither wildcards nor placeholders */
	ACL_PREFIX = 1 << 4,     /* the name ended in '*', which is cut off: any that begins so */
};

struct acl_entry {
	uint8_t kind;
	uint8_t flags;
	uint16_t text_bytes;
	uint32_t skip; /* bytes behind this entry that are its own; 0 but for a section */
	uint8_t text[];
};

_Static_assert(sizeof(struct acl_entry) == 8, "eight bytes before each rule's text");
#define ACL_ENTRY_ALIGN 4u
_Static_assert(_Alignof(struct acl_entry) == ACL_ENTRY_ALIGN, "entries lie one behind the other");
_Static_assert(sizeof(struct acl_entry) % ACL_ENTRY_ALIGN == 0, "the text begins where the header ends");

/* With the padding that puts the next entry in its place. */
static inline size_t acl_entry_bytes(size_t text_bytes)
{
	return (sizeof(struct acl_entry) + text_bytes + ACL_ENTRY_ALIGN - 1) / ACL_ENTRY_ALIGN * ACL_ENTRY_ALIGN;
}

/* Writes an entry to out, which has room for acl_entry_bytes() and is aligned; padding is zero, so that equal rules are
 * equal bytes. text may lie where the entry's text goes. Returns its bytes. */
static inline size_t acl_entry_write(uint8_t *out, uint8_t kind, uint8_t flags, struct slice text)
{
	CHECK(text.size <= UINT16_MAX);
	struct acl_entry entry = {.kind = kind, .flags = flags, .text_bytes = (uint16_t)text.size};
	size_t bytes = acl_entry_bytes(text.size);
	if (text.size != 0)
		memmove(out + sizeof(entry), text.data, text.size);
	memcpy(out, &entry, sizeof(entry));
	memset(out + sizeof(entry) + text.size, 0, bytes - sizeof(entry) - text.size);
	return bytes;
}

#endif
