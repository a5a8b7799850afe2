#include "ctl/http_client.h"

#include "base/check.h"
#include "fetch/curl_library.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_S 30L
#define ANSWER_BYTES_MAX ((size_t)256 << 20)

static size_t on_bytes(char *bytes, size_t one, size_t count, void *context)
{
	struct http_answer *answer = context;
	size_t size = one * count; /* one is always 1 */
	CHECK(answer->bytes <= ANSWER_BYTES_MAX);
	if (answer->bytes + size > ANSWER_BYTES_MAX)
		return 0;
	char *grown = realloc(answer->text, answer->bytes + size + 1);
	if (grown == NULL)
		return 0;
	memcpy(grown + answer->bytes, bytes, size);
	answer->text = grown;
	answer->bytes += size;
	answer->text[answer->bytes] = '\0';
	return size;
}

static struct curl_slist *headers_of(const struct curl_library *curl, const struct http_client *client, bool has_body)
{
	struct curl_slist *headers = curl->slist_append(NULL, "Accept: application/json");
	if (has_body)
		headers = curl->slist_append(headers, "Content-Type: application/json");
	headers = curl->slist_append(headers, "Expect:");
	if (client->token != NULL) {
		char *line = NULL;
		if (asprintf(&line, "Authorization: Bearer %s", client->token) >= 0)
			headers = curl->slist_append(headers, line);
		free(line);
	}
	return headers;
}

static void set_tls(const struct curl_library *curl, CURL *handle, const struct http_client *client)
{
	if (client->ca_file != NULL)
		curl->easy_setopt(handle, CURLOPT_CAINFO, client->ca_file);
	if (client->certificate != NULL)
		curl->easy_setopt(handle, CURLOPT_SSLCERT, client->certificate);
	if (client->certificate != NULL)
		curl->easy_setopt(handle, CURLOPT_SSLKEY, client->key != NULL ? client->key : client->certificate);
	curl->easy_setopt(handle, CURLOPT_SSL_VERIFYPEER, client->insecure ? 0L : 1L);
	curl->easy_setopt(handle, CURLOPT_SSL_VERIFYHOST, client->insecure ? 0L : 2L);
}

/* curl's own words, and what to do where they alone are of little help. */
static void say_fault(const struct http_client *client, CURLcode code, const char *text)
{
	fprintf(stderr, "roost ctl: %s: %s", client->url, text);
	if (code == CURLE_PEER_FAILED_VERIFICATION)
		fputs("; --ca-file names a file with the certificates to trust it by", stderr);
	if (code == CURLE_SSL_CONNECT_ERROR)
		fputs("; does it speak https:// there?", stderr);
	fputc('\n', stderr);
}

static CURLcode perform(const struct curl_library *curl, CURL *handle, const char *url, const char *method,
			const char *body, struct http_answer *answer)
{
	curl->easy_setopt(handle, CURLOPT_URL, url);
	curl->easy_setopt(handle, CURLOPT_PATH_AS_IS, 1L);
	curl->easy_setopt(handle, CURLOPT_CUSTOMREQUEST, method);
	curl->easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
	curl->easy_setopt(handle, CURLOPT_PROXY, "");
	curl->easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
	curl->easy_setopt(handle, CURLOPT_TIMEOUT, TIMEOUT_S);
	curl->easy_setopt(handle, CURLOPT_WRITEFUNCTION, on_bytes);
	curl->easy_setopt(handle, CURLOPT_WRITEDATA, answer);
	if (body != NULL) {
		curl->easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body));
		curl->easy_setopt(handle, CURLOPT_POSTFIELDS, body);
	}
	CURLcode code = curl->easy_perform(handle);
	curl->easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &answer->status);
	return code;
}

bool http_client_ask(const struct http_client *client, const char *method, const char *path, const char *body,
		     struct http_answer *answer)
{
	/* A path without a slash would become a part of the port or the host. */
	CHECK(path[0] == '/');
	struct curl_library library;
	const struct curl_library *curl = &library;
	const char *why;
	char fault[CURL_ERROR_SIZE] = "";
	*answer = (struct http_answer){.text = calloc(1, 1)};
	if (!curl_library_load(&library, &why)) {
		fprintf(stderr, "roost ctl: %s\n", why);
		return false;
	}
	CURL *handle = curl->easy_init();
	char *url = NULL;
	if (handle == NULL || answer->text == NULL || asprintf(&url, "%s%s", client->url, path) < 0) {
		fputs("roost ctl: out of memory\n", stderr);
		return false;
	}
	struct curl_slist *headers = headers_of(curl, client, body != NULL);
	curl->easy_setopt(handle, CURLOPT_HTTPHEADER, headers);
	set_tls(curl, handle, client);
	curl->easy_setopt(handle, CURLOPT_ERRORBUFFER, fault);
	CURLcode code = perform(curl, handle, url, method, body, answer);
	if (code != CURLE_OK && !client->is_quiet)
		say_fault(client, code, fault[0] != '\0' ? fault : curl->easy_strerror(code));
	curl->slist_free_all(headers);
	curl->easy_cleanup(handle);
	free(url);
	return code == CURLE_OK;
}

char *http_client_escape(const char *text)
{
	static const char KEPT[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
	size_t size = strlen(text);
	char *escaped = malloc(size * 3 + 1);
	char *at = escaped;
	for (; escaped != NULL && *text != '\0'; text++) {
		if (strchr(KEPT, *text) != NULL)
			*at++ = *text;
		else
			at += sprintf(at, "%%%02X", (unsigned char)*text);
	}
	if (escaped != NULL) {
		CHECK((size_t)(at - escaped) <= size * 3);
		*at = '\0';
	}
	return escaped;
}
