#include "ctl/http_client.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIBRARY "libcurl.so.4"
#define TIMEOUT_S 30L
#define ANSWER_BYTES_MAX ((size_t)256 << 20)

/* What is used of it. */
struct library {
	CURL *(*easy_init)(void);
	CURLcode (*easy_setopt)(CURL *, CURLoption, ...);
	CURLcode (*easy_perform)(CURL *);
	CURLcode (*easy_getinfo)(CURL *, CURLINFO, ...);
	void (*easy_cleanup)(CURL *);
	const char *(*easy_strerror)(CURLcode);
	struct curl_slist *(*slist_append)(struct curl_slist *, const char *);
	void (*slist_free_all)(struct curl_slist *);
};

static bool load(struct library *library)
{
	void *handle = dlopen(LIBRARY, RTLD_NOW);
	if (handle == NULL) {
		fprintf(stderr, "roost ctl: %s\n", dlerror());
		return false;
	}
	const struct {
		const char *name;
		void *function;
	} functions[] = {
		{"curl_easy_init", &library->easy_init},       {"curl_easy_setopt", &library->easy_setopt},
		{"curl_easy_perform", &library->easy_perform}, {"curl_easy_getinfo", &library->easy_getinfo},
		{"curl_easy_cleanup", &library->easy_cleanup}, {"curl_easy_strerror", &library->easy_strerror},
		{"curl_slist_append", &library->slist_append}, {"curl_slist_free_all", &library->slist_free_all},
	};
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		void *found = dlsym(handle, functions[i].name);
		if (found == NULL) {
			fprintf(stderr, "roost ctl: %s\n", dlerror());
			return false;
		}
		memcpy(functions[i].function, &found, sizeof(found));
	}
	return true;
}

static size_t on_bytes(char *bytes, size_t one, size_t count, void *context)
{
	struct http_answer *answer = context;
	size_t size = one * count;
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

static struct curl_slist *headers_of(const struct library *library, const struct http_client *client, bool has_body)
{
	struct curl_slist *headers = library->slist_append(NULL, "Accept: application/json");
	if (has_body)
		headers = library->slist_append(headers, "Content-Type: application/json");
	headers = library->slist_append(headers, "Expect:");
	if (client->token != NULL) {
		char *line = NULL;
		if (asprintf(&line, "Authorization: Bearer %s", client->token) >= 0)
			headers = library->slist_append(headers, line);
		free(line);
	}
	return headers;
}

static CURLcode perform(const struct library *library, CURL *curl, const char *url, const char *method,
			const char *body, struct http_answer *answer)
{
	library->easy_setopt(curl, CURLOPT_URL, url);
	library->easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
	library->easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
	library->easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	library->easy_setopt(curl, CURLOPT_PROXY, "");
	library->easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	library->easy_setopt(curl, CURLOPT_TIMEOUT, TIMEOUT_S);
	library->easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
	library->easy_setopt(curl, CURLOPT_WRITEDATA, answer);
	if (body != NULL) {
		library->easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body));
		library->easy_setopt(curl, CURLOPT_POSTFIELDS, body);
	}
	CURLcode code = library->easy_perform(curl);
	library->easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer->status);
	return code;
}

bool http_client_ask(const struct http_client *client, const char *method, const char *path, const char *body,
		     struct http_answer *answer)
{
	struct library library;
	*answer = (struct http_answer){.text = calloc(1, 1)};
	if (!load(&library))
		return false;
	CURL *curl = library.easy_init();
	char *url = NULL;
	if (curl == NULL || answer->text == NULL || asprintf(&url, "%s%s", client->url, path) < 0) {
		fputs("roost ctl: out of memory\n", stderr);
		return false;
	}
	struct curl_slist *headers = headers_of(&library, client, body != NULL);
	library.easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	CURLcode code = perform(&library, curl, url, method, body, answer);
	if (code != CURLE_OK)
		fprintf(stderr, "roost ctl: %s: %s\n", client->url, library.easy_strerror(code));
	library.slist_free_all(headers);
	library.easy_cleanup(curl);
	free(url);
	return code == CURLE_OK;
}

char *http_client_escape(const char *text)
{
	static const char KEPT[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
	char *escaped = malloc(strlen(text) * 3 + 1);
	char *at = escaped;
	for (; escaped != NULL && *text != '\0'; text++) {
		if (strchr(KEPT, *text) != NULL)
			*at++ = *text;
		else
			at += sprintf(at, "%%%02X", (unsigned char)*text);
	}
	if (escaped != NULL)
		*at = '\0';
	return escaped;
}
