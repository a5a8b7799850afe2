/* Permissions that a token carries, as a JSON object in one of its claims:
 *
 *     {"publish": ["sensors/%c/#"], "subscribe": ["cmd/%c/+"], "deny": {"publish": ["sensors/%c/raw"], "subscribe":
 * []}}
 *
 * Every member may be missing; placeholders are those of a rule file. What is denied is tried before what is allowed.
 * Pure; any thread. */
#ifndef AUTH_ACL_CLAIMS_H
#define AUTH_ACL_CLAIMS_H

#include "auth/text/strict_json.h"
#include "base/error.h"

/* What the rules of a JSON text of so many bytes take at most: a filter costs two quotes and a comma there, and an
 * entry's header and padding here, and nobody writes one that is empty. */
#define ACL_CLAIMS_BYTES_MAX(json_bytes) ((json_bytes)*4)

/* Compiles the node's permissions into rules (auth/rules/acl_rules.h) in out, which is aligned to 4 bytes. The same
 * permissions always make the same bytes. ERROR_TOKEN_CLAIM: it does not have the form above, has an
 * unknown member, whose meaning would be lost, or needs more than `room`. */
enum error acl_claims_compile(const struct strict_json *json, const struct strict_node *node, uint8_t *out, size_t room,
			      size_t *size);

#endif
