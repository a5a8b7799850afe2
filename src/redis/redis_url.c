#include "redis/redis_url.h"

#include "base/check.h"
#include "base/slice.h"

#include <stdarg.h>
#include <stdio.h>

#define DATABASE_MAX 65535u

_Static_assert(DATABASE_MAX <= 99999999, "no number of eight digits overflows");
_Static_assert(UINT16_MAX <= 99999999, "nor does a port");

static bool redis_url_fail(char fault[REDIS_URL_FAULT_BYTES], const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static bool redis_url_fail(char fault[REDIS_URL_FAULT_BYTES], const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(fault, REDIS_URL_FAULT_BYTES, format, arguments);
	va_end(arguments);
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

static bool takes_beginning(struct slice *text, const char *beginning)
{
	size_t size = strlen(beginning);
	if (!starts_with(*text, beginning))
		return false;
	*text = slice_of(text->data + size, text->size - size);
	return true;
}

/* Splits at the last @, since a password may contain one; for a socket at the first, since a path may contain one. */
static bool read_redis_login(struct slice *rest, bool last, struct redis_login *login,
			     char fault[REDIS_URL_FAULT_BYTES])
{
	struct slice text = take_until(rest, '@', last);
	if (text.data == NULL)
		return true;
	struct slice user = take_until(&text, ':', false);
	bool good = user.data == NULL /* a name alone */
			    ? copy_unescaped(text, login->user)
			    : copy_unescaped(user, login->user) && copy_unescaped(text, login->password);
	return good || redis_url_fail(fault, "user or password is too long, or has a broken %%-escape");
}

/* "host", "host:port", "[host]" or "[host]:port". */
static bool read_redis_host(struct slice text, uint16_t port_default, struct redis_place *place)
{
	struct slice host;
	struct slice port = slice_of(NULL, 0);
	uint32_t number = port_default;
	if (takes_beginning(&text, "[")) {
		host = take_until(&text, ']', false);
		if (host.data == NULL || (text.size != 0 && text.data[0] != ':'))
			return false;
		if (text.size != 0)
			port = slice_of(text.data + 1, text.size - 1);
	} else {
		host = take_until(&text, ':', false);
		if (host.data == NULL)
			host = text;
		else
			port = text;
	}
	if (host.size == 0 || !copy_unescaped(host, place->host))
		return false;
	if (port.data != NULL && (!read_redis_number(port, UINT16_MAX, &number) || number == 0))
		return false;
	place->port = (uint16_t)number;
	return true;
}

static bool read_redis_hosts(struct slice rest, struct redis_url *url, char fault[REDIS_URL_FAULT_BYTES])
{
	uint16_t port = url->kind == REDIS_SENTINEL ? REDIS_SENTINEL_PORT_DEFAULT : REDIS_PORT_DEFAULT;
	bool more = true;
	while (more) {
		struct slice text = url->kind != REDIS_SINGLE ? take_until(&rest, ',', false) : slice_of(NULL, 0);
		more = text.data != NULL;
		text = more ? text : rest;
		if (url->seed_count == REDIS_SEEDS_MAX)
			return redis_url_fail(fault, "it names more than %u servers", REDIS_SEEDS_MAX);
		if (memchr(text.data, ',', text.size) != NULL)
			return redis_url_fail(fault, "a list of servers is for redis+cluster:// and redis+sentinel://");
		if (!read_redis_host(text, port, &url->seeds[url->seed_count]))
			return redis_url_fail(
				fault, "server %u, \"%.*s\": there is no host, or no port from 1 to 65535 behind it",
				url->seed_count + 1, (int)(text.size < 100 ? text.size : 100),
				text.size != 0 ? (const char *)text.data : "");
		url->seed_count++;
	}
	return true;
}

static bool read_redis_database(struct slice text, struct redis_url *url, char fault[REDIS_URL_FAULT_BYTES])
{
	if (text.size != 0 && !read_redis_number(text, DATABASE_MAX, &url->database))
		return redis_url_fail(fault, "what stands behind the / is not the number of a database");
	if (url->kind == REDIS_CLUSTER && url->database != 0)
		return redis_url_fail(fault, "a cluster has database 0 alone");
	return true;
}

/* Behind the / of Sentinels. */
static bool read_redis_master(struct slice *rest, struct redis_url *url, char fault[REDIS_URL_FAULT_BYTES])
{
	struct slice name = take_until(rest, '/', false);
	if (name.data == NULL) {
		name = *rest;
		*rest = slice_of(NULL, 0);
	}
	return (name.size != 0 && copy_unescaped(name, url->master)) ||
	       redis_url_fail(fault, "behind the Sentinels / and the name of the master is wanted, as they know it");
}

/* sentinel_user=U&sentinel_password=P, or one of them. */
static bool read_sentinel_login(struct slice rest, struct redis_url *url, char fault[REDIS_URL_FAULT_BYTES])
{
	bool more = true;
	while (more) {
		struct slice text = take_until(&rest, '&', false);
		more = text.data != NULL;
		text = more ? text : rest;
		bool good = takes_beginning(&text, "sentinel_user=") ? copy_unescaped(text, url->sentinel_login.user)
			    : takes_beginning(&text, "sentinel_password=")
				    ? copy_unescaped(text, url->sentinel_login.password)
				    : false;
		if (!good)
			return redis_url_fail(
				fault, "behind the ? only sentinel_user= and sentinel_password= may stand, with & "
				       "in between");
	}
	return true;
}

/* The password may contain what divides the rest, so only the whole beginning of a parameter is one. */
static bool cut_sentinel_login(struct slice *rest, struct redis_url *url, char fault[REDIS_URL_FAULT_BYTES])
{
	static const char BEGINNING[] = "?sentinel_";
	const uint8_t *found =
		rest->size != 0 ? memmem(rest->data, rest->size, BEGINNING, sizeof(BEGINNING) - 1) : NULL;
	if (found == NULL)
		return true;
	struct slice login = slice_of(found + 1, rest->size - (size_t)(found - rest->data) - 1);
	*rest = slice_of(rest->data, (size_t)(found - rest->data));
	return read_sentinel_login(login, url, fault);
}

static bool parse_redis_tcp(struct slice rest, struct redis_url *url, char fault[REDIS_URL_FAULT_BYTES])
{
	if (url->kind == REDIS_SENTINEL && !cut_sentinel_login(&rest, url, fault))
		return false;
	if (!read_redis_login(&rest, true, &url->login, fault))
		return false;
	struct slice servers = take_until(&rest, '/', false);
	struct slice path = servers.data != NULL ? rest : slice_of(NULL, 0);
	if (servers.data == NULL)
		servers = rest;
	return read_redis_hosts(servers, url, fault) &&
	       (url->kind != REDIS_SENTINEL || read_redis_master(&path, url, fault)) &&
	       read_redis_database(path, url, fault);
}

static bool parse_redis_unix(struct slice rest, struct redis_url *url, char fault[REDIS_URL_FAULT_BYTES])
{
	if (!starts_with(rest, "/") && !read_redis_login(&rest, false, &url->login, fault))
		return false;
	struct slice query = rest;
	struct slice path = take_until(&query, '?', false);
	if (path.data == NULL)
		path = rest;
	else if (!starts_with(query, "db=") ||
		 !read_redis_number(slice_of(query.data + 3, query.size - 3), DATABASE_MAX, &url->database))
		return redis_url_fail(fault, "behind the ? only db= and a number may stand");
	if (!starts_with(path, "/") || !copy_unescaped(path, url->seeds[0].host))
		return redis_url_fail(fault, "there is no absolute path");
	url->seed_count = 1;
	return true;
}

bool redis_url_parse(const char *text, struct redis_url *url, char fault[REDIS_URL_FAULT_BYTES])
{
	static const struct {
		const char *beginning;
		enum redis_kind kind;
		bool is_tls;
	} FORMS[] = {
		{"redis://", REDIS_SINGLE, false},
		{"rediss://", REDIS_SINGLE, true},
		{"redis+cluster://", REDIS_CLUSTER, false},
		{"rediss+cluster://", REDIS_CLUSTER, true},
		{"redis+sentinel://", REDIS_SENTINEL, false},
		{"rediss+sentinel://", REDIS_SENTINEL, true},
	};
	struct slice rest = slice_string(text);
	*url = (struct redis_url){0};
	for (size_t i = 0; i < sizeof(FORMS) / sizeof(FORMS[0]); i++) {
		if (!takes_beginning(&rest, FORMS[i].beginning))
			continue;
		url->kind = FORMS[i].kind;
		url->is_tls = FORMS[i].is_tls;
		return parse_redis_tcp(rest, url, fault);
	}
	if (takes_beginning(&rest, "unix://"))
		return parse_redis_unix(rest, url, fault);
	return redis_url_fail(fault,
			      "begins with none of redis://, redis+cluster://, redis+sentinel://, the same with rediss "
			      "for TLS, and unix://");
}

bool redis_place_equal(const struct redis_place *one, const struct redis_place *other)
{
	return one->port == other->port && strcmp(one->host, other->host) == 0;
}

const char *redis_place_text(const struct redis_place *place, char text[REDIS_PLACE_BYTES])
{
	bool is_v6 = strchr(place->host, ':') != NULL;
	if (place->port == 0)
		snprintf(text, REDIS_PLACE_BYTES, "%s", place->host);
	else
		snprintf(text, REDIS_PLACE_BYTES, "%s%s%s:%u", is_v6 ? "[" : "", place->host, is_v6 ? "]" : "",
			 place->port);
	return text;
}
