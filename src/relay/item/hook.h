/* A webhook: which messages go to which URL, and how. The daemon reads hooks from the configuration's list `hooks`;
 * from then on they do not change. Pure; any thread. */
#ifndef RELAY_ITEM_HOOK_H
#define RELAY_ITEM_HOOK_H

#include "relay/item/topics.h"

#define HOOKS_MAX 32u
#define HOOK_URL_BYTES_MAX 1024u /* texts: with the null character */
#define HOOK_PATH_BYTES_MAX 256u
#define HOOK_HEADER_BYTES_MAX 384u
#define HOOK_HEADERS_MAX 8u
#define HOOK_HEADER_FILES_MAX 4u
#define HOOK_TEXT_BYTES_MAX 128u
#define HOOK_BATCH_MESSAGES_MAX 10000u
#define HOOK_BATCH_BYTES_MAX (UINT32_C(8) << 20)
#define HOOK_CONCURRENCY_MAX 8u
#define HOOK_DELAY_MS_MAX 60000u
#define HOOK_TIMEOUT_MS_MAX 300000u

/* The client id of a hook's session is this and the hook's name. */
#define HOOK_CLIENT_PREFIX "$roost/hook/"
_Static_assert(sizeof(HOOK_CLIENT_PREFIX) <= ITEM_PREFIX_BYTES_MAX, "a client id has room for it");

struct hook {
	char name[ITEM_NAME_BYTES_MAX]; /* unique */
	char url[HOOK_URL_BYTES_MAX];   /* http:// or https://, without a user */
	struct topics topics;
	/* "": none. */
	char secret_file[HOOK_PATH_BYTES_MAX];
	char ca_file[HOOK_PATH_BYTES_MAX];
	char certificate_file[HOOK_PATH_BYTES_MAX]; /* of this client */
	char key_file[HOOK_PATH_BYTES_MAX];
	char dead_letter_file[HOOK_PATH_BYTES_MAX];
	char source[HOOK_TEXT_BYTES_MAX];                                /* of its events */
	char content_type[HOOK_TEXT_BYTES_MAX];                          /* of messages that name none */
	char headers[HOOK_HEADERS_MAX][HOOK_HEADER_BYTES_MAX];           /* "Name: value" */
	char header_files[HOOK_HEADER_FILES_MAX][HOOK_HEADER_BYTES_MAX]; /* "Name: path of a file with the value" */
	uint32_t header_count;
	uint32_t header_file_count;
	uint32_t batch_messages;
	uint32_t batch_bytes;
	uint32_t delay_ms;
	uint32_t concurrency; /* requests at a time; messages of one client are in one line */
	uint32_t timeout_ms;
	uint32_t retry_for_s; /* 0: for ever */
	uint32_t line;        /* of the configuration file */
	uint8_t qos;          /* 0: at most once; 1: at least once */
};

struct hooks {
	struct hook items[HOOKS_MAX];
	uint32_t count;
};

/* A hook in which nothing is set yet. */
void hook_init(struct hook *hook);
/* How to set what stands behind a key of a hook. NULL: it has no such key. */
const struct item_key *hook_key(const char *name);
/* Completes a hook of which all was set. False: fault says what is missing. */
bool hook_complete(struct hook *hook, char fault[ITEM_FAULT_BYTES_MAX]);

/* Whether both say the same; the lines where they stand do not count. */
bool hook_equal(const struct hook *one, const struct hook *other);

#endif
