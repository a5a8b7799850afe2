#include "twins.h"

#include "base/check.h"
#include "tls/record.h"
#include "tls/schedule.h"

#include <endian.h>
#include <string.h>

static void make_twin(struct twin *twin, struct tls_ciphers *ciphers, uint16_t cipher, bool is_server)
{
	static const uint8_t CLIENT[TLS_SECRET_BYTES_MAX] = {1, 2, 3};
	static const uint8_t SERVER[TLS_SECRET_BYTES_MAX] = {4, 5, 6};
	enum tls_version version;
	enum tls_suite suite;
	CHECK(tls_suite_of(cipher, &version, &suite));
	twin->session = (struct tls_session *)(void *)twin->memory;
	if (version == TLS_1_3)
		tls_session_init_1_3(ciphers, twin->session, cipher, CLIENT, SERVER, is_server);
	else
		tls_session_init_1_2(ciphers, twin->session, cipher, CLIENT, CLIENT, SERVER, is_server);
}

void twins_make(struct twins *twins, struct tls_ciphers *ciphers, uint16_t cipher)
{
	twins->ciphers = ciphers;
	make_twin(&twins->server, ciphers, cipher, true);
	make_twin(&twins->client, ciphers, cipher, false);
}

/* Written from the standards alone, and not from tls/record.c. */
size_t seal_anything(struct tls_ciphers *ciphers, struct tls_session *writer, uint8_t type, const void *content,
		     size_t size, size_t padding, uint8_t *out)
{
	bool is_1_3 = writer->version == TLS_1_3;
	bool is_gcm_1_2 = !is_1_3 && writer->suite != TLS_CHACHA20_POLY1305;
	uint64_t sequence = htobe64(writer->sequence[TLS_WRITE]++);
	uint8_t *inner = out + 5 + (is_gcm_1_2 ? 8 : 0);
	size_t inner_bytes = size;
	if (size != 0)
		memcpy(inner, content, size);
	if (is_1_3) {
		memset(inner + size, 0, 1 + padding);
		inner[size] = type;
		inner_bytes += 1 + padding;
	}
	size_t length = (size_t)(inner - out) - 5 + inner_bytes + 16;
	const uint8_t head[] = {is_1_3 ? TYPE_DATA : type, 3, 3, (uint8_t)(length >> 8), (uint8_t)length};
	memcpy(out, head, sizeof(head));

	uint8_t nonce[12];
	uint8_t head_1_2[13];
	memcpy(nonce, tls_session_iv(writer, TLS_WRITE), sizeof(nonce));
	for (size_t i = 0; i < 8; i++)
		nonce[4 + i] ^= ((const uint8_t *)&sequence)[i];
	if (is_gcm_1_2)
		memcpy(out + 5, nonce + 4, 8);
	memcpy(head_1_2, &sequence, 8);
	memcpy(head_1_2 + 8, head, 3);
	head_1_2[11] = (uint8_t)(size >> 8);
	head_1_2[12] = (uint8_t)size;
	const struct tls_aead aead = {
		.suite = writer->suite,
		.key = tls_session_key(writer, TLS_WRITE),
		.nonce = nonce,
		.head = is_1_3 ? slice_of(out, 5) : slice_of(head_1_2, sizeof(head_1_2)),
	};
	tls_aead_seal(ciphers, &aead, inner, inner_bytes);
	return (size_t)(inner - out) + inner_bytes + 16;
}
