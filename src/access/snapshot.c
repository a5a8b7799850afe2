#include "access/snapshot.h"

#include "base/check.h"
#include "base/file.h"
#include "base/log.h"

#include <stdlib.h>

#define SECRET_BYTES_MAX ((size_t)64 << 10)

static bool snapshot_is_set(const char *text)
{
	return text[0] != '\0';
}

static void snapshot_report(FILE *report, const char *sentence)
{
	if (report != NULL)
		fprintf(report, "%s\n", sentence);
	else
		log_write(LOG_ERROR, "%s", sentence);
}

static bool snapshot_report_fault(FILE *report, const char *path, const struct fault *fault)
{
	char sentence[ACCESS_TEXT_BYTES_MAX + sizeof(fault->text) + 16];
	if (fault->line != 0)
		snprintf(sentence, sizeof(sentence), "%s:%u: %s", path, fault->line, fault->text);
	else
		snprintf(sentence, sizeof(sentence), "%s: %s", path, fault->text);
	snapshot_report(report, sentence);
	return false;
}

/* Reads a file; the caller frees *data. An empty path gives NULL. Returns false after reporting the reason. */
static bool read_file(FILE *report, const char *path, size_t bytes_max, enum file_secrecy secrecy, uint8_t **data,
		      size_t *size)
{
	*data = NULL;
	*size = 0;
	const char *why = snapshot_is_set(path) ? file_read(path, bytes_max, secrecy, data, size) : NULL;
	if (why == NULL) {
		/* An empty file is not taken for a missing one. */
		CHECK_EQ(*data != NULL, snapshot_is_set(path));
		return true;
	}
	struct fault fault = {0};
	fault_set(&fault, 0, "%s", why);
	return snapshot_report_fault(report, path, &fault);
}

static bool add_jwks(FILE *report, struct key_set *keys, const char *name, struct slice text)
{
	struct jwks_result result;
	struct fault fault = {0};
	if (!key_set_add_jwks(keys, text, &result, &fault))
		return snapshot_report_fault(report, name, &fault);
	if (result.skipped != 0)
		log_write(LOG_WARNING, "%s: skipped %u of %u keys, the first because %s", name, result.skipped,
			  result.skipped + result.added, result.first_reason.text);
	return true;
}

bool access_keys_try(struct slice jwks, struct fault *fault)
{
	struct key_set *trial = key_set_new();
	struct jwks_result result;
	bool ok = trial != NULL && key_set_add_jwks(trial, jwks, &result, fault);
	if (ok && result.added == 0)
		ok = fault_set(fault, 0, "the set has no usable key: %.150s", result.first_reason.text);
	key_set_put(&trial);
	return ok;
}

/* A file without shared secrets may be readable by everyone. One that has any is read again as a secret file, which
 * checks its mode. */
static bool add_jwks_file(FILE *report, struct key_set *keys, const char *path)
{
	struct fault fault = {0};
	uint8_t *data;
	size_t size;
	if (!read_file(report, path, KEY_SET_BYTES_MAX, FILE_PUBLIC, &data, &size))
		return false;
	struct slice text = slice_of(data, size);
	uint32_t secrets = key_set_secrets(keys);
	bool ok = data == NULL || ((access_keys_try(text, &fault) || snapshot_report_fault(report, path, &fault)) &&
				   add_jwks(report, keys, path, text));
	free(data);
	if (!ok || key_set_secrets(keys) == secrets)
		return ok;
	ok = read_file(report, path, KEY_SET_BYTES_MAX, FILE_SECRET, &data, &size);
	free(data);
	return ok;
}

/* Editors leave a line end after a shared secret. */
static size_t without_line_end(const uint8_t *data, size_t size)
{
	while (size != 0 && (data[size - 1] == '\n' || data[size - 1] == '\r'))
		size--;
	return size;
}

static bool add_keys(const struct access_settings *settings, struct slice fetched, FILE *report, struct key_set *keys)
{
	struct fault fault = {0};
	uint8_t *data;
	size_t size;
	if (!read_file(report, settings->token_secret_file, SECRET_BYTES_MAX, FILE_SECRET, &data, &size))
		return false;
	bool ok = data == NULL ||
		  key_set_add_secret(keys, slice_of(NULL, 0), slice_of(data, without_line_end(data, size)), &fault) ||
		  snapshot_report_fault(report, settings->token_secret_file, &fault);
	free(data);
	if (!ok || !read_file(report, settings->token_key_file, KEY_SET_BYTES_MAX, FILE_PUBLIC, &data, &size))
		return false;
	ok = data == NULL || key_set_add_pem(keys, slice_of(NULL, 0), slice_of(data, size), &fault) ||
	     snapshot_report_fault(report, settings->token_key_file, &fault);
	free(data);
	return ok && add_jwks_file(report, keys, settings->token_jwks_file) &&
	       (fetched.size == 0 || add_jwks(report, keys, "fetched keys", fetched));
}

static bool read_passwords(const struct access_settings *settings, FILE *report, struct access_snapshot *snapshot)
{
	const char *path = settings->password_file;
	struct fault fault = {0};
	uint8_t *data;
	size_t size;
	if (!read_file(report, path, PASSWORD_FILE_BYTES_MAX, FILE_SECRET, &data, &size))
		return false;
	if (data != NULL)
		snapshot->passwords = password_file_new(slice_of(data, size), &fault);
	bool ok = data == NULL || snapshot->passwords != NULL || snapshot_report_fault(report, path, &fault);
	free(data);
	return ok;
}

static bool read_rules(const struct access_settings *settings, FILE *report, struct access_snapshot *snapshot)
{
	const char *path = settings->rule_file;
	struct fault fault = {0};
	uint8_t *data;
	size_t size;
	if (!read_file(report, path, ACL_FILE_BYTES_MAX, FILE_PUBLIC, &data, &size))
		return false;
	snapshot->acl =
		acl_new(slice_of(data != NULL ? data : (const uint8_t *)"", size), settings->allow_by_default, &fault);
	free(data);
	return snapshot->acl != NULL || snapshot_report_fault(report, path, &fault);
}

void access_snapshot_drop(struct access_snapshot *snapshot)
{
	key_set_put(&snapshot->keys);
	password_file_put(&snapshot->passwords);
	acl_put(&snapshot->acl);
}

bool access_snapshot_read(const struct access_settings *settings, struct slice fetched, FILE *report,
			  struct access_snapshot *snapshot)
{
	*snapshot = (struct access_snapshot){.keys = key_set_new()};
	bool ok = snapshot->keys != NULL && add_keys(settings, fetched, report, snapshot->keys) &&
		  read_passwords(settings, report, snapshot) && read_rules(settings, report, snapshot);
	if (!ok) {
		access_snapshot_drop(snapshot);
		return false;
	}
	CHECK_EQ(snapshot->passwords != NULL, snapshot_is_set(settings->password_file));
	return true;
}
