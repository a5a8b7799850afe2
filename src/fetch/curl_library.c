#include "fetch/curl_library.h"

#include "base/check.h"

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

/* The interface behind this name has been stable since 2006. */
#define LIBRARY "libcurl.so.4"

static const struct {
	const char *name;
	size_t at;
} SYMBOLS[] = {
	{"curl_global_init", offsetof(struct curl_library, global_init)},
	{"curl_global_cleanup", offsetof(struct curl_library, global_cleanup)},
	{"curl_easy_init", offsetof(struct curl_library, easy_init)},
	{"curl_easy_setopt", offsetof(struct curl_library, easy_setopt)},
	{"curl_easy_perform", offsetof(struct curl_library, easy_perform)},
	{"curl_easy_getinfo", offsetof(struct curl_library, easy_getinfo)},
	{"curl_easy_strerror", offsetof(struct curl_library, easy_strerror)},
	{"curl_easy_cleanup", offsetof(struct curl_library, easy_cleanup)},
	{"curl_slist_append", offsetof(struct curl_library, slist_append)},
	{"curl_slist_free_all", offsetof(struct curl_library, slist_free_all)},
	{"curl_multi_init", offsetof(struct curl_library, multi_init)},
	{"curl_multi_cleanup", offsetof(struct curl_library, multi_cleanup)},
	{"curl_multi_setopt", offsetof(struct curl_library, multi_setopt)},
	{"curl_multi_add_handle", offsetof(struct curl_library, multi_add_handle)},
	{"curl_multi_remove_handle", offsetof(struct curl_library, multi_remove_handle)},
	{"curl_multi_poll", offsetof(struct curl_library, multi_poll)},
	{"curl_multi_perform", offsetof(struct curl_library, multi_perform)},
	{"curl_multi_info_read", offsetof(struct curl_library, multi_info_read)},
};

#define SYMBOL_COUNT (sizeof(SYMBOLS) / sizeof(SYMBOLS[0]))

_Static_assert(SYMBOL_COUNT * sizeof(void *) == sizeof(struct curl_library), "each function has its name");
_Static_assert(sizeof(void (*)(void)) == sizeof(void *), "what dlsym() returns is a function's address");

bool curl_library_load(struct curl_library *curl, const char **fault)
{
	void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	*fault = LIBRARY " cannot be loaded: is it installed?";
	if (library == NULL)
		return false;
	for (size_t i = 0; i < SYMBOL_COUNT; i++) {
		void *symbol = dlsym(library, SYMBOLS[i].name);
		if (symbol == NULL) {
			*fault = LIBRARY " lacks a function that is needed";
			return false;
		}
		CHECK(SYMBOLS[i].at + sizeof(symbol) <= sizeof(*curl));
		memcpy((char *)curl + SYMBOLS[i].at, &symbol, sizeof(symbol));
	}
	*fault = LIBRARY " cannot be initialised";
	return curl->global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}
