#include "control/tls/certificates.h"

#include "base/check.h"
#include "base/file.h"
#include "base/log.h"
#include "control/tls/development.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The file of a CA with its lists may be large; a chain is some KB. */
#define DOCUMENT_BYTES_MAX ((size_t)16 << 20)
#define DOCUMENTS_MAX (2u * TLS_IDENTITIES_MAX + 2u)

/* The files of one listener, in memory. */
struct documents {
	struct tls_document items[DOCUMENTS_MAX];
	uint8_t *data[DOCUMENTS_MAX];
	size_t count;
};

struct loading {
	const struct settings *settings;
	struct tls_tickets *tickets;
	FILE *report;
	int64_t wall_s;
};

static bool certificates_complain(const struct loading *loading, const char *url, const char *sentence)
{
	if (loading->report != NULL)
		fprintf(loading->report, "%s: %s\n", url, sentence);
	else
		log_write(LOG_ERROR, "%s: %s", url, sentence);
	return false;
}

static bool document_read(struct documents *documents, const char *path, enum file_secrecy secrecy,
			  struct tls_document *document, char fault[DEVELOPMENT_FAULT_BYTES_MAX])
{
	size_t size;
	CHECK_LT(documents->count, DOCUMENTS_MAX);
	uint8_t **data = &documents->data[documents->count];
	const char *why = file_read(path, DOCUMENT_BYTES_MAX, secrecy, data, &size);
	if (why == NULL && size == 0) {
		free(*data);
		why = "the file is empty";
	}
	if (why != NULL) {
		snprintf(fault, DEVELOPMENT_FAULT_BYTES_MAX, "%s: %s", path, why);
		return false;
	}
	*document = (struct tls_document){path, slice_of(*data, size)};
	documents->items[documents->count++] = *document;
	return true;
}

static void documents_fini(struct documents *documents)
{
	for (size_t i = 0; i < documents->count; i++) {
		explicit_bzero(documents->data[i], documents->items[i].pem.size); /* it may be a key */
		free(documents->data[i]);
	}
}

/* Without a key file of its own, a certificate's file has the key as well, and is as secret. */
static bool identity_read(struct documents *documents, const struct certificate_files *files, bool apart,
			  struct tls_identity *identity, char *fault)
{
	if (!document_read(documents, files->chain, apart ? FILE_PUBLIC : FILE_SECRET, &identity->chain, fault))
		return false;
	identity->key = identity->chain;
	return !apart || document_read(documents, files->key, FILE_SECRET, &identity->key, fault);
}

static bool identities_read(const struct listener_settings *settings, struct documents *documents,
			    struct tls_server_options *options, char *fault)
{
	CHECK(settings->key_count == 0 || settings->key_count == settings->certificate_count);
	for (uint32_t i = 0; i < settings->certificate_count; i++) {
		if (!identity_read(documents, &settings->certificates[i], settings->key_count != 0,
				   &options->identities[i], fault))
			return false;
		options->identity_count++;
	}
	return true;
}

static bool clients_read(const struct listener_settings *settings, struct documents *documents,
			 struct tls_server_options *options, char *fault)
{
	const char *ca = settings->client_ca_file;
	const char *crl = settings->client_crl_file;
	return (*ca == '\0' || document_read(documents, ca, FILE_PUBLIC, &options->client_ca, fault)) &&
	       (*crl == '\0' || document_read(documents, crl, FILE_PUBLIC, &options->client_crl, fault));
}

static const char *text_or_null(const char *text)
{
	return text[0] != '\0' ? text : NULL;
}

static void development_tell(const struct development *development, const char *url)
{
	log_write(LOG_WARNING,
		  "%s has no certificate (--tls-certificate): it shows one for development, which nobody trusts; "
		  "SHA-256 %s",
		  url, development->fingerprint);
	if (development->path[0] != '\0')
		log_write(LOG_WARNING,
			  "it is kept in %s; clients on this machine trust it with %s: mosquitto_sub --cafile %s -h "
			  "localhost",
			  development->path, development->ca_path, development->ca_path);
	else
		log_write(LOG_WARNING, "it ends with the process: there is no directory to keep it in");
}

/* False: *fault is set. */
static bool development_add(const struct loading *loading, const char *url, struct development *development,
			    struct tls_server_options *options, char *fault)
{
	if (!development_load(development, loading->settings->store.directory, loading->wall_s, fault))
		return false;
	const char *path = development->path[0] != '\0' ? development->path : "certificate for development";
	struct tls_document document = {path, slice_of(development->pem, development->size)};
	options->identities[0] = (struct tls_identity){.chain = document, .key = document};
	options->identity_count = 1;
	development_tell(development, url);
	return true;
}

static struct tls_context *context_read(const struct loading *loading, const struct listener_settings *settings,
					const char *url)
{
	bool names_nothing = settings->certificate_names == CERTIFICATE_NAMES_NOTHING;
	struct documents documents = {.count = 0};
	struct development development = {.size = 0};
	char fault[DEVELOPMENT_FAULT_BYTES_MAX] = "";
	struct tls_server_options options = {
		.only_tls_1_3 = settings->only_tls_1_3,
		.ciphers = text_or_null(settings->ciphers),
		.ciphersuites = text_or_null(settings->ciphersuites),
		.alpn = settings->is_websocket || settings == &loading->settings->admin ? "http/1.1" : "mqtt",
		.clients = settings->client_certificates,
		.identity_from = names_nothing ? TLS_IDENTITY_NONE : settings->identity_from,
		.tickets = loading->tickets,
	};
	bool ok = identities_read(settings, &documents, &options, fault) &&
		  clients_read(settings, &documents, &options, fault) &&
		  (options.identity_count != 0 || development_add(loading, url, &development, &options, fault));
	_Static_assert(TLS_FAULT_BYTES_MAX <= DEVELOPMENT_FAULT_BYTES_MAX, "either fits");
	struct tls_context *context = ok ? tls_context_new_server(&options, fault) : NULL;
	if (context == NULL)
		certificates_complain(loading, url, fault);
	development_fini(&development);
	documents_fini(&documents);
	return context;
}

/* All of a listener's files, before the first is read: where one is missing, the others are watched all the same.
 * False: no memory. */
static bool note_files(const struct listener_settings *settings, struct file_stamps *stamps)
{
	bool ok = true;
	for (uint32_t i = 0; i < settings->certificate_count; i++) {
		const struct certificate_files *files = &settings->certificates[i];
		ok = ok && file_stamps_note(stamps, files->chain);
		ok = ok && (settings->key_count == 0 || file_stamps_note(stamps, files->key));
	}
	ok = ok && (settings->client_ca_file[0] == '\0' || file_stamps_note(stamps, settings->client_ca_file));
	return ok && (settings->client_crl_file[0] == '\0' || file_stamps_note(stamps, settings->client_crl_file));
}

/* The URL of the first listener with these settings, or what stands for the admin side's. NULL: there is none with TLS.
 */
static const char *url_of(const struct settings *settings, uint32_t place)
{
	if (place == SETTINGS_ADMIN)
		return settings->admin.is_tls ? "the admin side" : NULL;
	for (uint32_t i = 0; i < settings->listener_count; i++) {
		if (settings->listeners[i].settings == place && listener_is_tls(&settings->listeners[i]))
			return settings->listeners[i].url;
	}
	return NULL;
}

static const struct listener_settings *settings_of(const struct settings *settings, uint32_t place)
{
	CHECK_LT(place, SETTINGS_TLS_MAX);
	return place == SETTINGS_ADMIN ? &settings->admin : &settings->listener_settings[place];
}

bool certificates_wanted(const struct settings *settings)
{
	bool wanted = false;
	for (uint32_t i = 0; i < SETTINGS_TLS_MAX; i++)
		wanted = wanted || url_of(settings, i) != NULL;
	return wanted;
}

bool certificates_read(const struct settings *settings, struct tls_tickets *tickets, int64_t wall_s,
		       struct file_stamps *stamps, FILE *report, struct tls_context_set *set)
{
	struct loading loading = {.settings = settings, .tickets = tickets, .report = report, .wall_s = wall_s};
	bool ok = true;
	*set = (struct tls_context_set){.items = {NULL}};
	for (uint32_t i = 0; i < SETTINGS_TLS_MAX; i++) {
		const char *url = url_of(settings, i);
		if (url == NULL)
			continue;
		if (!note_files(settings_of(settings, i), stamps))
			ok = certificates_complain(&loading, url, error_sentence(ERROR_NO_MEMORY));
		set->items[i] = context_read(&loading, settings_of(settings, i), url);
		ok = ok && set->items[i] != NULL;
	}
	if (!ok)
		tls_context_set_drop(set);
	return ok;
}

/* ---- what they are, for the log ---- */

#define DAY_S ((int64_t)86400)

static void date_write(int64_t at_s, char text[32])
{
	struct tm parts;
	time_t at = (time_t)at_s;
	if (gmtime_r(&at, &parts) == NULL || strftime(text, 32, "%Y-%m-%d %H:%M UTC", &parts) == 0)
		snprintf(text, 32, "%ld", (long)at_s);
}

/* Certificates of 90 days are renewed when a third of that is left; those of a week must not warn always. */
#define WARN_S_MAX (30 * DAY_S)

static int64_t warn_before_s(const struct tls_certificate_facts *facts)
{
	int64_t third = (facts->expires_s - facts->begins_s) / 3;
	return third < WARN_S_MAX ? third : WARN_S_MAX;
}

static void warn_of(const struct tls_certificate_facts *facts, int64_t wall_s)
{
	char date[32];
	const char *what = facts->kind == TLS_CERTIFICATE_CLIENT_CRL ? "list of revoked certificates" : "certificate";
	int64_t left_s = facts->expires_s - wall_s;
	bool in_hours = left_s < 2 * DAY_S;
	long left = (long)(left_s / (in_hours ? 3600 : DAY_S));
	date_write(facts->begins_s > wall_s ? facts->begins_s : facts->expires_s, date);
	if (facts->begins_s > wall_s)
		log_write(LOG_ERROR, "%s: the %s of %s is not valid yet: it begins at %s", facts->path, what,
			  facts->subject, date);
	else if (left_s <= 0)
		log_write(LOG_ERROR, "%s: the %s of %s has expired: it was valid until %s", facts->path, what,
			  facts->subject, date);
	else if (facts->kind != TLS_CERTIFICATE_CLIENT_CRL && left_s < warn_before_s(facts))
		log_write(LOG_WARNING, "%s: the %s of %s expires in %ld %s%s, at %s", facts->path, what, facts->subject,
			  left, in_hours ? "hour" : "day", left != 1 ? "s" : "", date);
}

void certificates_warn(const struct tls_context_set *set, int64_t wall_s)
{
	struct tls_certificate_facts facts;
	for (uint32_t i = 0; i < SETTINGS_TLS_MAX; i++) {
		for (size_t number = 0; set->items[i] != NULL && tls_context_certificate(set->items[i], number, &facts);
		     number++)
			warn_of(&facts, wall_s);
	}
}

void certificates_log(const struct settings *settings, const struct tls_context_set *set, int64_t wall_s)
{
	struct tls_certificate_facts facts;
	char date[32];
	for (uint32_t i = 0; i < SETTINGS_TLS_MAX; i++) {
		for (size_t number = 0; set->items[i] != NULL && tls_context_certificate(set->items[i], number, &facts);
		     number++) {
			if (facts.kind != TLS_CERTIFICATE_OWN)
				continue;
			date_write(facts.expires_s, date);
			log_write(LOG_INFO, "%s shows %s (%s), valid until %s: %s", url_of(settings, i), facts.subject,
				  facts.names, date, facts.path);
		}
	}
	certificates_warn(set, wall_s);
}
