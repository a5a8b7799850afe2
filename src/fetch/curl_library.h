/* libcurl, loaded when it is first needed. It depends on some 25 other libraries (a second TLS library, Kerberos, LDAP,
 * SSH), so the program is not linked against it. Only `roost ctl` and the processes that fetch for the server
 * (fetch/fetch.h, fetch/fetcher.h) load it. One thread. */
#ifndef FETCH_CURL_LIBRARY_H
#define FETCH_CURL_LIBRARY_H

#include <curl/curl.h>
#include <stdbool.h>

/* Functions of libcurl under their own names without "curl_". The macros of its header that check the types of options
 * do not apply here: a number has to be a long. */
struct curl_library {
	__typeof__(curl_global_init) *global_init;
	__typeof__(curl_global_cleanup) *global_cleanup;
	__typeof__(curl_easy_init) *easy_init;
	__typeof__(curl_easy_setopt) *easy_setopt;
	__typeof__(curl_easy_perform) *easy_perform;
	__typeof__(curl_easy_getinfo) *easy_getinfo;
	__typeof__(curl_easy_strerror) *easy_strerror;
	__typeof__(curl_easy_cleanup) *easy_cleanup;
	__typeof__(curl_slist_append) *slist_append;
	__typeof__(curl_slist_free_all) *slist_free_all;
	__typeof__(curl_multi_init) *multi_init;
	__typeof__(curl_multi_cleanup) *multi_cleanup;
	__typeof__(curl_multi_setopt) *multi_setopt;
	__typeof__(curl_multi_add_handle) *multi_add_handle;
	__typeof__(curl_multi_remove_handle) *multi_remove_handle;
	__typeof__(curl_multi_poll) *multi_poll;
	__typeof__(curl_multi_perform) *multi_perform;
	__typeof__(curl_multi_info_read) *multi_info_read;
};

/* Loads and initialises libcurl, which stays until the process ends. On failure it returns false and sets *fault to
 * static text. */
bool curl_library_load(struct curl_library *curl, const char **fault);

#endif
