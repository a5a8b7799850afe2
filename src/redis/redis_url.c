#include "redis/redis_url.h"

#include "base/check.h"
#include "base/slice.h"

#define DATABASE_MAX 65535u

_Static_assert(DATABASE_MAX <= 99999999, "no number of eight digits overflows");
_Static_assert(UINT16_MAX <= 99999999, "nor does a port");

static bool redis_url_fail(const char **why, const char *sentence)
{
	*why = sentence;
	return false;
}

static int hex_value(uint8_t letter)
{
	if (letter >= '0' && letter <= '9')
		return letter - '0';
	letter |= 0x20;
	return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

/* Copies the text and decodes %-escapes. Returns false if it is too long, an escape is broken, or a byte is 0. */
static bool copy_unescaped(struct slice text, char out[REDIS_TEXT_BYTES_MAX])
{
	size_t size = 0;
	for (size_t i = 0; i < text.size; i++) {
		uint8_t byte = text.data[i];
		if (byte == '%') {
			int high = text.size - i > 2 ? hex_value(text.data[i + 1]) : -1;
			int low = high >= 0 ? hex_value(text.data[i + 2]) : -1;
			if (low < 0)
				return false;
			byte = (uint8_t)(high << 4 | low);
			i += 2;
		}
		if (byte == '\0' || size == REDIS_TEXT_BYTES_MAX - 1)
			return false;
		out[size++] = (char)byte;
	}
	CHECK(size < REDIS_TEXT_BYTES_MAX);
	out[size] = '\0';
	return true;
}

static bool read_redis_number(struct slice text, uint32_t most, uint32_t *number)
{
	*number = 0;
	for (size_t i = 0; i < text.size; i++) {
		if (text.data[i] < '0' || text.data[i] > '9' || i > 8)
			return false;
		*number = *number * 10 + (uint32_t)(text.data[i] - '0');
	}
	return text.size != 0 && *number <= most;
}

/* Splits at the first (or last) such letter. Returns what precedes it, and leaves what follows in *rest. Returns a
 * slice with data NULL if there is none. */
static struct slice take_until(struct slice *rest, uint8_t letter, bool last)
{
	const uint8_t *found = NULL;
	if (rest->size != 0)
		found = last ? memrchr(rest->data, letter, rest->size) : memchr(rest->data, letter, rest->size);
	if (found == NULL)
		return slice_of(NULL, 0);
	struct slice before = slice_of(rest->data, (size_t)(found - rest->data));
	*rest = slice_of(found + 1, rest->size - before.size - 1);
	return before;
}

static bool starts_with(struct slice text, const char *beginning)
{
	size_t size = strlen(beginning);
	return text.size >= size && memcmp(text.data, beginning, size) == 0;
}

/* Splits at the last @, since a password may contain one; for a socket at the first, since a path may contain one. */
static bool read_redis_login(struct slice *rest, bool last, struct redis_url *url)
{
	struct slice login = take_until(rest, '@', last);
	if (login.data == NULL)
		return true;
	struct slice user = take_until(&login, ':', false);
	if (user.data == NULL) /* a name alone */
		return copy_unescaped(login, url->user);
	return copy_unescaped(user, url->user) && copy_unescaped(login, url->password);
}

static bool read_redis_host(struct slice *rest, struct redis_url *url)
{
	struct slice host;
	if (starts_with(*rest, "[")) {
		*rest = slice_of(rest->data + 1, rest->size - 1);
		host = take_until(rest, ']', false);
		if (host.data == NULL || (rest->size != 0 && rest->data[0] != ':'))
			return false;
		if (rest->size != 0)
			*rest = slice_of(rest->data + 1, rest->size - 1);
		else
			*rest = slice_of(NULL, 0);
	} else {
		host = take_until(rest, ':', false);
		if (host.data == NULL) {
			host = *rest;
			*rest = slice_of(NULL, 0);
		}
	}
	if (host.size == 0 || !copy_unescaped(host, url->host))
		return false;
	uint32_t port = REDIS_PORT_DEFAULT;
	bool has_port = rest->data != NULL;
	if (has_port && (!read_redis_number(*rest, UINT16_MAX, &port) || port == 0))
		return false;
	url->port = (uint16_t)port;
	return true;
}

static bool parse_redis_tcp(struct slice rest, struct redis_url *url, const char **why)
{
	if (!read_redis_login(&rest, true, url))
		return redis_url_fail(why, "user or password is too long, or has a broken %-escape");
	struct slice authority = take_until(&rest, '/', false);
	struct slice database = authority.data != NULL ? rest : slice_of(NULL, 0);
	if (authority.data == NULL)
		authority = rest;
	if (!read_redis_host(&authority, url))
		return redis_url_fail(why, "there is no host, or no port from 1 to 65535 behind it");
	if (database.size != 0 && !read_redis_number(database, DATABASE_MAX, &url->database))
		return redis_url_fail(why, "what stands behind the / is not the number of a database");
	return true;
}

static bool parse_redis_unix(struct slice rest, struct redis_url *url, const char **why)
{
	url->is_unix = true;
	if (!starts_with(rest, "/") && !read_redis_login(&rest, false, url))
		return redis_url_fail(why, "user or password is too long, or has a broken %-escape");
	struct slice query = rest;
	struct slice path = take_until(&query, '?', false);
	if (path.data == NULL)
		path = rest;
	else if (!starts_with(query, "db=") ||
		 !read_redis_number(slice_of(query.data + 3, query.size - 3), DATABASE_MAX, &url->database))
		return redis_url_fail(why, "behind the ? only db= and a number may stand");
	if (!starts_with(path, "/") || !copy_unescaped(path, url->host))
		return redis_url_fail(why, "there is no absolute path");
	return true;
}

bool redis_url_parse(const char *text, struct redis_url *url, const char **why)
{
	static const char TCP[] = "redis://", TLS[] = "rediss://", UNIX[] = "unix://";
	struct slice whole = slice_string(text);
	*url = (struct redis_url){0};
	url->is_tls = starts_with(whole, TLS);
	if (url->is_tls)
		return parse_redis_tcp(slice_of(whole.data + sizeof(TLS) - 1, whole.size - sizeof(TLS) + 1), url, why);
	if (starts_with(whole, TCP))
		return parse_redis_tcp(slice_of(whole.data + sizeof(TCP) - 1, whole.size - sizeof(TCP) + 1), url, why);
	if (starts_with(whole, UNIX))
		return parse_redis_unix(slice_of(whole.data + sizeof(UNIX) - 1, whole.size - sizeof(UNIX) + 1), url,
					why);
	return redis_url_fail(why, "begins with none of redis://, rediss:// and unix://");
}
