#include "daemon/options/option_spec.h"

#include "base/check.h"
#include "daemon/options/listener_options.h"
#include "mqtt/field/topic.h"
#include "store/format/identity.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *field_address(const struct option_spec *spec, struct options *options)
{
	return (uint8_t *)options + spec->offset;
}

static const void *field_value(const struct option_spec *spec, const struct options *options)
{
	return (const uint8_t *)options + spec->offset;
}

/* ---- from text ---- */

static bool set_number(const struct option_spec *spec, void *field, const char *text, char *fault)
{
	char *end;
	errno = 0;
	unsigned long value = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || value < spec->least || value > spec->most) {
		snprintf(fault, OPTION_FAULT_BYTES_MAX, "\"%.64s\" is not a number from %u to %u", text, spec->least,
			 spec->most);
		return false;
	}
	*(uint32_t *)field = (uint32_t)value;
	return true;
}

static bool set_bytes(const struct option_spec *spec, void *field, const char *text, char *fault)
{
	uint64_t least = (uint64_t)spec->least << 20;
	uint64_t most = (uint64_t)spec->most << 20;
	char *end;
	errno = 0;
	unsigned long value = strtoul(text, &end, 10);
	bool within = value == 0 || (value >= least && value <= most);
	if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || !within) {
		snprintf(fault, OPTION_FAULT_BYTES_MAX, "\"%.64s\" is not 0 or a number from %lu to %lu", text, least,
			 most);
		return false;
	}
	*(uint64_t *)field = value;
	return true;
}

static bool set_bool(void *field, const char *text, char *fault)
{
	bool value = strcmp(text, "true") == 0 || strcmp(text, "yes") == 0;
	if (!value && strcmp(text, "false") != 0 && strcmp(text, "no") != 0) {
		snprintf(fault, OPTION_FAULT_BYTES_MAX, "\"%.64s\" is neither true nor false", text);
		return false;
	}
	*(bool *)field = value;
	return true;
}

static bool set_text(const struct option_spec *spec, void *field, const char *text, char *fault)
{
	CHECK(spec->most > 0);
	size_t size = strlen(text);
	if (size >= spec->most || mqtt_string_check(slice_of(text, size)) != ERROR_OK) {
		snprintf(fault, OPTION_FAULT_BYTES_MAX, "\"%.64s\" is longer than %u bytes or not UTF-8", text,
			 spec->most - 1);
		return false;
	}
	memcpy(field, text, size + 1);
	return true;
}

/* "allow or refuse", "error, warning, info or debug". */
static void join_words(const char *const *words, char *text, size_t capacity)
{
	size_t used = 0;
	for (size_t i = 0; words[i] != NULL && used < capacity; i++) {
		const char *between = i == 0 ? "" : words[i + 1] == NULL ? " or " : ", ";
		used += (size_t)snprintf(text + used, capacity - used, "%s%s", between, words[i]);
	}
}

static bool set_choice(const struct option_spec *spec, void *field, const char *text, char *fault)
{
	/* An enum is as wide as the index that is written into it. */
	CHECK(spec->words != NULL && (spec->most == sizeof(bool) || spec->most == sizeof(uint32_t)));
	char words[OPTION_FAULT_BYTES_MAX / 2];
	for (uint32_t i = 0; spec->words[i] != NULL; i++) {
		if (strcmp(text, spec->words[i]) != 0)
			continue;
		uint32_t value = spec->least + i;
		if (spec->most == sizeof(bool))
			*(bool *)field = value != 0;
		else
			memcpy(field, &value, sizeof(value));
		return true;
	}
	join_words(spec->words, words, sizeof(words));
	snprintf(fault, OPTION_FAULT_BYTES_MAX, "\"%.64s\" is not %s", text, words);
	return false;
}

/* The place in the words. */
static uint32_t choice_of(const struct option_spec *spec, const void *field)
{
	uint32_t value;
	if (spec->most == sizeof(bool))
		return *(const bool *)field ? 1 : 0;
	CHECK(spec->most == sizeof(value));
	memcpy(&value, field, sizeof(value));
	CHECK_GE(value, spec->least);
	return value - spec->least;
}

static bool add_network(struct networks *networks, const char *text, char *fault)
{
	const char *reason = "";
	CHECK(networks->count <= SETTINGS_NETWORKS_MAX);
	if (networks->count == SETTINGS_NETWORKS_MAX) {
		snprintf(fault, OPTION_FAULT_BYTES_MAX, "more than %d networks", SETTINGS_NETWORKS_MAX);
		return false;
	}
	if (network_parse(text, &networks->items[networks->count], &reason) != ERROR_OK) {
		snprintf(fault, OPTION_FAULT_BYTES_MAX, "\"%.100s\": %s", text, reason);
		return false;
	}
	networks->count++;
	return true;
}

/* Checks the beginning; the rest of the URL is checked when the socket is opened. */
static bool set_admin(struct admin_options *admin, const char *text, char *fault)
{
	bool off = strcmp(text, "off") == 0;
	bool is_url = strncmp(text, "http://", strlen("http://")) == 0 || admin_is_tls(text);
	if (!off && (!is_url || strlen(text) >= sizeof(admin->url))) {
		snprintf(fault, OPTION_FAULT_BYTES_MAX,
			 "\"%.64s\" is none of http://host:port, https://host:port and off", text);
		return false;
	}
	snprintf(admin->url, sizeof(admin->url), "%s", off ? "" : text);
	admin->url_is_default = false;
	return true;
}

static bool add_listener(struct options *options, const char *text, char *fault)
{
	struct settings *settings = &options->settings;
	const char *reason;
	CHECK(settings->listener_count <= SETTINGS_LISTENERS_MAX);
	if (settings->listener_count == SETTINGS_LISTENERS_MAX) {
		snprintf(fault, OPTION_FAULT_BYTES_MAX, "more than %d listeners", SETTINGS_LISTENERS_MAX);
		return false;
	}
	if (listener_parse(text, &settings->listeners[settings->listener_count], &reason) != ERROR_OK) {
		snprintf(fault, OPTION_FAULT_BYTES_MAX, "\"%.100s\": %s", text, reason);
		return false;
	}
	settings->listener_count++;
	return true;
}

bool option_value_set(const struct option_spec *spec, void *field, const char *text, char fault[OPTION_FAULT_BYTES_MAX])
{
	switch (spec->kind) {
	case OPTION_NUMBER:
		return set_number(spec, field, text, fault);
	case OPTION_BYTES:
		return set_bytes(spec, field, text, fault);
	case OPTION_BOOL:
		return set_bool(field, text, fault);
	case OPTION_TEXT:
	case OPTION_PATH:
	case OPTION_DIRECTORY:
		return set_text(spec, field, text, fault);
	case OPTION_CHOICE:
		return set_choice(spec, field, text, fault);
	case OPTION_NETWORK:
		return add_network(field, text, fault);
	default:
		return listener_value_set(spec, field, text, fault);
	}
}

bool option_set(const struct option_spec *spec, struct options *options, const char *text,
		char fault[OPTION_FAULT_BYTES_MAX])
{
	if (spec->kind == OPTION_LISTEN)
		return add_listener(options, text, fault);
	if (spec->kind == OPTION_ADMIN)
		return set_admin(&options->admin, text, fault);
	return option_value_set(spec, field_address(spec, options), text, fault);
}

/* Where there is a store, what outlives the process is kept in it, unless the option names another file. */
static bool complete_path(const char *directory, const char *name, const char *option, char *path, size_t capacity,
			  char *fault)
{
	if (*directory == '\0' || *path != '\0')
		return true;
	int size = snprintf(path, capacity, "%s/%s", directory, name);
	if (size >= 0 && (size_t)size < capacity)
		return true;
	snprintf(fault, OPTION_FAULT_BYTES_MAX, "the path of %s in it is longer than %zu bytes; give a %s", name,
		 capacity - 1, option);
	return false;
}

static bool is_node_name(const char *name)
{
	static const char LETTERS[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
	return *name != '\0' && name[strspn(name, LETTERS)] == '\0';
}

/* The host's name, where none is given. One that no node may have, or that is too long, is none. */
static bool complete_node(char node[SETTINGS_NAME_BYTES_MAX], char *fault)
{
	if (*node == '\0') {
		if (gethostname(node, SETTINGS_NAME_BYTES_MAX) != 0 ||
		    memchr(node, '\0', SETTINGS_NAME_BYTES_MAX) == NULL || !is_node_name(node))
			snprintf(node, SETTINGS_NAME_BYTES_MAX, "roost");
		return true;
	}
	if (is_node_name(node))
		return true;
	snprintf(fault, OPTION_FAULT_BYTES_MAX,
		 "node: \"%s\" has something else than letters, digits, dots, dashes and underscores", node);
	return false;
}

bool options_complete(struct options *options, char fault[OPTION_FAULT_BYTES_MAX])
{
	if (options->settings.listener_count == 0)
		add_listener(options, OPTION_DEFAULT_LISTENER, fault);
	CHECK(options->settings.listener_count > 0);
	listener_options_complete(options);
	struct settings *settings = &options->settings;
	const char *directory = settings->store.directory;
	return complete_node(settings->node, fault) &&
	       complete_path(directory, STORE_REVOCATIONS_NAME, "revocation-file", settings->access.revocation_file,
			     ACCESS_TEXT_BYTES_MAX, fault) &&
	       complete_path(directory, STORE_TLS_TICKETS_NAME, "tls-ticket-file", settings->tls_tickets.file,
			     sizeof(settings->tls_tickets.file), fault);
}

/* ---- to text ---- */

static void print_listeners(const struct settings *settings, FILE *out)
{
	for (uint32_t i = 0; i < settings->listener_count; i++)
		fprintf(out, "%s%s", i != 0 ? ", " : "", settings->listeners[i].url);
	if (settings->listener_count == 0)
		fputs(OPTION_DEFAULT_LISTENER, out);
}

static void print_networks(const struct networks *networks, FILE *out)
{
	char text[NETWORK_TEXT_BYTES_MAX];
	for (uint32_t i = 0; i < networks->count; i++) {
		network_print(&networks->items[i], text);
		fprintf(out, "%s%s", i != 0 ? ", " : "", text);
	}
}

void option_value_print(const struct option_spec *spec, const void *field, FILE *out)
{
	switch (spec->kind) {
	case OPTION_NUMBER:
		fprintf(out, "%u", *(const uint32_t *)field);
		break;
	case OPTION_BYTES:
		fprintf(out, "%lu", *(const uint64_t *)field);
		break;
	case OPTION_BOOL:
		fputs(*(const bool *)field ? "true" : "false", out);
		break;
	case OPTION_TEXT:
	case OPTION_PATH:
	case OPTION_DIRECTORY:
		fprintf(out, "\"%s\"", (const char *)field);
		break;
	case OPTION_CHOICE:
		fputs(spec->words[choice_of(spec, field)], out);
		break;
	case OPTION_NETWORK:
		print_networks(field, out);
		break;
	default:
		listener_value_print(spec, field, out);
		break;
	}
}

void option_print_value(const struct option_spec *spec, const struct options *options, FILE *out)
{
	if (spec->kind == OPTION_LISTEN)
		print_listeners(&options->settings, out);
	else if (spec->kind == OPTION_ADMIN)
		fputs(options->admin.url[0] != '\0' ? options->admin.url : "off", out);
	else
		option_value_print(spec, field_value(spec, options), out);
}

bool option_value_is_empty(const struct option_spec *spec, const void *field)
{
	switch (spec->kind) {
	case OPTION_NUMBER:
	case OPTION_BYTES:
	case OPTION_BOOL:
	case OPTION_CHOICE:
		return false;
	case OPTION_TEXT:
	case OPTION_PATH:
	case OPTION_DIRECTORY:
		return *(const char *)field == '\0';
	case OPTION_NETWORK:
		return ((const struct networks *)field)->count == 0;
	default:
		return listener_value_is_empty(spec, field);
	}
}

bool option_is_empty(const struct option_spec *spec, const struct options *options)
{
	return spec->kind != OPTION_LISTEN && spec->kind != OPTION_ADMIN &&
	       option_value_is_empty(spec, field_value(spec, options));
}

/* What stands for an option's value in the help text. */
static const char *const PLACEHOLDERS[] = {
	[OPTION_NUMBER] = " N",        [OPTION_BYTES] = " N",     [OPTION_BOOL] = "",
	[OPTION_TEXT] = " TEXT",       [OPTION_PATH] = " FILE",   [OPTION_CHOICE] = " ",
	[OPTION_NETWORK] = " NETWORK", [OPTION_LISTEN] = " URL",  [OPTION_ADMIN] = " URL",
	[OPTION_DIRECTORY] = " DIR",   [OPTION_KEY] = " FILE",    [OPTION_CERTIFICATE] = " FILE",
	[OPTION_ORIGIN] = " ORIGIN",   [OPTION_MODE] = " MODE",   [OPTION_PROXY] = " NETWORK",
	[OPTION_OWNER] = " USER",      [OPTION_GROUP] = " GROUP",
};
_Static_assert(sizeof(PLACEHOLDERS) / sizeof(PLACEHOLDERS[0]) == OPTION_KINDS, "each kind has one");

/* The value as the help text has it. */
static void print_default(const struct option_spec *spec, const struct options *defaults, FILE *out)
{
	if (option_is_empty(spec, defaults))
		fputs("none", out);
	else if (spec->kind == OPTION_BOOL)
		fputs(*(const bool *)field_value(spec, defaults) ? "on" : "off", out);
	else
		option_print_value(spec, defaults, out);
}

static void print_placeholder(const struct option_spec *spec, FILE *out)
{
	fputs(PLACEHOLDERS[spec->kind], out);
	for (size_t i = 0; spec->kind == OPTION_CHOICE && spec->words[i] != NULL; i++)
		fprintf(out, "%s%s", i != 0 ? "|" : "", spec->words[i]);
}

void options_print_help(FILE *out)
{
	struct options defaults = options_default();
	for (size_t i = 0; i < option_count(); i++) {
		const struct option_spec *spec = option_at(i);
		fprintf(out, "  --%s%s", spec->kind == OPTION_BOOL ? "[no-]" : "", spec->name);
		print_placeholder(spec, out);
		fprintf(out, "\n        %s (", spec->help);
		print_default(spec, &defaults, out);
		fputs(")\n", out);
	}
}

/* ---- while the gateway runs ---- */

void option_value_copy(const struct option_spec *spec, void *into, const void *from)
{
	size_t size = 0;
	switch (spec->kind) {
	case OPTION_NUMBER:
		size = sizeof(uint32_t);
		break;
	case OPTION_BYTES:
		size = sizeof(uint64_t);
		break;
	case OPTION_BOOL:
		size = sizeof(bool);
		break;
	case OPTION_TEXT:
	case OPTION_PATH:
	case OPTION_DIRECTORY:
	case OPTION_CHOICE:
		size = spec->most;
		break;
	case OPTION_NETWORK:
		size = sizeof(struct networks);
		break;
	default:
		listener_value_copy(spec, into, from);
		return;
	}
	memcpy(into, from, size);
}

void option_copy(const struct option_spec *spec, struct options *into, const struct options *from)
{
	/* Listeners and the admin side are never live. */
	CHECK(spec->kind != OPTION_LISTEN && spec->kind != OPTION_ADMIN);
	option_value_copy(spec, field_address(spec, into), field_value(spec, from));
}
