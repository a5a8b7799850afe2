#include "asking/http_secrets.h"

#include "base/file.h"
#include "base/log.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

/* Without the line end that editors leave. The caller clears and frees *data. */
static bool secrets_read_file(const char *path, uint8_t **data, size_t *size, struct fault *fault)
{
	const char *why = file_read(path, HTTP_SECRET_BYTES_MAX, FILE_SECRET, data, size);
	if (why != NULL)
		return fault_set(fault, 0, "%.150s: %s", path, why);
	while (*size != 0 && ((*data)[*size - 1] == '\n' || (*data)[*size - 1] == '\r'))
		--*size;
	return true;
}

/* [RFC 6750, 2.1]; whatever is not one character of a header would end it. */
static bool is_a_token(const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (data[i] <= ' ' || data[i] > '~')
			return false;
	}
	return size != 0;
}

static bool secrets_read_token(struct http_secrets *secrets, struct fault *fault)
{
	uint8_t *data;
	size_t size;
	if (secrets->token_file[0] == '\0')
		return true;
	if (!secrets_read_file(secrets->token_file, &data, &size, fault))
		return false;
	bool good = is_a_token(data, size) ||
		    fault_set(fault, 0, "%.150s: a token is one line without blanks", secrets->token_file);
	if (good)
		snprintf(secrets->authorization, sizeof(secrets->authorization), "Authorization: Bearer %.*s",
			 (int)size, (const char *)data);
	sodium_memzero(data, size);
	free(data);
	return good;
}

static bool secrets_read_secret(struct http_secrets *secrets, struct fault *fault)
{
	uint8_t *data;
	size_t size;
	if (secrets->secret_file[0] == '\0')
		return true;
	if (!secrets_read_file(secrets->secret_file, &data, &size, fault))
		return false;
	bool good = size != 0 || fault_set(fault, 0, "%.150s: is empty", secrets->secret_file);
	if (good) {
		memcpy(secrets->secret, data, size);
		secrets->secret_bytes = size;
	}
	sodium_memzero(data, size);
	free(data);
	return good;
}

bool http_secrets_read(struct http_secrets *secrets, uint64_t now_ms, struct fault *fault)
{
	secrets->read_ms = now_ms;
	return secrets_read_token(secrets, fault) && secrets_read_secret(secrets, fault);
}

void http_secrets_refresh(struct http_secrets *secrets, uint64_t now_ms)
{
	struct fault fault;
	if (now_ms - secrets->read_ms < HTTP_SECRETS_AGE_MS)
		return;
	bool good = http_secrets_read(secrets, now_ms, &fault);
	if (!good && !secrets->is_told)
		log_write(LOG_ERROR, "%s: what was read of it before stays in use", fault.text);
	secrets->is_told = !good;
}

void http_secrets_clear(struct http_secrets *secrets)
{
	sodium_memzero(secrets, sizeof(*secrets));
}
