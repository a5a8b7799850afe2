#include "access_files.h"

#include "base/check.h"

#include <dirent.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char SECRET[] = "0123456789abcdef0123456789abcdef";

void access_files_make(struct access_files *files)
{
	strcpy(files->folder, "/tmp/roost-access-XXXXXX");
	CHECK(mkdtemp(files->folder) != NULL);
}

void access_files_remove(struct access_files *files)
{
	DIR *folder = opendir(files->folder);
	CHECK(folder != NULL);
	struct dirent *entry;
	while ((entry = readdir(folder)) != NULL) {
		if (entry->d_name[0] != '.')
			CHECK(unlinkat(dirfd(folder), entry->d_name, 0) == 0);
	}
	closedir(folder);
	CHECK(rmdir(files->folder) == 0);
}

void access_files_write(const struct access_files *files, char setting[ACCESS_TEXT_BYTES_MAX], const char *name,
			const char *content)
{
	int size = snprintf(setting, ACCESS_TEXT_BYTES_MAX, "%s/%s", files->folder, name);
	CHECK(size > 0 && (unsigned)size < ACCESS_TEXT_BYTES_MAX);
	int fd = open(setting, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	CHECK(fd >= 0);
	CHECK(write(fd, content, strlen(content)) == (ssize_t)strlen(content));
	close(fd);
}

void access_files_write_secret(const struct access_files *files, struct access_settings *settings)
{
	access_files_write(files, settings->token_secret_file, "secret", SECRET);
}

static size_t add_part(char *out, size_t used, const void *bytes, size_t size)
{
	CHECK(sodium_bin2base64(out + used, TEST_TOKEN_BYTES_MAX - used, bytes, size,
				sodium_base64_VARIANT_URLSAFE_NO_PADDING) != NULL);
	return used + strlen(out + used);
}

const char *test_token(const char *claims, ...)
{
	static const char HEADER[] = "{\"alg\":\"HS256\"}";
	static char token[TEST_TOKEN_BYTES_MAX];
	char body[512];
	va_list arguments;
	va_start(arguments, claims);
	int body_bytes = vsnprintf(body, sizeof(body), claims, arguments);
	va_end(arguments);
	CHECK(body_bytes > 1 && (size_t)body_bytes < sizeof(body) - 64);
	if (strstr(body, "\"exp\"") == NULL) { /* a token has to have an end: a day from now */
		const char *comma = body_bytes > 2 ? "," : "";
		body_bytes--;
		body_bytes += snprintf(body + body_bytes, 64, "%s\"exp\":%ld}", comma, test_wall_s() + 86400);
	}

	size_t used = add_part(token, 0, HEADER, sizeof(HEADER) - 1);
	token[used++] = '.';
	used = add_part(token, used, body, (size_t)body_bytes);
	uint8_t signature[crypto_auth_hmacsha256_BYTES];
	crypto_auth_hmacsha256_state hash;
	crypto_auth_hmacsha256_init(&hash, (const uint8_t *)SECRET, sizeof(SECRET) - 1);
	crypto_auth_hmacsha256_update(&hash, (const uint8_t *)token, used);
	crypto_auth_hmacsha256_final(&hash, signature);
	token[used++] = '.';
	used = add_part(token, used, signature, sizeof(signature));
	token[used] = '\0';
	return token;
}

int64_t test_wall_s(void)
{
	return (int64_t)time(NULL);
}
