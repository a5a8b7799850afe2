#include "relay/item/hook.h"

#include "base/check.h"

#include <string.h>
#include <strings.h>

#define BATCH_MESSAGES_DEFAULT 100u
#define BATCH_BYTES_DEFAULT (UINT32_C(1) << 20)
#define BATCH_BYTES_LEAST 1024u
#define DELAY_MS_DEFAULT 10u
#define TIMEOUT_MS_DEFAULT 10000u
#define TIMEOUT_MS_LEAST 100u
#define RETRY_FOR_S_MAX UINT32_C(31536000)

void hook_init(struct hook *hook)
{
	*hook = (struct hook){
		.batch_messages = BATCH_MESSAGES_DEFAULT,
		.batch_bytes = BATCH_BYTES_DEFAULT,
		.delay_ms = DELAY_MS_DEFAULT,
		.concurrency = 1,
		.timeout_ms = TIMEOUT_MS_DEFAULT,
		.qos = 1,
	};
}

/* ---- texts ---- */

/* Printable ASCII without spaces. */
static bool is_visible_text(const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text <= ' ' || *text > '~')
			return false;
	}
	return true;
}

static const char *find_host(const char *url)
{
	if (strncmp(url, "http://", 7) == 0)
		return url + 7;
	return strncmp(url, "https://", 8) == 0 ? url + 8 : NULL;
}

static bool set_hook_url(void *item, const char *text, char *fault)
{
	struct hook *hook = item;
	const char *host = find_host(text);
	if (host == NULL)
		return item_fault(fault, "\"%.64s\" begins neither with http:// nor with https://", text);
	if (!is_visible_text(text) || strchr(text, '#') != NULL)
		return item_fault(fault, "\"%.64s\" has a space, a control character, a # or what is not ASCII", text);
	size_t host_size = strcspn(host, "/?");
	if (host_size == 0 || *host == ':')
		return item_fault(fault, "\"%.64s\" has no host", text);
	if (memchr(host, '@', host_size) != NULL)
		return item_fault(fault, "a URL is shown to whoever looks; a user and a password belong into a "
					 "header_files entry");
	return item_set_text(hook->url, sizeof(hook->url), text, fault);
}

/* Where the name of a header line ends: what curl and we write ourselves may not be set. NULL: fault says why not. */
static const char *check_header(const char *text, char *fault)
{
	static const char *const OURS[] = {"Content-Type", "Content-Length",  "Transfer-Encoding",
					   "Connection",   "Roost-Signature", "Expect"};
	size_t size = strspn(text, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
	if (size == 0 || text[size] != ':' || text[size + 1] != ' ' || text[size + 2] == '\0') {
		item_fault(fault, "\"%.64s\" is not of the form \"Name: value\"", text);
		return NULL;
	}
	for (size_t i = 0; i < sizeof(OURS) / sizeof(OURS[0]); i++) {
		if (strlen(OURS[i]) == size && strncasecmp(OURS[i], text, size) == 0) {
			item_fault(fault, "%s is set by Roost", OURS[i]);
			return NULL;
		}
	}
	for (const char *at = text + size; *at != '\0'; at++) {
		if ((unsigned char)*at < ' ' || *at == '\x7f') {
			item_fault(fault, "the value of header %.*s has a control character", (int)size, text);
			return NULL;
		}
	}
	return text + size;
}

static bool add_hook_header(void *item, const char *text, char *fault)
{
	struct hook *hook = item;
	if (hook->header_count == HOOK_HEADERS_MAX)
		return item_fault(fault, "more than %u headers", HOOK_HEADERS_MAX);
	return check_header(text, fault) != NULL &&
	       item_set_text(hook->headers[hook->header_count++], HOOK_HEADER_BYTES_MAX, text, fault);
}

static bool add_header_file(void *item, const char *text, char *fault)
{
	struct hook *hook = item;
	if (hook->header_file_count == HOOK_HEADER_FILES_MAX)
		return item_fault(fault, "more than %u header files", HOOK_HEADER_FILES_MAX);
	return check_header(text, fault) != NULL &&
	       item_set_text(hook->header_files[hook->header_file_count++], HOOK_HEADER_BYTES_MAX, text, fault);
}

static bool set_source(void *item, const char *text, char *fault)
{
	struct hook *hook = item;
	if (!is_visible_text(text))
		return item_fault(fault, "\"%.64s\" is no URI", text);
	return item_set_text(hook->source, sizeof(hook->source), text, fault);
}

static bool set_content_type(void *item, const char *text, char *fault)
{
	struct hook *hook = item;
	const char *slash = strchr(text, '/');
	for (const char *at = text; *at != '\0'; at++) {
		if (*at < ' ' || *at > '~')
			slash = NULL;
	}
	if (slash == NULL || slash == text || slash[1] == '\0')
		return item_fault(fault, "\"%.64s\" is no media type, such as application/json", text);
	return item_set_text(hook->content_type, sizeof(hook->content_type), text, fault);
}

/* ---- keys ---- */

static bool set_hook_name(void *item, const char *text, char *fault)
{
	return item_set_name(((struct hook *)item)->name, text, fault);
}

static bool add_hook_topic(void *item, const char *text, char *fault)
{
	return topics_add(&((struct hook *)item)->topics, text, fault);
}

#define PATH_SETTER(function, member)                                                                                  \
	static bool function(void *item, const char *text, char *fault)                                                \
	{                                                                                                              \
		return item_set_text(((struct hook *)item)->member, HOOK_PATH_BYTES_MAX, text, fault);                 \
	}

PATH_SETTER(set_secret_file, secret_file)
PATH_SETTER(set_hook_ca_file, ca_file)
PATH_SETTER(set_certificate_file, certificate_file)
PATH_SETTER(set_hook_key_file, key_file)
PATH_SETTER(set_dead_letter_file, dead_letter_file)

#define NUMBER_SETTER(function, member, least, most)                                                                   \
	static bool function(void *item, const char *text, char *fault)                                                \
	{                                                                                                              \
		return item_set_number(&((struct hook *)item)->member, text, least, most, fault);                      \
	}

NUMBER_SETTER(set_batch_messages, batch_messages, 1, HOOK_BATCH_MESSAGES_MAX)
NUMBER_SETTER(set_batch_bytes, batch_bytes, BATCH_BYTES_LEAST, HOOK_BATCH_BYTES_MAX)
NUMBER_SETTER(set_delay_ms, delay_ms, 0, HOOK_DELAY_MS_MAX)
NUMBER_SETTER(set_concurrency, concurrency, 1, HOOK_CONCURRENCY_MAX)
NUMBER_SETTER(set_timeout_ms, timeout_ms, TIMEOUT_MS_LEAST, HOOK_TIMEOUT_MS_MAX)
NUMBER_SETTER(set_retry_for_s, retry_for_s, 1, RETRY_FOR_S_MAX)

static bool set_hook_qos(void *item, const char *text, char *fault)
{
	struct hook *hook = item;
	uint32_t qos;
	if (!item_set_number(&qos, text, 0, 1, fault))
		return item_fault(fault, "\"%.64s\" is neither 0, at most once, nor 1, at least once", text);
	hook->qos = (uint8_t)qos;
	return true;
}

static const struct item_key HOOK_KEYS[] = {
	{"name", false, set_hook_name},
	{"topics", true, add_hook_topic},
	{"url", false, set_hook_url},
	{"secret_file", false, set_secret_file},
	{"headers", true, add_hook_header},
	{"header_files", true, add_header_file},
	{"source", false, set_source},
	{"content_type", false, set_content_type},
	{"batch_messages", false, set_batch_messages},
	{"batch_bytes", false, set_batch_bytes},
	{"delay_ms", false, set_delay_ms},
	{"concurrency", false, set_concurrency},
	{"timeout_ms", false, set_timeout_ms},
	{"retry_for_s", false, set_retry_for_s},
	{"dead_letter_file", false, set_dead_letter_file},
	{"qos", false, set_hook_qos},
	{"ca_file", false, set_hook_ca_file},
	{"certificate_file", false, set_certificate_file},
	{"key_file", false, set_hook_key_file},
};

const struct item_key *hook_key(const char *name)
{
	return item_key_find(HOOK_KEYS, sizeof(HOOK_KEYS) / sizeof(HOOK_KEYS[0]), name);
}

/* ---- whole hooks ---- */

bool hook_complete(struct hook *hook, char fault[ITEM_FAULT_BYTES_MAX])
{
	bool is_tls = strncmp(hook->url, "https://", 8) == 0;
	bool has_tls = hook->ca_file[0] != '\0' || hook->certificate_file[0] != '\0' || hook->key_file[0] != '\0';
	if (hook->topics.count == 0)
		return item_fault(fault, "hook %s has no topics", hook->name);
	if (hook->url[0] == '\0')
		return item_fault(fault, "hook %s has no url", hook->name);
	if (has_tls && !is_tls)
		return item_fault(fault, "hook %s has files for TLS, and its url does not begin with https://",
				  hook->name);
	if ((hook->certificate_file[0] != '\0') != (hook->key_file[0] != '\0'))
		return item_fault(fault, "hook %s has only one of certificate_file and key_file", hook->name);
	if (hook->retry_for_s != 0 && hook->dead_letter_file[0] == '\0')
		return item_fault(fault,
				  "hook %s has retry_for_s and no dead_letter_file; what is given up has to go "
				  "somewhere",
				  hook->name);
	CHECK(hook->batch_messages != 0 && hook->concurrency != 0);
	return true;
}

static bool headers_equal(const struct hook *one, const struct hook *other)
{
	bool same = one->header_count == other->header_count && one->header_file_count == other->header_file_count;
	for (uint32_t i = 0; i < one->header_count && same; i++)
		same = strcmp(one->headers[i], other->headers[i]) == 0;
	for (uint32_t i = 0; i < one->header_file_count && same; i++)
		same = strcmp(one->header_files[i], other->header_files[i]) == 0;
	return same;
}

static bool files_equal(const struct hook *one, const struct hook *other)
{
	return strcmp(one->secret_file, other->secret_file) == 0 && strcmp(one->ca_file, other->ca_file) == 0 &&
	       strcmp(one->certificate_file, other->certificate_file) == 0 &&
	       strcmp(one->key_file, other->key_file) == 0 &&
	       strcmp(one->dead_letter_file, other->dead_letter_file) == 0;
}

bool hook_equal(const struct hook *one, const struct hook *other)
{
	return strcmp(one->name, other->name) == 0 && strcmp(one->url, other->url) == 0 &&
	       topics_equal(&one->topics, &other->topics) && files_equal(one, other) && headers_equal(one, other) &&
	       strcmp(one->source, other->source) == 0 && strcmp(one->content_type, other->content_type) == 0 &&
	       one->batch_messages == other->batch_messages && one->batch_bytes == other->batch_bytes &&
	       one->delay_ms == other->delay_ms && one->concurrency == other->concurrency &&
	       one->timeout_ms == other->timeout_ms && one->retry_for_s == other->retry_for_s && one->qos == other->qos;
}
