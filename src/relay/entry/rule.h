/* A rule: which messages go to which Redis stream, and what of them. The daemon reads rules from the configuration's
 * list `streams`; from then on they do not change. Pure; any thread. */
#ifndef RELAY_ENTRY_RULE_H
#define RELAY_ENTRY_RULE_H

#include "relay/item/topics.h"

#define RULES_MAX 32u
#define RULE_STREAM_BYTES_MAX 256u /* with the null character */
/* MAXLEN and MINID of Redis take 63 bits; nobody needs as many. */
#define RULE_LENGTH_MAX UINT32_MAX
#define RULE_AGE_S_MAX UINT32_MAX

/* The client id of a rule's session is this and the rule's name. */
#define RULE_CLIENT_PREFIX "$roost/rule/"
_Static_assert(sizeof(RULE_CLIENT_PREFIX) <= ITEM_PREFIX_BYTES_MAX, "a client id has room for it");

/* What an entry may have of a message, each a field of this name. */
#define RULE_FIELD_TABLE(X)                                                                                            \
	/* code, name, whether an entry has it where the rule names none */                                            \
	X(TOPIC, "topic", true)                                                                                        \
	X(PAYLOAD, "payload", true)                                                                                    \
	X(QOS, "qos", true)                                                                                            \
	X(RETAIN, "retain", false)                                                                                     \
	X(PROPERTIES, "properties", false)                                                                             \
	X(CLIENT, "client", true)                                                                                      \
	X(USER, "user", true)                                                                                          \
	X(ADDRESS, "address", false)                                                                                   \
	X(TIME, "time", true)

enum rule_field {
#define X(code, name, by_default) RULE_FIELD_##code,
	RULE_FIELD_TABLE(X)
#undef X
		RULE_FIELD_COUNT
};

struct rule {
	char name[ITEM_NAME_BYTES_MAX]; /* unique */
	char stream[RULE_STREAM_BYTES_MAX];
	struct topics topics;
	uint32_t fields;     /* bits of enum rule_field */
	uint32_t max_length; /* entries of a stream, about; 0: no limit */
	uint32_t max_age_s;  /* of a stream's entries, about; 0: no limit */
	uint32_t line;       /* of the configuration file */
	uint8_t qos;         /* 0: at most once; 1: at least once */
};

struct rules {
	struct rule items[RULES_MAX];
	uint32_t count;
};

/* A rule in which nothing is set yet. */
void rule_init(struct rule *rule);
/* How to set what stands behind a key of a rule. NULL: it has no such key. */
const struct item_key *rule_key(const char *name);
/* Completes a rule of which all was set. False: fault says what is missing. */
bool rule_complete(struct rule *rule, char fault[ITEM_FAULT_BYTES_MAX]);

/* Whether both say the same; the lines where they stand do not count. */
bool rule_equal(const struct rule *one, const struct rule *other);
const char *rule_field_name(enum rule_field field);

#endif
