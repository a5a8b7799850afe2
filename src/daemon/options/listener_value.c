#include "daemon/options/option_spec.h"

#include "base/check.h"
#include "mqtt/field/topic.h"
#include "runtime/settings/listener_settings.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

/* Stands among proxies for all that comes through a unix socket. */
#define PROXY_UNIX "unix"
#define MODE_MOST 0777u

static bool listener_fault_limit(char *fault, uint32_t limit, const char *what)
{
	snprintf(fault, OPTION_FAULT_BYTES_MAX, "more than %u %s", limit, what);
	return false;
}

static bool set_path(char path[LISTENER_PATH_BYTES_MAX], const char *text, char *fault)
{
	size_t size = strlen(text);
	if (size == 0 || size >= LISTENER_PATH_BYTES_MAX || mqtt_string_check(slice_of(text, size)) != ERROR_OK) {
		snprintf(fault, OPTION_FAULT_BYTES_MAX, "\"%.64s\" is empty, longer than %u bytes or not UTF-8", text,
			 LISTENER_PATH_BYTES_MAX - 1);
		return false;
	}
	memcpy(path, text, size + 1);
	return true;
}

static bool add_certificate(struct listener_settings *settings, const char *text, char *fault)
{
	CHECK_LE(settings->certificate_count, TLS_IDENTITIES_MAX);
	if (settings->certificate_count == TLS_IDENTITIES_MAX)
		return listener_fault_limit(fault, TLS_IDENTITIES_MAX, "certificates");
	if (!set_path(settings->certificates[settings->certificate_count].chain, text, fault))
		return false;
	settings->certificate_count++;
	return true;
}

static bool add_key(struct listener_settings *settings, const char *text, char *fault)
{
	CHECK_LE(settings->key_count, TLS_IDENTITIES_MAX);
	if (settings->key_count == TLS_IDENTITIES_MAX)
		return listener_fault_limit(fault, TLS_IDENTITIES_MAX, "keys");
	if (!set_path(settings->certificates[settings->key_count].key, text, fault))
		return false;
	settings->key_count++;
	return true;
}

/* As browsers send it: scheme, host, and a port that is not the scheme's own; no path [RFC 6454, 6.1]. */
static bool is_origin(const char *text)
{
	const char *host = strstr(text, "://");
	if (strcmp(text, "*") == 0 || strcmp(text, "null") == 0)
		return true;
	return host != NULL && host != text && host[3] != '\0' && strpbrk(host + 3, "/?# ") == NULL;
}

static bool add_origin(struct listener_settings *settings, const char *text, char *fault)
{
	CHECK_LE(settings->origin_count, LISTENER_ORIGINS_MAX);
	if (settings->origin_count == LISTENER_ORIGINS_MAX)
		return listener_fault_limit(fault, LISTENER_ORIGINS_MAX, "origins");
	if (!is_origin(text)) {
		snprintf(
			fault, OPTION_FAULT_BYTES_MAX,
			"\"%.64s\" is no origin, such as https://example.org or https://example.org:8443: no path, and "
			"no / at the end",
			text);
		return false;
	}
	if (!set_path(settings->origins[settings->origin_count], text, fault))
		return false;
	settings->origin_count++;
	return true;
}

static bool add_proxy(struct listener_settings *settings, const char *text, char *fault)
{
	const char *reason = "";
	CHECK_LE(settings->proxy_count, LISTENER_NETWORKS_MAX);
	if (strcmp(text, PROXY_UNIX) == 0) {
		settings->proxy_all_unix = true;
		return true;
	}
	if (settings->proxy_count == LISTENER_NETWORKS_MAX)
		return listener_fault_limit(fault, LISTENER_NETWORKS_MAX, "networks of proxies");
	if (network_parse(text, &settings->proxies[settings->proxy_count], &reason) != ERROR_OK) {
		snprintf(fault, OPTION_FAULT_BYTES_MAX, "\"%.100s\": %s", text, reason);
		return false;
	}
	settings->proxy_count++;
	return true;
}

static bool set_mode(uint32_t *mode, const char *text, char *fault)
{
	char *end;
	unsigned long value = strtoul(text, &end, 8);
	if (*text < '0' || *text > '7' || *end != '\0' || value == 0 || value > MODE_MOST) {
		snprintf(fault, OPTION_FAULT_BYTES_MAX, "\"%.64s\" is not a mode in octal, such as 0660", text);
		return false;
	}
	*mode = (uint32_t)value;
	return true;
}

/* -1 is the id that stands for none. */
static bool read_number(const char *text, uint32_t *value)
{
	char *end;
	errno = 0;
	unsigned long number = strtoul(text, &end, 10);
	*value = (uint32_t)number;
	return *text >= '0' && *text <= '9' && *end == '\0' && errno == 0 && number < UINT32_MAX;
}

/* Configuration is read by one thread at a time, so that the system's static entries will do. */
static bool set_owner(struct listener_settings *settings, const char *text, char *fault)
{
	settings->sets_owner = text[0] != '\0';
	if (!settings->sets_owner)
		return true;
	bool is_number = read_number(text, &settings->owner);
	const struct passwd *entry = is_number ? NULL : getpwnam(text); /* NOLINT(concurrency-mt-unsafe) */
	if (!is_number && entry == NULL) {
		snprintf(fault, OPTION_FAULT_BYTES_MAX, "there is no user \"%.64s\"", text);
		return false;
	}
	settings->owner = is_number ? settings->owner : entry->pw_uid;
	return true;
}

static bool set_group(struct listener_settings *settings, const char *text, char *fault)
{
	settings->sets_group = text[0] != '\0';
	if (!settings->sets_group)
		return true;
	bool is_number = read_number(text, &settings->group);
	const struct group *entry = is_number ? NULL : getgrnam(text); /* NOLINT(concurrency-mt-unsafe) */
	if (!is_number && entry == NULL) {
		snprintf(fault, OPTION_FAULT_BYTES_MAX, "there is no group \"%.64s\"", text);
		return false;
	}
	settings->group = is_number ? settings->group : entry->gr_gid;
	return true;
}

bool listener_value_set(const struct option_spec *spec, void *field, const char *text,
			char fault[OPTION_FAULT_BYTES_MAX])
{
	switch (spec->kind) {
	case OPTION_CERTIFICATE:
		return add_certificate(field, text, fault);
	case OPTION_KEY:
		return add_key(field, text, fault);
	case OPTION_ORIGIN:
		return add_origin(field, text, fault);
	case OPTION_PROXY:
		return add_proxy(field, text, fault);
	case OPTION_MODE:
		return set_mode(field, text, fault);
	case OPTION_OWNER:
		return set_owner(field, text, fault);
	case OPTION_GROUP:
		return set_group(field, text, fault);
	default:
		CHECK(false);
		return false;
	}
}

/* ---- to text ---- */

static void print_item(uint32_t number, const char *text, FILE *out)
{
	fprintf(out, "%s%s", number != 0 ? ", " : "", text);
}

static void print_proxies(const struct listener_settings *settings, FILE *out)
{
	char text[NETWORK_TEXT_BYTES_MAX];
	for (uint32_t i = 0; i < settings->proxy_count; i++) {
		network_print(&settings->proxies[i], text);
		print_item(i, text, out);
	}
	if (settings->proxy_all_unix)
		print_item(settings->proxy_count, PROXY_UNIX, out);
}

/* An id, or "". */
static void print_id(bool is_set, uint32_t id, FILE *out)
{
	if (is_set)
		fprintf(out, "%u", id);
	else
		fputs("\"\"", out);
}

void listener_value_print(const struct option_spec *spec, const void *field, FILE *out)
{
	_Static_assert(sizeof(uid_t) == sizeof(uint32_t) && sizeof(gid_t) == sizeof(uint32_t), "read as one of those");
	const struct listener_settings *settings = field;
	switch (spec->kind) {
	case OPTION_CERTIFICATE:
		for (uint32_t i = 0; i < settings->certificate_count; i++)
			print_item(i, settings->certificates[i].chain, out);
		break;
	case OPTION_KEY:
		for (uint32_t i = 0; i < settings->key_count; i++)
			print_item(i, settings->certificates[i].key, out);
		break;
	case OPTION_ORIGIN:
		for (uint32_t i = 0; i < settings->origin_count; i++)
			print_item(i, settings->origins[i], out);
		break;
	case OPTION_PROXY:
		print_proxies(settings, out);
		break;
	case OPTION_MODE:
		fprintf(out, "0%o", *(const uint32_t *)field);
		break;
	case OPTION_OWNER:
		print_id(settings->sets_owner, settings->owner, out);
		break;
	case OPTION_GROUP:
		print_id(settings->sets_group, settings->group, out);
		break;
	default:
		CHECK(false);
	}
}

bool listener_value_is_empty(const struct option_spec *spec, const void *field)
{
	const struct listener_settings *settings = field;
	switch (spec->kind) {
	case OPTION_CERTIFICATE:
		return settings->certificate_count == 0;
	case OPTION_KEY:
		return settings->key_count == 0;
	case OPTION_ORIGIN:
		return settings->origin_count == 0;
	case OPTION_PROXY:
		return settings->proxy_count == 0 && !settings->proxy_all_unix;
	case OPTION_OWNER:
		return !settings->sets_owner;
	case OPTION_GROUP:
		return !settings->sets_group;
	default:
		return false;
	}
}

void listener_value_copy(const struct option_spec *spec, void *into, const void *from)
{
	struct listener_settings *to = into;
	const struct listener_settings *settings = from;
	switch (spec->kind) {
	case OPTION_CERTIFICATE:
		to->certificate_count = settings->certificate_count;
		for (uint32_t i = 0; i < TLS_IDENTITIES_MAX; i++)
			memcpy(to->certificates[i].chain, settings->certificates[i].chain, LISTENER_PATH_BYTES_MAX);
		break;
	case OPTION_KEY:
		to->key_count = settings->key_count;
		for (uint32_t i = 0; i < TLS_IDENTITIES_MAX; i++)
			memcpy(to->certificates[i].key, settings->certificates[i].key, LISTENER_PATH_BYTES_MAX);
		break;
	case OPTION_ORIGIN:
		to->origin_count = settings->origin_count;
		memcpy(to->origins, settings->origins, sizeof(to->origins));
		break;
	case OPTION_PROXY:
		to->proxy_count = settings->proxy_count;
		to->proxy_all_unix = settings->proxy_all_unix;
		memcpy(to->proxies, settings->proxies, sizeof(to->proxies));
		break;
	case OPTION_MODE:
		memcpy(into, from, sizeof(uint32_t));
		break;
	case OPTION_OWNER:
		to->sets_owner = settings->sets_owner;
		to->owner = settings->owner;
		break;
	case OPTION_GROUP:
		to->sets_group = settings->sets_group;
		to->group = settings->group;
		break;
	default:
		CHECK(false);
	}
}
