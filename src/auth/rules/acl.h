/* Who may publish and subscribe to what. Rules come from a rule file, in its order, and from the client's token; the
 * first that applies decides. Both are immutable; a reference to the file's may be held and read by any thread. Pure.
 *
 * A rule file, line by line (a line that begins with '#' is a comment, blanks around words do not matter):
 *
 *     allow publish sensors/%c/#     allow or deny; publish, subscribe or all; a topic filter, to the end of the line,
 *     deny all secret/#              in which %c is the client id, %u the user name and %% a percent sign
 *     user alice                     the rules that follow are for this user only, up to the next line of its kind;
 *     client meter-*                 the same for a client id. A '*' at the end stands for anything
 *     everyone                       the rules that follow are for everyone again
 *     token                          here the rules of the client's token are tried; without such a line, at the end
 *
 * To a PUBLISH a rule applies if its filter matches the topic. To a SUBSCRIBE an allowing rule applies if its filter
 * covers the whole requested filter, and a denying rule if the two have any topic in common: a client that asks for
 * more than it may have gets nothing. A placeholder's value that could widen a rule is refused
 * (auth/rules/acl_pattern.h).
 *
 * Where no rule applies, the default decides. A client whose token has permissions gets no default: it may do only what
 * they or the file allow. */
#ifndef AUTH_ACL_H
#define AUTH_ACL_H

#include "auth/rules/acl_pattern.h"
#include "auth/text/fault.h"

#define ACL_FILE_BYTES_MAX ((size_t)16 << 20)

enum acl_action {
	ACL_PUBLISH,
	ACL_SUBSCRIBE,
};

struct acl;

/* The rules of a file's text, which stays the caller's; with one reference, the caller's. An empty text leaves all to
 * the default. NULL: *fault says why, with the line. */
struct acl *acl_new(struct slice text, bool allow_by_default, struct fault *fault);
struct acl *acl_get(struct acl *acl);
/* The last reference frees it. */
void acl_put(struct acl **acl);

/* Whether both have the same rules and so decide the same: a file is often read again unchanged. */
bool acl_same(const struct acl *one, const struct acl *other);
/* Unique among all rules that this process has read; for caches of decisions. */
uint64_t acl_serial(const struct acl *acl);

/* Whether the client may. token_rules: of its token (auth/rules/acl_claims.h), aligned to 4 bytes; data is NULL where
 * the token says nothing of permissions or there is none. topic: of a PUBLISH, or the filter of a SUBSCRIBE, checked;
 * of a shared subscription what follows the group. Never allocates. */
bool acl_check(const struct acl *acl, struct slice token_rules, const struct acl_identity *identity,
	       enum acl_action action, struct slice topic);

#endif
