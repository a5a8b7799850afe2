#include "daemon/options/listener_options.h"

#include "base/check.h"
#include "daemon/options/option_spec.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULTS_OFFSET offsetof(struct options, listeners.defaults)

bool option_is_of_listener(const struct option_spec *spec)
{
	return spec->kind != OPTION_LISTEN && spec->offset >= DEFAULTS_OFFSET &&
	       spec->offset < DEFAULTS_OFFSET + sizeof(struct listener_settings);
}

static void *listener_field(const struct option_spec *spec, struct listener_settings *settings)
{
	CHECK(option_is_of_listener(spec));
	return (uint8_t *)settings + (spec->offset - DEFAULTS_OFFSET);
}

static const void *listener_value(const struct option_spec *spec, const struct listener_settings *settings)
{
	CHECK(option_is_of_listener(spec));
	return (const uint8_t *)settings + (spec->offset - DEFAULTS_OFFSET);
}

/* The option's bit in listeners_given.given. */
static uint32_t listener_bit(const struct option_spec *spec)
{
	uint32_t number = 0;
	for (size_t i = 0; option_at(i) != spec; i++)
		number += option_is_of_listener(option_at(i)) ? 1 : 0;
	CHECK_LT(number, 32u);
	return 1u << number;
}

static bool is_pair(const struct option_spec *spec)
{
	return spec->kind == OPTION_CERTIFICATE || spec->kind == OPTION_KEY;
}

/* Whether the entry has a value of its own. Certificates and keys belong together: an entry with a certificate of its
 * own is not shown the others' keys. */
static bool is_given(const struct options *options, uint32_t listener, const struct option_spec *spec)
{
	uint32_t given = options->listeners.given[listener];
	for (size_t i = 0; is_pair(spec) && i < option_count(); i++) {
		if (option_is_of_listener(option_at(i)) && is_pair(option_at(i)) &&
		    (given & listener_bit(option_at(i))) != 0)
			return true;
	}
	return (given & listener_bit(spec)) != 0;
}

bool listener_option_set(const struct option_spec *spec, struct options *options, uint32_t listener, const char *text,
			 char fault[OPTION_FAULT_BYTES_MAX])
{
	CHECK_LT(listener, options->settings.listener_count);
	struct listener_settings *settings = &options->settings.listener_settings[listener];
	options->listeners.given[listener] |= listener_bit(spec);
	return option_value_set(spec, listener_field(spec, settings), text, fault);
}

void listener_option_clear(const struct option_spec *spec, struct options *options)
{
	const struct listener_settings none = {.mode = 0};
	for (size_t i = 0; i < option_count(); i++) {
		const struct option_spec *other = option_at(i);
		if (other == spec || (option_is_of_listener(other) && is_pair(spec) && is_pair(other)))
			option_value_copy(other, listener_field(other, &options->listeners.defaults),
					  listener_value(other, &none));
	}
}

void listener_options_clear(struct options *options)
{
	/* What was not used is zero, and no memory yet. */
	memset(options->settings.listener_settings, 0,
	       options->settings.listener_count * sizeof(options->settings.listener_settings[0]));
	options->settings.listener_count = 0;
	memset(options->listeners.given, 0, sizeof(options->listeners.given));
	memset(options->listeners.lines, 0, sizeof(options->listeners.lines));
}

/* The admin side's own, and what it has of all listeners. */
static void complete_admin(struct options *options)
{
	const struct listeners_given *given = &options->listeners;
	struct listener_settings *admin = &options->settings.admin;
	*admin = (struct listener_settings){
		.is_tls = admin_is_tls(options->admin.url),
		.certificate_count = given->defaults.certificate_count,
		.key_count = given->defaults.key_count,
		.only_tls_1_3 = given->defaults.only_tls_1_3,
	};
	memcpy(admin->certificates, given->defaults.certificates, sizeof(admin->certificates));
	memcpy(admin->ciphers, given->defaults.ciphers, sizeof(admin->ciphers));
	memcpy(admin->ciphersuites, given->defaults.ciphersuites, sizeof(admin->ciphersuites));
	memcpy(admin->client_ca_file, given->admin_client_ca_file, sizeof(admin->client_ca_file));
	if (given->admin_certificate.chain[0] != '\0') {
		admin->certificates[0] = given->admin_certificate;
		admin->certificate_count = 1;
		admin->key_count = given->admin_certificate.key[0] != '\0' ? 1 : 0;
	}
	if (admin->client_ca_file[0] != '\0')
		admin->client_certificates = TLS_CLIENTS_REQUIRED;
}

void listener_options_complete(struct options *options)
{
	complete_admin(options);
	for (uint32_t i = 0; i < options->settings.listener_count; i++) {
		struct listener *listener = &options->settings.listeners[i];
		struct listener_settings *settings = &options->settings.listener_settings[i];
		for (size_t at = 0; at < option_count(); at++) {
			const struct option_spec *spec = option_at(at);
			if (option_is_of_listener(spec) && !is_given(options, i, spec))
				option_value_copy(spec, listener_field(spec, settings),
						  listener_value(spec, &options->listeners.defaults));
		}
		settings->is_tls = listener_is_tls(listener);
		settings->is_websocket = listener_is_websocket(listener);
		settings->is_unix = listener->scheme == LISTENER_UNIX;
		_Static_assert(sizeof(settings->path) == sizeof(listener->path), "the same limit");
		memcpy(settings->path, listener->path, sizeof(settings->path));
		listener->settings = (uint8_t)i;
	}
}

/* ---- checks ---- */

/* What is wrong between the options of one listener; NULL: nothing. *key: the option to name. */
static const char *settings_fault(const struct listener_settings *settings, const char **key)
{
	bool asks = settings->client_certificates != TLS_CLIENTS_NONE;
	*key = "tls-key";
	if (settings->key_count != 0 && settings->key_count != settings->certificate_count)
		return "give as many as of tls-certificate, in the same order; or none, where each certificate's file "
		       "has its key";
	*key = "tls-client-certificates";
	if (asks && settings->client_ca_file[0] == '\0')
		return "they are checked with the certificates in tls-client-ca-file, and there is none";
	*key = "tls-client-ca-file";
	if (!asks && settings->client_ca_file[0] != '\0')
		return "it is of no use while tls-client-certificates is none; set that to optional or required";
	*key = "tls-client-crl-file";
	if (!asks && settings->client_crl_file[0] != '\0')
		return "it is of no use while tls-client-certificates is none; set that to optional or required";
	*key = "tls-identity-as";
	if (!asks && settings->certificate_names != CERTIFICATE_NAMES_NOTHING)
		return "clients show no certificate while tls-client-certificates is none; set that to optional or "
		       "required";
	return NULL;
}

/* What an entry cannot use. */
static const char *scheme_fault(const struct listener_settings *settings, const char *key)
{
	/* A balancer that ends TLS tells the name that it has seen. */
	bool has_balancer = settings->proxy_count != 0 || settings->proxy_all_unix;
	if (strcmp(key, "tls-identity-as") == 0 && has_balancer)
		return NULL;
	if (strncmp(key, "tls-", 4) == 0 && !settings->is_tls)
		return "this listener has no TLS: its URL begins with neither tls:// nor wss://";
	if (strncmp(key, "websocket-", 10) == 0 && !settings->is_websocket)
		return "this listener takes no WebSockets: its URL begins with neither ws:// nor wss://";
	if (strncmp(key, "unix-", 5) == 0 && !settings->is_unix)
		return "this listener is no unix socket: its URL does not begin with unix://";
	return NULL;
}

/* The line of the file where the entry's key comes from; 0: from the command line. */
static uint32_t listener_line(const struct options *options, uint32_t listener, const struct option_spec *spec)
{
	return is_given(options, listener, spec) ? options->listeners.lines[listener]
						 : options->lines[option_place(spec)];
}

/* line: of the configuration file; 0: it is from the command line. */
static void begin_complaint(const struct option_spec *spec, uint32_t line, const char *path, FILE *faults)
{
	if (line != 0)
		fprintf(faults, "roost: %s:%u: ", path, line);
	else
		fputs("roost serve: ", faults);
	option_print_key(spec, faults);
}

static bool complain_listener(const struct options *options, uint32_t listener, const char *key, const char *why,
			      const char *path, FILE *faults)
{
	const struct option_spec *spec = option_find(key);
	CHECK(spec != NULL);
	begin_complaint(spec, listener_line(options, listener, spec), path, faults);
	fprintf(faults, ": %s (%s)\n", why, options->settings.listeners[listener].url);
	return false;
}

static bool complain_option(const struct options *options, const char *key, const char *why, const char *path,
			    FILE *faults)
{
	const struct option_spec *spec = option_find(key);
	CHECK(spec != NULL);
	begin_complaint(spec, options->lines[option_place(spec)], path, faults);
	fprintf(faults, ": %s\n", why);
	return false;
}

static bool check_given(const struct options *options, uint32_t listener, const char *path, FILE *faults)
{
	const struct listener_settings *settings = &options->settings.listener_settings[listener];
	for (size_t i = 0; i < option_count(); i++) {
		const struct option_spec *spec = option_at(i);
		if (!option_is_of_listener(spec) || (options->listeners.given[listener] & listener_bit(spec)) == 0)
			continue;
		const char *why = scheme_fault(settings, option_name(spec));
		if (why != NULL)
			return complain_listener(options, listener, option_name(spec), why, path, faults);
	}
	return true;
}

static bool check_admin(const struct options *options, const char *path, FILE *faults)
{
	const struct listeners_given *given = &options->listeners;
	const char *keys[] = {"admin-tls-certificate", "admin-tls-key", "admin-tls-client-ca-file"};
	const char *values[] = {given->admin_certificate.chain, given->admin_certificate.key,
				given->admin_client_ca_file};
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (values[i][0] != '\0' && !options->settings.admin.is_tls)
			return complain_option(options, keys[i],
					       "the admin side has no TLS: --admin does not begin with https://", path,
					       faults);
	}
	if (values[1][0] != '\0' && values[0][0] == '\0')
		return complain_option(options, keys[1], "there is no admin-tls-certificate that it belongs to", path,
				       faults);
	return true;
}

bool listener_options_check(const struct options *options, const char *path, FILE *faults)
{
	if (!check_admin(options, path, faults))
		return false;
	for (uint32_t i = 0; i < options->settings.listener_count; i++) {
		const struct listener_settings *settings = &options->settings.listener_settings[i];
		const char *key;
		if (!check_given(options, i, path, faults))
			return false;
		const char *why = settings->is_tls ? settings_fault(settings, &key) : NULL;
		if (why != NULL)
			return complain_listener(options, i, key, why, path, faults);
	}
	return true;
}

/* ---- reloads ---- */

/* On the heap; NULL: out of memory. */
static char *print_own(const struct options *options, uint32_t listener, const struct option_spec *spec)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	if (out == NULL)
		return NULL;
	if ((options->listeners.given[listener] & listener_bit(spec)) == 0)
		fputs("as for all listeners", out);
	else
		option_value_print(spec, listener_value(spec, &options->settings.listener_settings[listener]), out);
	fclose(out);
	return text;
}

static enum error compare_own(const struct options *now, const struct options *wanted, uint32_t listener,
			      const struct option_spec *spec, const char *path, FILE *report)
{
	enum error error = ERROR_OK;
	char *was = print_own(now, listener, spec);
	char *will = print_own(wanted, listener, spec);
	if (was == NULL || will == NULL) {
		error = ERROR_NO_MEMORY;
	} else if (strcmp(was, will) != 0 && !option_is_live(spec)) {
		fprintf(report, "%s:%u: ", path, wanted->listeners.lines[listener]);
		option_print_key(spec, report);
		fprintf(report, ": that of %s changes with a restart only; nothing was changed\n",
			wanted->settings.listeners[listener].url);
		error = ERROR_LIMIT;
	} else if (strcmp(was, will) != 0) {
		option_print_key(spec, report);
		fprintf(report, " of %s: %s -> %s\n", wanted->settings.listeners[listener].url, was, will);
	}
	free(was);
	free(will);
	return error;
}

enum error listener_options_compare(const struct options *now, const struct options *wanted, bool live,
				    const char *path, FILE *report)
{
	enum error error = ERROR_OK;
	CHECK(now->settings.listener_count == wanted->settings.listener_count);
	for (uint32_t i = 0; i < wanted->settings.listener_count; i++) {
		uint32_t given = now->listeners.given[i] | wanted->listeners.given[i];
		for (size_t at = 0; at < option_count() && given != 0; at++) {
			const struct option_spec *spec = option_at(at);
			if (!option_is_of_listener(spec) || option_is_live(spec) != live ||
			    (given & listener_bit(spec)) == 0)
				continue;
			enum error fault = compare_own(now, wanted, i, spec, path, report);
			error = fault != ERROR_OK ? fault : error;
		}
	}
	return error;
}

void listener_options_copy(struct options *into, const struct options *from)
{
	memcpy(into->settings.listener_settings, from->settings.listener_settings,
	       sizeof(into->settings.listener_settings));
	into->settings.admin = from->settings.admin;
	into->listeners = from->listeners;
}
