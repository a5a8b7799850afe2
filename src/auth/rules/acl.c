#include "auth/rules/acl.h"

#include "auth/rules/acl_file.h"
#include "auth/rules/acl_rules.h"
#include "base/check.h"

#include <stdatomic.h>
#include <stdlib.h>

struct acl {
	_Atomic uint32_t references;
	bool allow_by_default;
	uint64_t serial;
	struct acl_file file;
};

/* One number for the whole process, and nothing depends on its order. */
static _Atomic uint64_t last_serial;

struct acl *acl_new(struct slice text, bool allow_by_default, struct fault *fault)
{
	if (text.size > ACL_FILE_BYTES_MAX) {
		fault_set(fault, 0, "the file is larger than %zu bytes", ACL_FILE_BYTES_MAX);
		return NULL;
	}
	struct acl *acl = calloc(1, sizeof(*acl));
	if (acl == NULL) {
		fault_set(fault, 0, "out of memory");
		return NULL;
	}
	atomic_store(&acl->references, 1);
	acl->allow_by_default = allow_by_default;
	acl->serial = atomic_fetch_add(&last_serial, 1) + 1;
	if (!acl_file_read(&acl->file, text, fault)) {
		free(acl);
		return NULL;
	}
	return acl;
}

struct acl *acl_get(struct acl *acl)
{
	CHECK(atomic_fetch_add_explicit(&acl->references, 1, memory_order_relaxed) != 0);
	return acl;
}

void acl_put(struct acl **acl)
{
	struct acl *put = *acl;
	*acl = NULL;
	if (put == NULL)
		return;
	uint32_t references = atomic_fetch_sub_explicit(&put->references, 1, memory_order_acq_rel);
	CHECK(references != 0);
	if (references != 1)
		return;
	acl_file_fini(&put->file);
	free(put);
}

bool acl_same(const struct acl *one, const struct acl *other)
{
	return one->allow_by_default == other->allow_by_default && slice_equal(one->file.rules, other->file.rules);
}

uint64_t acl_serial(const struct acl *acl)
{
	return acl->serial;
}

struct question {
	const struct acl_identity *identity;
	struct slice token_rules;
	struct slice topic;
	uint8_t action; /* enum acl_entry_flag */
};

enum answer {
	ANSWER_NONE,
	ANSWER_ALLOWED,
	ANSWER_DENIED,
};

static bool acl_rule_applies(const struct acl_entry *entry, const struct question *question)
{
	struct slice pattern = slice_of(entry->text, entry->text_bytes);
	if ((entry->flags & question->action) == 0)
		return false;
	if (entry->flags & ACL_ALLOWS) {
		if (entry->flags & ACL_LITERAL)
			return slice_equal(pattern, question->topic);
		return acl_pattern_covers(pattern, question->identity, question->topic);
	}
	/* A topic name has no wildcards: it is equal, or it has nothing in common. */
	if (entry->flags & ACL_LITERAL && question->action == ACL_PUBLISHES)
		return slice_equal(pattern, question->topic);
	return acl_pattern_overlaps(pattern, question->identity, question->topic);
}

static bool acl_section_applies(const struct acl_entry *entry, const struct acl_identity *identity)
{
	struct slice name = entry->kind == ACL_USER ? identity->user : identity->client_id;
	if (entry->kind == ACL_USER && name.size == 0)
		return false;
	if (entry->flags & ACL_PREFIX && name.size > entry->text_bytes)
		name.size = entry->text_bytes;
	return slice_equal(name, slice_of(entry->text, entry->text_bytes));
}

static enum answer acl_decide(struct slice rules, const struct question *question)
{
	if (rules.size == 0)
		return ANSWER_NONE;
	const uint8_t *at = rules.data, *end = at + rules.size;
	while (at < end) {
		const struct acl_entry *entry = (const struct acl_entry *)(const void *)at;
		enum answer answer = ANSWER_NONE;
		at += acl_entry_bytes(entry->text_bytes);
		switch ((enum acl_entry_kind)entry->kind) {
		case ACL_RULE:
			if (acl_rule_applies(entry, question))
				answer = entry->flags & ACL_ALLOWS ? ANSWER_ALLOWED : ANSWER_DENIED;
			break;
		case ACL_USER:
		case ACL_CLIENT:
			if (!acl_section_applies(entry, question->identity))
				at += entry->skip;
			break;
		case ACL_TOKEN:
			answer = acl_decide(question->token_rules, question);
			break;
		}
		if (answer != ANSWER_NONE)
			return answer;
	}
	CHECK(at == end);
	return ANSWER_NONE;
}

bool acl_check(const struct acl *acl, struct slice token_rules, const struct acl_identity *identity,
	       enum acl_action action, struct slice topic)
{
	CHECK(action == ACL_PUBLISH || action == ACL_SUBSCRIBE);
	CHECK(token_rules.size == 0 || (uintptr_t)token_rules.data % ACL_ENTRY_ALIGN == 0);
	struct question question = {.identity = identity,
				    .token_rules = token_rules,
				    .topic = topic,
				    .action = action == ACL_PUBLISH ? ACL_PUBLISHES : ACL_SUBSCRIBES};
	enum answer answer = acl_decide(acl->file.rules, &question);
	if (answer == ANSWER_NONE)
		return token_rules.data == NULL && acl->allow_by_default;
	return answer == ANSWER_ALLOWED;
}
