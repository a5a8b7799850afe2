#include "nodes/bus/bus_url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PORT_DEFAULT 4222u

static bool takes_start(struct slice *text, const char *start)
{
	size_t size = strlen(start);
	if (text->size < size || memcmp(text->data, start, size) != 0)
		return false;
	*text = slice_of(text->data + size, text->size - size);
	return true;
}

/* The part behind the last `byte`, or all; what stands before it is *before, with a length of 0 where there is none. */
static struct slice behind_last(struct slice text, char byte, struct slice *before)
{
	for (size_t i = text.size; i > 0; i--) {
		if (text.data[i - 1] != (uint8_t)byte)
			continue;
		*before = slice_of(text.data, i - 1);
		return slice_of(text.data + i, text.size - i);
	}
	*before = slice_of(text.data, 0);
	return text;
}

/* Of HOST, HOST:PORT, [ADDRESS] or [ADDRESS]:PORT. */
static const char *read_place(struct slice place, struct slice *host, uint32_t *port)
{
	const uint8_t *bracket = place.size != 0 && place.data[0] == '[' ? memchr(place.data, ']', place.size) : NULL;
	const uint8_t *end = place.data + place.size;
	const uint8_t *colon = bracket != NULL ? bracket + 1 : memchr(place.data, ':', place.size);
	*port = PORT_DEFAULT;
	if (bracket != NULL)
		*host = slice_of(place.data + 1, (size_t)(bracket - place.data) - 1);
	else
		*host = slice_of(place.data, colon != NULL ? (size_t)(colon - place.data) : place.size);
	if (colon != NULL && colon != end) {
		if (*colon != ':')
			return "what follows the address is no port";
		struct slice port_text = slice_of(colon + 1, (size_t)(end - colon) - 1);
		*port = 0;
		for (size_t i = 0; i < port_text.size && *port <= UINT16_MAX; i++) {
			if (port_text.data[i] < '0' || port_text.data[i] > '9')
				return "the port is no number";
			*port = *port * 10 + (uint32_t)(port_text.data[i] - '0');
		}
		if (*port == 0 || *port > UINT16_MAX)
			return "the port is none from 1 to 65535";
	}
	if (host->size == 0)
		return "there is no host";
	return host->size < BUS_TEXT_BYTES - 32 ? NULL : "the host's name is too long";
}

static bool is_plain(struct slice text)
{
	for (size_t i = 0; i < text.size; i++) {
		if (text.data[i] <= ' ' || text.data[i] >= 0x7f || text.data[i] == '/')
			return false;
	}
	return true;
}

/* NULL, or what is wrong. */
static const char *read_url(struct slice text, struct bus_url *url)
{
	struct slice user, host;
	uint32_t port;
	*url = (struct bus_url){0};
	url->is_tls = takes_start(&text, "tls://");
	if (!url->is_tls && !takes_start(&text, "nats://"))
		return "it begins with neither nats:// nor tls://";
	if (text.size != 0 && text.data[text.size - 1] == '/')
		text.size--;
	if (text.size > BUS_URL_BYTES_MAX - 32)
		return "it is too long";
	if (!is_plain(text))
		return "it has a byte that no such URL has";
	struct slice place = behind_last(text, '@', &user);
	const char *fault = read_place(place, &host, &port);
	if (fault != NULL)
		return fault;
	bool is_v6 = memchr(host.data, ':', host.size) != NULL;
	const char *open = is_v6 ? "[" : "", *close = is_v6 ? "]" : "";
	memcpy(url->host, host.data, host.size);
	snprintf(url->shown, sizeof(url->shown), "%s://%s%s%s:%u", url->is_tls ? "tls" : "nats", open, url->host, close,
		 port);
	snprintf(url->full, sizeof(url->full), "nats://%.*s%s%s%s%s:%u", (int)user.size, (const char *)user.data,
		 user.size != 0 ? "@" : "", open, url->host, close, port);
	return NULL;
}

static struct slice trimmed(struct slice text)
{
	while (text.size != 0 && text.data[0] == ' ')
		text = slice_of(text.data + 1, text.size - 1);
	while (text.size != 0 && text.data[text.size - 1] == ' ')
		text.size--;
	return text;
}

uint32_t bus_urls_read(const char *text, struct bus_url urls[BUS_URLS_MAX], char fault[BUS_TEXT_BYTES])
{
	uint32_t count = 0;
	struct slice rest = slice_string(text);
	bool is_last = false;
	while (!is_last) {
		const uint8_t *comma = rest.size != 0 ? memchr(rest.data, ',', rest.size) : NULL;
		size_t size = comma != NULL ? (size_t)(comma - rest.data) : rest.size;
		const char *wrong = "there are more than 16 (BUS_URLS_MAX)";
		if (count < BUS_URLS_MAX)
			wrong = read_url(trimmed(slice_of(rest.data, size)), &urls[count]);
		if (wrong != NULL) {
			snprintf(fault, BUS_TEXT_BYTES, "URL %u of a NATS server: %s", count + 1, wrong);
			return 0;
		}
		count++;
		is_last = comma == NULL;
		if (!is_last)
			rest = slice_of(comma + 1, rest.size - size - 1);
	}
	return count;
}
