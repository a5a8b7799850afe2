/* The traces of RFC 8448, 3 (simple 1-RTT handshake): keys from its traffic secrets, and the records that follow the
 * handshake, byte for byte. */
#include "tls/record.h"
#include "tls/schedule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define CLIENT_SECRET "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5"
#define SERVER_SECRET "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643"
#define CLIENT_KEY "17422dda596ed5d9acd890e3c63f5051"
#define CLIENT_IV "5b78923dee08579033e523d9"
#define SERVER_KEY "9f02283b6c9c07efc26bb9f2ac92e356"
#define SERVER_IV "cf782b88dd83549aadf1e984"

enum writer { CLIENT, SERVER };

static const struct {
	enum writer writer;
	enum tls_content what;
	const char *record;
} TRACE[] = {
	{SERVER, TLS_CONTENT_NONE, /* NewSessionTicket */
	 "17030300de"
	 "3a6b8f90414a97d6959c3487680de5134a2b240e6cffac116e95d41d6af8f6b580dcf3d11d63c758db289a015940252f55713e061dc13"
	 "e07"
	 "8891a38efbcf5753ad8ef170ad3c7353d16d9da773b9ca7f2b9fa1b6c0d4a3d03f75e09c30ba1e62972ac46f75f7b981be63439b2999c"
	 "e13"
	 "064615139891d5e4c5b406f16e3fc181a77ca475840025db2f0a77f81b5ab05b94c01346755f69232c86519d86cbeeac87aac347d143f"
	 "960"
	 "5d64f650db4d023e70e952ca49fe5137121c74bc2697687e248746d6df353005f3bce18696129c8153556b3b6c6779b37bf15985684"
	 "f"},
	{CLIENT, TLS_CONTENT_DATA,
	 "1703030043"
	 "a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b46b395bd54a9a20441e2b62974e1f5a6292a2977014b"
	 "d1e"
	 "3deae63aeebb21694915e4"},
	{SERVER, TLS_CONTENT_DATA,
	 "1703030043"
	 "2e937e11ef4ac740e538ad36005fc4a46932fc3225d05f82aa1b36e30efaf97d90e6dffc602dcb501a59a8fcc49c4bf2e5f0a21c0047c"
	 "2ab"
	 "f332540dd032e167c2955d"},
	{CLIENT, TLS_CONTENT_END, "1703030013c9872760655666b74d7ff1153efd6db6d0b0e3"},
	{SERVER, TLS_CONTENT_END, "1703030013b58fd67166ebf599d24720cfbe7efa7a8864a9"},
};

static size_t from_hex(const char *hex, uint8_t *out)
{
	size_t size = strlen(hex) / 2;
	for (size_t i = 0; i < size; i++) {
		unsigned byte = 0;
		assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
		out[i] = (uint8_t)byte;
	}
	return size;
}

static void assert_hex(const uint8_t *bytes, const char *hex)
{
	uint8_t expected[64];
	size_t size = from_hex(hex, expected);
	assert_memory_equal(bytes, expected, size);
}

struct end {
	_Alignas(struct tls_session) uint8_t memory[TLS_SESSION_BYTES_MAX];
	struct tls_session *session;
};

static void end_make(struct end *end, struct tls_ciphers *ciphers, bool is_server)
{
	uint8_t client[32];
	uint8_t server[32];
	from_hex(CLIENT_SECRET, client);
	from_hex(SERVER_SECRET, server);
	end->session = (struct tls_session *)(void *)end->memory;
	tls_session_init_1_3(ciphers, end->session, 0x1301, client, server, is_server);
}

static void test_keys(void **state)
{
	struct tls_ciphers *ciphers = tls_ciphers_new();
	struct end client;
	struct end server;
	(void)state;
	end_make(&client, ciphers, false);
	end_make(&server, ciphers, true);
	assert_hex(tls_session_key(client.session, TLS_WRITE), CLIENT_KEY);
	assert_hex(tls_session_iv(client.session, TLS_WRITE), CLIENT_IV);
	assert_hex(tls_session_key(client.session, TLS_READ), SERVER_KEY);
	assert_hex(tls_session_iv(client.session, TLS_READ), SERVER_IV);
	assert_hex(tls_session_key(server.session, TLS_WRITE), SERVER_KEY);
	assert_hex(tls_session_iv(server.session, TLS_READ), CLIENT_IV);
	tls_ciphers_free(ciphers);
}

static void expect_content(struct slice plain, enum tls_content what)
{
	if (what == TLS_CONTENT_DATA) {
		assert_int_equal(plain.size, 50);
		for (size_t i = 0; i < plain.size; i++)
			assert_int_equal(plain.data[i], i);
	}
}

/* Both ends read what the other has written, and write what the trace has; but for the ticket, which a session does not
 * write. */
static void test_records(void **state)
{
	struct tls_ciphers *ciphers = tls_ciphers_new();
	struct end ends[2];
	(void)state;
	end_make(&ends[CLIENT], ciphers, false);
	end_make(&ends[SERVER], ciphers, true);
	uint8_t data[50];
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof(TRACE) / sizeof(TRACE[0]); i++) {
		struct tls_session *writer = ends[TRACE[i].writer].session;
		struct tls_session *reader = ends[TRACE[i].writer == CLIENT ? SERVER : CLIENT].session;
		uint8_t record[256];
		uint8_t ours[256];
		struct slice plain;
		enum tls_content what;
		size_t size = from_hex(TRACE[i].record, record);
		size_t written = 0;
		if (TRACE[i].what == TLS_CONTENT_DATA)
			written = tls_record_seal(ciphers, writer, &(struct slice){data, sizeof(data)}, 1, sizeof(data),
						  ours);
		else if (TRACE[i].what == TLS_CONTENT_END)
			written = tls_alert_write(ciphers, writer, ours);
		else
			writer->sequence[TLS_WRITE]++;
		if (written != 0) {
			assert_int_equal(written, size);
			assert_memory_equal(ours, record, size);
		}
		assert_int_equal(tls_record_open(ciphers, reader, record, size, NULL, &plain, &what), ERROR_OK);
		assert_int_equal(what, TRACE[i].what);
		expect_content(plain, what);
	}
	tls_ciphers_free(ciphers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_records),
	};
	return cmocka_run_group_tests_name("tls_trace", tests, NULL, NULL);
}
