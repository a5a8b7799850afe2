/* A PROXY head. The bytes are read whole and cut everywhere before the head's end: a cut one is not whole yet, or is
 * refused for the same reason. All slices have to be within the head, and the address one that can be printed. */
#include "fuzz.h"

#include "transport/proxy.h"

#include <string.h>

static void check_within(struct slice part, struct slice head)
{
	CHECK(part.size == 0 || (part.data >= head.data && part.data + part.size <= head.data + head.size));
}

static void check_read(const struct proxy_head *head, struct slice bytes)
{
	char text[PEER_TEXT_BYTES_MAX];
	CHECK(head->bytes != 0 && head->bytes <= bytes.size && head->bytes <= PROXY_HEAD_BYTES_MAX);
	struct slice whole = slice_of(bytes.data, head->bytes);
	check_within(head->authority, whole);
	check_within(head->tls_version, whole);
	check_within(head->tls_cipher, whole);
	check_within(head->common_name, whole);
	sa_family_t family = head->client.any.sa_family;
	CHECK(family == AF_UNSPEC || family == AF_INET || family == AF_INET6);
	CHECK(!head->is_local || family == AF_UNSPEC);
	CHECK(strlen(peer_print(&head->client, text)) < PEER_TEXT_BYTES_MAX);
}

/* From a block of its own, so that a sanitizer sees a step past its end. */
static enum error read_part(const uint8_t *data, size_t size, struct proxy_head *head, uint8_t **block)
{
	*block = block_new(size);
	if (size != 0)
		memcpy(*block, data, size);
	return proxy_head_read(slice_of(*block, size), head);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proxy_head head;
	uint8_t *block;
	enum error error = read_part(data, size, &head, &block);
	if (error == ERROR_OK)
		check_read(&head, slice_of(block, size));
	size_t end = error == ERROR_OK ? head.bytes : size;
	free(block);
	for (size_t cut = 0; cut < end; cut += 1 + cut / 64) {
		enum error part = read_part(data, cut, &head, &block);
		CHECK(part == ERROR_MORE || (part == error && part != ERROR_OK));
		free(block);
	}
	return 0;
}
