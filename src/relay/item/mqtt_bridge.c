#include "relay/item/mqtt_bridge.h"

#include "base/check.h"
#include "mqtt/field/topic.h"

#include <string.h>

#define PORT_PLAIN 1883u
#define PORT_TLS 8883u
#define KEEPALIVE_S_DEFAULT 60u
#define KEEPALIVE_S_LEAST 5u
#define SESSION_EXPIRY_S_DEFAULT UINT32_C(604800)
#define QUEUE_MESSAGES_MOST 100000000u
#define QUEUE_BYTES_LEAST (UINT32_C(1) << 20)
#define QUEUE_BYTES_MOST (UINT32_C(1) << 31)
#define QOS_DEFAULT 1u

void mqtt_bridge_init(struct mqtt_bridge *bridge)
{
	*bridge = (struct mqtt_bridge){
		.keepalive_s = KEEPALIVE_S_DEFAULT,
		.session_expiry_s = SESSION_EXPIRY_S_DEFAULT,
	};
}

/* ---- the URL ---- */

/* Host and port, and nothing else: [2001:db8::1]:8883, example.org. */
static bool set_place(struct mqtt_bridge *bridge, const char *place, char *fault)
{
	uint32_t port = bridge->is_tls ? PORT_TLS : PORT_PLAIN;
	bool is_bracketed = *place == '[';
	const char *host = place + (is_bracketed ? 1 : 0);
	size_t size = strcspn(host, is_bracketed ? "]" : ":/?#@");
	const char *rest = host + size;
	if (is_bracketed && *rest == ']')
		rest++;
	else if (is_bracketed)
		size = 0;
	if (*rest == ':' && !item_set_number(&port, rest + 1, 1, UINT16_MAX, fault))
		return item_fault(fault, "\"%.64s\" has no port behind the colon", bridge->url);
	bool is_whole = *rest == '\0' || *rest == ':';
	if (size == 0 || size >= sizeof(bridge->host) || !is_whole)
		return item_fault(fault,
				  "\"%.64s\" is not mqtt://HOST:PORT or mqtts://HOST:PORT; user and password "
				  "have keys of their own",
				  bridge->url);
	memcpy(bridge->host, host, size);
	bridge->host[size] = '\0';
	bridge->port = (uint16_t)port;
	return true;
}

static bool set_bridge_url(void *item, const char *text, char *fault)
{
	struct mqtt_bridge *bridge = item;
	static const char PLAIN[] = "mqtt://", TLS[] = "mqtts://";
	bridge->is_tls = strncmp(text, TLS, sizeof(TLS) - 1) == 0;
	if (!bridge->is_tls && strncmp(text, PLAIN, sizeof(PLAIN) - 1) != 0)
		return item_fault(fault, "\"%.64s\" begins neither with mqtt:// nor with mqtts://", text);
	for (const char *at = text; *at != '\0'; at++) {
		if (*at <= ' ' || *at > '~')
			return item_fault(fault, "\"%.64s\" has a space, a control character or what is not ASCII",
					  text);
	}
	return item_set_text(bridge->url, sizeof(bridge->url), text, fault) &&
	       set_place(bridge, text + (bridge->is_tls ? sizeof(TLS) : sizeof(PLAIN)) - 1, fault);
}

/* ---- topics ---- */

/* A prefix is put in front as it is, so it usually ends with a slash; a topic with a wildcard in it is none. */
static bool set_prefix(char prefix[MQTT_BRIDGE_PREFIX_BYTES_MAX], const char *text, size_t size, char *fault)
{
	if (size == 0 || size >= MQTT_BRIDGE_PREFIX_BYTES_MAX)
		return item_fault(fault, "a prefix of %zu bytes, where 1 to %u are taken", size,
				  MQTT_BRIDGE_PREFIX_BYTES_MAX - 1);
	memcpy(prefix, text, size);
	prefix[size] = '\0';
	return mqtt_topic_check(slice_of(text, size)) == ERROR_OK ||
	       item_fault(fault, "\"%.64s\" is no prefix of a topic", prefix);
}

struct way_text {
	size_t filter_size;
	char local[MQTT_BRIDGE_PREFIX_BYTES_MAX];
	char remote[MQTT_BRIDGE_PREFIX_BYTES_MAX];
	uint8_t qos;
};

/* One of the words behind the filter. */
static bool read_word(struct way_text *way, const char *word, size_t size, char *fault)
{
	if (size == 5 && memcmp(word, "qos=", 4) == 0 && word[4] >= '0' && word[4] <= '2') {
		way->qos = (uint8_t)(word[4] - '0');
		return true;
	}
	if (size > 6 && memcmp(word, "local=", 6) == 0)
		return set_prefix(way->local, word + 6, size - 6, fault);
	if (size > 7 && memcmp(word, "remote=", 7) == 0)
		return set_prefix(way->remote, word + 7, size - 7, fault);
	return item_fault(fault, "\"%.*s\" is none of qos=0, qos=1, qos=2, local=PREFIX and remote=PREFIX",
			  (int)(size < 64 ? size : 64), word);
}

/* FILTER, and words behind it. */
static bool read_way(struct way_text *way, const char *text, char *fault)
{
	*way = (struct way_text){.filter_size = strcspn(text, " "), .qos = QOS_DEFAULT};
	const char *at = text + way->filter_size;
	for (at += strspn(at, " "); *at != '\0'; at += strspn(at, " ")) {
		size_t size = strcspn(at, " ");
		if (!read_word(way, at, size, fault))
			return false;
		at += size;
	}
	return true;
}

static bool add_way(struct bridge_ways *ways, const char *text, bool is_up, char *fault)
{
	struct way_text way;
	char filter[TOPICS_FILTER_BYTES_MAX + MQTT_BRIDGE_PREFIX_BYTES_MAX];
	if (!read_way(&way, text, fault))
		return false;
	if (way.filter_size >= TOPICS_FILTER_BYTES_MAX)
		return item_fault(fault, "a topic filter of more than %u bytes", TOPICS_FILTER_BYTES_MAX - 1);
	snprintf(filter, sizeof(filter), "%s%.*s", is_up ? way.local : way.remote, (int)way.filter_size, text);
	if (!topics_add(&ways->filters, filter, fault))
		return false;
	struct bridge_way *added = &ways->ways[ways->filters.count - 1];
	memcpy(added->strip, is_up ? way.local : way.remote, sizeof(added->strip));
	memcpy(added->add, is_up ? way.remote : way.local, sizeof(added->add));
	added->qos = way.qos;
	return true;
}

static bool add_up(void *item, const char *text, char *fault)
{
	return add_way(&((struct mqtt_bridge *)item)->up, text, true, fault);
}

static bool add_down(void *item, const char *text, char *fault)
{
	return add_way(&((struct mqtt_bridge *)item)->down, text, false, fault);
}

/* ---- keys ---- */

static bool set_bridge_name(void *item, const char *text, char *fault)
{
	return item_set_name(((struct mqtt_bridge *)item)->name, text, fault);
}

#define TEXT_SETTER(function, member)                                                                                  \
	static bool function(void *item, const char *text, char *fault)                                                \
	{                                                                                                              \
		struct mqtt_bridge *bridge = item;                                                                     \
		return item_set_text(bridge->member, sizeof(bridge->member), text, fault);                             \
	}

TEXT_SETTER(set_client_id, client_id)
TEXT_SETTER(set_user, user)
TEXT_SETTER(set_password_file, password_file)
TEXT_SETTER(set_bridge_ca_file, ca_file)
TEXT_SETTER(set_bridge_certificate_file, certificate_file)
TEXT_SETTER(set_bridge_key_file, key_file)

#define NUMBER_SETTER(function, member, least, most)                                                                   \
	static bool function(void *item, const char *text, char *fault)                                                \
	{                                                                                                              \
		return item_set_number(&((struct mqtt_bridge *)item)->member, text, least, most, fault);               \
	}

NUMBER_SETTER(set_keepalive, keepalive_s, KEEPALIVE_S_LEAST, UINT16_MAX)
NUMBER_SETTER(set_session_expiry, session_expiry_s, 1, UINT32_MAX)
NUMBER_SETTER(set_inflight, inflight, 1, UINT16_MAX)
NUMBER_SETTER(set_queue_messages, queue_messages, 1, QUEUE_MESSAGES_MOST)
NUMBER_SETTER(set_queue_bytes, queue_bytes, QUEUE_BYTES_LEAST, QUEUE_BYTES_MOST)

static bool set_clean(void *item, const char *text, char *fault)
{
	return item_set_switch(&((struct mqtt_bridge *)item)->is_clean, text, fault);
}

static bool set_retain(void *item, const char *text, char *fault)
{
	bool retain = true;
	bool set = item_set_switch(&retain, text, fault);
	((struct mqtt_bridge *)item)->no_retain = !retain;
	return set;
}

static bool set_protocol(void *item, const char *text, char *fault)
{
	struct mqtt_bridge *bridge = item;
	bridge->protocol = strcmp(text, "5") == 0 ? BRIDGE_PROTOCOL_5 : BRIDGE_PROTOCOL_3_1_1;
	return bridge->protocol == BRIDGE_PROTOCOL_5 || strcmp(text, "3.1.1") == 0 ||
	       item_fault(fault, "\"%.64s\" is neither 5 nor 3.1.1", text);
}

static bool set_when_full(void *item, const char *text, char *fault)
{
	struct mqtt_bridge *bridge = item;
	bridge->drops_newest = strcmp(text, "drop_newest") == 0;
	return bridge->drops_newest || strcmp(text, "drop_oldest") == 0 ||
	       item_fault(fault, "\"%.64s\" is neither drop_oldest nor drop_newest", text);
}

static const struct item_key BRIDGE_KEYS[] = {
	{"name", false, set_bridge_name},
	{"url", false, set_bridge_url},
	{"up", true, add_up},
	{"down", true, add_down},
	{"client_id", false, set_client_id},
	{"user", false, set_user},
	{"password_file", false, set_password_file},
	{"ca_file", false, set_bridge_ca_file},
	{"certificate_file", false, set_bridge_certificate_file},
	{"key_file", false, set_bridge_key_file},
	{"protocol", false, set_protocol},
	{"keepalive_s", false, set_keepalive},
	{"clean", false, set_clean},
	{"session_expiry_s", false, set_session_expiry},
	{"retain", false, set_retain},
	{"inflight", false, set_inflight},
	{"queue_messages", false, set_queue_messages},
	{"queue_bytes", false, set_queue_bytes},
	{"when_full", false, set_when_full},
};

const struct item_key *mqtt_bridge_key(const char *name)
{
	return item_key_find(BRIDGE_KEYS, sizeof(BRIDGE_KEYS) / sizeof(BRIDGE_KEYS[0]), name);
}

/* ---- whole bridges ---- */

bool mqtt_bridge_complete(struct mqtt_bridge *bridge, char fault[ITEM_FAULT_BYTES_MAX])
{
	bool has_tls = bridge->ca_file[0] != '\0' || bridge->certificate_file[0] != '\0' || bridge->key_file[0] != '\0';
	if (bridge->url[0] == '\0')
		return item_fault(fault, "bridge %s has no url", bridge->name);
	if (bridge->up.filters.count == 0 && bridge->down.filters.count == 0)
		return item_fault(fault, "bridge %s has neither up nor down: nothing would go over it", bridge->name);
	if (has_tls && !bridge->is_tls)
		return item_fault(fault, "bridge %s has files for TLS, and its url does not begin with mqtts://",
				  bridge->name);
	if ((bridge->certificate_file[0] != '\0') != (bridge->key_file[0] != '\0'))
		return item_fault(fault, "bridge %s has only one of certificate_file and key_file", bridge->name);
	if (bridge->password_file[0] != '\0' && bridge->user[0] == '\0')
		return item_fault(fault, "bridge %s has a password_file and no user", bridge->name);
	return true;
}

/* As many as there is room for. */
static void withdraw_filter(struct mqtt_bridge *bridge, const char *filter)
{
	struct topics *withdrawn = &bridge->withdrawn;
	struct slice text = slice_string(filter);
	if (topics_has(&bridge->down.filters, text) || topics_has(withdrawn, text) || withdrawn->count == TOPICS_MAX)
		return;
	memcpy(withdrawn->filters[withdrawn->count++], filter, text.size + 1);
}

void mqtt_bridge_succeed(struct mqtt_bridge *bridge, const struct mqtt_bridge *earlier)
{
	for (uint32_t i = 0; i < earlier->down.filters.count; i++)
		withdraw_filter(bridge, earlier->down.filters.filters[i]);
	for (uint32_t i = 0; i < earlier->withdrawn.count; i++)
		withdraw_filter(bridge, earlier->withdrawn.filters[i]);
}

static bool ways_equal(const struct bridge_ways *one, const struct bridge_ways *other)
{
	bool same = topics_equal(&one->filters, &other->filters);
	for (uint32_t i = 0; i < one->filters.count && same; i++)
		same = strcmp(one->ways[i].strip, other->ways[i].strip) == 0 &&
		       strcmp(one->ways[i].add, other->ways[i].add) == 0 && one->ways[i].qos == other->ways[i].qos;
	return same;
}

static bool texts_equal(const struct mqtt_bridge *one, const struct mqtt_bridge *other)
{
	return strcmp(one->name, other->name) == 0 && strcmp(one->url, other->url) == 0 &&
	       strcmp(one->client_id, other->client_id) == 0 && strcmp(one->user, other->user) == 0 &&
	       strcmp(one->password_file, other->password_file) == 0 && strcmp(one->ca_file, other->ca_file) == 0 &&
	       strcmp(one->certificate_file, other->certificate_file) == 0 &&
	       strcmp(one->key_file, other->key_file) == 0;
}

bool mqtt_bridge_equal(const struct mqtt_bridge *one, const struct mqtt_bridge *other)
{
	return texts_equal(one, other) && ways_equal(&one->up, &other->up) && ways_equal(&one->down, &other->down) &&
	       one->keepalive_s == other->keepalive_s && one->session_expiry_s == other->session_expiry_s &&
	       one->inflight == other->inflight && one->queue_messages == other->queue_messages &&
	       one->queue_bytes == other->queue_bytes && one->protocol == other->protocol &&
	       one->is_clean == other->is_clean && one->no_retain == other->no_retain &&
	       one->drops_newest == other->drops_newest;
}
