#include "transport/proxy.h"

#include "base/check.h"

#include <arpa/inet.h>

/* ---- version 1: a line of text ---- */

#define V1_BEGIN "PROXY "
#define V1_BYTES_MAX 107u /* with CR LF */

/* ---- version 2 ---- */

#define V2_SIGNATURE_BYTES 12u
#define V2_HEAD_BYTES 16u
#define V2_COMMAND_LOCAL 0x20u /* version 2 in the high half */
#define V2_COMMAND_PROXY 0x21u
#define V2_FAMILY_UNSPEC 0x0u
#define V2_FAMILY_INET 0x1u
#define V2_FAMILY_INET6 0x2u
#define V2_FAMILY_UNIX 0x3u
#define V2_TRANSPORT_UNSPEC 0x0u
#define V2_TRANSPORT_STREAM 0x1u
#define V2_TRANSPORT_DGRAM 0x2u
/* Two addresses, and two ports where it has some. */
#define V2_INET_BYTES (2u * 4u + 2u * 2u)
#define V2_INET6_BYTES (2u * 16u + 2u * 2u)
#define V2_UNIX_BYTES (2u * 108u)

#define TLV_HEAD_BYTES 3u
#define TLV_AUTHORITY 0x02u
#define TLV_CRC32C 0x03u
#define TLV_SSL 0x20u
#define TLV_SSL_VERSION 0x21u
#define TLV_SSL_CN 0x22u
#define TLV_SSL_CIPHER 0x23u
/* Of TLV_SSL, before its own TLVs: a byte of flags, and the verdict. */
#define SSL_HEAD_BYTES 5u
#define SSL_CLIENT_SSL 0x01u
#define SSL_CLIENT_CERT_CONN 0x02u
#define SSL_CLIENT_CERT_SESS 0x04u

#define CHECKSUM_BYTES 4u

static const uint8_t V2_SIGNATURE[V2_SIGNATURE_BYTES] = {'\r', '\n', '\r', '\n', 0,   '\r',
							 '\n', 'Q',  'U',  'I',  'T', '\n'};

_Static_assert(PROXY_HEAD_BYTES_MAX >= V2_HEAD_BYTES + V2_UNIX_BYTES, "the longest addresses fit");

static uint16_t big_16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t big_32(const uint8_t *at)
{
	return (uint32_t)big_16(at) << 16 | big_16(at + 2);
}

/* ERROR_MORE: the bytes end within the text. */
static enum error begins_with(struct slice bytes, const void *text, size_t size)
{
	size_t part = bytes.size < size ? bytes.size : size;
	if (part != 0 && memcmp(bytes.data, text, part) != 0)
		return ERROR_PROXY_MISSING;
	return part == size ? ERROR_OK : ERROR_MORE;
}

enum error proxy_head_look(struct slice bytes)
{
	enum error error = begins_with(bytes, V1_BEGIN, strlen(V1_BEGIN));
	return error == ERROR_PROXY_MISSING ? begins_with(bytes, V2_SIGNATURE, V2_SIGNATURE_BYTES) : error;
}

/* ---- version 1 ---- */

/* The next word of the line, which ends with a space or with the line. False: there is none. */
static bool take_word(struct slice *line, char *word, size_t capacity)
{
	const uint8_t *space = memchr(line->data, ' ', line->size);
	size_t size = space != NULL ? (size_t)(space - line->data) : line->size;
	if (size == 0 || size >= capacity || memchr(line->data, '\0', size) != NULL)
		return false;
	memcpy(word, line->data, size);
	word[size] = '\0';
	size_t taken = space != NULL ? size + 1 : size;
	*line = slice_of(line->data + taken, line->size - taken);
	return true;
}

/* Decimal without leading zeroes, as the protocol has it. */
static bool take_port(struct slice *line, in_port_t *port)
{
	char word[6];
	uint32_t value = 0;
	if (!take_word(line, word, sizeof(word)) || (word[0] == '0' && word[1] != '\0'))
		return false;
	for (const char *at = word; *at != '\0'; at++) {
		if (*at < '0' || *at > '9')
			return false;
		value = value * 10 + (uint32_t)(*at - '0');
	}
	*port = htons((uint16_t)value);
	return value <= UINT16_MAX;
}

static bool read_v1_addresses(int family, struct slice line, union peer *client)
{
	char source[INET6_ADDRSTRLEN], destination[INET6_ADDRSTRLEN];
	uint8_t address[sizeof(struct in6_addr)], ignored[sizeof(struct in6_addr)];
	in_port_t port, destination_port;
	if (!take_word(&line, source, sizeof(source)) || !take_word(&line, destination, sizeof(destination)) ||
	    !take_port(&line, &port) || !take_port(&line, &destination_port) || line.size != 0 ||
	    inet_pton(family, source, address) != 1 || inet_pton(family, destination, ignored) != 1)
		return false;
	if (family == AF_INET) {
		client->v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = port};
		memcpy(&client->v4.sin_addr, address, sizeof(client->v4.sin_addr));
	} else {
		client->v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = port};
		memcpy(&client->v6.sin6_addr, address, sizeof(client->v6.sin6_addr));
	}
	return true;
}

/* line: without CR LF. */
static enum error read_v1_line(struct slice line, struct proxy_head *head)
{
	char word[8];
	bool good = false;
	line = slice_of(line.data + strlen(V1_BEGIN), line.size - strlen(V1_BEGIN));
	if (!take_word(&line, word, sizeof(word)))
		return ERROR_PROXY_MALFORMED;
	if (strcmp(word, "UNKNOWN") == 0)
		return ERROR_OK; /* whatever follows it is not to be looked at */
	/* take_word() takes the space behind a word; there must be another word behind that. */
	bool ends_with_space = line.size != 0 && line.data[line.size - 1] == ' ';
	if (strcmp(word, "TCP4") == 0)
		good = read_v1_addresses(AF_INET, line, &head->client);
	else if (strcmp(word, "TCP6") == 0)
		good = read_v1_addresses(AF_INET6, line, &head->client);
	return good && !ends_with_space ? ERROR_OK : ERROR_PROXY_MALFORMED;
}

static enum error read_v1(struct slice bytes, struct proxy_head *head)
{
	size_t most = bytes.size < V1_BYTES_MAX ? bytes.size : V1_BYTES_MAX;
	const uint8_t *end = memchr(bytes.data, '\n', most);
	if (end == NULL)
		return most == V1_BYTES_MAX ? ERROR_PROXY_MALFORMED : ERROR_MORE;
	size_t size = (size_t)(end - bytes.data);
	if (end[-1] != '\r')
		return ERROR_PROXY_MALFORMED;
	head->bytes = size + 1;
	return read_v1_line(slice_of(bytes.data, size - 1), head);
}

/* ---- version 2 ---- */

/* CRC-32C [RFC 3720, B.4], a bit at a time: once a connection, over a hundred bytes. */
static uint32_t crc32c(uint32_t crc, const uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		crc ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82f63b78u : 0);
	}
	return crc;
}

/* Over the whole head, in which the checksum's own bytes count as zero. */
static bool checksum_is_right(struct slice head, const uint8_t *checksum)
{
	static const uint8_t ZERO[CHECKSUM_BYTES] = {0};
	size_t before = (size_t)(checksum - head.data);
	CHECK(before + CHECKSUM_BYTES <= head.size);
	uint32_t crc = crc32c(0xffffffffu, head.data, before);
	crc = crc32c(crc, ZERO, sizeof(ZERO));
	crc = crc32c(crc, checksum + CHECKSUM_BYTES, head.size - before - CHECKSUM_BYTES);
	return ~crc == big_32(checksum);
}

/* Takes a TLV off the front. False: there is no whole one. */
static bool take_tlv(struct slice *tlvs, uint8_t *type, struct slice *value)
{
	if (tlvs->size < TLV_HEAD_BYTES)
		return false;
	size_t size = big_16(tlvs->data + 1);
	if (tlvs->size - TLV_HEAD_BYTES < size)
		return false;
	*type = tlvs->data[0];
	*value = slice_of(tlvs->data + TLV_HEAD_BYTES, size);
	*tlvs = slice_of(value->data + size, tlvs->size - TLV_HEAD_BYTES - size);
	return true;
}

static enum error read_ssl(struct slice value, struct proxy_head *head)
{
	if (value.size < SSL_HEAD_BYTES)
		return ERROR_PROXY_MALFORMED;
	uint8_t client = value.data[0];
	head->is_tls = (client & SSL_CLIENT_SSL) != 0;
	head->is_verified =
		(client & (SSL_CLIENT_CERT_CONN | SSL_CLIENT_CERT_SESS)) != 0 && big_32(value.data + 1) == 0;
	struct slice tlvs = slice_of(value.data + SSL_HEAD_BYTES, value.size - SSL_HEAD_BYTES);
	while (tlvs.size != 0) {
		uint8_t type;
		struct slice part;
		if (!take_tlv(&tlvs, &type, &part))
			return ERROR_PROXY_MALFORMED;
		if (type == TLV_SSL_VERSION)
			head->tls_version = part;
		else if (type == TLV_SSL_CIPHER)
			head->tls_cipher = part;
		else if (type == TLV_SSL_CN)
			head->common_name = part;
	}
	return ERROR_OK;
}

static enum error read_tlvs(struct slice whole, struct slice tlvs, struct proxy_head *head)
{
	while (tlvs.size != 0) {
		uint8_t type;
		struct slice value;
		if (!take_tlv(&tlvs, &type, &value))
			return ERROR_PROXY_MALFORMED;
		if (type == TLV_CRC32C && value.size != CHECKSUM_BYTES)
			return ERROR_PROXY_MALFORMED;
		if (type == TLV_CRC32C && !checksum_is_right(whole, value.data))
			return ERROR_PROXY_CHECKSUM;
		if (type == TLV_AUTHORITY)
			head->authority = value;
		if (type == TLV_SSL && read_ssl(value, head) != ERROR_OK)
			return ERROR_PROXY_MALFORMED;
	}
	return ERROR_OK;
}

/* How many bytes the addresses have; -1: there is no such family or transport. Datagrams are none of ours, but their
 * addresses are as good. */
static int v2_address_bytes(uint8_t family_and_transport)
{
	if ((family_and_transport & 0xf) > V2_TRANSPORT_DGRAM)
		return -1;
	switch (family_and_transport >> 4) {
	case V2_FAMILY_UNSPEC:
		return 0;
	case V2_FAMILY_INET:
		return V2_INET_BYTES;
	case V2_FAMILY_INET6:
		return V2_INET6_BYTES;
	case V2_FAMILY_UNIX:
		return V2_UNIX_BYTES;
	default:
		return -1;
	}
}

/* at: source and destination, then the source's port. */
static void read_v2_client(uint8_t family, const uint8_t *at, union peer *client)
{
	if (family == V2_FAMILY_INET) {
		client->v4 = (struct sockaddr_in){.sin_family = AF_INET};
		memcpy(&client->v4.sin_addr, at, 4);
		memcpy(&client->v4.sin_port, at + 8, 2);
	} else if (family == V2_FAMILY_INET6) {
		client->v6 = (struct sockaddr_in6){.sin6_family = AF_INET6};
		memcpy(&client->v6.sin6_addr, at, 16);
		memcpy(&client->v6.sin6_port, at + 32, 2);
	}
}

static enum error read_v2(struct slice bytes, struct proxy_head *head)
{
	if (bytes.size <= V2_SIGNATURE_BYTES)
		return ERROR_MORE;
	uint8_t command = bytes.data[V2_SIGNATURE_BYTES];
	if (command != V2_COMMAND_LOCAL && command != V2_COMMAND_PROXY)
		return ERROR_PROXY_MALFORMED;
	if (bytes.size < V2_HEAD_BYTES)
		return ERROR_MORE;
	size_t body = big_16(bytes.data + V2_HEAD_BYTES - 2);
	if (body > PROXY_HEAD_BYTES_MAX - V2_HEAD_BYTES)
		return ERROR_PROXY_MALFORMED;
	if (bytes.size - V2_HEAD_BYTES < body)
		return ERROR_MORE;
	head->bytes = V2_HEAD_BYTES + body;
	head->is_local = command == V2_COMMAND_LOCAL;
	uint8_t family_and_transport = bytes.data[V2_SIGNATURE_BYTES + 1];
	int addresses = v2_address_bytes(family_and_transport);
	if (addresses < 0 || (size_t)addresses > body)
		return head->is_local ? ERROR_OK : ERROR_PROXY_MALFORMED; /* of LOCAL nothing is looked at */
	if (!head->is_local)
		read_v2_client(family_and_transport >> 4, bytes.data + V2_HEAD_BYTES, &head->client);
	if ((family_and_transport & 0xf) == V2_TRANSPORT_UNSPEC)
		head->client = (union peer){.v6 = {.sin6_family = AF_UNSPEC}};
	struct slice tlvs = slice_of(bytes.data + V2_HEAD_BYTES + (size_t)addresses, body - (size_t)addresses);
	enum error error = read_tlvs(slice_of(bytes.data, head->bytes), tlvs, head);
	return head->is_local && error == ERROR_PROXY_MALFORMED ? ERROR_OK : error;
}

/* ---- either ---- */

/* A dual stack at the balancer may say ::ffff:192.0.2.1. */
static void normalize(union peer *client)
{
	struct sockaddr_storage address = peer_address(client);
	*client = peer_of_address(&address);
}

enum error proxy_head_read(struct slice bytes, struct proxy_head *head)
{
	*head = (struct proxy_head){.client = {.v6 = {.sin6_family = AF_UNSPEC}}};
	enum error error = proxy_head_look(bytes);
	if (error != ERROR_OK)
		return error;
	error = bytes.data[0] == V1_BEGIN[0] ? read_v1(bytes, head) : read_v2(bytes, head);
	normalize(&head->client);
	CHECK(error != ERROR_OK || (head->bytes != 0 && head->bytes <= PROXY_HEAD_BYTES_MAX));
	return error;
}
