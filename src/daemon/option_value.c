#include "daemon/option_spec.h"

#include "mqtt/field/topic.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void *field_of(const struct option_spec *spec, struct options *options)
{
	return (uint8_t *)options + spec->offset;
}

static const void *value_of(const struct option_spec *spec, const struct options *options)
{
	return (const uint8_t *)options + spec->offset;
}

/* ---- from text ---- */

static bool set_number(const struct option_spec *spec, struct options *options, const char *text, char *fault)
{
	char *end;
	errno = 0;
	unsigned long value = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || value < spec->least || value > spec->most) {
		snprintf(fault, OPTION_FAULT_BYTES_MAX, "\"%.64s\" is not a number from %u to %u", text, spec->least,
			 spec->most);
		return false;
	}
	*(uint32_t *)field_of(spec, options) = (uint32_t)value;
	return true;
}

static bool set_bool(const struct option_spec *spec, struct options *options, const char *text, char *fault)
{
	bool value = strcmp(text, "true") == 0 || strcmp(text, "yes") == 0;
	if (!value && strcmp(text, "false") != 0 && strcmp(text, "no") != 0) {
		snprintf(fault, OPTION_FAULT_BYTES_MAX, "\"%.64s\" is neither true nor false", text);
		return false;
	}
	*(bool *)field_of(spec, options) = value;
	return true;
}

static bool set_text(const struct option_spec *spec, struct options *options, const char *text, char *fault)
{
	size_t size = strlen(text);
	if (size >= spec->most || mqtt_string_check(slice_of(text, size)) != ERROR_OK) {
		snprintf(fault, OPTION_FAULT_BYTES_MAX, "\"%.64s\" is longer than %u bytes or not UTF-8", text,
			 spec->most - 1);
		return false;
	}
	memcpy(field_of(spec, options), text, size + 1);
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

static bool set_choice(const struct option_spec *spec, struct options *options, const char *text, char *fault)
{
	char words[OPTION_FAULT_BYTES_MAX / 2];
	for (uint32_t i = 0; spec->words[i] != NULL; i++) {
		if (strcmp(text, spec->words[i]) != 0)
			continue;
		if (spec->most == sizeof(bool))
			*(bool *)field_of(spec, options) = i != 0;
		else
			memcpy(field_of(spec, options), &i, sizeof(i));
		return true;
	}
	join_words(spec->words, words, sizeof(words));
	snprintf(fault, OPTION_FAULT_BYTES_MAX, "\"%.64s\" is not %s", text, words);
	return false;
}

static uint32_t choice_of(const struct option_spec *spec, const struct options *options)
{
	uint32_t place;
	if (spec->most == sizeof(bool))
		return *(const bool *)value_of(spec, options) ? 1 : 0;
	memcpy(&place, value_of(spec, options), sizeof(place));
	return place;
}

static bool add_network(const struct option_spec *spec, struct options *options, const char *text, char *fault)
{
	struct networks *networks = field_of(spec, options);
	const char *reason = "";
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

/* The whole of it is looked at when it is opened. */
static bool set_admin(struct admin_options *admin, const char *text, char *fault)
{
	bool off = strcmp(text, "off") == 0;
	if (!off && (strncmp(text, "http://", strlen("http://")) != 0 || strlen(text) >= sizeof(admin->url))) {
		snprintf(fault, OPTION_FAULT_BYTES_MAX, "\"%.64s\" is neither http://host:port nor off", text);
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

bool option_set(const struct option_spec *spec, struct options *options, const char *text,
		char fault[OPTION_FAULT_BYTES_MAX])
{
	switch (spec->kind) {
	case OPTION_NUMBER:
		return set_number(spec, options, text, fault);
	case OPTION_BOOL:
		return set_bool(spec, options, text, fault);
	case OPTION_TEXT:
	case OPTION_PATH:
		return set_text(spec, options, text, fault);
	case OPTION_CHOICE:
		return set_choice(spec, options, text, fault);
	case OPTION_NETWORK:
		return add_network(spec, options, text, fault);
	case OPTION_LISTEN:
		return add_listener(options, text, fault);
	case OPTION_ADMIN:
		return set_admin(&options->admin, text, fault);
	}
	return false;
}

void options_complete(struct options *options)
{
	char fault[OPTION_FAULT_BYTES_MAX];
	if (options->settings.listener_count == 0)
		add_listener(options, OPTION_DEFAULT_LISTENER, fault);
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

void option_print_value(const struct option_spec *spec, const struct options *options, FILE *out)
{
	const void *value = value_of(spec, options);
	switch (spec->kind) {
	case OPTION_NUMBER:
		fprintf(out, "%u", *(const uint32_t *)value);
		break;
	case OPTION_BOOL:
		fputs(*(const bool *)value ? "true" : "false", out);
		break;
	case OPTION_TEXT:
	case OPTION_PATH:
		fprintf(out, "\"%s\"", (const char *)value);
		break;
	case OPTION_CHOICE:
		fputs(spec->words[choice_of(spec, options)], out);
		break;
	case OPTION_NETWORK:
		print_networks(value, out);
		break;
	case OPTION_LISTEN:
		print_listeners(&options->settings, out);
		break;
	case OPTION_ADMIN:
		fputs(options->admin.url[0] != '\0' ? options->admin.url : "off", out);
		break;
	}
}

bool option_is_empty(const struct option_spec *spec, const struct options *options)
{
	const void *value = value_of(spec, options);
	if (spec->kind == OPTION_NETWORK)
		return ((const struct networks *)value)->count == 0;
	return (spec->kind == OPTION_TEXT || spec->kind == OPTION_PATH) && *(const char *)value == '\0';
}

/* What stands for an option's value in the help. */
static const char *const PLACEHOLDERS[] = {
	[OPTION_NUMBER] = " N",   [OPTION_BOOL] = "",      [OPTION_TEXT] = " TEXT",
	[OPTION_PATH] = " FILE",  [OPTION_CHOICE] = " ",   [OPTION_NETWORK] = " NETWORK",
	[OPTION_LISTEN] = " URL", [OPTION_ADMIN] = " URL",
};

/* The same for people. */
static void print_default(const struct option_spec *spec, const struct options *defaults, FILE *out)
{
	if (option_is_empty(spec, defaults))
		fputs("none", out);
	else if (spec->kind == OPTION_BOOL)
		fputs(*(const bool *)value_of(spec, defaults) ? "on" : "off", out);
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

void option_copy(const struct option_spec *spec, struct options *into, const struct options *from)
{
	size_t size = 0; /* of a listener or the admin side: they are never live */
	switch (spec->kind) {
	case OPTION_NUMBER:
		size = sizeof(uint32_t);
		break;
	case OPTION_BOOL:
		size = sizeof(bool);
		break;
	case OPTION_TEXT:
	case OPTION_PATH:
	case OPTION_CHOICE:
		size = spec->most;
		break;
	case OPTION_NETWORK:
		size = sizeof(struct networks);
		break;
	case OPTION_LISTEN:
	case OPTION_ADMIN:
		break;
	}
	memcpy(field_of(spec, into), value_of(spec, from), size);
}
