/* A stranger's first bytes: what they are is said once and not taken back, whatever comes behind; and nothing is read
 * of a hello that is not there. */
#include "fuzz.h"

#include "tls/peer/hello.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice input = slice_of(data, size);
	enum error whole = tls_hello_look(input);
	CHECK(whole == ERROR_OK || whole == ERROR_MORE || whole == ERROR_TLS_PLAIN_MQTT ||
	      whole == ERROR_TLS_PLAIN_HTTP || whole == ERROR_TLS_NOT_TLS || whole == ERROR_TLS_VERSION ||
	      whole == ERROR_TLS_RECORD_LENGTH);
	CHECK(whole != ERROR_MORE || size < TLS_HELLO_BYTES_MAX);
	bool resumes = tls_hello_resumes(input);
	struct slice name = tls_hello_server_name(input);
	CHECK(!resumes || whole == ERROR_OK);
	CHECK(name.size == 0 || (name.data >= data && name.data + name.size <= data + size));
	for (size_t cut = 0; cut < size && cut < 64; cut++) {
		uint8_t *part = block_new(cut);
		memcpy(part, data, cut);
		enum error error = tls_hello_look(slice_of(part, cut));
		CHECK(error == ERROR_MORE || error == whole);
		CHECK(!tls_hello_resumes(slice_of(part, cut)) || resumes);
		free(part);
	}
	return 0;
}
