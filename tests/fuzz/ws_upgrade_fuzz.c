/* A request for a WebSocket, and once more as an answer to one: at once and in pieces, whose size the first byte says.
 * Both ways have to end in the same; what is refused gets a whole answer of HTTP. */
#include "fuzz.h"

#include "ws/upgrade.h"

#include <string.h>

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="

static const char *const PATHS[] = {"/mqtt", "/"};
static const char *const ORIGINS[] = {"https://a.example", "null"};

struct answer {
	enum error error;
	size_t consumed;
	size_t bytes;
	char text[WS_RESPONSE_BYTES_MAX];
};

/* From a block of its own, which is as long as what has come. */
static void read_request(const struct ws_rules *rules, struct slice bytes, struct answer *answer)
{
	uint8_t *block = block_new(bytes.size);
	memcpy(block, bytes.data, bytes.size);
	answer->error = ws_upgrade_read(rules, slice_of(block, bytes.size), 1795914000, &answer->consumed, answer->text,
					&answer->bytes);
	free(block);
	CHECK(answer->consumed <= bytes.size && answer->bytes <= WS_RESPONSE_BYTES_MAX);
	CHECK((answer->error == ERROR_MORE) == (answer->bytes == 0));
}

static void check_answer(const struct answer *answer)
{
	static const char TAKEN[] = "HTTP/1.1 101 ";
	struct slice text = slice_of(answer->text, answer->bytes);
	bool taken = text.size > sizeof(TAKEN) && memcmp(text.data, TAKEN, sizeof(TAKEN) - 1) == 0;
	CHECK(taken == (answer->error == ERROR_OK));
	CHECK(memmem(text.data, text.size, "\r\n\r\n", 4) != NULL);
	CHECK(taken || memmem(text.data, text.size, "\r\nConnection: close\r\n", 21) != NULL);
}

static void read_response(struct slice bytes, size_t piece)
{
	size_t consumed, consumed_at_once;
	int status, status_at_once;
	enum error at_once = ws_response_read(bytes, KEY, &consumed_at_once, &status_at_once);
	enum error error = ERROR_MORE;
	for (size_t size = 0; error == ERROR_MORE && size < bytes.size;) {
		size = size + piece < bytes.size ? size + piece : bytes.size;
		error = ws_response_read(slice_of(bytes.data, size), KEY, &consumed, &status);
	}
	CHECK(error == at_once);
	CHECK(error == ERROR_MORE || (consumed == consumed_at_once && status == status_at_once));
	CHECK(consumed_at_once <= bytes.size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	size_t piece = data[0] % 64u + 1u;
	struct ws_rules rules = {PATHS, data[0] >> 6 & 1u ? 2 : 0, ORIGINS, data[0] >> 7 ? 2 : 0};
	struct slice bytes = slice_of(data + 1, size - 1);
	static struct answer at_once, in_pieces;
	read_request(&rules, bytes, &at_once);
	in_pieces.error = ERROR_MORE;
	for (size_t part = 0; in_pieces.error == ERROR_MORE && part < bytes.size;) {
		part = part + piece < bytes.size ? part + piece : bytes.size;
		read_request(&rules, slice_of(bytes.data, part), &in_pieces);
	}
	CHECK(in_pieces.error == at_once.error);
	if (at_once.error != ERROR_MORE) {
		CHECK(in_pieces.bytes == at_once.bytes && memcmp(in_pieces.text, at_once.text, at_once.bytes) == 0);
		check_answer(&at_once);
	}
	read_response(bytes, piece);
	return 0;
}
