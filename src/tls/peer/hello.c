#include "tls/peer/hello.h"

#define RECORD_HEAD_BYTES 5u
#define RECORD_HANDSHAKE 22
#define MESSAGE_HEAD_BYTES 4u
#define MESSAGE_CLIENT_HELLO 1
#define RANDOM_BYTES 32u

enum extension { EXTENSION_SERVER_NAME = 0, EXTENSION_SESSION_TICKET = 35, EXTENSION_PRE_SHARED_KEY = 41 };

/* ---- what it is ---- */

/* As far as there are bytes: the rest may still come. */
static bool may_begin(struct slice input, const char *text)
{
	size_t size = strlen(text);
	return memcmp(input.data, text, input.size < size ? input.size : size) == 0;
}

static enum error look_at_http(struct slice input)
{
	static const char *const METHODS[] = {"GET ",     "HEAD ",    "POST ",  "PUT ",   "DELETE ",
					      "OPTIONS ", "CONNECT ", "PATCH ", "TRACE ", "PRI "};
	for (size_t i = 0; i < sizeof(METHODS) / sizeof(METHODS[0]); i++) {
		if (may_begin(input, METHODS[i]))
			return input.size < strlen(METHODS[i]) ? ERROR_MORE : ERROR_TLS_PLAIN_HTTP;
	}
	return ERROR_TLS_NOT_TLS;
}

/* A CONNECT of MQTT: its type, a length of one to four bytes, and the beginning of the protocol's name, 00 04 'M' or
 * 00 06 'M'. */
static enum error look_at_mqtt(struct slice input)
{
	size_t at = 1;
	while (at < input.size && at < 4 && (input.data[at] & 0x80) != 0)
		at++;
	at++;
	static const uint8_t NAMES[][3] = {{0, 4, 'M'}, {0, 6, 'M'}};
	for (size_t i = 0; i < 2; i++) {
		size_t have = at >= input.size ? 0 : input.size - at;
		have = have < 3 ? have : 3;
		if (have == 0 || memcmp(input.data + at, NAMES[i], have) == 0)
			return have < 3 ? ERROR_MORE : ERROR_TLS_PLAIN_MQTT;
	}
	return ERROR_TLS_NOT_TLS;
}

/* SSL 2's ClientHello, which spoke of SSL 3 as well: a length with the highest bit set, and the type 1. */
static enum error look_at_ssl2(struct slice input)
{
	if (input.size < 3)
		return ERROR_MORE;
	return input.data[2] == MESSAGE_CLIENT_HELLO ? ERROR_TLS_VERSION : ERROR_TLS_NOT_TLS;
}

static size_t record_content_bytes(struct slice input)
{
	return (size_t)input.data[3] << 8 | input.data[4];
}

enum error tls_hello_look(struct slice input)
{
	if (input.size == 0)
		return ERROR_MORE;
	uint8_t first = input.data[0];
	if (first >= 'A' && first <= 'Z')
		return look_at_http(input);
	if (first == 0x10)
		return look_at_mqtt(input);
	if ((first & 0x80) != 0)
		return look_at_ssl2(input);
	if (first != RECORD_HANDSHAKE)
		return ERROR_TLS_NOT_TLS;
	if (input.size >= 2 && input.data[1] != 3)
		return ERROR_TLS_NOT_TLS;
	if (input.size < RECORD_HEAD_BYTES)
		return ERROR_MORE;
	size_t content = record_content_bytes(input);
	if (content == 0 || content > TLS_HELLO_BYTES_MAX - RECORD_HEAD_BYTES)
		return ERROR_TLS_RECORD_LENGTH;
	if (input.size > RECORD_HEAD_BYTES && input.data[RECORD_HEAD_BYTES] != MESSAGE_CLIENT_HELLO)
		return ERROR_TLS_NOT_TLS;
	return input.size - RECORD_HEAD_BYTES < content ? ERROR_MORE : ERROR_OK;
}

/* ---- its extensions ---- */

/* Takes so many bytes off the front; false: there are fewer. */
static bool take(struct slice *from, size_t size, struct slice *taken)
{
	if (from->size < size)
		return false;
	*taken = slice_of(from->data, size);
	*from = slice_of(from->data + size, from->size - size);
	return true;
}

/* The same, of a length that stands before them in length_bytes bytes. */
static bool take_vector(struct slice *from, size_t length_bytes, struct slice *taken)
{
	struct slice length;
	size_t size = 0;
	if (!take(from, length_bytes, &length))
		return false;
	for (size_t i = 0; i < length_bytes; i++)
		size = size << 8 | length.data[i];
	return take(from, size, taken);
}

/* The ClientHello's extensions [RFC 8446, 4.1.2]; false: it is no whole one, or has none. */
static bool hello_extensions(struct slice input, struct slice *extensions)
{
	struct slice rest, hello, unused;
	if (tls_hello_look(input) != ERROR_OK)
		return false;
	rest = slice_of(input.data + 3, input.size - 3);
	if (!take_vector(&rest, 2, &hello) || !take(&hello, 1, &unused) || unused.data[0] != MESSAGE_CLIENT_HELLO)
		return false;
	rest = hello;
	return take_vector(&rest, 3, &hello) && take(&hello, 2 + RANDOM_BYTES, &unused) && /* version, random */
	       take_vector(&hello, 1, &unused) &&                                          /* session id */
	       take_vector(&hello, 2, &unused) &&                                          /* cipher suites */
	       take_vector(&hello, 1, &unused) &&                                          /* compression */
	       take_vector(&hello, 2, extensions);
}

/* The first extension of this type with content; size 0: there is none. */
static struct slice find_extension(struct slice extensions, enum extension wanted)
{
	struct slice type, content;
	while (take(&extensions, 2, &type) && take_vector(&extensions, 2, &content)) {
		if ((type.data[0] << 8 | type.data[1]) == (int)wanted)
			return content;
	}
	return slice_of(NULL, 0);
}

bool tls_hello_resumes(struct slice input)
{
	struct slice extensions;
	/* An empty ticket extension only asks for one. */
	return hello_extensions(input, &extensions) && (find_extension(extensions, EXTENSION_SESSION_TICKET).size > 0 ||
							find_extension(extensions, EXTENSION_PRE_SHARED_KEY).size > 0);
}

struct slice tls_hello_server_name(struct slice input)
{
	struct slice extensions, list, kind, name;
	if (!hello_extensions(input, &extensions))
		return slice_of(NULL, 0);
	struct slice content = find_extension(extensions, EXTENSION_SERVER_NAME);
	/* [RFC 6066, 3]: a list of which the first entry is a host's name, type 0. */
	if (!take_vector(&content, 2, &list) || !take(&list, 1, &kind) || kind.data[0] != 0 ||
	    !take_vector(&list, 2, &name))
		return slice_of(NULL, 0);
	return name;
}
