#include "access/snapshot.h"

#include "base/file.h"
#include "base/log.h"

#include <stdlib.h>

#define SECRET_BYTES_MAX ((size_t)64 << 10)

static bool snapshot_is_set(const char *text)
{
	return text[0] != '\0';
}

static void snapshot_tell(FILE *report, const char *sentence)
{
	if (report != NULL)
		fprintf(report, "%s\n", sentence);
	else
		log_write(LOG_ERROR, "%s", sentence);
}

static bool snapshot_complain(FILE *report, const char *path, const struct fault *fault)
{
	char sentence[ACCESS_TEXT_BYTES_MAX + sizeof(fault->text) + 16];
	if (fault->line != 0)
		snprintf(sentence, sizeof(sentence), "%s:%u: %s", path, fault->line, fault->text);
	else
		snprintf(sentence, sizeof(sentence), "%s: %s", path, fault->text);
	snapshot_tell(report, sentence);
	return false;
}

/* The file's bytes, which the caller frees; "" gives none. False: it was told why. */
static bool read_file(FILE *report, const char *path, size_t bytes_max, enum file_secrecy secrecy, uint8_t **data,
		      size_t *size)
{
	*data = NULL;
	*size = 0;
	const char *why = snapshot_is_set(path) ? file_read(path, bytes_max, secrecy, data, size) : NULL;
	if (why == NULL)
		return true;
	struct fault fault = {0};
	fault_set(&fault, 0, "%s", why);
	return snapshot_complain(report, path, &fault);
}

static bool add_jwks(FILE *report, struct key_set *keys, const char *name, struct slice text)
{
	struct jwks_result result;
	struct fault fault = {0};
	if (!key_set_add_jwks(keys, text, &result, &fault))
		return snapshot_complain(report, name, &fault);
	if (result.skipped != 0)
		log_write(LOG_WARNING, "%s: %u of %u keys left out, the first because %s", name, result.skipped,
			  result.skipped + result.added, result.first_reason.text);
	return true;
}

bool access_keys_try(struct slice jwks, struct fault *fault)
{
	struct key_set *trial = key_set_new();
	struct jwks_result result;
	bool good = trial != NULL && key_set_add_jwks(trial, jwks, &result, fault);
	if (good && result.added == 0)
		good = fault_set(fault, 0, "no key of the set is for us: %.150s", result.first_reason.text);
	key_set_put(&trial);
	return good;
}

/* A file may be read by everyone as long as it has no shared secrets. */
static bool add_jwks_file(FILE *report, struct key_set *keys, const char *path)
{
	struct fault fault = {0};
	uint8_t *data;
	size_t size;
	if (!read_file(report, path, KEY_SET_BYTES_MAX, FILE_PUBLIC, &data, &size))
		return false;
	struct slice text = slice_of(data, size);
	uint32_t secrets = key_set_secrets(keys);
	bool good = data == NULL || ((access_keys_try(text, &fault) || snapshot_complain(report, path, &fault)) &&
				     add_jwks(report, keys, path, text));
	free(data);
	if (!good || key_set_secrets(keys) == secrets)
		return good;
	good = read_file(report, path, KEY_SET_BYTES_MAX, FILE_SECRET, &data, &size);
	free(data);
	return good;
}

/* A shared secret may end with the line end that editors leave. */
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
	bool good = data == NULL ||
		    key_set_add_secret(keys, slice_of(NULL, 0), slice_of(data, without_line_end(data, size)), &fault) ||
		    snapshot_complain(report, settings->token_secret_file, &fault);
	free(data);
	if (!good || !read_file(report, settings->token_key_file, KEY_SET_BYTES_MAX, FILE_PUBLIC, &data, &size))
		return false;
	good = data == NULL || key_set_add_pem(keys, slice_of(NULL, 0), slice_of(data, size), &fault) ||
	       snapshot_complain(report, settings->token_key_file, &fault);
	free(data);
	return good && add_jwks_file(report, keys, settings->token_jwks_file) &&
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
	bool good = data == NULL || snapshot->passwords != NULL || snapshot_complain(report, path, &fault);
	free(data);
	return good;
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
	return snapshot->acl != NULL || snapshot_complain(report, path, &fault);
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
	bool good = snapshot->keys != NULL && add_keys(settings, fetched, report, snapshot->keys) &&
		    read_passwords(settings, report, snapshot) && read_rules(settings, report, snapshot);
	if (!good)
		access_snapshot_drop(snapshot);
	return good;
}
