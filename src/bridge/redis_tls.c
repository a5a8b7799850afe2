#include "bridge/redis_tls.h"

#include "base/check.h"
#include "base/file.h"

#include <stdlib.h>
#include <string.h>

#define FILE_BYTES_MAX ((size_t)4 << 20)

enum redis_tls_file { REDIS_CA, REDIS_CERTIFICATE, REDIS_KEY, REDIS_TLS_FILES };

/* "" is no file. The bytes are on the heap. */
static bool read_redis_file(const char *path, enum file_secrecy secrecy, struct tls_document *document,
			    char fault[TLS_FAULT_BYTES_MAX])
{
	uint8_t *data = NULL;
	size_t size = 0;
	if (path[0] == '\0')
		return true;
	const char *why = file_read(path, FILE_BYTES_MAX, secrecy, &data, &size);
	if (why == NULL && size == 0)
		why = "the file is empty";
	if (why != NULL) {
		free(data);
		return tls_fault(fault, "%s: %s", path, why);
	}
	*document = (struct tls_document){path, slice_of(data, size)};
	return true;
}

struct tls_context *redis_tls_read(const struct redis_tls_settings *settings, char fault[TLS_FAULT_BYTES_MAX])
{
	struct tls_document files[REDIS_TLS_FILES] = {0};
	bool apart = settings->key[0] != '\0';
	CHECK(settings->on);
	bool good = read_redis_file(settings->ca_file, FILE_PUBLIC, &files[REDIS_CA], fault) &&
		    read_redis_file(settings->certificate, apart ? FILE_PUBLIC : FILE_SECRET, &files[REDIS_CERTIFICATE],
				    fault) &&
		    read_redis_file(settings->key, FILE_SECRET, &files[REDIS_KEY], fault);
	const struct tls_client_options options = {
		.ca = files[REDIS_CA],
		.identity = {.chain = files[REDIS_CERTIFICATE],
			     .key = apart ? files[REDIS_KEY] : files[REDIS_CERTIFICATE]},
		.check = true,
	};
	struct tls_context *context = good ? tls_context_new_client(&options, fault) : NULL;
	for (size_t i = 0; i < REDIS_TLS_FILES; i++) {
		void *data = (void *)(uintptr_t)files[i].pem.data;
		if (data != NULL)
			explicit_bzero(data, files[i].pem.size); /* it may be a key */
		free(data);
	}
	return context;
}
