#include "control/tls/development.h"

#include "base/check.h"
#include "base/file.h"
#include "base/log.h"
#include "tls/certificate/development.h"
#include "tls/context.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_NAME "development.pem"
#define CA_NAME "development-ca.pem"
#define PEM_BYTES_MAX ((size_t)64 << 10)
/* Made anew so long before its end. */
#define RENEW_S ((int64_t)30 * 86400)
/* The file's first line, for people and for the next start. */
#define FINGERPRINT_LINE "SHA-256 "
#define CERTIFICATE_BEGIN "-----BEGIN CERTIFICATE-----"
#define CERTIFICATE_END "-----END CERTIFICATE-----\n"

static bool development_fail(char *fault, const char *path, const char *why)
{
	snprintf(fault, DEVELOPMENT_FAULT_BYTES_MAX, "%.500s: %.500s", path, why);
	return false;
}

/* Makes each directory of the path that is not there. */
static bool make_directories(char *path)
{
	for (char *slash = strchr(path + 1, '/');; slash = strchr(slash + 1, '/')) {
		if (slash != NULL)
			*slash = '\0';
		bool made = mkdir(path, S_IRWXU) == 0 || errno == EEXIST;
		if (slash == NULL || !made)
			return made;
		*slash = '/';
	}
}

/* False: there is no place that keeps anything. */
static bool development_place(struct development *development, const char *store_directory)
{
	char directory[PATH_MAX - sizeof(CA_NAME)] = "";
	const char *state = getenv("STATE_DIRECTORY");     /* NOLINT(concurrency-mt-unsafe): nobody sets any */
	const char *user_state = getenv("XDG_STATE_HOME"); /* NOLINT(concurrency-mt-unsafe) */
	const char *home = getenv("HOME");                 /* NOLINT(concurrency-mt-unsafe) */
	int size = 0;
	if (store_directory[0] != '\0')
		size = snprintf(directory, sizeof(directory), "%s", store_directory);
	else if (state != NULL && state[0] == '/') /* systemd separates several by : */
		size = snprintf(directory, sizeof(directory), "%.*s", (int)strcspn(state, ":"), state);
	else if (user_state != NULL && user_state[0] == '/')
		size = snprintf(directory, sizeof(directory), "%s/roost", user_state);
	else if (home != NULL && home[0] == '/')
		size = snprintf(directory, sizeof(directory), "%s/.local/state/roost", home);
	if (size <= 0 || (size_t)size >= sizeof(directory) || !make_directories(directory))
		return false;
	snprintf(development->path, sizeof(development->path), "%s/" FILE_NAME, directory);
	snprintf(development->ca_path, sizeof(development->ca_path), "%s/" CA_NAME, directory);
	return true;
}

/* ---- an earlier one ---- */

/* Whether the document is a certificate with its key, and good for a while. */
static bool development_is_good(const struct development *development, int64_t wall_s)
{
	char fault[TLS_FAULT_BYTES_MAX];
	struct tls_document document = {development->path, slice_of(development->pem, development->size)};
	struct tls_server_options options = {
		.identities[0] = {.chain = document, .key = document}, .identity_count = 1, .alpn = "mqtt"};
	struct tls_context *context = tls_context_new_server(&options, fault);
	if (context == NULL) {
		log_write(LOG_WARNING, "%s: a new one is made", fault);
		return false;
	}
	const char *path;
	int64_t expires_s = tls_context_expires_s(context, &path);
	tls_context_put(&context);
	return expires_s > wall_s + RENEW_S;
}

static void read_fingerprint(struct development *development)
{
	const char *text = (const char *)development->pem;
	size_t size = strcspn(text, "\n");
	development->fingerprint[0] = '\0';
	if (strncmp(text, FINGERPRINT_LINE, strlen(FINGERPRINT_LINE)) == 0)
		snprintf(development->fingerprint, sizeof(development->fingerprint), "%.*s",
			 (int)(size - strlen(FINGERPRINT_LINE)), text + strlen(FINGERPRINT_LINE));
}

/* The chain's last certificate, which signs the one before. */
static struct slice development_ca(const struct development *development)
{
	const char *text = (const char *)development->pem;
	const char *last = NULL;
	for (const char *at = text; (at = strstr(at, CERTIFICATE_BEGIN)) != NULL; at++)
		last = at;
	const char *end = last == NULL ? NULL : strstr(last, CERTIFICATE_END);
	return end == NULL ? slice_of(NULL, 0)
			   : slice_of((const uint8_t *)last, (size_t)(end - last) + strlen(CERTIFICATE_END));
}

/* ---- a new one ---- */

static bool join(struct development *development, const struct tls_development *made)
{
	struct slice chain = made->pem[TLS_DEVELOPMENT_SERVER];
	struct slice key = made->pem[TLS_DEVELOPMENT_SERVER_KEY];
	size_t capacity = sizeof(FINGERPRINT_LINE) + sizeof(made->fingerprint) + chain.size + key.size + 2;
	development->pem = malloc(capacity);
	if (development->pem == NULL)
		return false;
	int size = snprintf((char *)development->pem, capacity, FINGERPRINT_LINE "%s\n%.*s%.*s", made->fingerprint,
			    (int)chain.size, (const char *)chain.data, (int)key.size, (const char *)key.data);
	CHECK(size > 0 && (size_t)size < capacity);
	development->size = (size_t)size;
	return true;
}

static bool development_make(struct development *development, int64_t wall_s, char *fault)
{
	char host[256] = "";
	char why[TLS_FAULT_BYTES_MAX];
	struct tls_development made;
	bool named = gethostname(host, sizeof(host) - 1) == 0 && host[0] != '\0';
	if (!tls_development_identity(named ? host : NULL, wall_s, &made, why))
		return development_fail(fault, "a certificate for development", why);
	bool joined = join(development, &made);
	tls_development_fini(&made);
	if (!joined)
		return development_fail(fault, "a certificate for development", "out of memory");
	if (development->path[0] == '\0')
		return true;
	const char *reason =
		file_replace(development->path, slice_of(development->pem, development->size), FILE_SECRET);
	return reason == NULL || development_fail(fault, development->path, reason);
}

void development_fini(struct development *development)
{
	if (development->pem != NULL)
		explicit_bzero(development->pem, development->size);
	free(development->pem);
	*development = (struct development){.size = 0};
}

static bool keep_ca(const struct development *development, char *fault)
{
	uint8_t *data = NULL;
	size_t size = 0;
	struct slice ca = development_ca(development);
	if (development->path[0] == '\0' || ca.size == 0)
		return true;
	bool is_there = file_read(development->ca_path, PEM_BYTES_MAX, FILE_PUBLIC, &data, &size) == NULL &&
			size == ca.size && memcmp(data, ca.data, size) == 0;
	free(data);
	const char *reason = is_there ? NULL : file_replace(development->ca_path, ca, FILE_PUBLIC);
	return reason == NULL || development_fail(fault, development->ca_path, reason);
}

bool development_load(struct development *development, const char *store_directory, int64_t wall_s,
		      char fault[DEVELOPMENT_FAULT_BYTES_MAX])
{
	*development = (struct development){.size = 0};
	bool kept = development_place(development, store_directory);
	const char *reason =
		!kept ? NULL
		      : file_read(development->path, PEM_BYTES_MAX, FILE_SECRET, &development->pem, &development->size);
	if (reason != NULL && access(development->path, F_OK) == 0)
		return development_fail(fault, development->path, reason);
	if (development->pem != NULL && !development_is_good(development, wall_s)) {
		free(development->pem);
		development->pem = NULL;
	}
	bool ok = development->pem != NULL || development_make(development, wall_s, fault);
	if (ok)
		read_fingerprint(development);
	ok = ok && keep_ca(development, fault);
	if (!ok)
		development_fini(development);
	return ok;
}
