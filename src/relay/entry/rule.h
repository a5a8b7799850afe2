/* A rule: which messages go to which Redis stream, and what of them. The daemon reads rules from the configuration's
 * list `streams`; from then on they do not change. Pure; any thread. */
#ifndef RELAY_ENTRY_RULE_H
#define RELAY_ENTRY_RULE_H

#include "base/slice.h"

#include <stdio.h>

#define RULES_MAX 32u
#define RULE_NAME_BYTES_MAX 49u /* with the null character, here and below */
#define RULE_STREAM_BYTES_MAX 256u
#define RULE_FILTERS_MAX 16u
#define RULE_FILTER_BYTES_MAX 256u
#define RULE_FAULT_BYTES_MAX 256u
/* MAXLEN and MINID of Redis take 63 bits; nobody needs as many. */
#define RULE_LENGTH_MAX UINT32_MAX
#define RULE_AGE_S_MAX UINT32_MAX

/* The client id of a rule's session is this and the rule's name. */
#define RULE_CLIENT_PREFIX "$roost/rule/"
#define RULE_CLIENT_BYTES_MAX (sizeof(RULE_CLIENT_PREFIX) + RULE_NAME_BYTES_MAX)

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
	char name[RULE_NAME_BYTES_MAX]; /* a to z, 0 to 9, _ and -; unique */
	char stream[RULE_STREAM_BYTES_MAX];
	char filters[RULE_FILTERS_MAX][RULE_FILTER_BYTES_MAX];
	uint32_t filter_count;
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
/* Sets what stands behind the key; topics and fields may be set several times. False: fault says what is wrong. */
bool rule_set(struct rule *rule, const char *key, const char *text, char fault[RULE_FAULT_BYTES_MAX]);
/* Whether there is such a key, and whether it takes a list. */
bool rule_has_key(const char *key, bool *is_list);
/* Completes a rule of which all was set: the last of these rules. False: fault says what is missing, or that another
 * rule has its name. */
bool rule_complete(struct rules *rules, char fault[RULE_FAULT_BYTES_MAX]);

/* Whether both say the same; the lines where they stand do not count. */
bool rule_equal(const struct rule *one, const struct rule *other);
/* The rule of this name; NULL: there is none. */
const struct rule *rules_find(const struct rules *rules, struct slice name);
const char *rule_field_name(enum rule_field field);

/* The subscription identifier of a filter where a rule has several. It goes by the filter's text, so that one that was
 * taken out is not taken for another. */
uint32_t rule_filter_identifier(const char *filter);
/* Whether the rule has a filter of this identifier. */
bool rule_has_identifier(const struct rule *rule, uint32_t identifier);

/* Writes the client id of the rule's session. Returns its size. */
size_t rule_client_id(const struct rule *rule, char id[RULE_CLIENT_BYTES_MAX]);

#endif
