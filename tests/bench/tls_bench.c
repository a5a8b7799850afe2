/* What the record layer costs beside OpenSSL's ciphers alone: nanoseconds of one thread's CPU for each record, the
 * least of several rounds. Sessions take turns, so that each record has another key, as on a shard; and one session
 * alone. Not a test: nothing fails. Run it by hand on an idle machine: build/tests/bench/tls_bench. */
#include "base/check.h"
#include "tls/record.h"
#include "tls/schedule.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define SESSIONS 64u
#define ROUNDS 9
#define ROUND_NS UINT64_C(20000000)

struct end {
	_Alignas(struct tls_session) uint8_t memory[TLS_SESSION_BYTES_MAX];
};

struct bench {
	struct tls_ciphers *ciphers;
	struct end ends[SESSIONS];
	uint32_t sessions; /* that take turns */
	uint32_t turn;
	size_t size;
	uint8_t plain[TLS_PLAIN_BYTES_MAX];
	uint8_t out[TLS_PLAIN_BYTES_MAX + TLS_SEAL_BYTES_MAX];
	uint8_t sealed[SESSIONS][TLS_PLAIN_BYTES_MAX + TLS_SEAL_BYTES_MAX];
	size_t sealed_bytes;
	EVP_CIPHER_CTX *context;
};

static struct bench bench;

static struct tls_session *session_at(uint32_t number)
{
	return (struct tls_session *)(void *)bench.ends[number].memory;
}

static uint32_t next_turn(void)
{
	bench.turn = bench.turn + 1 < bench.sessions ? bench.turn + 1 : 0;
	return bench.turn;
}

static void seal_one(void)
{
	struct tls_session *session = session_at(next_turn());
	struct slice part = slice_of(bench.plain, bench.size);
	session->sequence[TLS_WRITE] = 5;
	tls_record_seal(bench.ciphers, session, &part, 1, part.size, bench.out);
}

static void open_one(void)
{
	uint32_t turn = next_turn();
	struct tls_session *session = session_at(turn);
	struct slice plain;
	enum tls_content what;
	session->sequence[TLS_READ] = 5;
	CHECK(tls_record_open(bench.ciphers, session, bench.sealed[turn], bench.sealed_bytes, bench.out, &plain,
			      &what) == ERROR_OK);
}

/* The same calls of OpenSSL, with a new key each time and nothing around them. */
static void raw_seal(void)
{
	uint8_t nonce[12] = {0};
	int count;
	const uint8_t *key = session_at(next_turn())->bytes + 12;
	EVP_EncryptInit_ex2(bench.context, NULL, bench.sessions > 1 ? key : NULL, nonce, NULL);
	EVP_EncryptUpdate(bench.context, NULL, &count, bench.plain, 5);
	EVP_EncryptUpdate(bench.context, bench.out, &count, bench.plain, (int)bench.size + 1);
	EVP_EncryptFinal_ex(bench.context, bench.out, &count);
	EVP_CIPHER_CTX_ctrl(bench.context, EVP_CTRL_AEAD_GET_TAG, 16, bench.out + bench.size + 1);
}

static uint64_t cpu_now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t batch_ns(void (*call)(void), uint64_t calls)
{
	uint64_t begin_ns = cpu_now_ns();
	for (uint64_t i = 0; i < calls; i++)
		call();
	return cpu_now_ns() - begin_ns;
}

static double least_ns(void (*call)(void))
{
	uint64_t calls = 1;
	while (batch_ns(call, calls) < ROUND_NS)
		calls *= 2;
	uint64_t least = UINT64_MAX;
	for (int round = 0; round < ROUNDS; round++) {
		uint64_t ns = batch_ns(call, calls);
		least = ns < least ? ns : least;
	}
	return (double)least / (double)calls;
}

static void make_ends(uint16_t cipher, bool is_server)
{
	for (uint32_t i = 0; i < SESSIONS; i++) {
		uint8_t secrets[2][TLS_SECRET_BYTES_MAX] = {{(uint8_t)i, 1}, {(uint8_t)i, 2}};
		if (cipher >> 8 == 0x13)
			tls_session_init_1_3(bench.ciphers, session_at(i), cipher, secrets[0], secrets[1], is_server);
		else
			tls_session_init_1_2(bench.ciphers, session_at(i), cipher, secrets[0], secrets[0], secrets[1],
					     is_server);
	}
}

static void measure(const char *name, uint16_t cipher, size_t size, uint32_t sessions)
{
	bench.size = size;
	bench.sessions = sessions;
	make_ends(cipher, false);
	for (uint32_t i = 0; i < SESSIONS; i++) {
		struct slice part = slice_of(bench.plain, size);
		session_at(i)->sequence[TLS_WRITE] = 5;
		bench.sealed_bytes = tls_record_seal(bench.ciphers, session_at(i), &part, 1, size, bench.sealed[i]);
	}
	double seal = least_ns(seal_one);
	double raw = least_ns(raw_seal);
	make_ends(cipher, true);
	double open = least_ns(open_one);
	printf("%-22s %6zu B  %-18s seal %6.0f  open %6.0f  OpenSSL's cipher %6.0f ns\n", name, size,
	       sessions > 1 ? "another key each" : "the same key", seal, open, raw);
}

int main(void)
{
	static const struct {
		const char *name;
		const char *openssl;
		uint16_t cipher;
	} CASES[] = {
		{"1.3 AES-128-GCM", "AES-128-GCM", 0x1301},
		{"1.3 AES-256-GCM", "AES-256-GCM", 0x1302},
		{"1.3 ChaCha20-Poly1305", "ChaCha20-Poly1305", 0x1303},
		{"1.2 AES-128-GCM", "AES-128-GCM", 0xc02b},
	};
	static const size_t SIZES[] = {80, 1024, 16384};
	bench.ciphers = tls_ciphers_new();
	CHECK(bench.ciphers != NULL);
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, CASES[i].openssl, NULL);
		bench.context = EVP_CIPHER_CTX_new();
		uint8_t key[32] = {0};
		CHECK(cipher != NULL && EVP_EncryptInit_ex2(bench.context, cipher, key, NULL, NULL) == 1);
		for (size_t s = 0; s < sizeof(SIZES) / sizeof(SIZES[0]); s++) {
			measure(CASES[i].name, CASES[i].cipher, SIZES[s], SESSIONS);
			measure(CASES[i].name, CASES[i].cipher, SIZES[s], 1);
		}
		EVP_CIPHER_CTX_free(bench.context);
		EVP_CIPHER_free(cipher);
	}
	tls_ciphers_free(bench.ciphers);
	return 0;
}
