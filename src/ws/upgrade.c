#include "ws/upgrade.h"

#include "base/check.h"
#include "http/response.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <strings.h>

/* What the server's answer to a key proves that it has read [RFC 6455, 1.3]. */
static const char KEY_SUFFIX[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
#define SHA1_BYTES 20u
_Static_assert((SHA1_BYTES + 2) / 3 * 4 == WS_ACCEPT_BYTES, "base64 of a hash");

#define PLAIN_TEXT "Content-Type: text/plain; charset=utf-8\r\n"
#define UPGRADE_FIELDS "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"

/* ---- keys ---- */

void ws_key_write(const uint8_t random[16], char key[WS_KEY_BYTES + 1])
{
	CHECK_EQ(EVP_EncodeBlock((uint8_t *)key, random, 16), (int)WS_KEY_BYTES);
}

void ws_accept_key(const char key[WS_KEY_BYTES], char accept[WS_ACCEPT_BYTES + 1])
{
	uint8_t text[WS_KEY_BYTES + sizeof(KEY_SUFFIX) - 1], hash[SHA1_BYTES];
	memcpy(text, key, WS_KEY_BYTES);
	memcpy(text + WS_KEY_BYTES, KEY_SUFFIX, sizeof(KEY_SUFFIX) - 1);
	CHECK(EVP_Digest(text, sizeof(text), hash, NULL, EVP_sha1(), NULL) == 1);
	CHECK_EQ(EVP_EncodeBlock((uint8_t *)accept, hash, sizeof(hash)), (int)WS_ACCEPT_BYTES);
}

/* Base64 of 16 bytes: 22 characters, of which the last has four bits that say nothing, and "==". */
static bool is_key(struct slice text)
{
	static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	if (text.size != WS_KEY_BYTES || memcmp(text.data + WS_KEY_BYTES - 2, "==", 2) != 0)
		return false;
	for (size_t i = 0; i < WS_KEY_BYTES - 2; i++) {
		if (memchr(DIGITS, text.data[i], sizeof(DIGITS) - 1) == NULL)
			return false;
	}
	return true;
}

/* ---- the request ---- */

/* A request on its way through the checks, and what is said to it. */
struct upgrade {
	const struct ws_rules *rules;
	struct http_head head;
	enum http_status status; /* of the refusal */
	const char *fields;
	const char *sentence;
};

/* Sets what the refusal says. Returns the error. */
static enum error upgrade_refuse(struct upgrade *upgrade, enum error error, enum http_status status, const char *fields,
				 const char *sentence)
{
	upgrade->status = status;
	upgrade->fields = fields;
	upgrade->sentence = sentence;
	return error;
}

/* The value of the only field with this name; data is NULL where there is none, or more than one. */
static struct slice only_field(const struct http_head *head, const char *name)
{
	struct slice value = {0};
	for (uint32_t i = 0; i < head->field_count; i++) {
		if (!http_text_equal(head->fields[i].name, name))
			continue;
		if (value.data != NULL)
			return (struct slice){0};
		value = head->fields[i].value;
	}
	return value;
}

/* "/mqtt?token=x" and "http://host/mqtt" are /mqtt [RFC 9112, 3.2]. */
static struct slice path_of(struct slice target)
{
	static const char *const SCHEMES[] = {"http://", "https://"};
	for (size_t i = 0; i < sizeof(SCHEMES) / sizeof(SCHEMES[0]); i++) {
		size_t size = strlen(SCHEMES[i]);
		if (target.size < size || strncasecmp((const char *)target.data, SCHEMES[i], size) != 0)
			continue;
		const uint8_t *slash = memchr(target.data + size, '/', target.size - size);
		target = slash != NULL ? slice_of(slash, target.size - (size_t)(slash - target.data))
				       : slice_string("/");
		break;
	}
	const uint8_t *query = memchr(target.data, '?', target.size);
	return query != NULL ? slice_of(target.data, (size_t)(query - target.data)) : target;
}

static bool list_has(const char *const *list, size_t count, struct slice text)
{
	for (size_t i = 0; i < count; i++) {
		if (slice_equal(text, slice_string(list[i])))
			return true;
	}
	return false;
}

static bool asks_for_websocket(const struct http_head *head)
{
	return http_head_has_token(head, "upgrade", "websocket") && http_head_has_token(head, "connection", "upgrade");
}

/* Whether it is for a WebSocket at all, at a place where there is one. */
static enum error check_purpose(struct upgrade *upgrade)
{
	const struct http_head *head = &upgrade->head;
	const struct ws_rules *rules = upgrade->rules;
	bool asks = asks_for_websocket(head);
	if (rules->path_count != 0 && !list_has(rules->paths, rules->path_count, path_of(head->target)))
		return upgrade_refuse(upgrade, asks ? ERROR_WS_PATH : ERROR_WS_NO_UPGRADE, HTTP_NOT_FOUND, "",
				      "There is no WebSocket at this path.\n");
	if (!slice_equal(head->method, slice_string("GET")))
		return upgrade_refuse(upgrade, ERROR_WS_NO_UPGRADE, HTTP_METHOD_NOT_ALLOWED, "Allow: GET\r\n",
				      "This is MQTT over a WebSocket, which begins with GET.\n");
	if (head->minor == 0)
		return upgrade_refuse(
			upgrade, ERROR_WS_NO_UPGRADE, HTTP_UPGRADE_REQUIRED, UPGRADE_FIELDS,
			"A WebSocket needs HTTP/1.1, and this is HTTP/1.0. A proxy in between may have to be told: "
			"nginx by proxy_http_version.\n");
	if (!asks)
		return upgrade_refuse(
			upgrade, ERROR_WS_NO_UPGRADE, HTTP_UPGRADE_REQUIRED, UPGRADE_FIELDS,
			"This is MQTT over a WebSocket, and the request does not ask for one. A proxy in between "
			"may have dropped its fields Upgrade and Connection.\n");
	return ERROR_OK;
}

static enum error check_handshake(struct upgrade *upgrade)
{
	const struct http_head *head = &upgrade->head;
	if (!slice_equal(only_field(head, "sec-websocket-version"), slice_string("13")))
		return upgrade_refuse(upgrade, ERROR_WS_VERSION, HTTP_UPGRADE_REQUIRED, UPGRADE_FIELDS,
				      "The WebSocket's version has to be 13.\n");
	if (!is_key(only_field(head, "sec-websocket-key")))
		return upgrade_refuse(upgrade, ERROR_WS_REQUEST, HTTP_BAD_REQUEST, "",
				      "Sec-WebSocket-Key has to be 16 bytes in base64, once.\n");
	if (head->chunked || (head->has_length && head->length != 0))
		return upgrade_refuse(upgrade, ERROR_WS_REQUEST, HTTP_BAD_REQUEST, "",
				      "The request for a WebSocket has no body.\n");
	return ERROR_OK;
}

/* Scheme and host of an origin are in small letters as browsers write them, and compared as they are [RFC 6454, 6.2].
 */
static enum error check_page_origin(struct upgrade *upgrade)
{
	const struct ws_rules *rules = upgrade->rules;
	if (http_head_field(&upgrade->head, "origin").data == NULL || rules->origin_count == 0 ||
	    list_has(rules->origins, rules->origin_count, slice_string("*")))
		return ERROR_OK;
	struct slice origin = only_field(&upgrade->head, "origin");
	if (origin.data != NULL && list_has(rules->origins, rules->origin_count, origin))
		return ERROR_OK;
	return upgrade_refuse(upgrade, ERROR_WS_ORIGIN, HTTP_FORBIDDEN, "",
			      "Pages of this origin may not connect here.\n");
}

/* Names of subprotocols have capitals and small letters, unlike most in HTTP [RFC 6455, 4.1]. */
static bool offers_protocol(const struct http_head *head, const char *name)
{
	for (uint32_t i = 0; i < head->field_count; i++) {
		if (!http_text_equal(head->fields[i].name, "sec-websocket-protocol"))
			continue;
		struct slice list = head->fields[i].value;
		for (size_t at = 0, end; at <= list.size; at = end + 1) {
			const uint8_t *comma = at < list.size ? memchr(list.data + at, ',', list.size - at) : NULL;
			end = comma != NULL ? (size_t)(comma - list.data) : list.size;
			size_t begin = at, behind = end;
			while (begin < behind && (list.data[begin] == ' ' || list.data[begin] == '\t'))
				begin++;
			while (begin < behind && (list.data[behind - 1] == ' ' || list.data[behind - 1] == '\t'))
				behind--;
			if (slice_equal(slice_of(list.data + begin, behind - begin), slice_string(name)))
				return true;
		}
	}
	return false;
}

/* [MQTT-6.0.0-3], and what clients of version 3.1 call it. NULL: neither. */
static const char *choose_protocol(const struct http_head *head)
{
	if (offers_protocol(head, "mqtt"))
		return "mqtt";
	return offers_protocol(head, "mqttv3.1") ? "mqttv3.1" : NULL;
}

static size_t write_acceptance(const struct http_head *head, const char *protocol, char response[WS_RESPONSE_BYTES_MAX])
{
	char accept[WS_ACCEPT_BYTES + 1];
	ws_accept_key((const char *)only_field(head, "sec-websocket-key").data, accept);
	int size = snprintf(response, WS_RESPONSE_BYTES_MAX,
			    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
			    "Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: %s\r\n\r\n",
			    accept, protocol);
	CHECK(size > 0 && (size_t)size < WS_RESPONSE_BYTES_MAX);
	return (size_t)size;
}

/* An answer to HEAD has no body [RFC 9110, 9.3.2]. */
static size_t write_refusal(const struct upgrade *upgrade, int64_t date_s, char response[WS_RESPONSE_BYTES_MAX])
{
	char head[HTTP_RESPONSE_HEAD_BYTES_MAX], fields[HTTP_RESPONSE_FIELDS_BYTES_MAX];
	size_t body = strlen(upgrade->sentence);
	snprintf(fields, sizeof(fields), PLAIN_TEXT "%s", upgrade->fields);
	struct http_response answer = {
		.status = upgrade->status, .fields = fields, .body_bytes = body, .date_s = date_s, .close = true};
	size_t size = http_response_write(&answer, head);
	CHECK_LE(size + body, WS_RESPONSE_BYTES_MAX);
	memcpy(response, head, size);
	if (slice_equal(upgrade->head.method, slice_string("HEAD")))
		return size;
	memcpy(response + size, upgrade->sentence, body);
	return size + body;
}

/* How the bytes were cut makes no difference: those beyond the limit are not looked at. */
static enum error read_request(struct upgrade *upgrade, struct slice bytes, size_t *consumed)
{
	struct http_scan scan = {0};
	struct slice within =
		slice_of(bytes.data, bytes.size < WS_REQUEST_BYTES_MAX ? bytes.size : WS_REQUEST_BYTES_MAX);
	enum http_status status = http_head_scan(&scan, within);
	if (status == HTTP_NEEDS_MORE && within.size < WS_REQUEST_BYTES_MAX)
		return ERROR_MORE;
	if (status == HTTP_NEEDS_MORE)
		status = HTTP_FIELDS_TOO_LARGE;
	if (status == HTTP_OK)
		status = http_head_parse(&upgrade->head, slice_of(within.data + scan.begin, scan.at - scan.begin));
	*consumed = scan.at;
	if (status == HTTP_OK)
		return ERROR_OK;
	upgrade->head.method = (struct slice){0};
	return upgrade_refuse(upgrade, ERROR_WS_REQUEST, status, "", "The request is malformed, or too large.\n");
}

enum error ws_upgrade_read(const struct ws_rules *rules, struct slice bytes, int64_t date_s, size_t *consumed,
			   char response[WS_RESPONSE_BYTES_MAX], size_t *response_bytes)
{
	struct upgrade upgrade;
	upgrade.rules = rules;
	*consumed = *response_bytes = 0;
	enum error error = read_request(&upgrade, bytes, consumed);
	if (error == ERROR_MORE)
		return error;
	if (error == ERROR_OK)
		error = check_purpose(&upgrade);
	if (error == ERROR_OK)
		error = check_handshake(&upgrade);
	if (error == ERROR_OK)
		error = check_page_origin(&upgrade);
	const char *protocol = error == ERROR_OK ? choose_protocol(&upgrade.head) : NULL;
	if (error == ERROR_OK && protocol == NULL)
		error = upgrade_refuse(&upgrade, ERROR_WS_PROTOCOL, HTTP_BAD_REQUEST, "",
				       "Sec-WebSocket-Protocol has to name mqtt.\n");
	*response_bytes = error == ERROR_OK ? write_acceptance(&upgrade.head, protocol, response)
					    : write_refusal(&upgrade, date_s, response);
	return error;
}

/* ---- the client's side ---- */

size_t ws_request_write(const char *host, const char *path, const char *key, char request[WS_RESPONSE_BYTES_MAX])
{
	CHECK_EQ(strlen(key), WS_KEY_BYTES);
	int size =
		snprintf(request, WS_RESPONSE_BYTES_MAX,
			 "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
			 "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n",
			 path, host, key);
	return size > 0 && (size_t)size < WS_RESPONSE_BYTES_MAX ? (size_t)size : 0;
}

/* Whether the head has the line "name: value". Only the value's case matters. */
static bool has_line(struct slice head, const char *name, const char *value)
{
	size_t name_bytes = strlen(name), value_bytes = strlen(value);
	for (const uint8_t *at = head.data, *end = head.data + head.size; at < end;) {
		const uint8_t *line_end = memchr(at, '\r', (size_t)(end - at));
		size_t size = (size_t)((line_end != NULL ? line_end : end) - at);
		if (size > name_bytes && at[name_bytes] == ':' &&
		    strncasecmp((const char *)at, name, name_bytes) == 0) {
			const uint8_t *text = at + name_bytes + 1;
			size -= name_bytes + 1;
			for (; size != 0 && *text == ' '; size--)
				text++;
			while (size != 0 && text[size - 1] == ' ')
				size--;
			if (size == value_bytes && memcmp(text, value, size) == 0)
				return true;
		}
		at = line_end != NULL ? line_end + 2 : end; /* behind CR LF */
	}
	return false;
}

/* "HTTP/1.1 101"; 0: it is no HTTP. */
static int status_of(struct slice head)
{
	static const char PREFIX[] = "HTTP/1.";
	const size_t prefix = sizeof(PREFIX) - 1;
	if (head.size < prefix + 5 || memcmp(head.data, PREFIX, prefix) != 0 || head.data[prefix + 1] != ' ')
		return 0;
	int status = 0;
	for (size_t i = prefix + 2; i < prefix + 5; i++) {
		if (head.data[i] < '0' || head.data[i] > '9')
			return 0;
		status = status * 10 + (head.data[i] - '0');
	}
	return status;
}

enum error ws_response_read(struct slice bytes, const char *key, size_t *consumed, int *status)
{
	char accept[WS_ACCEPT_BYTES + 1];
	struct slice head = slice_of(bytes.data, bytes.size < WS_REQUEST_BYTES_MAX ? bytes.size : WS_REQUEST_BYTES_MAX);
	*consumed = 0;
	*status = 0;
	const uint8_t *end = head.size != 0 ? memmem(head.data, head.size, "\r\n\r\n", 4) : NULL;
	if (end == NULL)
		return head.size < WS_REQUEST_BYTES_MAX ? ERROR_MORE : ERROR_WS_REQUEST;
	head.size = (size_t)(end - head.data) + 2;
	*status = status_of(head);
	ws_accept_key(key, accept);
	if (*status != HTTP_SWITCHING_PROTOCOLS || !has_line(head, "sec-websocket-accept", accept) ||
	    !has_line(head, "sec-websocket-protocol", "mqtt"))
		return ERROR_WS_REQUEST;
	*consumed = head.size + 2;
	return ERROR_OK;
}
