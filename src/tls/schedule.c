#include "tls/schedule.h"

#include "base/check.h"
#include "tls/ciphers.h"

#include <openssl/crypto.h>
#include <string.h>

static const struct {
	uint16_t cipher;
	uint8_t version;
	uint8_t suite;
} CIPHERS[] = {
	{0x1301, TLS_1_3, TLS_AES_128_GCM},       /* TLS_AES_128_GCM_SHA256 */
	{0x1302, TLS_1_3, TLS_AES_256_GCM},       /* TLS_AES_256_GCM_SHA384 */
	{0x1303, TLS_1_3, TLS_CHACHA20_POLY1305}, /* TLS_CHACHA20_POLY1305_SHA256 */
	{0xc02b, TLS_1_2, TLS_AES_128_GCM},       /* TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 */
	{0xc02c, TLS_1_2, TLS_AES_256_GCM},       /* TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 */
	{0xc02f, TLS_1_2, TLS_AES_128_GCM},       /* TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 */
	{0xc030, TLS_1_2, TLS_AES_256_GCM},       /* TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 */
	{0xcca8, TLS_1_2, TLS_CHACHA20_POLY1305}, /* TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 */
	{0xcca9, TLS_1_2, TLS_CHACHA20_POLY1305}, /* TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 */
	{0x009e, TLS_1_2, TLS_AES_128_GCM},       /* TLS_DHE_RSA_WITH_AES_128_GCM_SHA256 */
	{0x009f, TLS_1_2, TLS_AES_256_GCM},       /* TLS_DHE_RSA_WITH_AES_256_GCM_SHA384 */
	{0xccaa, TLS_1_2, TLS_CHACHA20_POLY1305}, /* TLS_DHE_RSA_WITH_CHACHA20_POLY1305_SHA256 */
};

bool tls_suite_of(uint16_t cipher, enum tls_version *version, enum tls_suite *suite)
{
	for (size_t i = 0; i < sizeof(CIPHERS) / sizeof(CIPHERS[0]); i++)
		if (CIPHERS[i].cipher == cipher) {
			*version = CIPHERS[i].version;
			*suite = CIPHERS[i].suite;
			return true;
		}
	return false;
}

static void tls_session_begin(struct tls_session *session, enum tls_version version, uint16_t cipher, bool is_server)
{
	enum tls_version known_version = TLS_1_2;
	enum tls_suite suite = TLS_AES_128_GCM;
	CHECK(tls_suite_of(cipher, &known_version, &suite) && known_version == version);
	*session = (struct tls_session){
		.version = (uint8_t)version,
		.suite = (uint8_t)suite,
		.cipher = cipher,
		.plain_bytes_max = TLS_PLAIN_BYTES_MAX,
		.is_server = is_server,
	};
}

/* ---- TLS 1.3 ---- */

/* HKDF-Expand-Label without a context [RFC 8446, 7.1]. What is asked for is never longer than the hash, so that one
 * round of HKDF-Expand [RFC 5869, 2.3] is all of it. */
static void expand_label(struct tls_ciphers *ciphers, enum tls_suite suite, const uint8_t *secret, const char *label,
			 uint8_t *out, size_t size)
{
	size_t label_bytes = strlen(label);
	uint8_t info[32];
	CHECK(size <= tls_secret_bytes(suite) && label_bytes <= 20);
	info[0] = 0;
	info[1] = (uint8_t)size;
	info[2] = (uint8_t)label_bytes;
	memcpy(info + 3, label, label_bytes);
	info[3 + label_bytes] = 0; /* the context's length */
	info[4 + label_bytes] = 1; /* of the first round */
	uint8_t block[TLS_HASH_BYTES_MAX];
	struct slice part = slice_of(info, 5 + label_bytes);
	tls_hmac(ciphers, suite, slice_of(secret, tls_secret_bytes(suite)), &part, 1, block);
	memcpy(out, block, size);
	OPENSSL_cleanse(block, sizeof(block));
}

static void derive_keys(struct tls_ciphers *ciphers, struct tls_session *session, enum tls_direction direction)
{
	const uint8_t *secret = tls_session_secret(session, direction);
	expand_label(ciphers, session->suite, secret, "tls13 key", tls_session_key(session, direction),
		     tls_key_bytes(session->suite));
	expand_label(ciphers, session->suite, secret, "tls13 iv", tls_session_iv(session, direction), TLS_IV_BYTES);
	session->sequence[direction] = 0;
}

void tls_session_init_1_3(struct tls_ciphers *ciphers, struct tls_session *session, uint16_t cipher,
			  const uint8_t *client_secret, const uint8_t *server_secret, bool is_server)
{
	tls_session_begin(session, TLS_1_3, cipher, is_server);
	size_t size = tls_secret_bytes(session->suite);
	memcpy(tls_session_secret(session, TLS_READ), is_server ? client_secret : server_secret, size);
	memcpy(tls_session_secret(session, TLS_WRITE), is_server ? server_secret : client_secret, size);
	derive_keys(ciphers, session, TLS_READ);
	derive_keys(ciphers, session, TLS_WRITE);
}

void tls_session_update(struct tls_ciphers *ciphers, struct tls_session *session, enum tls_direction direction)
{
	CHECK(session->version == TLS_1_3);
	uint8_t *secret = tls_session_secret(session, direction);
	expand_label(ciphers, session->suite, secret, "tls13 traffic upd", secret, tls_secret_bytes(session->suite));
	derive_keys(ciphers, session, direction);
}

/* ---- TLS 1.2 ---- */

/* Of both directions, the client's first, then the server's: keys, then IVs. */
#define KEY_BLOCK_BYTES_MAX (2u * (TLS_KEY_BYTES_MAX + TLS_IV_BYTES))

/* P_hash [RFC 5246, 5]: A(1) = HMAC(seed), A(i + 1) = HMAC(A(i)), and the output is HMAC(A(i) + seed), one behind the
 * other. */
static void expand_master(struct tls_ciphers *ciphers, enum tls_suite suite, struct slice master,
			  const struct slice seed[3], uint8_t *out, size_t size)
{
	size_t hash_bytes = tls_secret_bytes(suite);
	uint8_t chained[TLS_HASH_BYTES_MAX];
	uint8_t block[TLS_HASH_BYTES_MAX];
	tls_hmac(ciphers, suite, master, seed, 3, chained);
	for (size_t done = 0; done < size;) {
		struct slice parts[] = {slice_of(chained, hash_bytes), seed[0], seed[1], seed[2]};
		tls_hmac(ciphers, suite, master, parts, 4, block);
		size_t part = size - done < hash_bytes ? size - done : hash_bytes;
		memcpy(out + done, block, part);
		done += part;
		tls_hmac(ciphers, suite, master, parts, 1, chained);
	}
	OPENSSL_cleanse(chained, sizeof(chained));
	OPENSSL_cleanse(block, sizeof(block));
}

void tls_session_init_1_2(struct tls_ciphers *ciphers, struct tls_session *session, uint16_t cipher,
			  const uint8_t master_secret[TLS_MASTER_SECRET_BYTES],
			  const uint8_t client_random[TLS_RANDOM_BYTES], const uint8_t server_random[TLS_RANDOM_BYTES],
			  bool is_server)
{
	tls_session_begin(session, TLS_1_2, cipher, is_server);
	size_t key_bytes = tls_key_bytes(session->suite);
	size_t iv_bytes = tls_explicit_bytes(session) != 0 ? TLS_IV_BYTES - 8 : TLS_IV_BYTES;
	uint8_t block[KEY_BLOCK_BYTES_MAX];
	const struct slice seed[] = {
		slice_string("key expansion"),
		slice_of(server_random, TLS_RANDOM_BYTES),
		slice_of(client_random, TLS_RANDOM_BYTES),
	};
	expand_master(ciphers, session->suite, slice_of(master_secret, TLS_MASTER_SECRET_BYTES), seed, block,
		      2 * (key_bytes + iv_bytes));

	enum tls_direction client = is_server ? TLS_READ : TLS_WRITE;
	enum tls_direction server = is_server ? TLS_WRITE : TLS_READ;
	const uint8_t *ivs = block + 2 * key_bytes;
	memset(tls_session_iv(session, client), 0, TLS_IV_BYTES);
	memset(tls_session_iv(session, server), 0, TLS_IV_BYTES);
	memcpy(tls_session_key(session, client), block, key_bytes);
	memcpy(tls_session_key(session, server), block + key_bytes, key_bytes);
	memcpy(tls_session_iv(session, client), ivs, iv_bytes);
	memcpy(tls_session_iv(session, server), ivs + iv_bytes, iv_bytes);
	OPENSSL_cleanse(block, sizeof(block));
}
