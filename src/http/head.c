#include "http/head.h"

#include "base/check.h"

#include <strings.h>

/* A length with more digits is too large for any service, and might overflow. */
#define LENGTH_DIGITS_MAX 18u

/* ---- characters ---- */

/* The characters of method and field names [RFC 9110, 5.6.2]. */
static bool is_token_character(uint8_t byte)
{
	if ((byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z'))
		return true;
	return byte != '\0' && strchr("!#$%&'*+-.^_`|~", byte) != NULL;
}

static bool is_token(struct slice text)
{
	for (size_t i = 0; i < text.size; i++) {
		if (!is_token_character(text.data[i]))
			return false;
	}
	return text.size != 0;
}

static bool is_visible(struct slice text)
{
	for (size_t i = 0; i < text.size; i++) {
		if (text.data[i] <= ' ' || text.data[i] > '~')
			return false;
	}
	return text.size != 0;
}

/* [RFC 9110, 5.5]; bytes beyond ASCII are allowed. */
static bool is_field_value(struct slice text)
{
	for (size_t i = 0; i < text.size; i++) {
		uint8_t byte = text.data[i];
		if ((byte < ' ' && byte != '\t') || byte == 0x7f)
			return false;
	}
	return true;
}

/* A host, or host and port [RFC 3986, 3.2]. User information is not allowed. */
static bool is_authority(struct slice text)
{
	for (size_t i = 0; i < text.size; i++) {
		uint8_t byte = text.data[i];
		if (!is_token_character(byte) && (byte == '\0' || strchr("()*,;=:[]", byte) == NULL))
			return false;
	}
	return true;
}

static struct slice trim_space(struct slice text)
{
	while (text.size != 0 && (text.data[0] == ' ' || text.data[0] == '\t'))
		text = slice_of(text.data + 1, text.size - 1);
	while (text.size != 0 && (text.data[text.size - 1] == ' ' || text.data[text.size - 1] == '\t'))
		text.size--;
	return text;
}

bool http_text_equal(struct slice text, const char *other)
{
	return text.size == strlen(other) && strncasecmp((const char *)text.data, other, text.size) == 0;
}

/* ---- the end of the head ---- */

/* The status for a head whose current line passes the limit. */
static enum http_status too_large(const struct http_scan *scan)
{
	return scan->line == scan->begin ? HTTP_URI_TOO_LONG : HTTP_FIELDS_TOO_LARGE;
}

enum http_status http_head_scan(struct http_scan *scan, struct slice bytes)
{
	CHECK(scan->begin <= scan->line && scan->line <= scan->at && scan->at <= bytes.size);
	while (scan->at < bytes.size) {
		/* Refuses clients of another protocol at once: they may never send the end of a line. */
		if (scan->at == scan->begin && bytes.data[scan->at] != '\r' &&
		    !is_token_character(bytes.data[scan->at]))
			return HTTP_BAD_REQUEST;
		const uint8_t *end = memchr(bytes.data + scan->at, '\n', bytes.size - scan->at);
		if (end == NULL) {
			scan->at = bytes.size;
			break;
		}
		scan->at = (size_t)(end - bytes.data) + 1;
		if (scan->at - scan->begin > HTTP_HEAD_BYTES_MAX)
			return too_large(scan); /* as if it had arrived in pieces and been refused before its end */
		size_t line_bytes = scan->at - scan->line;
		if (line_bytes < 2 || end[-1] != '\r')
			return HTTP_BAD_REQUEST;
		bool is_empty = line_bytes == 2;
		if (is_empty && scan->line != scan->begin)
			return HTTP_OK;
		if (is_empty && scan->begin != 0)
			return HTTP_BAD_REQUEST; /* one leading empty line is tolerated [RFC 9112, 2.2] */
		scan->line = scan->at;
		if (is_empty)
			scan->begin = scan->at;
	}
	return scan->at - scan->begin < HTTP_HEAD_BYTES_MAX ? HTTP_NEEDS_MORE : too_large(scan);
}

/* ---- its parts ---- */

/* Cuts one line off the front of *rest and returns it without CR LF. http_head_scan() made sure that each line ends so.
 */
static struct slice take_line(struct slice *rest)
{
	const uint8_t *end = rest->size != 0 ? memchr(rest->data, '\n', rest->size) : NULL;
	CHECK(end != NULL && end > rest->data && end[-1] == '\r');
	struct slice line = slice_of(rest->data, (size_t)(end - rest->data) - 1);
	*rest = slice_of(end + 1, rest->size - line.size - 2);
	return line;
}

/* Cuts everything up to the byte off the front of *rest. Returns false if the byte is not there. */
static bool take_until_byte(struct slice *rest, uint8_t byte, struct slice *front)
{
	const uint8_t *end = rest->size != 0 ? memchr(rest->data, byte, rest->size) : NULL;
	if (end == NULL)
		return false;
	*front = slice_of(rest->data, (size_t)(end - rest->data));
	*rest = slice_of(end + 1, rest->size - front->size - 1);
	return true;
}

/* "HTTP/1.1" [RFC 9112, 2.3] */
static enum http_status parse_version(struct slice text, uint8_t *minor)
{
	static const char PREFIX[] = "HTTP/";
	const size_t prefix = sizeof(PREFIX) - 1;
	if (text.size != prefix + 3 || memcmp(text.data, PREFIX, prefix) != 0)
		return HTTP_BAD_REQUEST;
	uint8_t major = text.data[prefix], point = text.data[prefix + 1], digit = text.data[prefix + 2];
	if (major < '0' || major > '9' || point != '.' || digit < '0' || digit > '9')
		return HTTP_BAD_REQUEST;
	*minor = (uint8_t)(digit - '0');
	return major == '1' ? HTTP_OK : HTTP_VERSION_NOT_SUPPORTED;
}

static enum http_status parse_request_line(struct http_head *head, struct slice line)
{
	if (!take_until_byte(&line, ' ', &head->method) || !take_until_byte(&line, ' ', &head->target) ||
	    !is_token(head->method) || !is_visible(head->target))
		return HTTP_BAD_REQUEST;
	return parse_version(line, &head->minor);
}

static enum http_status parse_field(struct http_head *head, struct slice line)
{
	if (head->field_count == HTTP_FIELDS_MAX)
		return HTTP_FIELDS_TOO_LARGE;
	struct http_field *field = &head->fields[head->field_count];
	/* is_token() also refuses a space before the colon, and a folded line, which begins with a space. */
	if (!take_until_byte(&line, ':', &field->name) || !is_token(field->name) || !is_field_value(line))
		return HTTP_BAD_REQUEST;
	field->value = trim_space(line);
	head->field_count++; /* last, so that a refused field is never read */
	return HTTP_OK;
}

/* ---- what fields mean ---- */

static uint32_t count_fields(const struct http_head *head, const char *name)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < head->field_count; i++)
		count += http_text_equal(head->fields[i].name, name);
	return count;
}

struct slice http_head_field(const struct http_head *head, const char *name)
{
	CHECK(head->field_count <= HTTP_FIELDS_MAX);
	for (uint32_t i = 0; i < head->field_count; i++) {
		if (http_text_equal(head->fields[i].name, name))
			return head->fields[i].value;
	}
	return slice_of(NULL, 0);
}

static bool list_has_token(struct slice list, const char *token)
{
	struct slice element;
	while (take_until_byte(&list, ',', &element)) {
		if (http_text_equal(trim_space(element), token))
			return true;
	}
	return http_text_equal(trim_space(list), token);
}

bool http_head_has_token(const struct http_head *head, const char *name, const char *token)
{
	for (uint32_t i = 0; i < head->field_count; i++) {
		if (http_text_equal(head->fields[i].name, name) && list_has_token(head->fields[i].value, token))
			return true;
	}
	return false;
}

static enum http_status check_host_field(const struct http_head *head)
{
	uint32_t hosts = count_fields(head, "host");
	if (hosts > 1 || (hosts == 0 && head->minor >= 1))
		return HTTP_BAD_REQUEST;
	return is_authority(http_head_field(head, "host")) ? HTTP_OK : HTTP_BAD_REQUEST;
}

static enum http_status read_length_field(struct http_head *head)
{
	struct slice text = http_head_field(head, "content-length");
	if (text.data == NULL)
		return HTTP_OK;
	if (text.size == 0 || count_fields(head, "content-length") > 1)
		return HTTP_BAD_REQUEST;
	for (size_t i = 0; i < text.size; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return HTTP_BAD_REQUEST;
		if (i < LENGTH_DIGITS_MAX)
			head->length = head->length * 10 + (uint64_t)(text.data[i] - '0');
	}
	head->has_length = true;
	if (text.size > LENGTH_DIGITS_MAX)
		head->length = UINT64_MAX;
	return HTTP_OK;
}

/* [RFC 9112, 6.1]: a proxy may read a request with both fields, or one of version 1.0, in another way. */
static enum http_status read_transfer_encoding(struct http_head *head)
{
	struct slice coding = http_head_field(head, "transfer-encoding");
	if (coding.data == NULL)
		return HTTP_OK;
	if (head->minor == 0 || head->has_length || count_fields(head, "transfer-encoding") > 1)
		return HTTP_BAD_REQUEST;
	head->chunked = http_text_equal(coding, "chunked");
	return head->chunked ? HTTP_OK : HTTP_NOT_IMPLEMENTED;
}

/* Ignored in version 1.0 [RFC 9110, 10.1.1]. */
static enum http_status read_expectation(struct http_head *head)
{
	struct slice text = http_head_field(head, "expect");
	if (text.data == NULL || head->minor == 0)
		return HTTP_OK;
	head->expects_continue = http_text_equal(text, "100-continue");
	return head->expects_continue ? HTTP_OK : HTTP_EXPECTATION_FAILED;
}

enum http_status http_head_parse(struct http_head *head, struct slice bytes)
{
	/* All but the fields: they are the largest part, and none beyond field_count is read. */
	memset(head, 0, offsetof(struct http_head, fields));
	enum http_status status = parse_request_line(head, take_line(&bytes));
	struct slice line;
	while (status == HTTP_OK && (line = take_line(&bytes)).size != 0)
		status = parse_field(head, line);
	if (status == HTTP_OK)
		status = check_host_field(head);
	if (status == HTTP_OK)
		status = read_length_field(head);
	if (status == HTTP_OK)
		status = read_transfer_encoding(head);
	if (status == HTTP_OK)
		status = read_expectation(head);
	if (status != HTTP_OK)
		return status;
	head->keep_alive = head->minor >= 1 ? !http_head_has_token(head, "connection", "close")
					    : http_head_has_token(head, "connection", "keep-alive");
	CHECK(!(head->chunked && head->has_length));
	return HTTP_OK;
}
