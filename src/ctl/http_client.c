#include "ctl/http_client.h"

#include "base/check.h"

#include <curl/curl.h>
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

static struct curl_slist *headers_of(const struct http_client *client, bool has_body)
{
	struct curl_slist *headers = curl_slist_append(NULL, "Accept: application/json");
	if (has_body)
		headers = curl_slist_append(headers, "Content-Type: application/json");
	headers = curl_slist_append(headers, "Expect:");
	if (client->token != NULL) {
		char *line = NULL;
		if (asprintf(&line, "Authorization: Bearer %s", client->token) >= 0)
			headers = curl_slist_append(headers, line);
		free(line);
	}
	return headers;
}

static CURLcode perform(CURL *curl, const char *url, const char *method, const char *body, struct http_answer *answer)
{
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, TIMEOUT_S);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
	if (body != NULL) {
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body));
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
	}
	CURLcode code = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer->status);
	return code;
}

bool http_client_ask(const struct http_client *client, const char *method, const char *path, const char *body,
		     struct http_answer *answer)
{
	/* A path without a slash would become a part of the port or the host. */
	CHECK(path[0] == '/');
	*answer = (struct http_answer){.text = calloc(1, 1)};
	CURL *curl = curl_easy_init();
	char *url = NULL;
	if (curl == NULL || answer->text == NULL || asprintf(&url, "%s%s", client->url, path) < 0) {
		fputs("roost ctl: out of memory\n", stderr);
		return false;
	}
	struct curl_slist *headers = headers_of(client, body != NULL);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	CURLcode code = perform(curl, url, method, body, answer);
	if (code != CURLE_OK)
		fprintf(stderr, "roost ctl: %s: %s\n", client->url, curl_easy_strerror(code));
	curl_slist_free_all(headers);
	curl_easy_cleanup(curl);
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
