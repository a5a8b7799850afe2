/* A topic filter with placeholders: %c stands for the client id, %u for the user name, anywhere in a level, and %% for
 * a percent sign. How it relates to what a client asks for, a topic name or a topic filter [MQTT 4.7]. Pure; any
 * thread.
 *
 * A value that is missing or empty, that contains '+', '#' or '/', or that would put a '$' first, cannot be
 * used: it could mean more than the rule's author meant. In a rule that allows, the pattern then covers nothing; in one
 * that denies, it covers everything from that level on. */
#ifndef AUTH_ACL_PATTERN_H
#define AUTH_ACL_PATTERN_H

#include "base/slice.h"

/* MQTT's own limit of a topic filter. */
#define ACL_PATTERN_BYTES_MAX 65535u
#define ACL_PATTERN_LEVELS_MAX 128u

/* How placeholders are written in a compiled pattern: bytes that UTF-8 never contains. */
#define ACL_PATTERN_CLIENT_ID 0xFEu
#define ACL_PATTERN_USER 0xFFu

/* The client that a decision is about. */
struct acl_identity {
	struct slice client_id;
	struct slice user; /* size 0: there is none */
};

/* Checks the text of a filter with placeholders and writes it as a pattern, which is never longer, to out. Returns
 * NULL, or what is wrong, in static storage. */
const char *acl_pattern_compile(struct slice text, uint8_t *out, size_t *size);

/* Whether it stands for one topic, the same for everyone: no wildcard and no placeholder. */
bool acl_pattern_is_literal(struct slice pattern);

/* Whether every topic that the asked-for topic or filter stands for is one of the pattern's. A leading wildcard of the
 * pattern does not cover topics that begin with '$' [MQTT-4.7.2-1]. */
bool acl_pattern_covers(struct slice pattern, const struct acl_identity *identity, struct slice asked);

/* Whether any topic may be both the pattern's and one that is asked for. A leading wildcard of the pattern is taken to
 * reach topics that begin with '$' too, so that "deny #" leaves no gap. */
bool acl_pattern_overlaps(struct slice pattern, const struct acl_identity *identity, struct slice asked);

#endif
